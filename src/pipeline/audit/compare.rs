//! The lines that a batch must have, made anew from Kafka's records by the code that makes them
//! in a run, and how the lines of an object fit them.
//!
//! Of a line a hash is kept, so that a batch of a million records takes a few megabytes.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::super::intake::{Fate, fate};
use super::super::line::{write_dead_letter, write_line};
use super::super::route::Router;
use crate::record::{Layout, Offset, Record, TopicPartition};

/// Which object of a batch: that of this Hive path, or the dead letters.
pub type Target = Option<Arc<str>>;

/// The lines of one object, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetLines {
    hashes: Vec<u64>,
    offsets: Vec<i64>,
}

impl TargetLines {
    /// How many lines.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The offset of its first record.
    pub fn first(&self) -> Option<Offset> {
        self.offsets.first().copied().map(Offset)
    }
}

/// The lines that a batch must have.
pub struct Expected {
    at: TopicPartition,
    layout: Arc<Layout>,
    router: Router,
    line: Vec<u8>,
    lines: BTreeMap<Target, TargetLines>,
}

impl Expected {
    /// Of a batch of this layout, before its first record.
    pub fn new(layout: &Arc<Layout>, at: &TopicPartition) -> Self {
        Self {
            at: at.clone(),
            layout: Arc::clone(layout),
            router: Router::new(Arc::clone(layout), &at.topic),
            line: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// Takes the next record of the batch.
    pub fn take(&mut self, record: &Record<'_>) {
        self.line.clear();
        let target = match fate(&self.layout, record) {
            Fate::Line(line) => {
                let (envelope, mut tail) = (self.layout.envelope, Vec::new());
                let head = write_line(&mut tail, envelope, &line, &self.at, record);
                self.line.extend_from_slice(head);
                self.line.append(&mut tail);
                Some(self.router.route(record.timestamp, &line).path)
            }
            Fate::DeadLetter(reason) => {
                write_dead_letter(&mut self.line, &self.at, record, reason);
                None
            }
            Fate::Skip(_) | Fate::Stop(_) => return,
        };
        let lines = self.lines.entry(target).or_default();
        lines.hashes.push(hash(&self.line));
        lines.offsets.push(record.offset.0);
    }

    /// The lines by object.
    pub fn lines(&self) -> &BTreeMap<Target, TargetLines> {
        &self.lines
    }
}

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line);
    hasher.finish()
}

/// How the lines of an object fit those that it must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Lines that are not there.
    pub(super) missing: u64,
    /// The offset of the first of them.
    pub(super) first_missing: Option<Offset>,
    /// Lines that are there again.
    pub(super) doubled: u64,
    /// Lines that none of Kafka's records makes.
    pub(super) unknown: u64,
}

/// Compares line by line. Both sides are in order of offsets, so one pass does.
pub(super) struct Matcher<'e> {
    expected: &'e TargetLines,
    next: usize,
    /// Where each line stands, made at the first that does not fit.
    places: Option<HashMap<u64, Vec<usize>>>,
    found: Comparison,
}

impl<'e> Matcher<'e> {
    pub(super) fn new(expected: &'e TargetLines) -> Self {
        Self { expected, next: 0, places: None, found: Comparison::default() }
    }

    /// Takes the object's next line, with its line break.
    pub(super) fn take(&mut self, line: &[u8]) {
        let hash = hash(line);
        if self.expected.hashes.get(self.next) == Some(&hash) {
            self.next += 1;
            return;
        }
        let places = self.places.get_or_insert_with(|| places_of(&self.expected.hashes));
        let Some(places) = places.get(&hash) else {
            self.found.unknown += 1;
            return;
        };
        match places.get(places.partition_point(|place| *place < self.next)) {
            Some(place) => {
                let place = *place;
                self.skip_to(place);
                self.next = place + 1;
            }
            None => self.found.doubled += 1,
        }
    }

    fn skip_to(&mut self, place: usize) {
        if place > self.next {
            self.found.missing += (place - self.next) as u64;
            let offset = Offset(self.expected.offsets[self.next]);
            self.found.first_missing.get_or_insert(offset);
        }
    }

    /// The object has no more lines.
    pub(super) fn finish(mut self) -> Comparison {
        self.skip_to(self.expected.len());
        self.found
    }
}

fn places_of(hashes: &[u64]) -> HashMap<u64, Vec<usize>> {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, hash) in hashes.iter().enumerate() {
        places.entry(*hash).or_default().push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compared(expected: &[&str], found: &[&str]) -> (u64, Option<i64>, u64, u64) {
        let expected = TargetLines {
            hashes: expected.iter().map(|line| hash(line.as_bytes())).collect(),
            offsets: (100..).take(expected.len()).collect(),
        };
        let mut matcher = Matcher::new(&expected);
        found.iter().for_each(|line| matcher.take(line.as_bytes()));
        let Comparison { missing, first_missing, doubled, unknown } = matcher.finish();
        (missing, first_missing.map(|at| at.0), doubled, unknown)
    }

    #[test]
    fn each_way_not_to_fit_is_told() {
        assert_eq!(compared(&["a", "b", "a"], &["a", "b", "a"]), (0, None, 0, 0));
        assert_eq!(compared(&["a", "b", "c"], &["a", "c"]), (1, Some(101), 0, 0));
        assert_eq!(compared(&["a", "b", "c"], &["a", "b"]), (1, Some(102), 0, 0));
        assert_eq!(compared(&["a", "b"], &["a", "b", "b"]), (0, None, 1, 0));
        assert_eq!(compared(&["a", "b"], &["a", "x"]), (1, Some(101), 0, 1));
        assert_eq!(compared(&[], &["x"]), (0, None, 0, 1));
        assert_eq!(compared(&["a", "b"], &[]), (2, Some(100), 0, 0));
    }

    proptest! {
        #[test]
        fn what_is_taken_away_is_missing_and_nothing_else(
            lines in proptest::collection::vec(0u32..9, 0..30), keep in any::<u32>(),
        ) {
            let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
            let all: Vec<&str> = lines.iter().map(String::as_str).collect();
            let kept = all.iter().enumerate().filter(|(place, _)| keep >> place & 1 == 1);
            let kept: Vec<&str> = kept.map(|(_, line)| *line).collect();
            let (missing, _, doubled, unknown) = compared(&all, &kept);
            prop_assert_eq!((doubled, unknown), (0, 0));
            prop_assert_eq!(missing as usize, all.len() - kept.len());
        }
    }
}
