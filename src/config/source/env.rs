//! The layer of the environment: `KAFKA_S3_SINK__SECTION__KEY`.
//!
//! Two underscores part the steps. `KAFKA_S3_SINK__TOPIC__NAME__SECTION__KEY` sets a key for one
//! topic, whose name keeps its case; `KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD` sets
//! `sasl.password`. Names with one underscore behind the prefix are somebody else's.

use std::collections::BTreeMap;

use ::config::{Value, ValueKind};

use super::{Path, Table};
use crate::config::error::{ConfigError, Place};
use crate::config::{librdkafka, schema, suggest};

/// What the names of our variables begin with.
pub(in crate::config) const PREFIX: &str = "KAFKA_S3_SINK__";

/// This process's variables that begin with our prefix. Unlike `std::env::vars` it does not
/// panic over variables of others that are not UTF-8; what is wrong in ours is marked with
/// U+FFFD, which `load` refuses.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// Sorts our variables into a tree; those that cannot name a key are errors.
pub(super) fn layer(
    env: impl Iterator<Item = (String, String)>,
    errors: &mut Vec<ConfigError>,
) -> (Table, BTreeMap<Path, Place>) {
    let mut root = Table::new();
    let mut places: BTreeMap<Path, Place> = BTreeMap::new();
    let mut ours: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, value) in ours {
        let place = Place::Variable(name.clone());
        let found = path_of(&name[PREFIX.len()..]).and_then(|path| match places.get(&path) {
            Some(other) => Err(format!("sets the same key as {other}; keep one of the two")),
            None if value.contains('\u{FFFD}') => Err("the value is not UTF-8".to_owned()),
            None => Ok(path),
        });
        match found {
            Ok(path) => {
                insert(&mut root, &path, value);
                places.insert(path, place);
            }
            Err(message) => errors.push(refused(place, &name, message)),
        }
    }
    (root, places)
}

fn refused(place: Place, name: &str, message: String) -> ConfigError {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    ConfigError::Value { place, key, message }
}

/// The path that a variable's name stands for, prefix removed.
fn path_of(name: &str) -> Result<Path, String> {
    let steps: Vec<&str> = name.split("__").collect();
    let lower = |step: &str| step.to_lowercase();
    match steps.as_slice() {
        steps if steps.contains(&"") => Err(shape(name)),
        [kafka, librdkafka] if lower(kafka) == "kafka" && lower(librdkafka) == "librdkafka" => {
            Err(format!("not the name of a key; write {PREFIX}KAFKA__LIBRDKAFKA__PROPERTY"))
        }
        [kafka, librdkafka, property @ ..]
            if lower(kafka) == "kafka" && lower(librdkafka) == "librdkafka" =>
        {
            let property = librdkafka::name_of_variable(&lower(&property.join("__")));
            Ok(vec![lower(kafka), lower(librdkafka), property])
        }
        [root, name @ .., section, key] if lower(root) == schema::TOPIC && !name.is_empty() => {
            Ok(vec![lower(root), name.join("__"), lower(section), lower(key)])
        }
        [section, key] if lower(section) != schema::TOPIC => Ok(vec![lower(section), lower(key)]),
        _ => Err(shape(name)),
    }
}

fn shape(name: &str) -> String {
    if lowered(name).starts_with(schema::TOPIC) {
        return format!("not the name of a key; write {PREFIX}TOPIC__NAME__SECTION__KEY");
    }
    match suggest::home_of(&lowered(name)) {
        Some(key) => format!("not the name of a key; write {}", key.variable()),
        None => format!("not the name of a key; write {PREFIX}SECTION__KEY"),
    }
}

fn lowered(name: &str) -> String {
    name.to_lowercase()
}

fn insert(table: &mut Table, path: &[String], value: String) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), Value::new(None, ValueKind::String(value)));
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Value::new(None, Table::new()));
            if let ValueKind::Table(inner) = &mut inner.kind {
                insert(inner, rest, value);
            }
        }
    }
}
