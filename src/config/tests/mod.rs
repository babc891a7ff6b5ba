//! Tests of the room as a whole: a text and an environment in, settings or a report out.

mod cross;
mod environment;
mod errors;
mod examples;
mod librdkafka;
mod policies;
mod reload;
mod rendering;
mod rules;
mod settings;
mod units;
mod warnings;

use super::machine::Machine;
use super::source::File;
use super::{ConfigErrors, Settings, from_layers};

/// A machine that is the same everywhere.
const MACHINE: Machine = Machine { memory: Some(4 << 30), cores: 4 };

/// What one must write, and nothing else.
const LEAST: &str = r#"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
topics = ["orders", "^clicks\\..*"]
group_id = "sink"
[s3]
bucket = "lake"
"#;

fn load_both(text: &str, env: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let env = env.iter().copied().map(Into::into);
    from_layers(Some(&File { name: "sink.toml".into(), text }), env, MACHINE, &|_, _| Vec::new())
}

fn load(text: &str) -> Result<Settings, ConfigErrors> {
    load_both(text, &[])
}

/// Settings of a text that must be right.
fn good(text: &str) -> Settings {
    load(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The least, with more lines below.
fn with(more: &str) -> String {
    format!("{LEAST}{more}")
}

/// The report on a text that must be wrong, one line an error, without the head line.
fn report(text: &str) -> Vec<String> {
    report_both(text, &[])
}

fn report_both(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    match load_both(text, env) {
        Ok(settings) => panic!("accepted:\n{}\nas {settings:?}", text),
        Err(errors) => {
            errors.to_string().lines().skip(1).map(|line| line.trim().to_owned()).collect()
        }
    }
}

/// The only error of the least with one more section.
fn only(more: &str) -> String {
    let report = report(&with(more));
    assert_eq!(report.len(), 1, "{report:#?}");
    report.into_iter().next().unwrap_or_default()
}
