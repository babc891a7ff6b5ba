//! The counters of one topic. Lanes fetch the set once a topic and keep it.

use prometheus::core::Collector as _;
use prometheus::{IntCounter, IntCounterVec};

use super::define::Definer;

/// What a run has landed so far, over all topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records whose batch is committed, dead letters included.
    pub records: u64,
    /// Objects put.
    pub objects: u64,
    /// Their bytes, as stored.
    pub stored_bytes: u64,
}

/// The families with a topic label, from which the sets are cut.
#[derive(Debug)]
pub(super) struct TopicFamilies {
    consumed_records: IntCounterVec,
    consumed_bytes: IntCounterVec,
    landed_records: IntCounterVec,
    stored_bytes: IntCounterVec,
    uncompressed_bytes: IntCounterVec,
    objects: IntCounterVec,
    batches: IntCounterVec,
    dead_letters: IntCounterVec,
    skipped_records: IntCounterVec,
    lost_records: IntCounterVec,
    compacted_lines: IntCounterVec,
    unusable_timestamps: IntCounterVec,
    replays: IntCounterVec,
    adoptions: IntCounterVec,
}

const TOPIC: &[&str] = &["topic"];
const TOPIC_AND_REASON: &[&str] = &["topic", "reason"];

#[rustfmt::skip] // one line a metric reads as the table it is
impl TopicFamilies {
    pub(super) fn new(define: &mut Definer) -> Self {
        Self {
            consumed_records: define.counters("consumed_records_total", "Records read from Kafka; those read again after a restart or a rebalance count again.", TOPIC),
            consumed_bytes: define.counters("consumed_bytes_total", "Bytes of the values of records read from Kafka.", TOPIC),
            landed_records: define.counters("landed_records_total", "Records that stand in objects whose batch is committed, dead letters included.", TOPIC),
            stored_bytes: define.counters("stored_bytes_total", "Bytes of objects put, as stored.", TOPIC),
            uncompressed_bytes: define.counters("uncompressed_bytes_total", "Bytes of objects put, before compression.", TOPIC),
            objects: define.counters("objects_total", "Objects put, by what ended their batch.", TOPIC_AND_REASON),
            batches: define.counters("batches_total", "Batches ended, by what ended them.", TOPIC_AND_REASON),
            dead_letters: define.counters("dead_letters_total", "Records that went to the dead letters.", TOPIC_AND_REASON),
            skipped_records: define.counters("skipped_records_total", "Records that a policy left out.", TOPIC_AND_REASON),
            lost_records: define.counters("lost_records_total", "Offsets that Kafka removed before they landed; gaps may be among them.", TOPIC_AND_REASON),
            compacted_lines: define.counters("compacted_lines_total", "Values whose raw line breaks between JSON tokens were removed.", TOPIC),
            unusable_timestamps: define.counters("unusable_timestamps_total", "Records with a timestamp outside layout.usable_time, which stand under dt=1970-01-01.", TOPIC),
            replays: define.counters("replays_total", "Pinned batches that were finished after a restart or a rebalance.", TOPIC),
            adoptions: define.counters("adoptions_total", "Batches of another member that were adopted because it had won the claim.", TOPIC),
        }
    }
}

impl TopicFamilies {
    pub(super) fn totals(&self) -> Totals {
        let sum = |counter: &IntCounterVec| {
            let families = counter.collect();
            let metrics = families.iter().flat_map(|family| family.get_metric());
            metrics.map(|metric| metric.get_counter().get_value() as u64).sum()
        };
        Totals {
            records: sum(&self.landed_records),
            objects: sum(&self.objects),
            stored_bytes: sum(&self.stored_bytes),
        }
    }

    pub(super) fn topic(&self, topic: &str) -> TopicMetrics {
        let of = |family: &IntCounterVec| family.with_label_values(&[topic]);
        TopicMetrics {
            topic: topic.into(),
            consumed_records: of(&self.consumed_records),
            consumed_bytes: of(&self.consumed_bytes),
            landed_records: of(&self.landed_records),
            stored_bytes: of(&self.stored_bytes),
            uncompressed_bytes: of(&self.uncompressed_bytes),
            compacted_lines: of(&self.compacted_lines),
            unusable_timestamps: of(&self.unusable_timestamps),
            replays: of(&self.replays),
            adoptions: of(&self.adoptions),
            objects: self.objects.clone(),
            batches: self.batches.clone(),
            dead_letters: self.dead_letters.clone(),
            skipped_records: self.skipped_records.clone(),
            lost_records: self.lost_records.clone(),
        }
    }
}

/// The counters of one topic, looked up once. Cloning shares them.
///
/// Add once a read batch of records, not once a record: lanes of one topic share the counters.
/// Methods that take a reason look it up; a count of 0 makes the series appear, so that
/// Prometheus sees its first increase.
#[derive(Clone, Debug)]
pub struct TopicMetrics {
    topic: String,
    consumed_records: IntCounter,
    consumed_bytes: IntCounter,
    landed_records: IntCounter,
    stored_bytes: IntCounter,
    uncompressed_bytes: IntCounter,
    compacted_lines: IntCounter,
    unusable_timestamps: IntCounter,
    replays: IntCounter,
    adoptions: IntCounter,
    objects: IntCounterVec,
    batches: IntCounterVec,
    dead_letters: IntCounterVec,
    skipped_records: IntCounterVec,
    lost_records: IntCounterVec,
}

impl TopicMetrics {
    /// Records were read, with values of so many bytes.
    pub fn consumed(&self, records: u64, value_bytes: u64) {
        self.consumed_records.inc_by(records);
        self.consumed_bytes.inc_by(value_bytes);
    }

    /// A batch with so many landing records was committed.
    pub fn landed(&self, records: u64) {
        self.landed_records.inc_by(records);
    }

    /// An object was put; `reason` is what ended its batch.
    pub fn object_stored(&self, reason: &str, stored_bytes: u64, uncompressed_bytes: u64) {
        self.add(&self.objects, reason, 1);
        self.stored_bytes.inc_by(stored_bytes);
        self.uncompressed_bytes.inc_by(uncompressed_bytes);
    }

    /// A batch ended, for `reason`.
    pub fn batch_ended(&self, reason: &str) {
        self.add(&self.batches, reason, 1);
    }

    /// Records went to the dead letters.
    pub fn dead_letters(&self, reason: &str, records: u64) {
        self.add(&self.dead_letters, reason, records);
    }

    /// Records were left out by policy: `tombstone` or `invalid`.
    pub fn skipped(&self, reason: &str, records: u64) {
        self.add(&self.skipped_records, reason, records);
    }

    /// Offsets are gone from Kafka: `retention` or `insisted`.
    pub fn lost(&self, reason: &str, offsets: u64) {
        self.add(&self.lost_records, reason, offsets);
    }

    /// Raw line breaks were removed from so many values.
    pub fn compacted_lines(&self, records: u64) {
        self.compacted_lines.inc_by(records);
    }

    /// So many records had a timestamp that cannot be used.
    pub fn unusable_timestamps(&self, records: u64) {
        self.unusable_timestamps.inc_by(records);
    }

    /// A pinned batch is being finished.
    pub fn replay(&self) {
        self.replays.inc();
    }

    /// Another member's batch is being adopted.
    pub fn adoption(&self) {
        self.adoptions.inc();
    }

    fn add(&self, family: &IntCounterVec, reason: &str, count: u64) {
        family.with_label_values(&[&self.topic, reason]).inc_by(count);
    }
}
