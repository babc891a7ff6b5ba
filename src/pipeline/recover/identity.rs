//! Whether a topic is still the one whose objects the bucket holds: the last batch's first record is
//! compared with what Kafka has at its offset.

use super::super::audit::Holdings;
use super::super::layout::short_hash;
use super::super::metadata::BatchFacts;
use crate::record::Record;

/// How the first record of the last batch compares with what Kafka has at its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is the same.
    Same,
    /// It is another one, or none.
    Other,
    /// Kafka no longer has it.
    Gone,
}

/// The last batch that the bucket holds anything of.
pub fn last_batch(holdings: &Holdings) -> Option<&BatchFacts> {
    let whole = holdings.below.ranges().next_back().map(|covered| &covered.last);
    let parts = holdings.incomplete.iter().map(|batch| &batch.facts);
    whole.into_iter().chain(parts).max_by_key(|facts| facts.range.end)
}

/// Compares the first record of a batch with what Kafka has at its offset.
pub fn identify(
    batch: &BatchFacts,
    found: Option<&Record<'_>>,
    compacted: Option<bool>,
) -> Identity {
    let first = &batch.first;
    let is_same = |record: &Record<'_>| {
        record.offset == first.offset
            && record.timestamp == first.timestamp
            && short_hash(record.value.unwrap_or(b"")) == first.hash
    };
    match found {
        // A replay after retention did not have the record either.
        _ if first.hash.is_empty() => Identity::Gone,
        Some(record) if is_same(record) => Identity::Same,
        None if compacted != Some(false) => Identity::Gone,
        _ => Identity::Other,
    }
}
