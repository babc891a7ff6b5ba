//! The driver: what the edges bring goes into the lanes' pipelines, what those ask for is done.
//!
//! ```text
//! kafka group thread --assigned, revoking--> lanes <--facts-- resolver (group, broker, bucket)
//! fetch queues       --records, ends-------> lanes --commits--> kafka committer thread
//!                                            lanes --puts, heads--> s3 on the tokio runtime
//! ```
//! One thread a lane owns its Kafka partitions; no lock is on the way of a record.

#![allow(clippy::disallowed_methods, reason = "the daemon is where time comes from")]

mod clock;
mod descriptors;
pub mod driver;
mod elsewhere;
mod error;
mod flush;
mod goal;
mod group;
mod inbox;
mod landed;
mod lane;
mod memory;
mod news;
mod observe;
mod reload;
mod resolver;
mod run;
mod seen;
mod shutdown;
mod signals;
mod spool;
mod spread;
mod start;
mod tries;
mod uploads;
mod watch;
mod world;

pub use error::DaemonError;
pub(crate) use landed::{any_landed, bucket_ends, each_name};
pub use reload::Source;
pub use run::{Outcome, consumer_properties, run};
pub(crate) use signals::Signals;
pub(crate) use spool::check as check_spool;
pub(crate) use start::{probe_key, session};
pub use world::RunOptions;
