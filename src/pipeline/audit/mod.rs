//! What a bucket holds of a topic, judged by names, metadata and, where it is asked for, by every
//! line: which offsets are there, what is missing, doubled, damaged or not ours.
//!
//! ```text
//! LIST > name > HEAD > object > gather (batches > coverage) > gap > verdict
//!                        GET  > content <> compare <-- records of Kafka
//! ```
//! Fed by `cli`, which asks the store and Kafka. Nothing here trusts a clock of the store.

mod compare;
mod content;
mod coverage;
mod gap;
mod gather;
mod holdings;
mod name;
mod object;
mod span;
#[cfg(test)]
mod tests;
mod verdict;

pub use compare::{Expected, Target, TargetLines};
pub use content::{Comparison, Content, ObjectContent, check_content};
pub use coverage::{Coverage, Covered, Hole};
pub use gap::{Gap, GapKind, GapWatch, Scope, gaps};
pub use gather::Gathering;
pub use holdings::{
    Examples, Flaw, Holdings, KnownBatch, KnownObject, Said, Standing, TopicHoldings,
};
pub use name::{ObjectName, Roots, Stranger};
pub use object::{of_short_form, said_by, short_form};
pub use span::{TimeSpan, moment};
pub use verdict::{
    CoveredReport, Evidence, GroupReport, Health, Incomplete, IncompleteReport, PartitionReport,
    group_report, report,
};
