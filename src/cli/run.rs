//! `kafka-s3-sink run`: the daemon itself.

use std::process::ExitCode;

use super::{
    ConfigArgs, DEADLINE_PASSED, UNREACHABLE, WRONG_CONFIGURATION, failed, wrong_configuration,
};
use crate::config::{ConfigErrors, LogSettings, Settings};
use crate::daemon::{self, DaemonError, Outcome, RunOptions, Source};
use crate::kafka::HARD_STOP_EXIT_CODE;
use crate::telemetry::TelemetryError;
use crate::telemetry::logging::{self, Levels};

const SOME_STOPPED: u8 = 4;

const HELP: &str = "\
Without --until-end it goes on until a signal, and keeps trying what a server refuses or does not \
answer; /readyz says what it waits for. With --until-end it ends at once where settings or rights \
must be mended, and after a minute where a server that it needs to begin does not answer.

Exit codes:
  0    a signal ended the run and all that was read has landed, or the end was reached
  1    an error that the message explains
  2    the command line, the configuration or rights must be mended
  3    shutdown.timeout passed before all that was read had landed; nothing is lost
  4    --until-end landed everything but Kafka partitions that stopped
  5    --until-end could not reach a server
  70   stopped hard, so that no commit could outlive its assignment; nothing is lost
  130  a second signal; nothing is lost";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Exit once everything that was readable at the start is in S3 and committed
    #[arg(long)]
    until_end: bool,
}

/// A thread that panics has a broken invariant, and without it the others would wait for ever: the
/// process stops at once, before it can commit anything more. The pins say where the next goes on.
fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        tracing::error!("a thread has panicked; the process stops, nothing is lost");
        // SAFETY: it ends the process, without running anything of ours.
        unsafe { libc::_exit(HARD_STOP_EXIT_CODE) }
    }));
}

/// What SIGHUP goes back to.
struct Live {
    config: ConfigArgs,
    levels: Levels,
}

impl Source for Live {
    fn load(&self) -> Result<Settings, ConfigErrors> {
        self.config.load()
    }

    fn set_level(&self, settings: &LogSettings) -> Result<(), TelemetryError> {
        self.levels.set(settings)
    }
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let settings = match args.config.load() {
        Ok(settings) => settings,
        Err(errors) => return wrong_configuration(&errors),
    };
    let levels = match logging::init(&settings.log) {
        Ok(levels) => levels,
        Err(error) => return failed(&error.into()),
    };
    end_on_panic();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "kafka-s3-sink starts");
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let source = Live { config: args.config.clone(), levels };
    match daemon::run(settings, RunOptions { until_end: args.until_end }, &source) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DeadlinePassed) => ExitCode::from(DEADLINE_PASSED),
        Ok(Outcome::SomeStopped) => ExitCode::from(SOME_STOPPED),
        Err(error) => {
            tracing::error!("{error}");
            match error {
                DaemonError::OutOfReach { .. } => ExitCode::from(UNREACHABLE),
                error if error.is_to_be_mended() => ExitCode::from(WRONG_CONFIGURATION),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
