//! The servers, the topics and the buckets: started, filled and made once, used by all rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::cost::run_again;
use crate::fill;
use crate::support::bucket::Bucket;
use crate::support::kafka::Broker;
use crate::support::minio::Minio;

/// 2026-11-22T16:00:00Z. Records begin at a full hour and stay within it.
const START_MS: i64 = 1_795_363_200_000;
const WITHIN_US: i64 = 3_500_000_000;

/// A topic that holds what it will hold.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) records: u64,
    /// Bytes of all values.
    pub(crate) bytes: u64,
}

/// What a topic is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) partitions: i32,
    /// How many of them get records.
    pub(crate) busy: i32,
    pub(crate) records: u64,
    pub(crate) size: usize,
}

/// One broker and one store.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) minio: Minio,
    topics: HashMap<Shape, Topic>,
}

impl Stage {
    /// Starts both.
    pub(crate) fn set() -> Self {
        eprintln!("starting Kafka and MinIO");
        // Kafka's own defaults where the tests' are small.
        let broker = Broker::start_full_size(&[
            ("num.network.threads", "3"),
            ("num.io.threads", "8"),
            ("log.segment.bytes", "1073741824"),
            ("log.retention.check.interval.ms", "300000"),
            ("offsets.topic.num.partitions", "50"),
            ("group.consumer.session.timeout.ms", "45000"),
            ("group.consumer.heartbeat.interval.ms", "5000"),
        ]);
        Self { broker, minio: Minio::start_alone(), topics: HashMap::new() }
    }

    /// A topic of this shape, filled when it is first asked for.
    pub(crate) fn topic(&mut self, shape: Shape) -> Topic {
        if let Some(topic) = self.topics.get(&shape) {
            return topic.clone();
        }
        let Shape { partitions, busy, records, size } = shape;
        let name = fresh(&format!("p{partitions}-s{size}"));
        self.broker.create_topic(&name, partitions, &[]);
        let started = Instant::now();
        let task = fill::Task {
            bootstrap: self.broker.bootstrap(),
            topic: name.clone(),
            partitions: busy,
            records,
            size,
            start_ms: START_MS,
            step_us: WITHIN_US / records.max(1) as i64,
            live: false,
            // As producers fill one batch after the other; alike for few Kafka partitions and many.
            row: (262_144 / size as u64).max(1),
        };
        let task = serde_json::to_string(&task).expect("JSON");
        let (_, printed) = run_again(fill::COMMAND, &task, Duration::from_secs(1800));
        let bytes = printed.trim().parse().expect("a number of bytes");
        eprintln!(
            "filled {name}: {records} records, {:.2} GB, {:.0} s",
            bytes as f64 / 1e9,
            started.elapsed().as_secs_f64()
        );
        let topic = Topic { name, partitions, records, bytes };
        self.topics.insert(shape, topic.clone());
        topic
    }

    /// An empty bucket of a name that no other has.
    pub(crate) fn bucket(&self) -> Bucket {
        Bucket::create(&self.minio, &fresh("lake"))
    }
}

/// A name that no other has.
pub(crate) fn fresh(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
