//! The goal of `--until-end`: the readable ends of all subscribed logs, taken once at the start.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::config::matcher;
use crate::kafka::{KafkaEdge, KafkaError, all};
use crate::record::{Offset, TopicPartition};

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
