//! A process of its own that fills a topic: started by `stage` and by rows that want records to
//! come while they look. So the runner stays small; a child begins with its parent's peak memory.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_s3_sink::demo::events::{EventShape, Events};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};

/// The hidden command.
pub(crate) const COMMAND: &str = "__fill";

/// What to produce.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) bootstrap: String,
    pub(crate) topic: String,
    /// Kafka partitions 0 to this get records.
    pub(crate) partitions: i32,
    pub(crate) records: u64,
    /// Bytes of a value, about.
    pub(crate) size: usize,
    /// The time of the first record, in milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// How much later each further record is, in microseconds.
    pub(crate) step_us: i64,
    /// Whether each record is sent at its own time, not before.
    pub(crate) live: bool,
    /// How many records in a row go to the same Kafka partition.
    pub(crate) row: u64,
}

/// Does it, and prints the bytes of all values.
pub(crate) fn run(task: &str) {
    let task: Task = serde_json::from_str(task).expect("a task");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &task.bootstrap)
        .set("compression.codec", "lz4")
        .set("linger.ms", if task.live { "5" } else { "50" })
        .set("batch.size", "262144")
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.kbytes", "131072")
        .create()
        .expect("a producer");
    let shape = EventShape {
        size: task.size,
        start_ms: task.start_ms,
        step_us: task.step_us,
        ..EventShape::default()
    };
    let mut bytes = 0;
    for (number, event) in Events::new(7, shape).take(task.records as usize).enumerate() {
        let value = event.value.expect("a value");
        bytes += value.len();
        if task.live {
            wait_until(event.timestamp_ms, &producer);
        }
        let partition = (number as u64 / task.row % task.partitions as u64) as i32;
        send(&producer, &task.topic, partition, event.timestamp_ms, &value);
    }
    producer.flush(Duration::from_secs(300)).expect("every record is acknowledged");
    println!("{bytes}");
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, timestamp_ms: i64, value: &[u8]) {
    let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value);
    record.timestamp = Some(timestamp_ms);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(5));
                record = back;
            }
            Err((error, _)) => panic!("produce: {error}"),
        }
    }
}

/// Sleeps until the wall clock shows this time.
fn wait_until(ms: i64, producer: &BaseProducer) {
    let due = ms - now_ms();
    if due > 0 {
        let started = Instant::now();
        producer.poll(Duration::ZERO);
        let rest = Duration::from_millis(due as u64).saturating_sub(started.elapsed());
        std::thread::sleep(rest);
    }
}

/// The wall clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    passed.as_millis() as i64
}
