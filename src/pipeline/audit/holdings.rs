//! What a bucket holds of a topic and of its Kafka partitions, as `gather` fills it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::super::metadata::{BatchFacts, ObjectFacts};
use super::super::pin::{Metadata, decode_metadata};
use super::coverage::{Coverage, Covered};
use super::name::{ObjectName, Roots};
use crate::record::{Committed, Offset, OffsetRange};

/// As many examples of a finding are kept.
pub(super) const EXAMPLES: usize = 100;

/// How often something was found, and some of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examples<T> {
    /// How often.
    pub count: u64,
    /// The first of it.
    pub examples: Vec<T>,
}

impl<T> Default for Examples<T> {
    fn default() -> Self {
        Self { count: 0, examples: Vec::new() }
    }
}

impl<T> Examples<T> {
    /// Counts one more.
    pub fn add(&mut self, example: T) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }
}

/// An object, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// An object of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownObject {
    /// Its name.
    pub name: ObjectName,
    /// What it says of itself.
    pub facts: ObjectFacts,
}

/// A batch with the objects that were seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBatch {
    /// What its objects say alike; of their bases the smallest.
    pub facts: BatchFacts,
    /// How many were seen.
    pub seen: usize,
    /// Lines in those.
    pub records: u64,
    /// A replay found fewer records in Kafka than there were when the batch was begun.
    pub shortened: bool,
    /// Those that were seen, or one of them where not all are wanted.
    pub objects: Vec<KnownObject>,
}

/// What the group holds for a Kafka partition, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The committed offset.
    pub committed: Option<Offset>,
    /// The id of the pin.
    pub pinned: Option<Arc<str>>,
    /// Where the pinned batch ends, else the committed offset: so far objects are looked for.
    pub reach: Option<Offset>,
}

impl Standing {
    /// As the group's offset and its metadata say.
    pub fn of(held: &Committed) -> Self {
        let pin = match decode_metadata(&held.metadata) {
            Metadata::Ours(mark, pin) if Some(mark.offset) == held.offset => pin,
            _ => None,
        };
        let reach = pin.as_ref().map(|pin| pin.end).or(held.offset);
        Self { committed: held.offset, pinned: pin.map(|pin| pin.id), reach }
    }
}

/// What the bucket holds of one Kafka partition.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// What was known of the group before the bucket was looked at.
    pub standing: Standing,
    /// Whole batches that end at or below the committed offset; all where there is none.
    pub below: Coverage,
    /// Whole batches beyond it.
    pub above: Coverage,
    /// Batches of which objects are not there, in order.
    pub incomplete: Vec<KnownBatch>,
    /// Batches that were cut short by what Kafka deleted before it could land, in order.
    pub shortened: Vec<KnownBatch>,
    /// Objects whose records stand in others too.
    pub doubled: Examples<Flaw>,
    /// Every batch, in order of offsets, where all are wanted.
    pub batches: Vec<KnownBatch>,
    /// The lowest and the highest offset that a name begins with.
    pub firsts: Option<(Offset, Offset)>,
    /// Objects of the table.
    pub objects: u64,
    /// Objects of dead letters.
    pub dead_letter_objects: u64,
    /// Lines in both.
    pub records: u64,
    /// Stored bytes of both.
    pub stored_bytes: u64,
}

/// What the bucket holds of a topic.
#[derive(Clone, Debug, Default)]
pub struct TopicHoldings {
    /// By Kafka partition.
    pub partitions: BTreeMap<i32, Holdings>,
    /// Objects that are not ours and that readers of the table see.
    pub foreign: Examples<Flaw>,
    /// Objects that are not ours and that readers of the table do not see.
    pub hidden: u64,
    /// Objects that say something else of themselves than their names do.
    pub contradictory: Examples<Flaw>,
    /// Objects that were listed and gone when they were looked at.
    pub vanished: u64,
    /// Objects that another group wrote.
    pub of_other_groups: u64,
    /// Objects of another layout than today's.
    pub of_other_layouts: u64,
}

/// What an object says of itself and of its batch.
pub type Said = (BatchFacts, ObjectFacts);

impl KnownBatch {
    pub(super) fn take(&mut self, facts: &BatchFacts, object: KnownObject, keep_all: bool) {
        self.seen += 1;
        self.records += object.facts.records;
        // A member that adopts a batch may have begun it at another offset of the same gap.
        self.facts.range.base = self.facts.range.base.min(facts.range.base);
        if facts.objects != self.facts.objects {
            self.shortened = true;
            self.facts.objects = self.facts.objects.min(facts.objects);
        }
        if facts.first.hash.is_empty() {
            self.shortened = true;
        } else if self.facts.first.hash.is_empty() {
            self.facts.first = facts.first.clone();
        }
        if keep_all || self.objects.is_empty() {
            self.objects.push(object);
        }
    }

    /// The offsets in which its records stand.
    pub fn lands(&self) -> OffsetRange {
        OffsetRange { base: self.facts.first.offset, end: self.facts.range.end }
    }
}

impl Holdings {
    pub(super) fn count(&mut self, name: &ObjectName, size: u64) {
        let objects = match name.path {
            Some(_) => &mut self.objects,
            None => &mut self.dead_letter_objects,
        };
        *objects += 1;
        self.stored_bytes += size;
        let (lowest, highest) = self.firsts.unwrap_or((name.first, name.first));
        self.firsts = Some((lowest.min(name.first), highest.max(name.first)));
    }

    pub(super) fn close(&mut self, roots: &Roots, batch: &KnownBatch) {
        let facts = &batch.facts;
        let is_above = self.standing.committed.is_some_and(|at| facts.range.end > at);
        let (mine, other) = match is_above {
            true => (&mut self.above, &self.below),
            false => (&mut self.below, &self.above),
        };
        let whole = Covered {
            range: facts.range,
            batches: 1,
            objects: batch.seen as u64,
            records: batch.records,
            begins: facts.first.timestamp,
            last: facts.clone(),
        };
        let elsewhere = other.meeting(batch.lands());
        if let Some(twice) = mine.insert(whole, facts.first.offset).or(elsewhere) {
            let reason = format!(
                "its batch {} (pin {}) and another one both hold records of {twice}",
                facts.range, facts.pin_id
            );
            self.double(roots, batch, reason);
        }
    }

    fn double(&mut self, roots: &Roots, batch: &KnownBatch, reason: String) {
        let key = batch.objects.first().map(|it| roots.address(&it.name).key.to_string());
        self.doubled.add(Flaw { key: key.unwrap_or_default(), reason });
    }

    /// A batch of which not all objects are there; or objects beyond all that a batch has.
    pub(super) fn leave_open(&mut self, roots: &Roots, batch: KnownBatch, keep: bool) {
        if self.below.holds(batch.lands()) || self.above.holds(batch.lands()) {
            let reason = format!(
                "its batch {} (pin {}) has all of its {} objects without it: it is a copy of one",
                batch.facts.range, batch.facts.pin_id, batch.facts.objects
            );
            return self.double(roots, &batch, reason);
        }
        if keep {
            self.batches.push(batch.clone());
        }
        self.incomplete.push(batch);
    }
}

/// By what batches are put in order.
pub(super) fn order(batch: &KnownBatch) -> (Offset, Offset, &Arc<str>) {
    (batch.facts.range.base, batch.facts.range.end, &batch.facts.pin_id)
}
