//! The open objects of one batch, each with its encoder, by what belongs into them.
//!
//! Owned and fed by `batch`, which closes them when it is sealed.

use std::sync::Arc;

use super::encode::Encoder;

/// Which object of a batch a record goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// The object of this Hive path.
    Hive(Arc<str>),
    /// The dead letters.
    DeadLetters,
}

/// One object that still takes lines.
pub(super) struct OpenObject {
    pub(super) encoder: Encoder,
    pub(super) records: u64,
    pub(super) uncompressed: u64,
    /// The smallest and the largest usable timestamp.
    pub(super) times: Option<(i64, i64)>,
}

impl OpenObject {
    pub(super) fn new(encoder: Encoder) -> Self {
        Self { encoder, records: 0, uncompressed: 0, times: None }
    }

    /// Adds a line, which comes in two pieces.
    pub(super) fn push(&mut self, line: [&[u8]; 2], time: Option<i64>) {
        for piece in line {
            self.encoder.write(piece);
            self.uncompressed += piece.len() as u64;
        }
        self.records += 1;
        self.times = widened(self.times, time);
    }
}

/// Sorted by their targets.
#[derive(Default)]
pub(super) struct OpenObjects {
    sorted: Vec<(Target, OpenObject)>,
    /// Where the one stands that was written to last: mostly the next record goes there too.
    latest: usize,
}

impl OpenObjects {
    pub(super) fn contains(&self, target: &Target) -> bool {
        self.place(target).is_ok()
    }

    pub(super) fn get_or_insert_with(
        &mut self,
        target: Target,
        make: impl FnOnce() -> OpenObject,
    ) -> &mut OpenObject {
        self.latest = self.place(&target).unwrap_or_else(|index| {
            self.sorted.insert(index, (target, make()));
            index
        });
        &mut self.sorted[self.latest].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenObject> {
        self.sorted.iter().map(|(_, object)| object)
    }

    pub(super) const fn len(&self) -> usize {
        self.sorted.len()
    }

    /// In order.
    pub(super) fn into_sorted(self) -> Vec<(Target, OpenObject)> {
        self.sorted
    }

    fn place(&self, target: &Target) -> Result<usize, usize> {
        match self.sorted.get(self.latest) {
            Some((latest, _)) if latest == target => Ok(self.latest),
            _ => self.sorted.binary_search_by(|(each, _)| each.cmp(target)),
        }
    }
}

/// The span with one more moment in it.
pub(super) fn widened(times: Option<(i64, i64)>, time: Option<i64>) -> Option<(i64, i64)> {
    match (times, time) {
        (Some((from, to)), Some(at)) => Some((from.min(at), to.max(at))),
        (None, Some(at)) => Some((at, at)),
        (times, None) => times,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::record::Compression;

    proptest! {
        /// However the targets follow each other, each line goes to its own.
        #[test]
        fn lines_go_where_they_belong(targets in proptest::collection::vec(0..6_u8, 0..60)) {
            let (mut objects, mut wanted) = (OpenObjects::default(), BTreeMap::new());
            for number in targets {
                let target = match number {
                    5 => Target::DeadLetters,
                    path => Target::Hive(format!("a={path}").into()),
                };
                let known = objects.contains(&target);
                prop_assert_eq!(known, wanted.contains_key(&target));
                *wanted.entry(target.clone()).or_insert(0) += 1;
                let make = || OpenObject::new(Encoder::new(Compression::None, None, None));
                objects.get_or_insert_with(target, make).push([b"{}", b"\n"], None);
            }
            prop_assert_eq!(objects.len(), wanted.len());
            let found = objects.into_sorted().into_iter();
            let found: Vec<_> = found.map(|(target, object)| (target, object.records)).collect();
            prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
        }
    }
}
