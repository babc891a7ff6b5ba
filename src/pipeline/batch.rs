//! The records of one Kafka partition between two ends, fanned out over Hive partitions.
//!
//! Fed by `partition` with routed lines, feeds `flight` with sealed objects: the claim first,
//! then the others, the dead letters among them.

use std::sync::Arc;

use super::encode::{Encoder, state_bytes};
use super::key::{content_type, dead_letter_key, object_key};
use super::layout::short_hash;
use super::metadata::{BatchFacts, FirstRecord, ObjectFacts, object_metadata};
use super::moment::Moment;
use super::open::{OpenObject, OpenObjects, Target, widened};
use super::rotate::{Fill, RotationReason};
use crate::record::{
    Body, Defect, Layout, ObjectAddress, ObjectMetadata, Offset, OffsetRange, Record, Spool,
    TimestampMs, TopicPartition,
};

/// What an encoder's place in the batch costs beside its state and its bytes.
const GROUP_OVERHEAD: u64 = 8 << 10;

/// A batch that still takes records.
pub(super) struct OpenBatch {
    pub(super) base: Offset,
    pub(super) opened: Moment,
    pub(super) due: Moment,
    layout: Arc<Layout>,
    level: Option<i32>,
    spool: Option<Arc<dyn Spool>>,
    objects: OpenObjects,
    hive_partitions: usize,
    first: Option<(FirstRecord, Target)>,
    records: u64,
    largest_object: u64,
    times: Option<(i64, i64)>,
    last: Option<(Offset, i32)>,
}

/// A batch whose end is decided.
pub(super) struct SealedBatch {
    pub(super) facts: BatchFacts,
    pub(super) layout: Arc<Layout>,
    pub(super) objects: Vec<SealedObject>,
    /// The first object is the claim. Only a replay whose first record is gone has none.
    pub(super) has_claim: bool,
    pub(super) reason: RotationReason,
    pub(super) records: u64,
    pub(super) opened: Moment,
    pub(super) last: Option<(Offset, i32)>,
    pub(super) first_timestamp: Option<TimestampMs>,
}

/// One object, ready to be put.
pub(super) struct SealedObject {
    pub(super) address: ObjectAddress,
    pub(super) body: Body,
    pub(super) content_type: &'static str,
    pub(super) metadata: ObjectMetadata,
    pub(super) facts: ObjectFacts,
    pub(super) dead_letters: bool,
}

/// What a batch is sealed with.
pub(super) struct Seal<'a> {
    pub(super) from: &'a TopicPartition,
    pub(super) end: Offset,
    pub(super) reason: RotationReason,
    pub(super) pin_id: Arc<str>,
    pub(super) group_hash: Arc<str>,
    pub(super) layout_hash: Arc<str>,
    /// In a replay, the first landing record as the pin names it.
    pub(super) pinned_first: Option<Offset>,
}

impl OpenBatch {
    pub(super) fn new(
        base: Offset,
        opened: Moment,
        due: Moment,
        layout: Arc<Layout>,
        level: Option<i32>,
        spool: Option<Arc<dyn Spool>>,
    ) -> Self {
        Self {
            base,
            opened,
            due,
            layout,
            level,
            spool,
            objects: OpenObjects::default(),
            hive_partitions: 0,
            first: None,
            records: 0,
            largest_object: 0,
            times: None,
            last: None,
        }
    }

    /// The same batch before its first record.
    pub(super) fn emptied(&self) -> Self {
        let (layout, spool) = (self.layout.clone(), self.spool.clone());
        Self::new(self.base, self.opened, self.due, layout, self.level, spool)
    }

    /// Whether a record for `target` would open one more Hive partition than `most`.
    pub(super) fn would_exceed(&self, target: &Target, most: usize) -> bool {
        self.hive_partitions >= most
            && matches!(target, Target::Hive(_))
            && !self.objects.contains(target)
    }

    /// Adds a landing record's line, which comes in two pieces.
    pub(super) fn push(
        &mut self,
        record: &Record<'_>,
        target: Target,
        line: [&[u8]; 2],
        usable: bool,
    ) {
        let time = record.timestamp.filter(|_| usable).map(|at| at.0);
        if self.first.is_none() {
            self.first = Some((first_record(record), target.clone()));
        }
        let (compression, level, spool) = (self.layout.compression, self.level, &self.spool);
        let is_hive = matches!(target, Target::Hive(_));
        let object = self.objects.get_or_insert_with(target, || {
            self.hive_partitions += usize::from(is_hive);
            OpenObject::new(Encoder::new(compression, level, spool.clone()))
        });
        object.push(line, time);
        // Only the object that was written to can have become the largest.
        self.largest_object = self.largest_object.max(object.encoder.stored());
        self.times = widened(self.times, time);
        self.records += 1;
    }

    /// Remembers the last record read, landing or not.
    pub(super) fn saw(&mut self, record: &Record<'_>) {
        if let Some(epoch) = record.leader_epoch {
            self.last = Some((record.offset, epoch));
        }
    }

    /// The figures that rotation looks at.
    pub(super) fn fill(&self) -> Fill {
        Fill { records: self.records, largest_object: self.largest_object, times: self.times }
    }

    /// The timestamp of the first landing record.
    pub(super) fn first_timestamp(&self) -> Option<TimestampMs> {
        self.first.as_ref().and_then(|(first, _)| first.timestamp)
    }

    /// The memory it takes; what is spooled takes none.
    pub(super) fn held(&self) -> u64 {
        let each = state_bytes(self.layout.compression) + GROUP_OVERHEAD;
        self.objects.iter().map(|object| object.encoder.held() + each).sum()
    }

    /// Decides the end and closes the objects. No two of them share a name.
    pub(super) fn seal(self, seal: &Seal<'_>) -> SealedBatch {
        let Self { base, opened, layout, objects, first, records, last, .. } = self;
        let (first, claim) = match first {
            Some((first, target)) => {
                let is_claim = seal.pinned_first.is_none_or(|pinned| pinned == first.offset);
                let first = if is_claim { first } else { gone(seal.pinned_first) };
                (first, is_claim.then_some(target))
            }
            None => (gone(seal.pinned_first), None),
        };
        let facts = BatchFacts {
            from: seal.from.clone(),
            range: OffsetRange { base, end: seal.end },
            first,
            pin_id: seal.pin_id.clone(),
            group_hash: seal.group_hash.clone(),
            layout_hash: seal.layout_hash.clone(),
            objects: objects.len(),
        };
        let has_claim = claim.is_some();
        let mut objects = closed(objects.into_sorted(), claim.as_ref(), &facts, &layout);
        if Defect::ClockInKey.is_in() {
            for SealedObject { address, .. } in &mut objects {
                address.key = format!("{}-{}", address.key, opened.0).into();
            }
        }
        let first_timestamp = facts.first.timestamp;
        SealedBatch {
            facts,
            layout,
            objects,
            has_claim,
            reason: seal.reason,
            records,
            opened,
            last,
            first_timestamp,
        }
    }
}

/// Closes the objects and puts the claim in front.
fn closed(
    objects: Vec<(Target, OpenObject)>,
    claim: Option<&Target>,
    facts: &BatchFacts,
    layout: &Layout,
) -> Vec<SealedObject> {
    let mut sealed: Vec<(bool, SealedObject)> = objects
        .into_iter()
        .map(|(target, object)| (Some(&target) != claim, close(&target, object, facts, layout)))
        .collect();
    sealed.sort_by_key(|(is_other, _)| *is_other);
    let sealed: Vec<_> = sealed.into_iter().map(|(_, object)| object).collect();
    let names: std::collections::BTreeSet<_> =
        sealed.iter().map(|object| &object.address).collect();
    assert_eq!(names.len(), sealed.len(), "two objects of a batch share a name");
    sealed
}

fn close(target: &Target, object: OpenObject, facts: &BatchFacts, layout: &Layout) -> SealedObject {
    let first = if Defect::BaseInKey.is_in() { facts.range.base } else { facts.first.offset };
    let key = match target {
        Target::Hive(path) => object_key(layout, &facts.from, path, first),
        Target::DeadLetters => dead_letter_key(layout, &facts.from, first),
    };
    let about = ObjectFacts {
        records: object.records,
        uncompressed: object.uncompressed,
        times: object.times,
    };
    SealedObject {
        address: ObjectAddress { bucket: layout.bucket.clone(), key: key.into() },
        body: object.encoder.finish(),
        content_type: content_type(layout.compression),
        metadata: object_metadata(facts, &about),
        facts: about,
        dead_letters: *target == Target::DeadLetters,
    }
}

impl SealedBatch {
    /// The memory it takes.
    pub(super) fn held(&self) -> u64 {
        self.objects.iter().map(|object| object.body.in_memory() + GROUP_OVERHEAD).sum()
    }
}

fn first_record(record: &Record<'_>) -> FirstRecord {
    FirstRecord {
        offset: record.offset,
        timestamp: record.timestamp,
        hash: short_hash(record.value.unwrap_or(b"")),
    }
}

/// The first record of a pin that Kafka no longer has.
fn gone(pinned: Option<Offset>) -> FirstRecord {
    FirstRecord { offset: pinned.unwrap_or(Offset(-1)), timestamp: None, hash: String::new() }
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::sample;
    use super::*;
    use crate::record::NoHeaders;

    fn record(offset: i64) -> Record<'static> {
        Record {
            offset: Offset(offset),
            timestamp: Some(TimestampMs(offset * 1000)),
            key: None,
            value: Some(b"{}"),
            headers: &NoHeaders,
            leader_epoch: Some(4),
        }
    }

    fn sealed(records: &[(i64, Target)], pinned_first: Option<i64>) -> SealedBatch {
        let mut batch =
            OpenBatch::new(Offset(5), Moment(0), Moment(9), Arc::new(sample()), None, None);
        for (offset, target) in records {
            batch.push(&record(*offset), target.clone(), [b"{}", b"\n"], true);
            batch.saw(&record(*offset));
        }
        batch.seal(&Seal {
            from: &TopicPartition::new("t", 0),
            end: Offset(20),
            reason: RotationReason::MaxAge,
            pin_id: "p".into(),
            group_hash: "g".into(),
            layout_hash: "l".into(),
            pinned_first: pinned_first.map(Offset),
        })
    }

    fn hive(path: &str) -> Target {
        Target::Hive(path.into())
    }

    #[test]
    fn the_claim_is_the_object_of_the_first_landing_record() {
        for (first, rest) in
            [(hive("z=1"), Target::DeadLetters), (Target::DeadLetters, hive("a=1"))]
        {
            let batch = sealed(&[(7, first.clone()), (8, rest), (9, first.clone())], None);
            assert!(batch.has_claim);
            assert_eq!(batch.objects.len(), 2);
            assert_eq!(batch.objects[0].dead_letters, first == Target::DeadLetters);
            assert_eq!(batch.objects[0].facts.records, 2);
            assert_eq!(batch.objects[0].facts.times, Some((7000, 9000)));
            assert!(
                batch.objects.iter().all(|o| o.address.key.contains("-0-00000000000000000007."))
            );
            assert_eq!(batch.facts.range, OffsetRange { base: Offset(5), end: Offset(20) });
            assert_eq!(batch.last, Some((Offset(9), 4)));
        }
    }

    #[test]
    fn a_replay_keeps_the_pinned_name_even_if_its_first_record_is_gone() {
        let batch = sealed(&[(9, hive("a=1"))], Some(7));
        assert!(!batch.has_claim);
        assert!(batch.objects[0].address.key.ends_with("t-0-00000000000000000007.json.gz"));
        assert_eq!(batch.facts.first.hash, "");
        assert!(sealed(&[(7, hive("a=1"))], Some(7)).has_claim);
    }

    #[test]
    fn a_batch_in_which_nothing_lands_has_no_object() {
        let batch = sealed(&[], None);
        assert!(batch.objects.is_empty() && !batch.has_claim);
    }

    #[test]
    fn dead_letters_do_not_count_as_a_hive_partition() {
        let mut batch =
            OpenBatch::new(Offset(0), Moment(0), Moment(9), Arc::new(sample()), None, None);
        batch.push(&record(0), Target::DeadLetters, [b"{}", b"\n"], true);
        batch.push(&record(1), hive("a=1"), [b"{}", b"\n"], true);
        assert!(!batch.would_exceed(&hive("a=1"), 1));
        assert!(batch.would_exceed(&hive("a=2"), 1));
        assert!(!batch.would_exceed(&hive("a=2"), 2));
        assert!(!batch.would_exceed(&Target::DeadLetters, 1));
    }
}
