//! The checked values of all keys, defaults included. `walk` fills it, `cross` compares values
//! with one another, `assemble` makes `Settings` of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;

use super::error::Place;
use super::schema;
use super::value::{self, Parsed};

/// One key's value.
#[derive(Clone, Debug, Default)]
struct Entry {
    parsed: Option<Parsed>,
    /// Where it was set, and under which full name; `None` is the default.
    written: Option<(Place, String)>,
    /// Whether it was set to something that is not allowed; the default stands in for it.
    failed: bool,
}

/// The values of all keys, for everything or for one topic.
#[derive(Clone, Debug)]
pub(super) struct Values(BTreeMap<&'static str, Entry>);

impl Values {
    /// Every key at its default.
    pub(super) fn defaults() -> Self {
        let entry = |key| Entry { parsed: value::default_of(key), ..Entry::default() };
        Self(schema::keys().map(|key| (key.path, entry(key))).collect())
    }

    /// Sets a key to a value that passed its checks.
    pub(super) fn set(&mut self, key: &'static str, parsed: Parsed, place: Place, name: String) {
        let written = Some((place, name));
        self.0.insert(key, Entry { parsed: Some(parsed), written, failed: false });
    }

    /// Notes that a key was set to something that is not allowed.
    pub(super) fn fail(&mut self, key: &'static str, place: Place, name: String) {
        if let Some(entry) = self.0.get_mut(key) {
            (entry.written, entry.failed) = (Some((place, name)), true);
        }
    }

    /// Unsets a key.
    pub(super) fn unset(&mut self, key: &'static str) {
        self.0.insert(key, Entry::default());
    }

    /// Where a key was set, if it was.
    pub(super) fn place(&self, key: &str) -> Option<&Place> {
        self.0.get(key)?.written.as_ref().map(|(place, _)| place)
    }

    /// A key's name as it was written, which for a topic's own is longer.
    pub(super) fn name<'a>(&'a self, key: &'a str) -> &'a str {
        let written = self.0.get(key).and_then(|entry| entry.written.as_ref());
        written.map_or(key, |(_, name)| name)
    }

    /// Whether all of these hold what the user meant, so that comparing them makes sense.
    pub(super) fn sound(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.0.get(key).is_some_and(|entry| !entry.failed))
    }

    /// A text, if it is set.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.parsed(key) {
            Some(Parsed::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text that has a default or is required; empty only after an error.
    pub(super) fn owned_text(&self, key: &str) -> String {
        self.text(key).unwrap_or_default().to_owned()
    }

    /// The value of a type whose words are those of the key.
    pub(super) fn word<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.text(key)?;
        T::deserialize(StrDeserializer::<serde::de::value::Error>::new(text)).ok()
    }

    /// Whether a switch is on.
    pub(super) fn switch(&self, key: &str) -> bool {
        self.parsed(key) == Some(&Parsed::Bool(true))
    }

    /// A count or a size, if it is set.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.parsed(key) {
            Some(Parsed::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A duration; `None` is "off".
    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        match self.parsed(key) {
            Some(Parsed::Duration(duration)) => *duration,
            _ => None,
        }
    }

    /// A list; empty after an error.
    pub(super) fn list(&self, key: &str) -> &[String] {
        match self.parsed(key) {
            Some(Parsed::List(items)) => items,
            _ => &[],
        }
    }

    fn parsed(&self, key: &str) -> Option<&Parsed> {
        self.0.get(key)?.parsed.as_ref()
    }
}
