//! Sets logging up from `LogSettings`; `main` calls it once, before anything else is said.

use std::io::{self, IsTerminal};

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::TelemetryError;
use crate::config::{LogFormat, LogSettings};

/// The setting that holds the filter.
const SETTING: &str = "log.level";
/// What prints requests whole when it is asked for details, session tokens and signatures among
/// them.
const TELLTALES: &str = "aws_smithy_runtime=info,aws_sigv4=info,aws_runtime=info";
/// Libraries whose lines below a warning tell nothing to those who run the sink. The chain of
/// credentials warns of each provider that it passes; what comes of it is told by the sink.
const QUIET: &[(&str, &str)] = &[
    ("aws_config", "error"),
    ("aws_smithy_runtime", "warn"),
    ("aws_smithy_runtime_api", "warn"),
    ("aws_smithy_http_client", "warn"),
    ("aws_runtime", "warn"),
    ("aws_sdk_s3", "warn"),
    ("hyper", "warn"),
    ("hyper_util", "warn"),
    ("rustls", "warn"),
];
/// The variable that wins over it.
const VARIABLE: &str = "RUST_LOG";

/// Lets another level be set while the process runs.
pub struct Levels(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl Levels {
    /// Logs at another level from now on; `RUST_LOG` wins if it is set.
    pub fn set(&self, settings: &LogSettings) -> Result<(), TelemetryError> {
        (self.0)(wanted(settings)?).map_err(TelemetryError::LevelStays)
    }
}

/// Sends log lines to standard error as the settings say; `RUST_LOG` wins if it is set.
pub fn init(settings: &LogSettings) -> Result<Levels, TelemetryError> {
    let filter = wanted(settings)?;
    let colours = io::stderr().is_terminal();
    let lines = match settings.format {
        LogFormat::Journald => journal()?,
        format => lines(format, colours, io::stderr),
    };
    let (dispatch, levels) = dispatch(filter, lines);
    dispatch.try_init().map_err(|error| TelemetryError::LoggingTwice(error.to_string()))?;
    Ok(levels)
}

fn wanted(settings: &LogSettings) -> Result<EnvFilter, TelemetryError> {
    filter(settings, std::env::var(VARIABLE).ok().as_deref())
}

fn filter(
    settings: &LogSettings,
    from_environment: Option<&str>,
) -> Result<EnvFilter, TelemetryError> {
    let (origin, text) = match from_environment.map(str::trim) {
        Some(text) if !text.is_empty() => (VARIABLE, text),
        _ => (SETTING, settings.level.trim()),
    };
    let wrong = |reason: String| TelemetryError::LogFilter { origin, filter: text.into(), reason };
    let directives: Vec<&str> = text.split(',').map(str::trim).filter(|d| !d.is_empty()).collect();
    if directives.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    // `RUST_LOG=some_module` is common usage; in our own setting it is a misspelt level.
    if let Some(word) = misspelt_level(&directives).filter(|_| origin == SETTING) {
        return Err(wrong(format!("`{word}` is no level")));
    }
    // `EnvFilter` takes no space after a comma, people do.
    let mut joined = directives.join(",");
    let details = ["debug", "trace", "4", "5"];
    if details.iter().any(|level| joined.to_ascii_lowercase().contains(level)) {
        joined = format!("{joined},{TELLTALES}");
    }
    if directives.iter().any(|directive| directive.eq_ignore_ascii_case("info")) {
        // Whoever asks for a library by its name gets it, and whoever asks for details all.
        let asked = |library: &str| directives.iter().any(|it| it.starts_with(library));
        let quiet = QUIET.iter().filter(|(library, _)| !asked(library));
        joined = quiet.fold(joined, |text, (library, level)| format!("{text},{library}={level}"));
    }
    EnvFilter::builder().parse(joined).map_err(|error| wrong(error.to_string()))
}

/// The first directive that is no level, no module with a level and no span. `EnvFilter` would
/// take `inof` for the name of a module, and the log would be silent.
fn misspelt_level<'a>(directives: &[&'a str]) -> Option<&'a str> {
    let mut bare = directives.iter().filter(|directive| !directive.contains(['=', '[']));
    bare.find(|word| word.parse::<LevelFilter>().is_err()).copied()
}

/// Where and how lines are written.
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;
/// What is left of all lines before they are written.
type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;

fn dispatch(filter: EnvFilter, lines: Lines) -> (Dispatch, Levels) {
    let (filter, handle) = reload::Layer::new(filter);
    let set = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    let dispatch = tracing_subscriber::registry().with(filter).with(lines).into();
    (dispatch, Levels(Box::new(set)))
}

fn lines<W>(format: LogFormat, colours: bool, writer: W) -> Lines
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A line that cannot be written (the log's reader is gone) must not panic: this would.
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        _ => lines.with_ansi(colours).boxed(),
    }
}

/// With priorities and fields, which lines on standard error lose on their way to the journal.
fn journal() -> Result<Lines, TelemetryError> {
    let journal = tracing_journald::layer().map_err(TelemetryError::NoJournal)?;
    Ok(journal.with_syslog_identifier("kafka-s3-sink".to_owned()).boxed())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings(level: &str, format: LogFormat) -> LogSettings {
        LogSettings { level: level.into(), format }
    }

    /// What is written of what `tell` tells.
    fn caught(settings: &LogSettings, from_environment: Option<&str>, tell: fn()) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let filter = filter(settings, from_environment).unwrap();
        let written = super::lines(settings.format, false, move || sink.clone());
        let (dispatch, _) = dispatch(filter, written);
        tracing::dispatcher::with_default(&dispatch, tell);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// What is written of one debug and one info line.
    fn written(settings: &LogSettings, from_environment: Option<&str>) -> String {
        caught(settings, from_environment, || {
            tracing::debug!("fine print");
            tracing::info!(address = "127.0.0.1:9464", "listening");
        })
    }

    #[test]
    fn no_level_shows_requests_with_their_tokens() {
        for level in ["trace", "warn,aws_smithy_runtime=trace"] {
            let text = caught(&settings(level, LogFormat::Text), None, || {
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "token");
                tracing::debug!(target: "aws_sigv4::http_request", "signature");
            });
            assert_eq!(text, "", "{level}");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_asked_for() {
        let seen = |level: &str| {
            let text = caught(&settings(level, LogFormat::Text), None, || {
                tracing::info!(target: "aws_smithy_runtime::client", "noise");
                tracing::warn!(target: "aws_smithy_runtime::client", "worth it");
                tracing::info!(target: "kafka_s3_sink::daemon", "ours");
            });
            text.lines().count()
        };
        assert_eq!(seen("info"), 2);
        assert_eq!(seen("info,kafka_s3_sink::s3=debug"), 2);
        assert_eq!(seen("info,aws_smithy_runtime=info"), 3);
    }

    #[test]
    fn text_is_for_people() {
        let text = written(&settings("info", LogFormat::Text), None);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(" INFO "), "{text}");
        assert!(text.ends_with("listening address=\"127.0.0.1:9464\"\n"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = written(&settings("info", LogFormat::Json), None);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "listening");
        assert_eq!(line["address"], "127.0.0.1:9464");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_environment_wins_if_it_says_something() {
        let debug = settings("debug", LogFormat::Text);
        assert_eq!(written(&debug, None).lines().count(), 2);
        assert_eq!(written(&debug, Some(" ")).lines().count(), 2);
        assert_eq!(written(&debug, Some("info")).lines().count(), 1);
        assert_eq!(written(&debug, Some("kafka_s3_sink")).lines().count(), 2);
        assert_eq!(written(&debug, Some("off")), "");
    }

    #[test]
    fn levels_by_module_are_obeyed() {
        let by_module = settings("warn, kafka_s3_sink=debug,hyper=off", LogFormat::Text);
        assert_eq!(written(&by_module, None).lines().count(), 2);
        let other_module = settings("warn,hyper=debug", LogFormat::Text);
        assert_eq!(written(&other_module, None), "");
    }

    #[test]
    fn a_bad_filter_is_named_with_what_is_allowed() {
        let message = |level: &str, environment: Option<&str>| {
            filter(&settings(level, LogFormat::Text), environment).unwrap_err().to_string()
        };
        let misspelt = message("inof", None);
        assert!(misspelt.starts_with("log.level: \"inof\" is not a log filter"), "{misspelt}");
        assert!(misspelt.contains("`inof` is no level"), "{misspelt}");
        assert!(misspelt.contains("off, error, warn, info, debug or trace"), "{misspelt}");
        assert!(message("info,hyper", None).contains("`hyper` is no level"));
        assert!(message("", None).contains("it is empty"));
        assert!(message("kafka_s3_sink=loud", None).starts_with("log.level: "));
        assert!(message("info", Some("a=b=c")).starts_with("RUST_LOG: \"a=b=c\""));
    }

    #[test]
    fn filters_by_span_pass() {
        let by_span = settings("warn,[lane{id=1}]=debug,[upload]", LogFormat::Text);
        assert!(filter(&by_span, None).is_ok());
    }

    /// The global subscriber belongs to the whole process, so this runs in one of its own.
    #[test]
    fn logging_goes_to_standard_error_and_is_set_up_once() {
        const CHILD: &str = "KAFKA_S3_SINK_TEST_OF_LOGGING";
        if std::env::var_os(CHILD).is_some() {
            let json = settings("info", LogFormat::Json);
            init(&json).unwrap();
            tracing::info!("to be read by the parent");
            assert!(matches!(init(&json), Err(TelemetryError::LoggingTwice(_))));
            return;
        }
        let name = "telemetry::logging::tests::logging_goes_to_standard_error_and_is_set_up_once";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .env_remove(VARIABLE)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let lines = String::from_utf8(child.stderr).unwrap();
        let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(line["message"], "to be read by the parent");
    }
}
