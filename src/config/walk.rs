//! From the merged tree to checked values: every name is looked up in the schema, every value is
//! read by its key's kind, and every error is noted on the way.

use std::collections::BTreeMap;

use ::config::{Value, ValueKind};

use super::error::{ConfigError, Place};
use super::librdkafka::{self, Properties};
use super::schema::{self, Fallback, KeySpec};
use super::source::{Path, Table, Tree};
use super::value::{self, Fault};
use super::values::Values;
use super::{rules, suggest};

/// What was written, each part checked by itself.
pub(super) struct Parts {
    /// For everything.
    pub(super) general: Values,
    /// For topics with sections of their own: the general values below theirs.
    pub(super) topics: BTreeMap<String, Topic>,
    /// `[kafka.librdkafka]`.
    pub(super) librdkafka: Properties,
}

impl Parts {
    /// The general values, then those of each topic with sections of its own.
    pub(super) fn layers(&self) -> impl Iterator<Item = &Values> {
        std::iter::once(&self.general).chain(self.topics.values().map(|topic| &topic.values))
    }

    /// The largest `records.max_bytes` of all.
    pub(super) fn largest_record(&self) -> u64 {
        let sizes = self.layers().filter_map(|values| values.number("records.max_bytes"));
        sizes.max().unwrap_or_default()
    }
}

/// A topic with sections of its own.
pub(super) struct Topic {
    /// Its values.
    pub(super) values: Values,
    /// Where it was first named.
    pub(super) place: Place,
}

/// Checks the tree against the schema.
pub(super) fn walk(tree: &Tree, errors: &mut Vec<ConfigError>) -> Parts {
    let mut walker = Walker { tree, errors };
    let mut general = Values::defaults();
    let mut properties = Properties::new();
    for (name, value) in &tree.root {
        match schema::section(name) {
            Some(section) => {
                walker.section(&[section.name], value, &mut general, &mut properties);
            }
            None if name == schema::TOPIC => {}
            None => walker.unknown(std::slice::from_ref(name), suggest::for_section(name)),
        }
    }
    walker.missing(&general);
    let topics = walker.topics(&general);
    Parts { general, topics, librdkafka: properties }
}

struct Walker<'a> {
    tree: &'a Tree,
    errors: &'a mut Vec<ConfigError>,
}

impl Walker<'_> {
    /// The keys of one section, of the whole or of a topic; its name is the path's last step.
    fn section(
        &mut self,
        path: &[&str],
        value: &Value,
        values: &mut Values,
        properties: &mut Properties,
    ) {
        let Some(table) = self.table(path, value) else { return };
        let section = path.last().copied().unwrap_or_default();
        for (name, value) in table {
            let path: Path = path.iter().copied().chain([name.as_str()]).map(Into::into).collect();
            let full = format!("{section}.{name}");
            match schema::key(&full) {
                Some(key) => self.key(key, &path, value, values),
                None if full == schema::LIBRDKAFKA => self.properties(value, properties),
                None => self.unknown(&path, suggest::for_key(section, name)),
            }
        }
    }

    fn key(&mut self, key: &'static KeySpec, path: &Path, value: &Value, values: &mut Values) {
        let place = self.tree.places.of(path);
        match value::parse(key, value, self.tree.places.is_env(path)) {
            Ok(parsed) => values.set(key.path, parsed, place, dotted(path)),
            Err(faults) => {
                values.fail(key.path, place, dotted(path));
                for fault in faults {
                    self.fault(path, fault);
                }
            }
        }
    }

    /// An element of a list has a place of its own, if the list stands in the file.
    fn fault(&mut self, path: &Path, Fault { index, message }: Fault) {
        let mut at = path.clone();
        at.extend(index.map(|index| index.to_string()));
        let place = self.tree.places.of(&at);
        self.errors.push(ConfigError::Value { place, key: dotted(path), message });
    }

    /// librdkafka's own names; what a value says never enters an error.
    fn properties(&mut self, value: &Value, properties: &mut Properties) {
        let Some(table) = self.table(&["kafka", "librdkafka"], value) else { return };
        for (name, value) in table {
            let path: Path = ["kafka", "librdkafka", name].map(Into::into).to_vec();
            let place = self.tree.places.of(&path);
            match librdkafka::checked(name, value) {
                Ok(text) => {
                    properties.insert(name.clone(), (text, place));
                }
                Err(message) => {
                    self.errors.push(ConfigError::Value { place, key: dotted(&path), message });
                }
            }
        }
    }

    fn topics(&mut self, general: &Values) -> BTreeMap<String, Topic> {
        let tree = self.tree;
        let Some(value) = tree.root.get(schema::TOPIC) else { return BTreeMap::new() };
        let Some(topics) = self.table(&[schema::TOPIC], value) else { return BTreeMap::new() };
        topics
            .iter()
            .map(|(name, value)| (name.clone(), self.topic(name, value, general)))
            .collect()
    }

    /// One topic: its own values above a copy of the general ones.
    fn topic(&mut self, name: &str, value: &Value, general: &Values) -> Topic {
        let place = self.tree.places.of(&[schema::TOPIC, name].map(Into::into));
        if let Err(message) = rules::kafka::topic_name(name) {
            let key = dotted(&[schema::TOPIC, name].map(Into::into));
            self.errors.push(ConfigError::Value { place: place.clone(), key, message });
        }
        let mut values = general.clone();
        // A level speaks the language of its own compression.
        if own(value, "layout", "compression") {
            values.unset("layout.compression_level");
        }
        for (section, value) in self.table(&[schema::TOPIC, name], value).into_iter().flatten() {
            let path = [schema::TOPIC, name, section.as_str()];
            if schema::section(section).is_some_and(|section| section.by_topic) {
                self.section(&path, value, &mut values, &mut Properties::new());
            } else {
                self.unknown(&path.map(Into::into), suggest::for_topic_section(section));
            }
        }
        Topic { values, place }
    }

    /// The table that must stand here.
    fn table<'v>(&mut self, path: &[&str], value: &'v Value) -> Option<&'v Table> {
        if let ValueKind::Table(table) = &value.kind {
            return Some(table);
        }
        let path: Path = path.iter().copied().map(Into::into).collect();
        let key = dotted(&path);
        let message =
            format!("{} is not a section; write [{key}] above its keys", value::named(value));
        self.errors.push(ConfigError::Value { place: self.tree.places.of(&path), key, message });
        None
    }

    fn unknown(&mut self, path: &[String], hint: String) {
        let place = self.tree.places.of(path);
        self.errors.push(ConfigError::Unknown { place, key: dotted(path), hint });
    }

    /// Keys without a default that nobody set. One that was set and refused is not missing.
    fn missing(&mut self, general: &Values) {
        for key in schema::keys() {
            if matches!(key.fallback, Fallback::Required(_)) && general.place(key.path).is_none() {
                let (section, name) = (key.section(), key.name());
                let (sample, variable) = (key.sample(), key.variable());
                self.errors.push(ConfigError::Missing {
                    place: self.tree.places.for_missing(section),
                    key: key.path.to_owned(),
                    hint: format!("write {name} = {sample} in [{section}], or set {variable}"),
                });
            }
        }
    }
}

/// Whether a topic sets this key itself.
fn own(topic: &Value, section: &str, key: &str) -> bool {
    let step = |value: &Value, name: &str| match &value.kind {
        ValueKind::Table(table) => table.get(name).cloned(),
        _ => None,
    };
    step(topic, section).is_some_and(|section| step(&section, key).is_some())
}

/// A path as TOML writes it.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let librdkafka = path.len() == 3 && path[..2].join(".") == schema::LIBRDKAFKA;
    let step = |step: &String| match step.chars().all(bare) && !step.is_empty() || librdkafka {
        true => step.clone(),
        false => toml::Value::String(step.clone()).to_string(),
    };
    path.iter().map(step).collect::<Vec<_>>().join(".")
}
