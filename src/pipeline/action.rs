//! What the pipeline asks the daemon to do, and what it tells it happened.

use std::sync::Arc;
use std::time::Duration;

use super::rotate::RotationReason;
use crate::record::{
    CommitRequest, Epoch, ObjectAddress, Offset, OffsetRange, PutRequest, StoreErrorClass,
    TopicPartition,
};

/// Says which request a reply belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The Kafka partition.
    pub partition: TopicPartition,
    /// The assignment.
    pub epoch: Epoch,
    /// The batch within the assignment.
    pub batch: u64,
    /// The object within the batch; 0 is the claim.
    pub object: usize,
}

/// What the daemon is to do.
#[derive(Debug)]
pub enum Action {
    /// Learn the topic's facts and answer with `Sink::handle_facts`.
    Resolve {
        /// The Kafka partition.
        partition: TopicPartition,
        /// Its assignment.
        epoch: Epoch,
        /// Its layout in force, for the look into the bucket.
        layout: Arc<crate::record::Layout>,
    },
    /// Fetch from this offset on; a running fetch is moved there.
    Fetch {
        /// The Kafka partition.
        partition: TopicPartition,
        /// Its assignment.
        epoch: Epoch,
        /// The next offset to read.
        from: Offset,
    },
    /// Fetch no more; the partition stays assigned.
    StopFetch(TopicPartition),
    /// Fetch no more for now.
    Pause(TopicPartition),
    /// Fetch again, from the next offset to read, which is given.
    Resume(TopicPartition, Offset),
    /// Commit, and answer with `Sink::handle_committed`. A pin and a commit look alike here.
    Commit(CommitRequest),
    /// Put an object, and answer with `Sink::handle_put`.
    Put(Ticket, PutRequest),
    /// Look at an object, and answer with `Sink::handle_head`.
    Head(Ticket, ObjectAddress),
    /// This assignment holds nothing more: the revoke that waits for it may go on.
    Released(TopicPartition, Epoch),
    /// Something happened that people or metrics want to know.
    Tell(TopicPartition, Event),
}

/// What happened, for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The partition begins at this offset.
    Begins {
        /// The next offset to read.
        from: Offset,
        /// A first start, a continuation, or what else.
        how: &'static str,
    },
    /// A pinned batch is read again.
    Replays {
        /// Its range.
        range: OffsetRange,
        /// Its pin.
        pin_id: Arc<str>,
    },
    /// A pinned batch is read again, for its bytes were lost before they had landed.
    ReadsAgain {
        /// Its range.
        range: OffsetRange,
        /// Its pin.
        pin_id: Arc<str>,
    },
    /// A batch that another member won is read again under its pin.
    Adopts {
        /// Its range.
        range: OffsetRange,
        /// Its pin.
        pin_id: Arc<str>,
    },
    /// A batch ended.
    BatchEnded {
        /// Its range.
        range: OffsetRange,
        /// Why.
        reason: RotationReason,
        /// How many objects it has.
        objects: usize,
    },
    /// An object is in the bucket.
    ObjectLanded {
        /// Its address.
        address: ObjectAddress,
        /// Why its batch ended.
        reason: RotationReason,
        /// Records in it.
        records: u64,
        /// Bytes as stored.
        stored: u64,
        /// Bytes before compression.
        uncompressed: u64,
        /// It was there before: a lost reply, a replay, a zombie.
        found: bool,
        /// It holds dead letters.
        dead_letters: bool,
    },
    /// All objects of a batch are there and its end is committed.
    Committed {
        /// The batch's range.
        range: OffsetRange,
        /// The records that landed.
        records: u64,
        /// How long the batch's first record waited to land, since it was read.
        age: Duration,
    },
    /// The time that a step of the protocol took, from its first try.
    StepTook {
        /// `pin`, `claim`, `put` or `commit`.
        step: &'static str,
        /// How long.
        took: Duration,
    },
    /// A request failed and is tried again.
    Failed(Fault),
    /// Offsets that Kafka no longer has are stepped over, as configured or as a pin says.
    Lost {
        /// `retention`, or `insisted` where the user's word led past them.
        reason: &'static str,
        /// What Kafka no longer has.
        range: OffsetRange,
        /// Why that is known.
        why: String,
    },
    /// The partition stopped.
    Stopped(StopReason),
    /// The goal of `--until-end` is in S3 and committed.
    ReachedEnd,
    /// The group does not know this member any more and no callback came: the process must exit.
    FencedForGood(String),
}

/// Kafka deleted what was not read yet.
pub(super) const RETENTION: &str = "retention";
/// The user's word led past them.
pub(super) const INSISTED: &str = "insisted";
/// The reasons of [`Event::Lost`].
pub const LOST_REASONS: [&str; 2] = [RETENTION, INSISTED];

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `pin`, `claim`, `put`, `head`, `commit` or `resolve`.
    pub operation: &'static str,
    /// The store's class; commits and resolves count as `Retry`.
    pub class: StoreErrorClass,
    /// How often it failed in a row.
    pub attempt: u32,
    /// What, where and how to mend it.
    pub message: String,
}

/// Why a Kafka partition stopped. It stays assigned and paused; others go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct StopReason {
    /// A short name for metrics and status.
    pub code: &'static str,
    /// What happened and how to go on.
    pub text: String,
}

impl StopReason {
    pub(super) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
