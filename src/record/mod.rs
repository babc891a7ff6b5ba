//! The vocabulary that every room shares: plain data, no logic that decides anything, no IO.
//!
//! `kafka` and `s3` fill these types, `pipeline` decides by them, `daemon` carries them between
//! the two. `config` produces the policies.

mod commit;
mod defect;
mod object;
mod policy;
mod spool;

pub use commit::{
    BucketEnd, CommitError, CommitRequest, Committed, CommittedOffsets, ResolveError, TopicFacts,
    Unlanded,
};
pub use defect::Defect;
pub use object::{
    Body, HeadOutcome, ObjectAddress, ObjectMetadata, PutOutcome, PutRequest, StoreError,
    StoreErrorClass,
};
pub use policy::{
    Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout, LostOffsetsPolicy,
    OutOfRangePolicy, RecordPolicy, RevokePolicy, RotationPolicy, StartPosition, TombstonePolicy,
};
pub use spool::{Spool, SpoolFile, SpooledBytes};

use std::fmt;
use std::sync::Arc;

/// Kafka's own topics. An expression matches none of them, as Kafka's own consumers have it: whoever
/// read `__consumer_offsets` would go on for ever, for each commit of theirs is a record there.
pub const INTERNAL_TOPICS: [&str; 4] =
    ["__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"];

/// Whether it is one of Kafka's own topics.
pub fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

/// A position in a Kafka partition, always the **next** offset to read when it is a position.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The position after this offset was read.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The half-open range `[base, end)` of offsets that a batch stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct OffsetRange {
    /// The first offset of the range.
    pub base: Offset,
    /// The first offset after the range.
    pub end: Offset,
}

impl OffsetRange {
    /// How many offsets the range spans; gaps count.
    pub const fn len(&self) -> u64 {
        (self.end.0 - self.base.0) as u64
    }

    /// Whether the range spans no offset at all.
    pub const fn is_empty(&self) -> bool {
        self.end.0 <= self.base.0
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.base, self.end)
    }
}

/// A Kafka partition of a topic. Cloning shares the topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The number of the Kafka partition.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a Kafka partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Numbers the assignments of one Kafka partition to this process; results that carry an older
/// epoch than the present one are dropped, commits that carry one never leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, as Kafka counts them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TimestampMs(pub i64);

/// Takes one header: its name, then its value (null is `None`).
pub type HeaderVisitor<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

/// Lends the headers of a record one after the other: name, then value (null is `None`).
///
/// Headers are asked for only by dead letters and the envelope, so they stay where the client
/// library holds them until then.
pub trait HeaderSource {
    /// Calls `visit` once a header, in the order of the record.
    fn for_each(&self, visit: HeaderVisitor<'_>);
}

/// No headers.
pub struct NoHeaders;

impl HeaderSource for NoHeaders {
    fn for_each(&self, _visit: HeaderVisitor<'_>) {}
}

impl HeaderSource for Vec<(Vec<u8>, Option<Vec<u8>>)> {
    fn for_each(&self, visit: HeaderVisitor<'_>) {
        for (name, value) in self {
            visit(name, value.as_deref());
        }
    }
}

/// One record of a Kafka partition, lent by the client library for the time of one call.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp (CreateTime or LogAppendTime); `None` where the broker has none.
    pub timestamp: Option<TimestampMs>,
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a dyn HeaderSource,
    /// The leader epoch of the record batch it came in, where the broker tells it.
    pub leader_epoch: Option<i32>,
}
