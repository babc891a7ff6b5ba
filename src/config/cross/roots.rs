//! Where tables and dead letters stand, and how long their keys become.

use super::Cross;
use super::overlap::{self, Topics};
use crate::config::error::Place;
use crate::config::rules::layout;
use crate::config::values::Values;
use crate::config::walk::Parts;

const PREFIX: &str = "layout.prefix";
const DEAD: &str = "layout.dead_letter_prefix";
const HIVE: &str = "layout.partition_by";
const TOPICS: &str = "kafka.topics";

/// S3's limit, in bytes.
const MAX_KEY: usize = 1024;
/// The longest end of a key, behind the topic's name.
const END: &str = "-2147483647-00000000000000000000.json.zst";
/// What stands in a path for a field that is not there; other values are cut to the room left.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

impl Cross<'_> {
    /// Dead letters beside the tables, even of topics that are still to come.
    pub(super) fn dead_letters(&mut self, values: &Values) {
        if !values.sound(&[PREFIX, DEAD]) {
            return;
        }
        let (prefix, dead) = (values.owned_text(PREFIX), values.owned_text(DEAD));
        let message = if !prefix.is_empty() && overlap::inside(&dead, &prefix) {
            format!(
                "{dead:?} lies inside layout.prefix {prefix:?}, where Athena would read the dead \
                 letters; choose a root beside it"
            )
        } else if overlap::inside(&prefix, &dead) {
            format!("{dead:?} holds layout.prefix {prefix:?}; choose a root beside it")
        } else {
            return;
        };
        // Where the default collides, the prefix is what somebody wrote.
        let key = if values.place(DEAD).is_some() { DEAD } else { PREFIX };
        self.wrong_key(values, key, message);
    }

    /// No root, of dead letters or of another topic, inside any table.
    pub(super) fn roots(&mut self) {
        let parts = self.parts;
        if !parts.general.sound(&[TOPICS, PREFIX, DEAD]) {
            return;
        }
        let tables = tables(parts);
        for values in parts.layers() {
            for key in [PREFIX, DEAD] {
                self.root(key, values, &tables);
            }
        }
    }

    fn root(&mut self, key: &str, values: &Values, tables: &[(&Values, Topics)]) {
        let root = values.text(key).filter(|_| values.sound(&[key])).unwrap_or_default();
        for (table, topics) in tables.iter().filter(|(table, _)| table.sound(&[PREFIX])) {
            let prefix = table.owned_text(PREFIX);
            // Dead letters inside their own prefix are told of by `dead_letters`.
            if key == DEAD && !prefix.is_empty() && values.text(PREFIX) == Some(&prefix) {
                continue;
            }
            let Some(step) = overlap::topic_step(root, &prefix) else { continue };
            if topics.contain(step) {
                let slash = if prefix.is_empty() { "" } else { "/" };
                let message = format!(
                    "{root:?} lies inside {:?}, the table of topic {step:?}, where Athena would \
                     read it; choose another, or give the tables a layout.prefix of their own",
                    format!("{prefix}{slash}{step}")
                );
                let place = values.place(key).or_else(|| place_of_table(table));
                return self.wrong(place, values.name(key), message);
            }
        }
    }

    /// Every key must fit, whatever the values of fields are. Those of dead letters do by the limits
    /// of both prefixes.
    pub(super) fn key_lengths(&mut self) {
        let parts = self.parts;
        if !parts.general.sound(&[TOPICS]) {
            return;
        }
        let tables = tables(parts);
        for values in parts.layers().filter(|values| values.sound(&[PREFIX, HIVE])) {
            let own = tables.iter().filter(|(table, _)| std::ptr::eq(*table, values));
            let Some(longest) = own.map(|(_, topics)| topics.longest()).max() else { continue };
            let length = longest_key(values, longest);
            if length > MAX_KEY {
                let message = format!(
                    "with a topic's name of {longest} characters and layout.prefix, keys would \
                     have up to {length} bytes; S3 takes {MAX_KEY}; name fewer or shorter fields"
                );
                self.wrong_key(values, HIVE, message);
            }
        }
    }
}

/// Who has which values: the entries of `kafka.topics`, and the topics with values of their own.
fn tables(parts: &Parts) -> Vec<(&Values, Topics)> {
    let entries = parts.general.list(TOPICS).iter().filter_map(|entry| {
        let own = parts.topics.get(entry).map(|topic| &topic.values);
        Some((own.unwrap_or(&parts.general), Topics::new(entry)?))
    });
    // A topic with a prefix of its own may be read by a regular expression alone.
    let named =
        parts.topics.iter().filter_map(|(name, topic)| Some((&topic.values, Topics::new(name)?)));
    entries.chain(named).collect()
}

fn longest_key(values: &Values, topic: usize) -> usize {
    let level = |key: &String| match layout::field_of(key) {
        Some((key, _)) => key.len() + "=/".len() + NO_VALUE.len(),
        None if key == "dt" => "dt=2026-11-22/".len(),
        None => "hour=16/".len(),
    };
    let levels: usize = values.list(HIVE).iter().map(level).sum();
    let prefix = values.text(PREFIX).unwrap_or_default().len();
    prefix + "/".len() + topic + "/".len() + levels + topic + END.len()
}

/// Where a default collides, the place is that of what it collides with.
fn place_of_table(table: &Values) -> Option<&Place> {
    table.place(PREFIX).or_else(|| table.place(TOPICS))
}
