//! The baseline of all ratios: nothing but consuming. One queue that all Kafka partitions are
//! forwarded to, read in batches, each value copied into a buffer that is used again; jemalloc, and
//! the sink's own fetch settings. A process of its own, measured as the sink's is.

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::io::Write;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::cost::{Cost, run_again};
use crate::stage::Topic;
use crate::support::sink::SinkConfig;

/// The hidden command.
pub(crate) const COMMAND: &str = "__bare";

const TIMEOUT: Duration = Duration::from_secs(600);
/// Messages of one call.
const BATCH: usize = 1000;
/// The buffer is emptied when it holds this much.
const BUFFER: usize = 1 << 20;

/// What to consume.
#[derive(Serialize, Deserialize)]
struct Task {
    properties: BTreeMap<String, String>,
    topic: String,
    partitions: i32,
}

/// Consumes a topic once with the settings that a sink of this configuration fetches with.
pub(crate) fn consume(topic: &Topic, config: &SinkConfig) -> Cost {
    // One queue is one lane.
    let text = config.clone().set("kafka.lanes", 1).text();
    let settings = kafka_s3_sink::config::load_str("bench", &text, std::iter::empty());
    let settings = settings.unwrap_or_else(|error| panic!("{error:?}"));
    let task = Task {
        properties: kafka_s3_sink::daemon::consumer_properties(&settings),
        topic: topic.name.clone(),
        partitions: topic.partitions,
    };
    let task = serde_json::to_string(&task).expect("JSON");
    let (cost, printed) = run_again(COMMAND, &task, TIMEOUT);
    let found: Vec<u64> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(found, [topic.records, topic.bytes], "bare consumption found all: {printed}");
    cost
}

/// Does it, and prints how many records and bytes it found.
pub(crate) fn run(task: &str) {
    let task: Task = serde_json::from_str(task).expect("a task");
    let mut config: ClientConfig = task.properties.clone().into_iter().collect();
    config.set("log.queue", "false").set_log_level(RDKafkaLogLevel::Error);
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let client = consumer.client().native_ptr();
    // SAFETY: the client outlives its queues; this one goes with the process.
    let queue = unsafe { c::rd_kafka_queue_new(client) };
    let name = CString::new(task.topic.as_str()).expect("a name");
    let mut list = TopicPartitionList::new();
    for partition in 0..task.partitions {
        // SAFETY: client, name and both queues are alive; librdkafka keeps the forward.
        unsafe {
            let own = c::rd_kafka_queue_get_partition(client, name.as_ptr(), partition);
            c::rd_kafka_queue_forward(own, queue);
            c::rd_kafka_queue_destroy(own);
        }
        list.add_partition_offset(&task.topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");
    let (records, bytes) = read_to_the_end(&consumer, queue, task.partitions as usize);
    println!("{records} {bytes}");
    std::io::stdout().flush().expect("standard output");
    // How the client is torn down is nobody's consumption.
    // SAFETY: it ends the process, without running anything of ours.
    unsafe { libc::_exit(0) }
}

fn read_to_the_end(
    consumer: &BaseConsumer,
    queue: *mut c::rd_kafka_queue_t,
    partitions: usize,
) -> (u64, u64) {
    let mut messages = vec![std::ptr::null_mut::<c::rd_kafka_message_t>(); BATCH];
    let mut buffer = Vec::with_capacity(2 * BUFFER);
    let (mut records, mut bytes, mut ended) = (0, 0, HashSet::new());
    while ended.len() < partitions {
        // SAFETY: the queue is alive, the array has room for so many.
        let count =
            unsafe { c::rd_kafka_consume_batch_queue(queue, 100, messages.as_mut_ptr(), BATCH) };
        for message in &messages[..count.max(0) as usize] {
            // SAFETY: the message is ours until it is destroyed, once; its payload lives as long.
            unsafe {
                match (**message).err as i32 {
                    0 => {
                        let (at, len) = ((**message).payload.cast::<u8>(), (**message).len);
                        buffer.extend_from_slice(std::slice::from_raw_parts(at, len));
                        records += 1;
                        bytes += len as u64;
                    }
                    -191 => drop(ended.insert((**message).partition)),
                    error => panic!("error {error}"),
                }
                c::rd_kafka_message_destroy(*message);
            }
            if buffer.len() >= BUFFER {
                std::hint::black_box(&buffer);
                buffer.clear();
            }
        }
        // Errors and statistics are elsewhere.
        consumer.poll(Duration::ZERO);
    }
    (records, bytes)
}
