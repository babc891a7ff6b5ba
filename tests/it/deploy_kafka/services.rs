//! The units as shipped, under a systemd of their own: ZooKeeper, Kafka, the topics, and the sink.

use std::time::{Duration, Instant};

use super::release::mirror;
use super::shipped;
use crate::support::bucket::{Bucket, Reading};
use crate::support::http;
use crate::support::kafka::{Broker, Bulk, Version};
use crate::support::machine::Machine;
use crate::support::minio::Minio;
use crate::support::sink::SinkConfig;
use crate::support::tools;
use crate::support::workdir::{WorkDir, free_port};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
const SINK: &str = "/usr/bin/kafka-s3-sink";
/// As they come up; a shutdown goes the other way.
const ORDER: [&str; 4] = ["zookeeper", "kafka", "kafka-topics", "kafka-s3-sink"];

/// A machine with everything on it, and what is outside: the store, and the look at both.
struct Site {
    machine: Machine,
    broker: Broker,
    bucket: Bucket,
    topic: String,
}

impl Site {
    /// Installs Kafka 3.9 with ZooKeeper, a file of topics and the sink, all to be started at boot.
    fn new(topic: &str, settings: &[(&str, &str)]) -> Option<Self> {
        if !tools::machine_is_here() {
            return None;
        }
        let minio = Minio::shared()?;
        let sink = env!("CARGO_BIN_EXE_kafka-s3-sink");
        let binds = [(&*shipped(), "/srv/kafka"), (mirror(), "/srv/mirror"), (sink.as_ref(), SINK)];
        let machine = Machine::boot(&binds)?;
        let (port, second) = (free_port().to_string(), free_port().to_string());
        let install = ["/srv/kafka/install.sh", "3.9.1", "zookeeper", "/var/lib/kafka"];
        let options = ["--listen", "127.0.0.1", "--port", &port, "--zookeeper-port", &second];
        let release =
            ["--mirror", "file:///srv/mirror", "--keys", "/srv/mirror/KEYS", "--no-start"];
        machine.run(&[&install[..], &options, &release].concat());
        let bootstrap = format!("127.0.0.1:{port}");
        let broker = Broker::elsewhere(Version::V3, bootstrap, WorkDir::new("elsewhere"));
        let bucket = Bucket::create(minio, topic);
        let config = SinkConfig::new(&broker, &bucket, topic);
        let config = settings.iter().fold(config, |config, (key, value)| config.set(key, *value));
        let text = format!("[topic.{topic}]\npartitions = {PARTITIONS}\nretention = \"forever\"\n");
        machine.write("/etc/kafka-s3-sink/topics.toml", &text);
        machine.write("/etc/kafka-s3-sink/sink.toml", &config.text());
        let unit = include_str!("../../../deploy/systemd/kafka-s3-sink.service");
        machine.write("/etc/systemd/system/kafka-s3-sink.service", unit);
        machine.write("/etc/kafka-s3-sink/env", &sink_environment(&bucket));
        machine.run(&["systemctl", "enable", "--quiet", "kafka-s3-sink"]);
        Some(Self { machine, broker, bucket, topic: topic.to_owned() })
    }

    /// Off and on again, so that everything starts as after any boot.
    fn reboot(&mut self) {
        self.machine.power_off();
        self.machine.power_on();
        for unit in ORDER {
            self.machine.wait_active(unit, PATIENCE);
        }
    }

    fn bulk(&self, count: u64) -> Bulk {
        Bulk::new(&self.topic, PARTITIONS, count)
    }

    /// SIGKILL, and waits until systemd has started it again.
    fn kill(&self, unit: &str) {
        let kill = format!("kill -KILL {}", self.machine.show(unit, "MainPID"));
        self.machine.run(&["bash", "-c", &kill]);
        let deadline = Instant::now() + PATIENCE;
        while self.machine.show(unit, "NRestarts") == "0" {
            assert!(Instant::now() < deadline, "{unit} was not started again");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the sink has read as many records, be they landed or not.
    fn wait_read(&self, count: f64) {
        let deadline = Instant::now() + PATIENCE;
        let address = || http::logged_address(&self.machine.read_journal());
        let read = || {
            let (_, text) = http::get(&address()?, "/metrics")?;
            let metrics = http::parse_metrics(&text);
            let name = format!("kafka_s3_sink_consumed_records_total{{topic=\"{}\"}}", self.topic);
            metrics.get(&name).copied()
        };
        while read().unwrap_or_default() < count {
            assert!(
                Instant::now() < deadline,
                "{:?} are read\n{}",
                read(),
                self.machine.read_journal()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the group stands at the ends of the logs.
    fn wait_committed(&self) {
        let deadline = Instant::now() + PATIENCE;
        let group = format!("{}-sink", self.topic);
        for number in 0..PARTITIONS {
            let end = self.broker.log_bounds(&self.topic, number).1;
            while self.broker.committed(&group, &self.topic, number).offset != Some(end) {
                let journal = || self.machine.read_journal();
                assert!(Instant::now() < deadline, "{number} is not at {end}\n{}", journal());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// What an instance's role would be for.
fn sink_environment(bucket: &Bucket) -> String {
    let keys = bucket.credentials().map(|(name, value)| format!("{name}={value}\n"));
    format!("{}AWS_EC2_METADATA_DISABLED=true\n", keys.concat())
}

/// The lines of a journal that say this of our units, in their order.
fn said(journal: &str, what: &str) -> Vec<String> {
    let unit = |line: &str| {
        let (_, rest) = line.split_once(&format!(": {what} "))?;
        let unit = rest.split(".service").next()?;
        ORDER.contains(&unit).then(|| unit.to_owned())
    };
    journal.lines().filter_map(unit).collect()
}

/// By `log4j.properties`: its pattern, and of ZooKeeper's clients only what goes wrong.
fn assert_logs_as_shipped(journal: &str) {
    let line = regex::Regex::new(r"java\[\d+\]: INFO kafka\.server\.KafkaServer: .*started")
        .expect("regex");
    assert!(line.is_match(journal), "{journal}");
    for never in ["log4j:", "SLF4J:", "INFO org.apache.zookeeper"] {
        let found = journal.lines().find(|line| line.contains(never));
        assert_eq!(found, None);
    }
}

#[test]
fn all_come_up_in_order_at_boot_and_a_shutdown_drains_them() {
    // What is open lands at the shutdown alone.
    let settings = [("rotation.max_age", "1h"), ("shutdown.timeout", "30s")];
    let Some(mut site) = Site::new("units-boot", &settings) else { return };
    site.reboot();
    let journal = site.machine.read_journal();
    let started = |unit: &str| said(&journal, "Started").iter().position(|found| found == unit);
    assert!(started("zookeeper") < started("kafka"), "{journal}");
    // A unit that runs once is finished, and not started.
    let topics = journal.find("Finished kafka-topics.service").expect("topics");
    let sink = journal.find("Started kafka-s3-sink.service").expect("the sink");
    let kafka = journal.find("Started kafka.service").expect("kafka");
    assert!(kafka < topics && topics < sink, "{journal}");
    assert!(journal.contains(&format!("{}: created, with 4 Kafka partitions", site.topic)));
    assert_logs_as_shipped(&journal);

    let expected = site.broker.produce_many(&site.bulk(3000));
    site.wait_read(3000.0);
    assert_eq!(site.bucket.list("raw/"), [], "nothing is due yet");
    site.machine.power_off();
    site.bucket.read(&Reading::of(&site.topic), &expected).assert_exact();
    let stopped = said(&site.machine.read_journal(), "Stopped");
    let last: Vec<_> = stopped.iter().rev().take(4).rev().map(String::as_str).collect();
    assert_eq!(last, ["kafka-s3-sink", "kafka-topics", "kafka", "zookeeper"]);
}

#[test]
fn each_comes_back_after_sigkill_and_nothing_is_lost() {
    let Some(site) = Site::new("units-kill", &[("rotation.max_age", "1s")]) else { return };
    // The topics want the broker, which wants ZooKeeper.
    site.machine.run(&["systemctl", "start", "kafka-topics", "kafka-s3-sink"]);
    let mut bulk = site.bulk(2000);
    let mut expected = site.broker.produce_many(&bulk);
    for unit in ["kafka-s3-sink", "zookeeper", "kafka"] {
        site.kill(unit);
        if unit == "kafka" {
            // As it starts it knows of no topic for a moment, and a producer would take its word.
            site.broker.log_bounds(&site.topic, 0);
        }
        bulk = bulk.next();
        expected = expected.and(site.broker.produce_many(&bulk));
    }
    site.wait_committed();
    for unit in ORDER {
        site.machine.wait_active(unit, PATIENCE);
    }
    site.bucket.read(&Reading::of(&site.topic), &expected).assert_exact();
}
