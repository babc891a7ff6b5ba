//! Which offsets of a Kafka partition stand in the bucket: ranges that grow together.
//!
//! Fed by `gather` with batches of which all objects were seen. Neighbours become one range, so
//! that a million objects without a gap are one entry.

use std::collections::BTreeMap;

use super::super::metadata::BatchFacts;
use crate::record::{Offset, OffsetRange, TimestampMs};

/// A range without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The offsets.
    pub range: OffsetRange,
    /// The batches in it.
    pub batches: u64,
    /// Their objects.
    pub objects: u64,
    /// Their lines.
    pub records: u64,
    /// The timestamp of the first record of the first batch.
    pub begins: Option<TimestampMs>,
    /// The last batch.
    pub last: BatchFacts,
}

/// All ranges of a Kafka partition, in order, none touching another.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<Offset, Covered>);

/// Offsets between two ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The offsets.
    pub range: OffsetRange,
    /// The timestamp of the first record after it.
    pub next_begins: Option<TimestampMs>,
}

impl Coverage {
    /// Adds a batch; what others have covered of the offsets in which its records stand comes
    /// back. Before `first` no record lands, so nothing can stand twice there.
    pub(super) fn insert(&mut self, mut new: Covered, first: Offset) -> Option<OffsetRange> {
        let lands = OffsetRange { base: first, end: new.range.end };
        let doubled = self.meeting(lands);
        while let Some(base) = self.touching(new.range) {
            if let Some(old) = self.0.remove(&base) {
                new = joined(old, new);
            }
        }
        self.0.insert(new.range.base, new);
        doubled
    }

    /// The first part of this range that is covered.
    pub(super) fn meeting(&self, range: OffsetRange) -> Option<OffsetRange> {
        let before = self.0.range(..=range.base).next_back().map(|(_, covered)| covered.range);
        let behind = self.0.range(range.base..range.end).next().map(|(_, covered)| covered.range);
        before.into_iter().chain(behind).find_map(|covered| {
            let base = covered.base.max(range.base);
            let end = covered.end.min(range.end);
            (base < end).then_some(OffsetRange { base, end })
        })
    }

    /// Whether all of this range is covered.
    pub(super) fn holds(&self, range: OffsetRange) -> bool {
        let before = self.0.range(..=range.base).next_back();
        before.is_some_and(|(_, covered)| covered.range.end >= range.end)
    }

    fn touching(&self, range: OffsetRange) -> Option<Offset> {
        let (base, covered) = self.0.range(..=range.end).next_back()?;
        (covered.range.end >= range.base).then_some(*base)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = &Covered> {
        self.0.values()
    }

    /// What lies between the ranges, in order.
    pub fn holes(&self) -> impl Iterator<Item = Hole> + '_ {
        self.0.values().zip(self.0.values().skip(1)).map(|(one, next)| Hole {
            range: OffsetRange { base: one.range.end, end: next.range.base },
            next_begins: next.begins,
        })
    }

    /// Whether there is no range at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first offset that is covered.
    pub fn begin(&self) -> Option<Offset> {
        self.0.keys().next().copied()
    }

    /// The first offset behind the last range.
    pub fn end(&self) -> Option<Offset> {
        self.0.values().next_back().map(|covered| covered.range.end)
    }
}

fn joined(one: Covered, other: Covered) -> Covered {
    let (first, second) =
        if one.range.base <= other.range.base { (one, other) } else { (other, one) };
    let end = first.range.end.max(second.range.end);
    Covered {
        range: OffsetRange { base: first.range.base, end },
        batches: first.batches + second.batches,
        objects: first.objects + second.objects,
        records: first.records + second.records,
        begins: first.begins,
        last: if second.range.end == end { second.last } else { first.last },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::super::metadata::tests::batch;
    use super::*;

    pub(crate) fn covered(base: i64, end: i64) -> Covered {
        let range = OffsetRange { base: Offset(base), end: Offset(end) };
        let mut last = batch();
        (last.range, last.first.offset) = (range, range.base);
        let begins = Some(TimestampMs(base));
        Covered { range, batches: 1, objects: 1, records: range.len(), begins, last }
    }

    fn ranges(coverage: &Coverage) -> Vec<(i64, i64)> {
        coverage.ranges().map(|it| (it.range.base.0, it.range.end.0)).collect()
    }

    #[test]
    fn neighbours_become_one_range_in_whatever_order_they_come() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let mut coverage = Coverage::default();
            for part in order {
                let new = covered(part * 10, part * 10 + 10);
                assert_eq!(coverage.insert(new, Offset(part * 10)), None);
            }
            assert_eq!(ranges(&coverage), [(0, 30)]);
            let whole = coverage.ranges().next().unwrap();
            assert_eq!((whole.batches, whole.records), (3, 30));
            assert_eq!((whole.begins, whole.last.range.base), (Some(TimestampMs(0)), Offset(20)));
        }
    }

    #[test]
    fn what_stands_twice_is_told() {
        let mut coverage = Coverage::default();
        coverage.insert(covered(0, 10), Offset(0));
        coverage.insert(covered(20, 30), Offset(20));
        let twice = |range: Option<OffsetRange>| range.map(|it| (it.base.0, it.end.0));
        let mut at = |base, end, first| twice(coverage.insert(covered(base, end), Offset(first)));
        assert_eq!(at(5, 15, 5), Some((5, 10)));
        assert_eq!(at(14, 18, 16), None, "before its first record nothing stands");
        assert_eq!(at(18, 40, 18), Some((20, 30)));
        assert_eq!(ranges(&coverage), [(0, 40)]);
    }

    #[test]
    fn holes_lie_between_ranges() {
        let mut coverage = Coverage::default();
        for (base, end) in [(5, 10), (12, 20), (20, 30), (40, 41)] {
            coverage.insert(covered(base, end), Offset(base));
        }
        let holes: Vec<_> = coverage.holes().map(|it| (it.range.base.0, it.range.end.0)).collect();
        assert_eq!(holes, [(10, 12), (30, 40)]);
        assert_eq!((coverage.begin(), coverage.end()), (Some(Offset(5)), Some(Offset(41))));
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_came_in(
            parts in proptest::collection::vec((0i64..60, 1i64..12), 0..14),
        ) {
            let mut coverage = Coverage::default();
            let mut seen = [false; 80];
            for (base, len) in parts {
                let told = coverage.insert(covered(base, base + len), Offset(base));
                let was = (base..base + len).any(|at| seen[at as usize]);
                prop_assert_eq!(told.is_some(), was);
                (base..base + len).for_each(|at| seen[at as usize] = true);
            }
            let holds = |at: i64| OffsetRange { base: Offset(at), end: Offset(at + 1) };
            for at in 0..80 {
                prop_assert_eq!(coverage.holds(holds(at)), seen[at as usize]);
                prop_assert_eq!(coverage.meeting(holds(at)).is_some(), seen[at as usize]);
            }
            for pair in ranges(&coverage).windows(2) {
                prop_assert!(pair[0].1 < pair[1].0);
            }
        }
    }
}
