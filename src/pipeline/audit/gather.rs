//! From objects, in whatever order they come, to batches and ranges.
//!
//! Fed by `cli` with what LIST named and HEAD told. A batch is held until all of its objects were
//! seen, then it melts into the coverage: a listing in order of time holds few at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::metadata::BatchFacts;
use super::holdings::{
    EXAMPLES, Flaw, Holdings, KnownBatch, KnownObject, Said, Standing, TopicHoldings, order,
};
use super::name::{ObjectName, Roots, Stranger};
use super::span::{TimeSpan, times_of};
use crate::record::{Offset, OffsetRange};

type BatchKey = (i32, Offset, Arc<str>);

/// Takes objects in.
pub struct Gathering {
    roots: Roots,
    group_hash: Arc<str>,
    layout_hash: Arc<str>,
    keep_all: bool,
    open: HashMap<BatchKey, KnownBatch>,
    /// Ranges that contradictory objects speak of, by place in the examples.
    copies: Vec<(usize, i32, OffsetRange)>,
    texts: HashSet<Arc<str>>,
    found: TopicHoldings,
}

impl Gathering {
    /// Begins with what the group holds; `keep_all` keeps every batch for a closer look.
    pub fn new(
        roots: Roots,
        group_hash: &str,
        layout_hash: &str,
        standings: BTreeMap<i32, Standing>,
        keep_all: bool,
    ) -> Self {
        let holdings = |standing| Holdings { standing, ..Holdings::default() };
        let partitions = standings.into_iter().map(|(number, it)| (number, holdings(it)));
        Self {
            roots,
            group_hash: group_hash.into(),
            layout_hash: layout_hash.into(),
            keep_all,
            open: HashMap::new(),
            copies: Vec::new(),
            texts: HashSet::new(),
            found: TopicHoldings { partitions: partitions.collect(), ..Default::default() },
        }
    }

    /// Takes a key that is no name of ours.
    pub fn add_stranger(&mut self, key: &str, why: Stranger) {
        match why {
            Stranger::Hidden => self.found.hidden += 1,
            Stranger::Foreign(reason) => {
                let (key, reason) = (key.to_owned(), reason.to_owned());
                self.found.foreign.add(Flaw { key, reason });
            }
        }
    }

    /// Takes an object that was gone when it was looked at.
    pub fn add_vanished(&mut self) {
        self.found.vanished += 1;
    }

    /// Takes an object whose metadata was not read, so that only its name counts.
    pub fn add_name(&mut self, name: &ObjectName, size: u64) {
        let holdings = self.found.partitions.entry(name.partition).or_default();
        holdings.count(name, size);
    }

    /// Takes an object that is ours by its name, with its metadata, or why that is not ours.
    pub fn add(&mut self, name: ObjectName, size: u64, said: Result<Said, &str>) {
        let key = || self.roots.address(&name).key.to_string();
        let said = match said {
            Ok(said) => said,
            Err(reason) => {
                let flaw = Flaw { key: key(), reason: reason.to_owned() };
                return self.found.foreign.add(flaw);
            }
        };
        // The paths of another layout may tell something else by the same names.
        let by_time = said.0.layout_hash == self.layout_hash && TimeSpan::fits(self.roots.layout());
        let reason = contradiction(&self.roots, &name, &said, by_time);
        let is_empty = size == 0 && said.1.records > 0;
        let empty = || is_empty.then(|| format!("it is empty and had {} records", said.1.records));
        if let Some(reason) = reason.or_else(empty) {
            let examples = &mut self.found.contradictory;
            if examples.examples.len() < EXAMPLES {
                let lands = OffsetRange { base: said.0.first.offset, end: said.0.range.end };
                self.copies.push((examples.examples.len(), said.0.from.partition, lands));
            }
            return examples.add(Flaw { key: key(), reason });
        }
        let (batch, object) = said;
        self.found.of_other_groups += u64::from(batch.group_hash != self.group_hash);
        self.found.of_other_layouts += u64::from(batch.layout_hash != self.layout_hash);
        let holdings = self.found.partitions.entry(name.partition).or_default();
        holdings.count(&name, size);
        holdings.records += object.records;
        self.add_to_batch(batch, KnownObject { name, facts: object });
    }

    fn add_to_batch(&mut self, facts: BatchFacts, object: KnownObject) {
        let facts = BatchFacts {
            from: self.roots.partition(facts.from.partition),
            group_hash: shared(&mut self.texts, &facts.group_hash),
            layout_hash: shared(&mut self.texts, &facts.layout_hash),
            ..facts
        };
        let key = (facts.from.partition, facts.first.offset, Arc::clone(&facts.pin_id));
        let batch = self.open.entry(key).or_insert_with(|| KnownBatch {
            facts: facts.clone(),
            seen: 0,
            records: 0,
            shortened: false,
            objects: Vec::new(),
        });
        batch.take(&facts, object, self.keep_all);
        if batch.seen == batch.facts.objects && !batch.shortened {
            let key = (facts.from.partition, facts.first.offset, facts.pin_id);
            if let Some(whole) = self.open.remove(&key) {
                self.close(whole);
            }
        }
    }

    fn close(&mut self, batch: KnownBatch) {
        let keep = self.keep_all;
        let holdings = self.found.partitions.entry(batch.facts.from.partition).or_default();
        holdings.close(&self.roots, &batch);
        if keep {
            holdings.batches.push(batch);
        }
    }

    /// What is held at present: batches that wait for objects, and ranges.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let ranges = |it: &Holdings| it.below.ranges().count() + it.above.ranges().count();
        self.open.len() + self.found.partitions.values().map(ranges).sum::<usize>()
    }

    /// Between which offsets batches were seen, by Kafka partition.
    pub fn spans(&self) -> BTreeMap<i32, OffsetRange> {
        let mut spans: BTreeMap<i32, OffsetRange> = BTreeMap::new();
        let mut widen = |partition: i32, base: Offset, end: Offset| {
            let span = spans.entry(partition).or_insert(OffsetRange { base, end });
            *span = OffsetRange { base: span.base.min(base), end: span.end.max(end) };
        };
        for ((partition, _, _), batch) in &self.open {
            widen(*partition, batch.facts.range.base, batch.facts.range.end);
        }
        for (partition, holdings) in &self.found.partitions {
            for coverage in [&holdings.below, &holdings.above] {
                if let Some((base, end)) = coverage.begin().zip(coverage.end()) {
                    widen(*partition, base, end);
                }
            }
        }
        spans
    }

    /// All objects were seen.
    pub fn finish(mut self) -> TopicHoldings {
        let mut rest: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        rest.sort_by(|one, other| order(one).cmp(&order(other)));
        for batch in rest {
            let holdings = self.found.partitions.entry(batch.facts.from.partition).or_default();
            // As many as the replay that found the fewest wanted.
            if batch.shortened && batch.seen >= batch.facts.objects {
                holdings.shortened.push(batch.clone());
                self.close(batch);
            } else {
                holdings.leave_open(&self.roots, batch, self.keep_all);
            }
        }
        for holdings in self.found.partitions.values_mut() {
            holdings.batches.sort_by(|one, other| order(one).cmp(&order(other)));
        }
        self.tell_copies();
        self.found
    }

    fn tell_copies(&mut self) {
        for (index, partition, lands) in &self.copies {
            let holdings = self.found.partitions.get(partition);
            let stands = |it: &Holdings| it.below.holds(*lands) || it.above.holds(*lands);
            if holdings.is_some_and(stands) {
                let flaw = &mut self.found.contradictory.examples[*index];
                flaw.reason += ". It is a copy: its records stand in the bucket twice";
            }
        }
    }
}

/// How an object's name and its metadata contradict each other.
fn contradiction(
    roots: &Roots,
    name: &ObjectName,
    (batch, object): &Said,
    by_time: bool,
) -> Option<String> {
    let of = &batch.from;
    if of.topic != *roots.topic() || of.partition != name.partition {
        return Some(format!("its metadata is that of an object of {of}"));
    }
    if batch.first.offset != name.first {
        let (said, named) = (batch.first.offset, name.first);
        return Some(format!(
            "its name says that its batch lands from {named}, its metadata {said}"
        ));
    }
    let (path, times) = (name.path.as_deref().filter(|_| by_time)?, object.times?);
    let hour = times_of(path)?;
    let fits = hour.from.0 <= times.0 && times.1 < hour.to.0;
    (!fits).then(|| "its records are of other times than its Hive partition".to_owned())
}

fn shared(texts: &mut HashSet<Arc<str>>, text: &Arc<str>) -> Arc<str> {
    match texts.get(text) {
        Some(known) => Arc::clone(known),
        None => {
            texts.insert(Arc::clone(text));
            Arc::clone(text)
        }
    }
}
