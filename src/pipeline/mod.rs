//! The pure middle: records in, actions out; no IO, no clock, no randomness.
//!
//! `daemon` feeds it what the edges saw (`handle_*`, always with the time) and executes what it
//! asks for (`poll_action`), so that the same code runs in production and in a simulated world.
//!
//! ```text
//! record > decode > route > batch (encode) > rotate > flight (pin, claim, put, commit)
//! ```

mod action;
pub mod audit;
mod backoff;
mod batch;
mod decode;
mod encode;
mod flight;
#[cfg(feature = "isal")]
mod igzip;
mod intake;
mod json;
mod key;
mod layout;
mod ledger;
mod line;
mod look;
mod memory;
mod metadata;
mod moment;
mod open;
mod operator;
mod partition;
mod partitions;
mod pending;
mod pin;
pub mod recover;
mod resolve;
mod rotate;
mod route;
mod segments;
mod sink;
mod snapshot;
mod stops;
#[cfg(test)]
mod tests;

pub use action::{Action, Event, Fault, LOST_REASONS, StopReason, Ticket};
pub use decode::InvalidReason;
pub use encode::{GZIP, state_bytes};
pub use key::{dead_letter_key, dead_letter_root, name_prefix, object_key, topic_prefix};
pub use layout::{layout_hash, short_hash};
pub use look::{Outlook, hive_paths, line_of, member_names, outlook, stored_bytes};
pub use memory::MemoryUse;
pub use metadata::{BatchFacts, FirstRecord, ObjectFacts};
pub use moment::Moment;
pub use pin::{Mark, Metadata, Pin, decode_metadata, encode_metadata};
pub use resolve::{is_blind, is_ours, saw_enough, wants_end};
pub use rotate::RotationReason;
pub use sink::{Sink, SinkSettings};
pub use snapshot::{Counters, PartitionSnapshot};
