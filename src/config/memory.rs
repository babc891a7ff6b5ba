//! What `memory.limit` must hold in any case, so that a limit that cannot be kept is refused.
//!
//! `cross` compares the limit with it, `assemble` derives the number of lanes from it, and the
//! daemon's budget sets that much aside. The figures are measured: `tests/it/sink/memory.rs`.

use super::schema::{MIB, MIN_MEMORY};

/// What the process takes before it holds a record: code, clients, runtime. 27 MiB at rest, 35
/// unoptimised, and a little for each of many Kafka partitions.
pub(crate) const RESTING: u64 = 40 * MIB;

/// The least that batches are made in.
pub(crate) const LEAST_BATCHES: u64 = 8 * MIB;

/// What the largest records take between the broker and the batches. Each lane may have one in
/// its queue, whose limit is looked at before an answer comes and not after, and one in hand, in
/// the form in which it is written; one answer is on its way, and one is being unpacked.
pub(crate) const fn records_in_hand(lanes: usize, largest: u64) -> u64 {
    2 * largest * (lanes as u64 + 1)
}

/// The least limit that can be kept with so many lanes and records of that size.
pub(super) fn least(lanes: usize, largest: u64) -> u64 {
    (RESTING + LEAST_BATCHES + records_in_hand(lanes, largest)).max(MIN_MEMORY)
}

/// The most lanes that a limit has room for; one where it has none.
pub(super) fn most_lanes(limit: u64, largest: u64) -> usize {
    let room = limit.saturating_sub(RESTING + LEAST_BATCHES) / (2 * largest.max(1));
    usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_lanes_as_fit_and_not_one_more() {
        for limit in [128 * MIB, 256 * MIB, 1024 * MIB] {
            for largest in [MIB, 8 * MIB, 16 * MIB] {
                let lanes = most_lanes(limit, largest);
                assert!(least(lanes, largest) <= limit, "{limit} {largest}: {lanes}");
                assert!(least(lanes + 1, largest) > limit, "{limit} {largest}: {lanes}");
            }
        }
        assert_eq!(most_lanes(MIN_MEMORY, 16 * MIB), 1);
        assert_eq!(most_lanes(128 * MIB, 16 * MIB), 1);
    }
}
