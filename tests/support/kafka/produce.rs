//! Records by the million, each with an id of its own, so that every one can be counted later.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::Broker;

/// What to produce. A record is a pure function of these and of its Kafka partition and sequence
/// number; sequence numbers count from `first_sequence` in each Kafka partition.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    /// The topic, which must exist.
    pub(crate) topic: String,
    /// Its Kafka partitions 0 to this, in turn.
    pub(crate) partitions: i32,
    /// How many records in all.
    pub(crate) count: u64,
    /// How many bytes a record has, at least 300.
    pub(crate) size: usize,
    /// `lz4`, `zstd`, `gzip`, `snappy` or `none`.
    pub(crate) compression: &'static str,
    /// The first sequence number of each Kafka partition.
    pub(crate) first_sequence: u64,
    /// The timestamp of the first record.
    pub(crate) first_ms: i64,
    /// What the timestamp advances by from one sequence number to the next, in microseconds.
    pub(crate) step_us: i64,
    /// At most so many records a second, in all.
    pub(crate) rate: Option<u64>,
}

/// Records that must be found, each once: ranges of sequence numbers by Kafka partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// By Kafka partition.
    pub(crate) sequences: BTreeMap<i32, Vec<Range<u64>>>,
    /// What may be found, once at most.
    pub(crate) allowed: BTreeMap<i32, Vec<Range<u64>>>,
}

impl Expected {
    /// Takes in what else is expected.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (partition, ranges) in other.sequences {
            self.sequences.entry(partition).or_default().extend(ranges);
        }
        for (partition, ranges) in other.allowed {
            self.allowed.entry(partition).or_default().extend(ranges);
        }
        self
    }

    /// How many records.
    pub(crate) fn count(&self) -> u64 {
        self.sequences.values().flatten().map(|range| range.end - range.start).sum()
    }
}

/// 2026-11-20T21:30:00Z: half an hour before a full hour, two and a half before midnight, so that
/// a few hours of records cross both.
const FIRST_MS: i64 = 1_795_210_200_000;

impl Bulk {
    /// Records of 500 bytes, lz4, a step of 30 ms.
    pub(crate) fn new(topic: &str, partitions: i32, count: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            partitions,
            count,
            size: 500,
            compression: "lz4",
            first_sequence: 0,
            first_ms: FIRST_MS,
            step_us: 30_000,
            rate: None,
        }
    }

    /// The same again behind the first.
    pub(crate) fn next(&self) -> Self {
        let taken = self.count.div_ceil(self.partitions as u64);
        Self { first_sequence: self.first_sequence + taken, ..self.clone() }
    }

    /// What must be found afterwards.
    pub(crate) fn expected(&self) -> Expected {
        let partitions = self.partitions as u64;
        let range = |partition: u64| {
            let count = (self.count + partitions - 1 - partition) / partitions;
            self.first_sequence..self.first_sequence + count
        };
        let sequences = (0..partitions).map(|number| (number as i32, vec![range(number)]));
        Expected { sequences: sequences.collect(), ..Expected::default() }
    }

    /// The timestamp of a record.
    pub(crate) fn timestamp_ms(&self, sequence: u64) -> i64 {
        self.first_ms + sequence as i64 * self.step_us / 1000
    }

    /// Writes the value of a record, a JSON object of `size` bytes.
    pub(crate) fn write_value(&self, partition: i32, sequence: u64, value: &mut Vec<u8>) {
        let ms = self.timestamp_ms(sequence);
        let mut random = Random::of(partition, sequence);
        value.clear();
        let written = write!(
            value,
            "{{\"id\":\"{}-{partition}-{sequence}\",\"partition\":{partition},\
             \"sequence\":{sequence},\"event_ms\":{ms},\"user\":\"u{}\",\
             \"session\":\"{:016x}\",\"action\":\"{}\",\"path\":\"/{}/{}/{}\",\"status\":{},\
             \"amount\":{}.{:02},\"note\":\"",
            self.topic,
            random.below(50_000),
            random.next(),
            random.word(),
            random.word(),
            random.word(),
            random.below(10_000),
            [200, 200, 200, 201, 404, 500][random.below(6) as usize],
            random.below(500),
            random.below(100),
        );
        written.expect("a Vec takes everything");
        let text_end = self.size - 2;
        while value.len() < text_end {
            value.extend_from_slice(random.word().as_bytes());
            value.push(b' ');
        }
        value.truncate(text_end);
        value.extend_from_slice(b"\"}");
    }
}

impl Broker {
    /// Produces all of `bulk`, acknowledged and without duplicates, and says what must be found.
    pub(crate) fn produce_many(&self, bulk: &Bulk) -> Expected {
        let producer: BaseProducer<FailureCount> = self
            .client_config()
            .set("enable.idempotence", "true")
            .set("compression.codec", bulk.compression)
            .set("linger.ms", "20")
            .set("batch.size", "1000000")
            .set("message.max.bytes", "33554432")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            // A broker that a test takes away comes back: wait for it as long as it takes.
            .set("message.timeout.ms", "0")
            .set("delivery.report.only.error", "true")
            .create_with_context(FailureCount::default())
            .expect("producer");
        bulk.send(&producer);
        producer.flush(Duration::from_secs(300)).expect("every record is acknowledged");
        let failed = producer.context().0.load(Ordering::Relaxed);
        assert_eq!(failed, 0, "records that the broker did not take");
        bulk.expected()
    }
}

impl Bulk {
    /// Hands all records to a producer.
    pub(super) fn send<C: ProducerContext<DeliveryOpaque = ()>>(&self, producer: &BaseProducer<C>) {
        let started = Instant::now();
        let mut value = Vec::with_capacity(self.size);
        for number in 0..self.count {
            let partition = (number % self.partitions as u64) as i32;
            let sequence = self.first_sequence + number / self.partitions as u64;
            self.write_value(partition, sequence, &mut value);
            let record = BaseRecord::<(), [u8]>::to(&self.topic)
                .partition(partition)
                .timestamp(self.timestamp_ms(sequence))
                .payload(&value);
            send_or_wait(producer, record);
            self.keep_pace(started, number);
        }
    }

    fn keep_pace(&self, started: Instant, sent: u64) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_micros(sent * 1_000_000 / rate);
        // Below 5 ms a sleep is not worth its price.
        if let Some(early) = due.checked_sub(started.elapsed())
            && early > Duration::from_millis(5)
        {
            std::thread::sleep(early);
        }
    }
}

/// Sends one record; where the producer's queue is full, waits until it is not.
pub(super) fn send_or_wait<C: ProducerContext>(
    producer: &BaseProducer<C>,
    mut record: BaseRecord<'_, (), [u8], C::DeliveryOpaque>,
) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
            Err((error, _)) => panic!("produce: {error}"),
        }
    }
}

/// Counts the records that were given up.
#[derive(Default)]
struct FailureCount(AtomicU64);

impl ClientContext for FailureCount {}

impl ProducerContext for FailureCount {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: ()) {
        self.0.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
    }
}

/// SplitMix64, seeded by the record it is for.
struct Random(u64);

const WORDS: [&str; 64] = [
    "amber", "anchor", "autumn", "barley", "basket", "beacon", "bottle", "bridge", "candle",
    "canvas", "castle", "cedar", "chapel", "cinder", "cobalt", "copper", "corner", "cotton",
    "dapple", "desert", "ember", "engine", "falcon", "feather", "fennel", "garden", "ginger",
    "granite", "harbour", "hazel", "island", "ivory", "jasmine", "kettle", "ladder", "lantern",
    "linen", "marble", "meadow", "mirror", "nutmeg", "orchard", "paddle", "paper", "pebble",
    "pepper", "quartz", "ribbon", "river", "saddle", "saffron", "silver", "spruce", "stone",
    "summer", "tallow", "temple", "thistle", "timber", "velvet", "walnut", "willow", "winter",
    "yonder",
];

impl Random {
    fn of(partition: i32, sequence: u64) -> Self {
        Self(sequence.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ ((partition as u64) << 48))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A word, some far more often than others, as in a language.
    fn word(&mut self) -> &'static str {
        let number = self.next();
        WORDS[((number & 63) & (number >> 6 | number >> 12) & 63) as usize]
    }
}
