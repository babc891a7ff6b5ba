//! The newest records of a topic, read by a throw-away client that belongs to no group.
//!
//! Fed by `check`, which looks for what readers of the table would stumble over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::facts::{self, LogBounds};
use super::fetch::Fetch;
use super::message::{Kind, Message, Taken};
use super::native::Client;
use super::{KafkaError, properties};
use crate::config::KafkaSettings;
use crate::record::{IsolationLevel, Offset, TimestampMs, TopicPartition};

/// Kafka partitions that a sample is taken from at most.
const MAX_PARTITIONS: usize = 16;
/// Bytes after which a sample is large enough, however few its records are.
const MAX_BYTES: usize = 16 << 20;
/// How long one sample may take.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(200);

/// A record that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampledRecord {
    /// Its timestamp; `None` where the broker has none.
    pub timestamp: Option<TimestampMs>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Whether it has a key.
    pub keyed: bool,
}

/// Reads up to `at_most` of the newest records of a topic, spread over its Kafka partitions.
/// Nothing is joined and nothing committed. Blocks.
pub fn sample_records(
    settings: &KafkaSettings,
    isolation: IsolationLevel,
    topic: &str,
    at_most: usize,
) -> Result<Vec<SampledRecord>, KafkaError> {
    let config = properties::onlooker(settings, isolation);
    let client = Arc::new(Client::consumer(&config, settings.msk_iam_region.as_deref())?);
    let count = facts::partition_count(&client, topic)?;
    let name: Arc<str> = topic.into();
    let partitions: Vec<_> =
        (0..count).map(|number| TopicPartition::new(Arc::clone(&name), number)).collect();
    let shares = shares(&facts::all(facts::log_bounds(&client, &partitions))?, at_most);
    let mut reading = Reading { open: HashMap::new(), records: Vec::new(), bytes: 0, fault: None };
    let starts = shares.iter().map(|share| (share.partition, share.from));
    let fetch = Fetch::start(&client, topic, starts)?;
    reading.open.extend(shares.iter().map(|share| (share.partition, share.end)));
    let deadline = Instant::now() + PATIENCE;
    while !reading.is_over(at_most) && Instant::now() < deadline {
        if let Some(message) = Taken::next(&fetch.queue, POLL) {
            reading.take(&message);
        }
    }
    drop(fetch);
    match reading {
        Reading { records, fault: Some(reason), .. } if records.is_empty() => {
            Err(KafkaError::Request { what: format!("records of {topic}"), reason })
        }
        Reading { records, .. } => Ok(records),
    }
}

/// What is read of one Kafka partition: the offsets `[from, end)`.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    partition: i32,
    from: Offset,
    end: Offset,
}

/// The ends of the longest logs, alike for each.
fn shares(bounds: &BTreeMap<TopicPartition, LogBounds>, at_most: usize) -> Vec<Share> {
    let len = |bounds: &LogBounds| bounds.end.0 - bounds.start.0;
    let mut filled: Vec<_> = bounds.iter().filter(|(_, bounds)| len(bounds) > 0).collect();
    filled.sort_by_key(|(_, bounds)| std::cmp::Reverse(len(bounds)));
    filled.truncate(MAX_PARTITIONS.min(at_most));
    let each = at_most.div_ceil(filled.len().max(1)) as i64;
    let share = |(at, bounds): (&TopicPartition, &LogBounds)| Share {
        partition: at.partition,
        from: bounds.start.max(Offset(bounds.end.0 - each)),
        end: bounds.end,
    };
    filled.into_iter().map(share).collect()
}

struct Reading {
    /// Kafka partitions that are not read to their end yet.
    open: HashMap<i32, Offset>,
    records: Vec<SampledRecord>,
    bytes: usize,
    fault: Option<String>,
}

impl Reading {
    fn is_over(&self, at_most: usize) -> bool {
        self.open.is_empty() || self.records.len() >= at_most || self.bytes >= MAX_BYTES
    }

    fn take(&mut self, message: &Message) {
        let partition = message.partition();
        let Some(end) = self.open.get(&partition).copied() else { return };
        match message.kind() {
            Kind::Record => {
                if message.offset() < end {
                    self.keep(message);
                }
                if message.offset().next() >= end {
                    self.open.remove(&partition);
                }
            }
            Kind::End => {
                self.open.remove(&partition);
            }
            Kind::Fault(fault) => {
                self.open.remove(&partition);
                self.fault = Some(fault.into_text());
            }
        }
    }

    fn keep(&mut self, message: &Message) {
        let record = message.record();
        self.bytes += record.value.map_or(0, <[u8]>::len);
        let value = record.value.map(<[u8]>::to_vec);
        let (timestamp, keyed) = (record.timestamp, record.key.is_some());
        self.records.push(SampledRecord { timestamp, value, keyed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares_of(logs: &[(i64, i64)], at_most: usize) -> Vec<(i32, i64, i64)> {
        let bounds = logs.iter().enumerate().map(|(number, (start, end))| {
            let bounds = LogBounds { start: Offset(*start), end: Offset(*end) };
            (TopicPartition::new("t", number as i32), bounds)
        });
        let shares = shares(&bounds.collect(), at_most);
        shares.into_iter().map(|share| (share.partition, share.from.0, share.end.0)).collect()
    }

    #[test]
    fn a_sample_is_spread_over_the_ends_of_the_logs() {
        assert_eq!(
            shares_of(&[(0, 1000), (990, 1000), (7, 7)], 100),
            [(0, 950, 1000), (1, 990, 1000)]
        );
        assert_eq!(shares_of(&[(5, 5)], 100), []);
        assert_eq!(shares_of(&[(0, 9)], 100), [(0, 0, 9)]);
    }

    #[test]
    fn only_some_of_many_kafka_partitions_are_looked_at() {
        assert_eq!(shares_of(&[(0, 50); 40], 100).len(), MAX_PARTITIONS);
        assert_eq!(shares_of(&[(0, 50); 40], 3).len(), 3);
    }
}
