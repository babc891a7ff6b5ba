//! What can only be seen by looking at several keys together.

use secrecy::ExposeSecret;

use super::error::{ConfigError, Place};
use super::librdkafka::ALIASES;
use super::overlap::{self, Topics};
use super::suggest;
use super::units;
use super::values::Values;
use super::walk::Parts;

/// What librdkafka adds to a record in one answer of the broker, generously.
const ANSWER_OVERHEAD: u64 = 1024 * 1024;

/// Compares keys with one another.
pub(super) fn check(parts: &Parts, errors: &mut Vec<ConfigError>) {
    let mut cross = Cross { parts, errors };
    cross.encryption();
    cross.topic_names();
    cross.group_protocol();
    cross.properties();
    cross.roots();
    for values in std::iter::once(&parts.general).chain(parts.topics.values().map(|t| &t.values)) {
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
        let place = place.cloned().unwrap_or(Place::Environment);
        self.errors.push(ConfigError::Value { place, key: key.to_owned(), message });
    }

    fn encryption(&mut self) {
        let general = &self.parts.general;
        let asked = general.text("s3.server_side_encryption");
        let sound = general.sound(&["s3.server_side_encryption"]);
        if general.text("s3.kms_key_id").is_some() && sound && !asked.is_some_and(is_kms) {
            self.wrong(
                general.place("s3.kms_key_id"),
                "s3.kms_key_id",
                "has no effect without server_side_encryption = \"aws:kms\" or \"aws:kms:dsse\""
                    .to_owned(),
            );
        }
    }

    /// A section for a topic that nobody reads is a slip of the pen.
    fn topic_names(&mut self) {
        let parts = self.parts;
        if !parts.general.sound(&["kafka.topics"]) {
            return;
        }
        let list = parts.general.list("kafka.topics");
        let topics: Vec<Topics> = list.iter().filter_map(|entry| Topics::new(entry)).collect();
        for (name, topic) in &parts.topics {
            if !topics.iter().any(|topics| topics.contain(name)) {
                let near = suggest::nearest(name, list.iter().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                self.errors.push(ConfigError::Unknown {
                    place: topic.place.clone(),
                    key: format!("topic.{}", toml::Value::String(name.clone())),
                    hint: format!("nothing in kafka.topics is or matches it{hint}"),
                });
            }
        }
    }

    /// librdkafka refuses these itself, but only once the client is made.
    fn group_protocol(&mut self) {
        let consumer = self.parts.general.text("kafka.group_protocol") == Some("consumer");
        let misplaced: &[(&str, &str)] = if consumer {
            &[
                ("session.timeout.ms", "group.consumer.session.timeout.ms"),
                ("heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
            ]
        } else {
            &[]
        };
        for (name, broker) in misplaced {
            if let Some((_, place)) = self.parts.librdkafka.get(*name) {
                let message = format!(
                    "with kafka.group_protocol = \"consumer\" the broker decides this ({broker})"
                );
                self.wrong(Some(place), &format!("kafka.librdkafka.{name}"), message);
            }
        }
        if let Some((_, place)) = self.parts.librdkafka.get("group.remote.assignor")
            && !consumer
        {
            let message = "needs kafka.group_protocol = \"consumer\"; with \"classic\" set \
                           kafka.assignor"
                .to_owned();
            self.wrong(Some(place), "kafka.librdkafka.group.remote.assignor", message);
        }
    }

    fn properties(&mut self) {
        let parts = self.parts;
        for (alias, name) in ALIASES {
            if let (Some((_, place)), true) =
                (parts.librdkafka.get(*alias), parts.librdkafka.contains_key(*name))
            {
                let message = format!("is another name of {name}, which is set too; keep one");
                self.wrong(Some(place), &format!("kafka.librdkafka.{alias}"), message);
            }
        }
        if let Some((text, place)) = parts.librdkafka.get("receive.message.max.bytes") {
            let records = std::iter::once(&parts.general)
                .chain(parts.topics.values().map(|topic| &topic.values))
                .filter_map(|values| values.number("records.max_bytes"));
            let least = records.max().unwrap_or(0) + ANSWER_OVERHEAD;
            if !text.expose_secret().parse().is_ok_and(|bytes: u64| bytes >= least) {
                let largest = units::format_size(least - ANSWER_OVERHEAD);
                let message = format!(
                    "at least {least}: a record of records.max_bytes ({largest}) must fit, or its \
                     Kafka partition would never go on"
                );
                self.wrong(Some(place), "kafka.librdkafka.receive.message.max.bytes", message);
            }
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
        self.wrong(values.place(KEYS[1]), KEYS[1], message);
    }

    /// Dead letters beside the tables, even of topics that are still to come.
    fn dead_letters(&mut self, values: &Values) {
        const KEYS: &[&str] = &["layout.prefix", "layout.dead_letter_prefix"];
        if !values.sound(KEYS) {
            return;
        }
        let (prefix, dead) = (values.owned_text(KEYS[0]), values.owned_text(KEYS[1]));
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
        let (place, key) = match values.place(KEYS[1]) {
            Some(place) => (Some(place), KEYS[1]),
            None => (values.place(KEYS[0]), KEYS[0]),
        };
        self.wrong(place, key, message);
    }

    /// No root, of dead letters or of another topic, inside any table.
    fn roots(&mut self) {
        let parts = self.parts;
        if !parts.general.sound(&["kafka.topics", "layout.prefix", "layout.dead_letter_prefix"]) {
            return;
        }
        let general = parts.general.list("kafka.topics").iter().filter_map(|entry| {
            let own = parts.topics.get(entry).map(|topic| &topic.values);
            Some((own.unwrap_or(&parts.general), Topics::new(entry)?))
        });
        // A topic with a prefix of its own may be read by a regular expression alone.
        let named = parts.topics.iter().map(|(name, topic)| {
            let topics = Topics::Named(name.clone());
            (&topic.values, topics)
        });
        let tables: Vec<(&Values, Topics)> = general.chain(named).collect();
        for values in
            std::iter::once(&parts.general).chain(parts.topics.values().map(|t| &t.values))
        {
            for key in ["layout.prefix", "layout.dead_letter_prefix"] {
                self.root(key, values, &tables);
            }
        }
    }

    fn root(&mut self, key: &str, values: &Values, tables: &[(&Values, Topics)]) {
        let root = values.text(key).filter(|_| values.sound(&[key])).unwrap_or_default();
        for (table, topics) in tables.iter().filter(|(table, _)| table.sound(&["layout.prefix"])) {
            let prefix = table.owned_text("layout.prefix");
            // Dead letters inside their own prefix are `dead_letters`' business.
            let own =
                key == "layout.dead_letter_prefix" && values.text("layout.prefix") == Some(&prefix);
            if own && !prefix.is_empty() {
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
                let place = values.place(key).or(parts_place(table));
                return self.wrong(place, key, message);
            }
        }
    }
}

/// Where a default collides, the place is that of what it collides with.
fn parts_place(table: &Values) -> Option<&Place> {
    table.place("layout.prefix").or(table.place("kafka.topics"))
}

fn is_kms(text: &str) -> bool {
    text.starts_with("aws:kms")
}
