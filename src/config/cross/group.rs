//! `[kafka]`, its topics and its librdkafka properties beside one another.

use secrecy::ExposeSecret;

use super::Cross;
use super::overlap::Topics;
use crate::config::error::ConfigError;
use crate::config::librdkafka::{ALIASES, MECHANISM, MECHANISMS};
use crate::config::{suggest, units};

/// What librdkafka adds to a record in one answer of the broker, generously.
const ANSWER_OVERHEAD: u64 = 1024 * 1024;

/// Properties that librdkafka itself refuses with KIP-848, but only once the client is made; and
/// the broker's settings that stand in for them.
const DECIDED_BY_BROKER: &[(&str, &str)] = &[
    ("session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
];

impl Cross<'_> {
    /// A section for a topic that nobody reads is a slip of the pen, and its records would stand
    /// where nobody looks for them.
    pub(super) fn topic_names(&mut self) {
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

    /// Properties that belong to the other group protocol.
    pub(super) fn group_protocol(&mut self) {
        if self.parts.general.text("kafka.group_protocol") != Some("consumer") {
            let message = "needs kafka.group_protocol = \"consumer\"; with \"classic\" set \
                           kafka.assignor";
            return self.wrong_property("group.remote.assignor", message.to_owned());
        }
        for (name, broker) in DECIDED_BY_BROKER {
            let message = format!(
                "with kafka.group_protocol = \"consumer\" the broker decides this ({broker})"
            );
            self.wrong_property(name, message);
        }
    }

    /// Of two names of one property the last in the alphabet would win, in silence.
    pub(super) fn aliases(&mut self) {
        for (alias, name) in ALIASES {
            if self.parts.librdkafka.contains_key(*name) {
                let message = format!("is another name of {name}, which is set too; keep one");
                self.wrong_property(alias, message);
            }
        }
    }

    /// Without a mechanism librdkafka would try Kerberos, which is not built in.
    pub(super) fn mechanism(&mut self) {
        const NAME: &str = "security.protocol";
        let properties = &self.parts.librdkafka;
        let sasl = properties.get(NAME).is_some_and(|(text, _)| {
            text.expose_secret().to_ascii_lowercase().starts_with("sasl_")
        });
        let msk = self.parts.general.text("kafka.msk_iam_region").is_some();
        if sasl && !msk && !MECHANISM.iter().any(|name| properties.contains_key(*name)) {
            self.wrong_property(NAME, format!("needs sasl.mechanism beside it: {MECHANISMS}"));
        }
    }

    /// Brokers send a record that is larger than every fetch limit alone, but librdkafka drops
    /// an answer beyond this limit and asks again without end.
    pub(super) fn answer_size(&mut self) {
        const NAME: &str = "receive.message.max.bytes";
        let largest = self.parts.largest_record();
        let least = largest + ANSWER_OVERHEAD;
        let set = self.parts.librdkafka.get(NAME);
        let enough = |text: &str| text.parse().is_ok_and(|bytes: u64| bytes >= least);
        if set.is_some_and(|(text, _)| !enough(text.expose_secret())) {
            let largest = units::format_size(largest);
            let message = format!(
                "at least {least}: a record of records.max_bytes ({largest}) must fit, or its \
                 Kafka partition would never go on"
            );
            self.wrong_property(NAME, message);
        }
    }

    /// An error about a librdkafka property, if it is set.
    fn wrong_property(&mut self, name: &str, message: String) {
        if let Some((_, place)) = self.parts.librdkafka.get(name) {
            self.wrong(Some(place), &format!("kafka.librdkafka.{name}"), message);
        }
    }
}
