//! The real binary against real Apache Kafka and real MinIO: after every story each record is
//! counted in the bucket, and the group must stand at the ends of the logs by commits of ours.

mod adopt;
mod basics;
mod crash;
mod crawler;
mod gaps;
mod group;
mod insists;
mod live;
mod memory;
mod outage;
mod process;
mod rebalance;
mod records;
mod signals;
mod spool;
mod trouble;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bucket::{Bucket, Listed, Reading, Tally};
use crate::support::kafka::{Broker, Bulk, Expected};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};

/// Long enough for a busy machine; nothing waits it out unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// What no test reaches by age.
const NEVER: &str = "1h";

/// A topic with a group and a bucket of its own.
pub(crate) struct Case<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) bucket: Bucket,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
}

impl Case<'static> {
    /// On the shared servers; `None` where there are none and the tests may go on without.
    pub(crate) fn shared(topic: &str, partitions: i32) -> Option<Self> {
        let minio = Minio::shared()?;
        let broker = Broker::shared_v4();
        broker.create_topic(topic, partitions, &[]);
        Some(Self::at(broker, minio, topic, partitions))
    }
}

impl<'a> Case<'a> {
    /// A topic that is there or will be, and a new bucket.
    pub(crate) fn at(broker: &'a Broker, minio: &Minio, topic: &str, partitions: i32) -> Self {
        let name = topic.to_lowercase().replace(['.', '_'], "-");
        let bucket = Bucket::create(minio, &name);
        Self { broker, bucket, topic: topic.to_owned(), partitions }
    }

    pub(crate) fn group(&self) -> String {
        format!("{}-sink", self.topic)
    }

    /// A sink whose death is noticed within three seconds.
    pub(crate) fn config(&self) -> SinkConfig {
        SinkConfig::new(self.broker, &self.bucket, &self.topic)
            .set(&librdkafka("session.timeout.ms"), 3000)
            .set(&librdkafka("heartbeat.interval.ms"), 500)
            .set(&librdkafka("topic.metadata.refresh.interval.ms"), 1000)
    }

    /// The same with KIP-848, where the broker sets the timeouts.
    pub(crate) fn config_848(&self) -> SinkConfig {
        SinkConfig::new(self.broker, &self.bucket, &self.topic)
            .set(&librdkafka("topic.metadata.refresh.interval.ms"), 1000)
            .set("kafka.group_protocol", "consumer")
    }

    /// Records of 300 bytes whose times cross an hour.
    pub(crate) fn bulk(&self, count: u64) -> Bulk {
        let each = count / self.partitions.max(1) as u64;
        let step_us = 3_600_000_000 / each.max(1) as i64;
        Bulk { size: 300, step_us, ..Bulk::new(&self.topic, self.partitions, count) }
    }

    pub(crate) fn produce(&self, count: u64) -> Expected {
        self.broker.produce_many(&self.bulk(count))
    }

    /// Runs to the end; it must succeed.
    pub(crate) fn run_to_end(&self, config: &SinkConfig) {
        Sink::run_until_end(config).wait_success(PATIENCE);
    }

    pub(crate) fn read(&self, expected: &Expected) -> Tally {
        self.bucket.read(&Reading::of(&self.topic), expected)
    }

    /// Every record once, nothing else, and the group at the ends.
    pub(crate) fn assert_exact(&self, expected: &Expected) -> Tally {
        let tally = self.read(expected);
        tally.assert_exact();
        assert_eq!(tally.records, expected.count());
        self.assert_committed();
        tally
    }

    /// The group stands at the ends of all logs, by commits of ours, with no batch begun.
    pub(crate) fn assert_committed(&self) {
        for partition in 0..self.partitions {
            let (offset, mark) = self.committed(partition);
            let end = self.broker.log_bounds(&self.topic, partition).1;
            let at = format!("{}[{partition}]: {mark}", self.topic);
            assert_eq!(offset, Some(end), "{at}");
            assert_eq!((&mark["kafka-s3-sink"], &mark["o"]), (&1.into(), &end.into()), "{at}");
            assert!(mark.get("pin").is_none(), "{at}");
        }
    }

    /// The group's offset, and its metadata as JSON.
    pub(crate) fn committed(&self, partition: i32) -> (Option<i64>, Value) {
        let held = self.broker.committed(&self.group(), &self.topic, partition);
        (held.offset, serde_json::from_str(&held.metadata).unwrap_or_default())
    }

    /// Waits until the group stands at the ends of all logs while `sink` runs.
    pub(crate) fn wait_committed(&self, sink: &mut Sink) {
        let ends: BTreeMap<i32, i64> = (0..self.partitions)
            .map(|partition| (partition, self.broker.log_bounds(&self.topic, partition).1))
            .collect();
        self.wait_until(sink, "the ends to be committed", || {
            ends.iter().all(|(partition, end)| self.committed(*partition).0 == Some(*end))
        });
    }

    /// Waits for `holds` while `sink` runs.
    pub(crate) fn wait_until(&self, sink: &mut Sink, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let ended = sink.ended();
            assert!(ended.is_none(), "{what}: the sink ended: {ended:?}\n{}", sink.log());
            assert!(Instant::now() < deadline, "waited for {what}; log:\n{}", sink.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All objects of the table and the dead letters.
    pub(crate) fn objects(&self) -> Vec<Listed> {
        let Reading { table, dead_letters, .. } = Reading::of(&self.topic);
        let mut listed = self.bucket.list(&table);
        listed.extend(self.bucket.list(&dead_letters));
        listed
    }

    /// All lines of the table as JSON.
    fn rows(&self) -> Vec<Value> {
        self.lines(&Reading::of(&self.topic).table)
    }

    /// All dead letters.
    fn dead_letters(&self) -> Vec<Value> {
        self.lines(&Reading::of(&self.topic).dead_letters)
    }

    fn lines(&self, root: &str) -> Vec<Value> {
        let keys = self.bucket.list(root).into_iter();
        let lines = keys.flat_map(|object| self.bucket.lines(&object.key));
        lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
    }
}

/// The path of one of librdkafka's own properties.
pub(crate) fn librdkafka(property: &str) -> String {
    format!("kafka.librdkafka.\"{property}\"")
}

/// What `/readyz` says, and whether it says ready.
fn readiness(sink: &Sink) -> (bool, Value) {
    let (status, body) = sink.get("/readyz").expect("/readyz answers");
    (status == 200, serde_json::from_str(&body).expect("JSON"))
}

/// Waits until `/readyz` says no, for this condition alone or among others; returns its reason.
fn wait_not_ready(sink: &mut Sink, condition: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = sink.get("/readyz").map(|(_, body)| body).unwrap_or_default();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let conditions = body["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|each| each["condition"] == condition);
        if let Some(unmet) = found.filter(|each| each["ok"] == false) {
            return unmet["reason"].as_str().unwrap_or_default().to_owned();
        }
        assert!(sink.ended().is_none() && Instant::now() < deadline, "{body}\n{}", sink.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until a Kafka partition has stopped for this reason, which must be in the log, the
/// status and the metrics, and make the sink not ready; returns the log line.
pub(crate) fn wait_stopped(sink: &mut Sink, code: &str) -> String {
    let line = sink.wait_for_log(&format!("code=\"{code}\""), PATIENCE);
    sink.wait_for_metric("kafka_s3_sink_stopped_kafka_partitions", 1.0, PATIENCE);
    let (ready, body) = readiness(sink);
    assert!(!ready, "{body}");
    assert_eq!(body["stopped_kafka_partitions"][0]["code"], code, "{body}");
    line
}
