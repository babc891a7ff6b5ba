//! The goal of `--until-end`: the readable ends of all subscribed logs, taken once at the start.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kafka::{KafkaEdge, KafkaError, all};
use crate::record::{Offset, TopicPartition, is_internal};

/// Where each Kafka partition's run ends; empty for a run without end.
#[derive(Debug, Default)]
pub(super) struct Goals(HashMap<TopicPartition, Offset>);

impl Goals {
    /// Asks the brokers. Blocks.
    pub(super) fn at_present(edge: &KafkaEdge, topics: &[String]) -> Result<Self, KafkaError> {
        let matches = matcher(topics);
        let partitions: Vec<_> = edge
            .topics()?
            .into_iter()
            .filter(|(topic, _)| matches(topic))
            .flat_map(|(topic, count)| {
                let topic: Arc<str> = topic.into();
                (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition))
            })
            .collect();
        Ok(Self(all(edge.end_offsets(&partitions))?.into_iter().collect()))
    }

    /// Whether no topic is there at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The goal of one Kafka partition; one that came later has none.
    pub(super) fn of(&self, partition: &TopicPartition) -> Option<Offset> {
        self.0.get(partition).copied()
    }

    /// The goals of Kafka partitions that are not held.
    pub(super) fn open(
        &self,
        is_held: impl Fn(&TopicPartition) -> bool,
    ) -> BTreeMap<TopicPartition, Offset> {
        let open = self.0.iter().filter(|(at, _)| !is_held(at));
        open.map(|(at, goal)| (at.clone(), *goal)).collect()
    }

    /// Topics that are named but not there.
    pub(super) fn missing<'a>(&self, topics: &'a [String]) -> Vec<&'a str> {
        let known = |topic: &str| self.0.keys().any(|partition| &*partition.topic == topic);
        let named = topics.iter().map(String::as_str).filter(|topic| !topic.starts_with('^'));
        named.filter(|topic| !known(topic)).collect()
    }
}

/// Whether a topic is subscribed: by name, or by an expression that begins with `^`, which never
/// means Kafka's own topics.
pub(crate) fn matcher(topics: &[String]) -> impl Fn(&str) -> bool + use<> {
    let (patterns, names): (Vec<_>, Vec<_>) =
        topics.iter().cloned().partition(|topic| topic.starts_with('^'));
    // The configuration refused what is no expression.
    let patterns: Vec<_> = patterns.iter().filter_map(|p| regex::Regex::new(p).ok()).collect();
    move |topic| {
        names.iter().any(|name| name == topic)
            || (!is_internal(topic) && patterns.iter().any(|p| p.is_match(topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_and_expressions_as_they_say() {
        let matches = matcher(&["orders".into(), "^clicks\\..*".into()]);
        assert!(matches("orders") && matches("clicks.web"));
        assert!(!matches("orders2") && !matches("my.clicks.web"));
        let all = matcher(&["^.*".into()]);
        assert!(all("orders") && all("__mine") && !all("__consumer_offsets"));
    }
}
