//! From one TOML file and the environment to checked `Settings`.
//!
//! ```text
//! source (file, env) --Tree--> walk (schema, value, rules) --Parts--> cross --> assemble
//! ```
//! `cli` calls `load`; all other rooms see `Settings` alone. Every error is found before any is
//! told, and each names its place, its key, what is wrong and what is allowed.

mod assemble;
mod cross;
mod error;
mod example;
mod librdkafka;
mod machine;
pub(crate) mod memory;
mod reload;
mod render;
mod rules;
mod schema;
mod settings;
mod source;
mod subscription;
mod suggest;
mod topics;
mod units;
mod value;
mod values;
mod walk;
mod warnings;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors, Place};
pub use example::complete_example;
pub use reload::TakenUp;
pub use schema::{Check, Fallback, KeySpec, Kind, ListCheck, SECTIONS, SectionSpec};
pub use settings::{
    Assignor, GroupProtocol, HttpSettings, KafkaSettings, LogFormat, LogSettings, MemorySettings,
    S3Settings, Settings, ShutdownSettings, TopicPolicies,
};
pub use source::{Variable, environment};
pub(crate) use subscription::matcher;
pub use topics::{TopicSpec, WrittenProperty, topics_from_file};
pub(crate) use units::{parse_duration, parse_size};

use std::path::Path;
use std::sync::Arc;

use machine::Machine;
use source::File;

/// What is wrong with `[kafka.librdkafka]` in the eyes of librdkafka itself: the property, where one
/// is to blame, and the reason. Each value is judged, and, if that is asked for, all of them together.
/// This room does not know librdkafka, so the caller brings it.
pub type RefusedProperties<'a> = &'a dyn Fn(&KafkaSettings, bool) -> Vec<(Option<String>, String)>;

/// Reads the file, if there is one, and the environment above it (see `environment`).
pub fn load(
    path: Option<&Path>,
    env: impl Iterator<Item = Variable>,
    refused: RefusedProperties<'_>,
) -> Result<Settings, ConfigErrors> {
    let Some(path) = path else { return from_layers(None, env, Machine::read(), refused) };
    let name: Arc<str> = path.display().to_string().into();
    let text = read(path, &name).map_err(|error| ConfigErrors::from(vec![error]))?;
    from_layers(Some(&File { name, text: &text }), env, Machine::read(), refused)
}

/// Reads a text that stands for a file of that name.
pub fn load_str(
    name: &str,
    text: &str,
    env: impl Iterator<Item = Variable>,
) -> Result<Settings, ConfigErrors> {
    from_layers(Some(&File { name: name.into(), text }), env, Machine::read(), &|_, _| Vec::new())
}

fn from_layers(
    file: Option<&File<'_>>,
    env: impl Iterator<Item = Variable>,
    machine: Machine,
    refused: RefusedProperties<'_>,
) -> Result<Settings, ConfigErrors> {
    let mut errors = Vec::new();
    let tree = source::read(file, env, &mut errors)?;
    let parts = walk::walk(&tree, &mut errors);
    cross::check(&parts, machine, &mut errors);
    // What is incomplete is thrown away after an error, but the properties are there.
    let settings = assemble::settings(&parts, machine);
    // An error that was found already would be told again in librdkafka's words.
    let refused = refused(&settings.kafka, errors.is_empty()).into_iter();
    errors.extend(
        refused.map(|(name, message)| librdkafka::refusal(&parts.librdkafka, name, message)),
    );
    if errors.is_empty() { Ok(settings) } else { Err(errors.into()) }
}

fn read(path: &Path, name: &Arc<str>) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { file: Arc::clone(name), reason };
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count();
        let place = Place::Line { file: Arc::clone(name), line, column: 1 };
        ConfigError::NotToml { place, reason: "the line is not UTF-8".to_owned() }
    })
}
