//! What a lane tells of one Kafka partition.

use std::borrow::Cow;
use std::time::Duration;

use crate::record::{Epoch, Offset, TimestampMs, TopicPartition};

/// One Kafka partition of this member, as its lane saw it last.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaPartitionStatus {
    /// Which one.
    pub partition: TopicPartition,
    /// Which assignment.
    pub epoch: Epoch,
    /// What it is doing, for people: `replaying`, `consuming`, `stopped`, ...
    pub state: Cow<'static, str>,
    /// Since when it has been doing that.
    pub since: TimestampMs,
    /// Whether reading is paused.
    pub paused: bool,
    /// The next offset to read, if known.
    pub position: Option<Offset>,
    /// The committed offset, if known.
    pub committed: Option<Offset>,
    /// The end of the log, if known.
    pub end: Option<Offset>,
    /// Landing records in its open batch.
    pub open_records: u64,
    /// Bytes that its open batch holds.
    pub open_bytes: u64,
    /// The record time of the last record read, if it is usable.
    pub last_read_time: Option<TimestampMs>,
    /// The record time of the oldest record read but not landed, if it is usable.
    pub oldest_unlanded_time: Option<TimestampMs>,
    /// When, by the wall clock, the oldest record that has not landed was read; `None` if all
    /// that was read has landed.
    pub oldest_unlanded_read_at: Option<TimestampMs>,
    /// Since when the committed offset has not moved; `None` if nothing waits behind it.
    pub waiting_since: Option<TimestampMs>,
    /// `rotation.max_age` of its topic, if known.
    pub max_age: Option<Duration>,
    /// Why it needs an operator, if it does.
    pub stop: Option<Stop>,
}

/// Why a Kafka partition has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// A short word of a fixed set, for the metric's label.
    pub code: &'static str,
    /// What happened, and the command that resolves it; without secrets.
    pub message: String,
}

impl KafkaPartitionStatus {
    /// A Kafka partition of which nothing is known yet but that it is held.
    pub fn new(
        partition: TopicPartition,
        epoch: Epoch,
        state: impl Into<Cow<'static, str>>,
        since: TimestampMs,
    ) -> Self {
        Self {
            partition,
            epoch,
            state: state.into(),
            since,
            paused: false,
            position: None,
            committed: None,
            end: None,
            open_records: 0,
            open_bytes: 0,
            last_read_time: None,
            oldest_unlanded_time: None,
            oldest_unlanded_read_at: None,
            waiting_since: None,
            max_age: None,
            stop: None,
        }
    }

    /// Offsets that are not read yet, if both ends are known.
    pub fn consumed_lag(&self) -> Option<i64> {
        Some(behind(self.end?, self.position?))
    }

    /// Offsets that have not landed yet, if both ends are known.
    pub fn landed_lag(&self) -> Option<i64> {
        Some(behind(self.end?, self.committed?))
    }
}

/// The end is asked for less often than the position moves, so it may lie behind it.
fn behind(end: Offset, at: Offset) -> i64 {
    end.0.saturating_sub(at.0).max(0)
}
