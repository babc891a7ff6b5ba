//! EDGE: the only room that speaks Kafka.
//!
//! ```text
//!            ┌ group thread ── rebalances, errors ──> GroupListener (daemon)
//! librdkafka ┼ LaneConsumer × n ── records, ends ──> lanes (daemon)
//!            └ committer <── CommitRequest ── lanes;  outcome ──> lanes
//! ```
//!
//! `config` says where the cluster is. The daemon drives it: it answers the listener's calls,
//! polls one `LaneConsumer` in each lane, and hands commits over. The edge knows only `record`
//! and `config`, and decides nothing but this: no commit leaves for an assignment that is over
//! (`fence`), and no record is skipped by what the client library does behind our back (`lane`).

#![allow(
    clippy::disallowed_methods,
    reason = "an edge: retries, rate limits and deadlines of the client are in wall time"
)]

mod admin;
mod apply;
mod committer;
mod edge;
mod error;
mod facts;
pub mod fence;
mod fetch;
mod gate;
mod generation;
mod group;
mod lane;
mod list;
mod message;
mod moves;
mod msk;
mod native;
mod onlooker;
pub mod produce;
mod properties;
mod range;
mod rebootstrap;
mod report;
pub mod rounds;
mod sample;
mod slot;
mod subscription;
mod topics;
mod wake;

use std::sync::Arc;

pub use edge::{EdgeOptions, FetchMemory, HARD_STOP_EXIT_CODE, KafkaEdge, exit_now};
pub use error::KafkaError;
pub use facts::{Answers, LogBounds, all};
pub use gate::LaneWaker;
pub use group::HardStop;
pub use lane::{LaneConsumer, StaleEpoch};
pub use moves::LaneMove;
pub use onlooker::{Onlooker, knows_group_protocol, reach};
pub use properties::{Refusal, consumer_properties, refused as refused_properties};
pub use range::{RangeReader, RangeReaders};
pub use rounds::{CommitDone, CommitOutcome};
pub use sample::{SampledRecord, sample_records};
pub use slot::FetchEvent;
pub use topics::{TopicAdmin, TopicChange, TopicState};

use crate::record::{Epoch, TopicPartition};

/// Which lane owns a Kafka partition.
pub type AssignLane = Arc<dyn Fn(&TopicPartition) -> usize + Send + Sync>;

/// Who is told what happens to the group's member. All calls come from the group thread.
pub trait GroupListener: Send + Sync + 'static {
    /// These are ours from now on, each by its epoch; nothing is read until a lane starts them.
    fn assigned(&self, partitions: &[(TopicPartition, Epoch)]);

    /// Blocks until every lane let go of these (`LaneConsumer::stop`); the deadline is the
    /// listener's business. Commits are still answered meanwhile. With `lost` they are no longer
    /// ours already, and no commit has a use.
    fn revoking(&self, partitions: &[(TopicPartition, Epoch)], lost: bool);

    /// This one belongs to another lane from now on, under the epoch that it had.
    fn moved(&self, partition: &TopicPartition, epoch: Epoch, lane: usize);

    /// The group took this member in, be it with an empty assignment; comes again with each one.
    fn group_answered(&self);

    /// Nothing more will come: exit.
    fn fatal(&self, message: String);

    /// No broker can be reached, or they are back. Comes once a change.
    fn broker_state(&self, up: bool, detail: &str);

    /// Something that a person must mend (a right that is missing, a topic that is not there);
    /// the client goes on trying, so it may come again.
    fn group_error(&self, message: &str);
}
