//! What can only be seen by looking at several keys together.
//!
//! Fed by `walk`. Keys that are wrong by themselves are left out here: their value is a stand-in,
//! and comparing it would only raise a second error about the first.

mod group;
mod memory;
mod overlap;
mod roots;

use super::error::{ConfigError, Place};
use super::machine::Machine;
use super::values::Values;
use super::walk::Parts;

/// Compares keys with one another.
pub(super) fn check(parts: &Parts, machine: Machine, errors: &mut Vec<ConfigError>) {
    let mut cross = Cross { parts, errors };
    cross.encryption();
    cross.topic_names();
    cross.group_protocol();
    cross.aliases();
    cross.mechanism();
    cross.answer_size();
    cross.memory(machine);
    cross.roots();
    cross.key_lengths();
    for values in parts.layers() {
        cross.compression_level(values);
        cross.dead_letters(values);
    }
}

struct Cross<'a> {
    parts: &'a Parts,
    errors: &'a mut Vec<ConfigError>,
}

impl Cross<'_> {
    fn wrong(&mut self, place: Option<&Place>, key: &str, message: String) {
        // Only defaults have no place, and they agree with one another.
        let place = place.cloned().unwrap_or(Place::Environment);
        self.errors.push(ConfigError::Value { place, key: key.to_owned(), message });
    }

    /// An error about a key of these values, named as it was written.
    fn wrong_key(&mut self, values: &Values, key: &str, message: String) {
        self.wrong(values.place(key), values.name(key), message);
    }

    fn encryption(&mut self) {
        const KEY: &str = "s3.kms_key_id";
        let general = &self.parts.general;
        let asked = general.text("s3.server_side_encryption").unwrap_or_default();
        let sound = general.sound(&["s3.server_side_encryption"]);
        if general.text(KEY).is_some() && sound && !asked.starts_with("aws:kms") {
            let message = "has no effect without server_side_encryption = \"aws:kms\" or \
                           \"aws:kms:dsse\"";
            self.wrong_key(general, KEY, message.to_owned());
        }
    }

    fn compression_level(&mut self, values: &Values) {
        const KEYS: &[&str] = &["layout.compression", "layout.compression_level"];
        let Some(level) = values.number(KEYS[1]).filter(|_| values.sound(KEYS)) else { return };
        let message = match values.text(KEYS[0]) {
            Some("gzip") if level > 9 => format!("{level} is not between 1 and 9, gzip's levels"),
            Some("none") => "has no effect with compression = \"none\"".to_owned(),
            _ => return,
        };
        self.wrong_key(values, KEYS[1], message);
    }
}
