//! A file that says which topics there should be, and how: what `topics apply` reads.
//!
//! ```text
//! file --source--> Tree --keys, properties--> TopicSpec, or everything that is wrong with it
//! ```
//! It has the manners of the configuration: all errors at once, each with its line and a hint. What
//! only the cluster can know (whether a broker takes a value, whether a topic would shrink) is found
//! out by `cli`, which takes the places for its own errors from here.

mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use ::config::{Value, ValueKind};

use super::error::{ConfigError, ConfigErrors, Place};
use super::rules::kafka::topic_name;
use super::schema::{Fallback, KeySpec, Kind};
use super::source::{self, File, Path, Table, Tree};
use super::value::{self, Parsed};
use super::walk::dotted;
use super::{read, suggest};
use crate::record::is_internal;
use names::NAMES;

/// The only section.
const TOPIC: &str = "topic";
/// The table in it whose keys are Kafka's own.
const PROPERTIES: &str = "properties";

const PARTITIONS: &str = "partitions";
const REPLICATION: &str = "replication_factor";
const RETENTION: &str = "retention";
const CLEANUP: &str = "cleanup_policy";
const MAX_MESSAGE: &str = "max_message_bytes";

/// A retention without an end.
const FOREVER: &str = "forever";

/// A century: more is a slip of the unit.
const MOST_RETENTION: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The keys of a topic. Their paths are those that errors name behind the topic's own.
const KEYS: &[KeySpec] = &[
    KeySpec {
        path: PARTITIONS,
        kind: Kind::Count { min: 1, max: 100_000 },
        fallback: Fallback::Required("6"),
        doc: "How many Kafka partitions it has.",
    },
    KeySpec {
        path: REPLICATION,
        kind: Kind::Count { min: 1, max: 1_000 },
        fallback: Fallback::Unset("3"),
        doc: "How many brokers hold each record.",
    },
    KeySpec {
        path: RETENTION,
        kind: Kind::Duration { min: Duration::from_millis(1), max: MOST_RETENTION, off: false },
        fallback: Fallback::Unset(r#""7d", or "forever""#),
        doc: "How long records stay.",
    },
    KeySpec {
        path: CLEANUP,
        kind: Kind::Choice(&["delete", "compact", "compact,delete"]),
        fallback: Fallback::Unset(r#""delete""#),
        doc: "What becomes of old records.",
    },
    KeySpec {
        path: MAX_MESSAGE,
        // Kafka counts in 32 bits.
        kind: Kind::Size { min: 1, max: i32::MAX as u64 },
        fallback: Fallback::Unset(r#""1MiB""#),
        doc: "How large a batch of records may be, as it is stored.",
    },
];

/// Keys of ours that stand for a property of Kafka's.
const STAND_FOR: &[(&str, &str)] =
    &[(RETENTION, "retention.ms"), (CLEANUP, "cleanup.policy"), (MAX_MESSAGE, "max.message.bytes")];

/// What a topic should be like. What is not said is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Where it is named.
    pub place: Place,
    /// How many Kafka partitions it has, and where that is said.
    pub partitions: (i32, Place),
    /// How many brokers hold each record, and where that is said.
    pub replication_factor: Option<(i32, Place)>,
    /// Kafka's properties by name.
    pub properties: BTreeMap<String, WrittenProperty>,
}

impl TopicSpec {
    /// What is wrong with one of its keys.
    pub fn error(&self, key: &str, place: &Place, message: String) -> ConfigError {
        let path: Path = [TOPIC, &self.name].into_iter().map(Into::into).collect();
        let key = if key.is_empty() { dotted(&path) } else { format!("{}.{key}", dotted(&path)) };
        ConfigError::Value { place: place.clone(), key, message }
    }
}

/// A property of a topic, as a broker takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenProperty {
    /// The value.
    pub value: String,
    /// Where it is said.
    pub place: Place,
    /// The key that says it, behind the topic's own path.
    pub key: String,
}

/// Reads a file of topics, which come in its order.
pub fn topics_from_file(path: &FilePath) -> Result<Vec<TopicSpec>, ConfigErrors> {
    let name: Arc<str> = path.display().to_string().into();
    let text = read(path, &name).map_err(|error| ConfigErrors::from(vec![error]))?;
    topics_of(&File { name, text: &text })
}

fn topics_of(file: &File<'_>) -> Result<Vec<TopicSpec>, ConfigErrors> {
    let mut errors = Vec::new();
    let tree = source::read(Some(file), std::iter::empty(), &mut errors)?;
    let mut reader = Reader { tree: &tree, errors: &mut errors };
    let mut topics = reader.root();
    topics.sort_by(|a, b| a.place.cmp(&b.place));
    alike(&topics, &mut errors);
    if errors.is_empty() { Ok(topics) } else { Err(errors.into()) }
}

/// Kafka's metrics write `.` as `_`, so a broker refuses two topics that differ in that alone.
fn alike(topics: &[TopicSpec], errors: &mut Vec<ConfigError>) {
    let mut seen = BTreeMap::new();
    for topic in topics {
        if let Some(other) = seen.insert(topic.name.replace('.', "_"), &topic.name) {
            let message = format!("Kafka takes this and {other} for one name: . and _ are alike");
            errors.push(topic.error("", &topic.place, message));
        }
    }
}

struct Reader<'a> {
    tree: &'a Tree,
    errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    fn root(&mut self) -> Vec<TopicSpec> {
        let tree = self.tree;
        for name in tree.root.keys().filter(|name| *name != TOPIC) {
            let hint = "a topic is written as [topic.\"NAME\"]".to_owned();
            self.unknown(std::slice::from_ref(name), hint);
        }
        let topics =
            tree.root.get(TOPIC).and_then(|value| self.table(&vec![TOPIC.to_owned()], value));
        let topics: Vec<_> = topics.into_iter().flatten().collect();
        if topics.is_empty() && self.errors.is_empty() {
            self.errors.push(ConfigError::Missing {
                place: tree.places.for_missing(TOPIC),
                key: TOPIC.to_owned(),
                hint: "name at least one, as [topic.\"NAME\"]".to_owned(),
            });
        }
        topics.into_iter().filter_map(|(name, value)| self.topic(name, value)).collect()
    }

    fn topic(&mut self, name: &str, value: &Value) -> Option<TopicSpec> {
        let path: Path = vec![TOPIC.to_owned(), name.to_owned()];
        let place = self.tree.places.of(&path);
        if let Err(message) = named_well(name) {
            self.wrong(&path, message);
        }
        let table = self.table(&path, value)?;
        let mut found = BTreeMap::new();
        let mut properties = BTreeMap::new();
        for (key, value) in table {
            let path: Path = path.iter().chain([key]).cloned().collect();
            match KEYS.iter().find(|spec| spec.path == key) {
                Some(spec) => {
                    let place = self.tree.places.of(&path);
                    found.extend(
                        self.key(spec, &path, value).map(|value| (spec.path, (value, place))),
                    );
                }
                None if key == PROPERTIES => self.properties(&path, value, &mut properties),
                None => self.unknown(&path, hint_for_key(key)),
            }
        }
        if !table.contains_key(PARTITIONS) {
            let hint = "write how many Kafka partitions it has, as in partitions = 6".to_owned();
            let key = dotted(&[&path[..], &[PARTITIONS.to_owned()]].concat());
            self.errors.push(ConfigError::Missing { place: place.clone(), key, hint });
        }
        spec(name, place, found, properties)
    }

    /// The value of a key, as a broker takes it.
    fn key(&mut self, spec: &KeySpec, path: &Path, value: &Value) -> Option<String> {
        if spec.path == RETENTION && value.kind == ValueKind::String(FOREVER.to_owned()) {
            return Some("-1".to_owned());
        }
        match value::parse(spec, value, false) {
            Ok(Parsed::Number(number)) => Some(number.to_string()),
            Ok(Parsed::Text(text)) => Some(text),
            Ok(Parsed::Duration(time)) => Some(time?.as_millis().to_string()),
            Ok(_) => None,
            Err(faults) => {
                for fault in faults {
                    self.wrong(path, fault.message);
                }
                None
            }
        }
    }

    fn properties(
        &mut self,
        path: &Path,
        value: &Value,
        found: &mut BTreeMap<String, WrittenProperty>,
    ) {
        for (name, value) in self.table(path, value).into_iter().flatten() {
            let path: Path = path.iter().chain([name]).cloned().collect();
            match property(name, value) {
                Ok(value) => {
                    let key = dotted(&path[2..]);
                    let place = self.tree.places.of(&path);
                    found.insert(name.clone(), WrittenProperty { value, place, key });
                }
                Err(message) => self.wrong(&path, message),
            }
        }
    }

    fn table<'v>(&mut self, path: &Path, value: &'v Value) -> Option<&'v Table> {
        if let ValueKind::Table(table) = &value.kind {
            return Some(table);
        }
        let wanted = if path.len() == 1 {
            "[topic.\"NAME\"]".to_owned()
        } else {
            format!("[{}]", dotted(path))
        };
        self.wrong(path, format!("{} is not a section; write {wanted}", value::named(value)));
        None
    }

    fn wrong(&mut self, path: &Path, message: String) {
        let place = self.tree.places.of(path);
        self.errors.push(ConfigError::Value { place, key: dotted(path), message });
    }

    fn unknown(&mut self, path: &[String], hint: String) {
        let place = self.tree.places.of(path);
        self.errors.push(ConfigError::Unknown { place, key: dotted(path), hint });
    }
}

/// Puts together what was found; nothing where a part is missing, which is an error already.
fn spec(
    name: &str,
    place: Place,
    mut found: BTreeMap<&str, (String, Place)>,
    mut properties: BTreeMap<String, WrittenProperty>,
) -> Option<TopicSpec> {
    for (key, property) in STAND_FOR {
        if let Some((value, place)) = found.remove(key) {
            let written = WrittenProperty { value, place, key: (*key).to_owned() };
            properties.insert((*property).to_owned(), written);
        }
    }
    let mut number = |key| {
        let (value, place) = found.remove(key)?;
        Some((value.parse().ok()?, place))
    };
    Some(TopicSpec {
        name: name.to_owned(),
        place,
        partitions: number(PARTITIONS)?,
        replication_factor: number(REPLICATION),
        properties,
    })
}

fn named_well(name: &str) -> Result<(), String> {
    topic_name(name)?;
    if is_internal(name) || name.starts_with("__") {
        return Err("one of Kafka's own topics, which Kafka makes and keeps itself".to_owned());
    }
    Ok(())
}

fn hint_for_key(key: &str) -> String {
    let own = || KEYS.iter().map(|spec| spec.path).chain([PROPERTIES]);
    if let Some((ours, _)) = STAND_FOR.iter().find(|(_, property)| is_spelt(property, key)) {
        return format!("here it is {ours}");
    }
    if let Some(near) = suggest::nearest(key, own()) {
        return format!("did you mean {near}?");
    }
    if let Some(property) = NAMES.iter().find(|property| is_spelt(property, key)) {
        return format!("write it as \"{property}\" in the topic's table properties");
    }
    // TOML reads min.insync.replicas as a table in a table.
    if NAMES.iter().any(|property| property.split('.').next() == Some(key)) {
        return "properties by Kafka's own names stand in the topic's table properties".to_owned();
    }
    format!("a topic has {}", own().collect::<Vec<_>>().join(", "))
}

fn is_spelt(property: &str, key: &str) -> bool {
    property.replace(['.', '-'], "_") == key.replace(['.', '-'], "_")
}

/// A property as text. One that no list of ours has may be of a newer broker, which will say.
fn property(name: &str, value: &Value) -> Result<String, String> {
    if let Some((key, _)) = STAND_FOR.iter().find(|(_, property)| *property == name) {
        return Err(format!("write it as {key}, a key of the topic itself"));
    }
    let known: BTreeSet<&str> = NAMES.iter().copied().collect();
    if !known.contains(name)
        && let Some(near) = suggest::nearest(name, NAMES.iter().copied())
    {
        return Err(format!("no property of a topic; did you mean {near}?"));
    }
    match &value.kind {
        ValueKind::String(text) => Ok(text.trim().to_owned()),
        ValueKind::Boolean(flag) => Ok(flag.to_string()),
        ValueKind::I64(number) => Ok(number.to_string()),
        ValueKind::Float(number) => Ok(number.to_string()),
        _ => Err(format!("{} is not a text, a number, true or false", value::named(value))),
    }
}
