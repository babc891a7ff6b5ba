//! The layer of the environment: `KAFKA_S3_SINK__SECTION__KEY`.
//!
//! Two underscores part the steps. `KAFKA_S3_SINK__TOPIC__NAME__SECTION__KEY` sets a key for one
//! topic, whose name keeps its case; `KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD` sets
//! `sasl.password`. Names with one underscore behind the prefix are somebody else's.
//!
//! A file of such a name in `$CREDENTIALS_DIRECTORY` counts as the variable (systemd's
//! `LoadCredential=`): a secret there stands neither in a file that all may read nor in the
//! environment. Where both are there, the variable counts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path as FilePath;

use ::config::{Value, ValueKind};

use super::{Path, Table};
use crate::config::error::{ConfigError, Place};
use crate::config::{librdkafka, schema, suggest};

/// What the names of our variables begin with.
pub(in crate::config) const PREFIX: &str = "KAFKA_S3_SINK__";

/// Names the folder of the credentials that a service manager gives to this process alone.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A variable of ours, or a credential that counts as one.
pub struct Variable {
    pub(in crate::config) name: String,
    place: Place,
    value: Result<String, String>,
}

impl Variable {
    fn new(name: OsString, place: fn(String) -> Place, value: Vec<u8>) -> Option<Self> {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        let value = String::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned());
        Some(Self { place: place(name.clone()), name, value })
    }

    /// A credential's file; the line break at its end is the editor's.
    fn of_file(path: &FilePath) -> Option<Self> {
        let name = path.file_name()?.to_owned();
        let text = std::fs::read(path);
        let error = text.as_ref().err().map(|error| format!("cannot be read: {error}"));
        let text = text.unwrap_or_default();
        let mut found = Self::new(name, Place::Credential, text.trim_ascii_end().to_vec())?;
        found.value = error.map_or(found.value, Err);
        Some(found)
    }
}

#[cfg(test)]
impl From<(&str, &str)> for Variable {
    fn from((name, value): (&str, &str)) -> Self {
        Self { name: name.into(), place: Place::Variable(name.into()), value: Ok(value.into()) }
    }
}

/// This process's variables that begin with our prefix, and its credentials. Unlike
/// `std::env::vars` it does not panic over variables of others that are not UTF-8.
pub fn environment() -> impl Iterator<Item = Variable> {
    with_credentials(std::env::vars_os().collect())
}

/// The variables of ours among these, and the credentials of the folder that one of them names.
pub(in crate::config) fn with_credentials(
    variables: Vec<(OsString, OsString)>,
) -> impl Iterator<Item = Variable> {
    let folder = variables.iter().find(|(name, _)| name == CREDENTIALS).map(|(_, path)| path);
    let files = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
    let credentials: Vec<_> =
        files.flatten().filter_map(|file| Variable::of_file(&file.path())).collect();
    let ours = variables.into_iter().filter_map(|(name, value)| {
        Variable::new(name, Place::Variable, value.into_encoded_bytes())
    });
    let ours: Vec<_> = ours.collect();
    let unset = |found: &Variable| !ours.iter().any(|variable| variable.name == found.name);
    let credentials: Vec<_> = credentials.into_iter().filter(unset).collect();
    ours.into_iter().chain(credentials)
}

/// Sorts our variables into a tree; those that cannot name a key are errors.
pub(super) fn layer(
    env: impl Iterator<Item = Variable>,
    errors: &mut Vec<ConfigError>,
) -> (Table, BTreeMap<Path, Place>) {
    let mut root = Table::new();
    let mut places: BTreeMap<Path, Place> = BTreeMap::new();
    let mut ours: Vec<_> = env.filter(|variable| variable.name.starts_with(PREFIX)).collect();
    ours.sort_by(|a, b| a.name.cmp(&b.name));
    for Variable { name, place, value } in ours {
        let path = path_of(&name[PREFIX.len()..]).and_then(|path| match places.get(&path) {
            Some(other) => Err(format!("sets the same key as {other}; keep one of the two")),
            None => Ok(path),
        });
        match path.and_then(|path| Ok((path, value?))) {
            Ok((path, value)) => {
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
