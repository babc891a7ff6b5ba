//! What people want to know of a Kafka partition: counts for metrics, a picture for status.
//!
//! Filled by `partition`, handed on by `sink` to whoever shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::action::StopReason;
use super::decode::InvalidReason;
use super::moment::Moment;
use super::partition::{Partition, Phase};
use crate::record::{Epoch, Offset, TimestampMs, TopicPartition};

/// Counts since the last time somebody took them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records read, once each.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Records that went to the dead letters, by reason.
    pub dead_letters: BTreeMap<InvalidReason, u64>,
    /// Records that a policy left out, by reason.
    pub skipped: BTreeMap<InvalidReason, u64>,
    /// Lines that lost raw line breaks.
    pub compacted: u64,
    /// Records whose timestamp could not be used.
    pub unusable_time: u64,
}

impl Counters {
    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.compacted += other.compacted;
        self.unusable_time += other.unusable_time;
        for (mine, theirs) in
            [(&mut self.dead_letters, other.dead_letters), (&mut self.skipped, other.skipped)]
        {
            for (reason, count) in theirs {
                *mine.entry(reason).or_default() += count;
            }
        }
    }
}

/// A Kafka partition as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSnapshot {
    /// Which one.
    pub partition: TopicPartition,
    /// Its assignment.
    pub epoch: Epoch,
    /// `resolving`, `marking`, `replaying`, `running`, `paused`, `draining`, `stopped`.
    pub state: &'static str,
    /// Why it stopped.
    pub stopped: Option<StopReason>,
    /// The next offset to read.
    pub position: Option<Offset>,
    /// The committed offset.
    pub committed: Option<Offset>,
    /// The end of the log as the last EOF told it.
    pub log_end: Option<Offset>,
    /// The timestamp of the last record read.
    pub last_timestamp: Option<TimestampMs>,
    /// When the oldest record that has not landed was read.
    pub oldest_read: Option<Moment>,
    /// The timestamp of the oldest record that has not landed.
    pub oldest_timestamp: Option<TimestampMs>,
    /// Records in the open batch.
    pub open_records: u64,
    /// Memory that the open batch and its encoders hold.
    pub open_bytes: u64,
    /// Memory that ended batches hold until they have landed.
    pub landing_bytes: u64,
    /// The goal of `--until-end` is in S3 and committed.
    pub reached_end: bool,
    /// `rotation.max_age` of its topic.
    pub max_age: Duration,
}

impl Partition {
    pub(super) fn snapshot(&self) -> PartitionSnapshot {
        let stopped = match &self.phase {
            Phase::Stopped(reason) => Some(reason.clone()),
            _ => None,
        };
        let begun = !matches!(self.phase, Phase::Resolving { .. } | Phase::Marking);
        let batches = self.flight.iter().map(|flight| &flight.batch).chain(&self.sealed);
        let oldest = batches
            .map(|batch| (batch.opened, batch.first_timestamp))
            .chain(self.open.iter().map(|open| (open.opened, open.first_timestamp())))
            .next();
        PartitionSnapshot {
            partition: self.at.clone(),
            epoch: self.epoch,
            state: self.state_name(),
            stopped,
            position: begun.then_some(self.next),
            committed: self.committed,
            log_end: self.log_end,
            last_timestamp: self.last_timestamp,
            oldest_read: oldest.map(|(read, _)| read),
            oldest_timestamp: oldest.and_then(|(_, at)| at),
            open_records: self.open.as_ref().map_or(0, |open| open.fill().records),
            open_bytes: self.open_bytes(),
            landing_bytes: self.landing_bytes(),
            reached_end: self.reached_end,
            max_age: self.policy.rotation.max_age,
        }
    }

    const fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Resolving { .. } => "resolving",
            Phase::Marking => "marking",
            Phase::Stopped(_) => "stopped",
            Phase::Released => "released",
            Phase::Running if self.after.is_some() => "draining",
            Phase::Running if self.replay.is_some() => "replaying",
            Phase::Running if self.paused => "paused",
            Phase::Running => "running",
        }
    }
}
