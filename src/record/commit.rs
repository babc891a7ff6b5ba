//! What is asked of the group coordinator, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Epoch, Offset, TopicPartition};

/// One Kafka partition's part of a merged offset commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    /// The Kafka partition.
    pub partition: TopicPartition,
    /// The assignment that the commit belongs to; it is checked again at the moment of sending.
    pub epoch: Epoch,
    /// The next offset to read.
    pub offset: Offset,
    /// The offset metadata: the mark, and the pin if there is one.
    pub metadata: String,
}

/// Why a commit was not stored, in terms of what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Nothing is known to be wrong for good: try again while the epoch stands.
    #[error("commit to be tried again: {0}")]
    Retry(String),
    /// This assignment is over (an older epoch, or revoked): drop the result, never retry.
    #[error("commit of an assignment that is over")]
    Stale,
    /// The coordinator does not know this member: wait for the rebalance callback.
    #[error("commit refused, the member is fenced: {0}")]
    Fenced(String),
    /// It will never be stored as it is (too large, not authorised).
    #[error("commit refused for good: {0}")]
    Permanent(String),
}

/// What the group holds for one Kafka partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The committed offset; `None` if the group has none.
    pub offset: Option<Offset>,
    /// The offset metadata as stored; empty if there is none.
    pub metadata: String,
}

/// What the group holds for every Kafka partition of one topic.
pub type CommittedOffsets = BTreeMap<i32, Committed>;

/// What was read of a Kafka partition and has not landed: it has when `end` is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlanded {
    /// Which one.
    pub partition: TopicPartition,
    /// Its assignment.
    pub epoch: Epoch,
    /// The end of its last batch.
    pub end: Offset,
}

/// What is known of a topic at the moment one of its Kafka partitions is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// The topic id (base64, as Kafka prints it); empty if the broker tells none.
    pub topic_id: Arc<str>,
    /// The cluster id; empty if the broker tells none.
    pub cluster_id: Arc<str>,
    /// The group's offsets of all Kafka partitions of the topic.
    pub committed: Arc<CommittedOffsets>,
    /// The oldest offset that the log of this Kafka partition still has.
    pub log_start: Offset,
    /// The end of this Kafka partition's log that is readable at our isolation level.
    pub log_end: Offset,
    /// Whether the bucket held nothing of the topic, looked at **before** the offsets were
    /// fetched; `None` if nobody looked, which is so when every offset was there.
    pub prefix_empty: Option<bool>,
    /// Up to where the bucket held this very Kafka partition, looked at likewise; `None` if nobody
    /// looked, or there was too much to look through.
    pub bucket_end: Option<BucketEnd>,
    /// Whether the topic is compacted (`cleanup.policy`), where that is known.
    pub compacted: Option<bool>,
}

/// Up to where a bucket holds a Kafka partition, under the layout in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketEnd {
    /// It holds nothing of it.
    Nothing,
    /// Its last batch ends there.
    At(Offset),
    /// Its last object does not say where its batch ends: this is why.
    Unclear(Arc<str>),
}

/// Why the facts of a topic could not be had; all of these are tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ResolveError(pub String);
