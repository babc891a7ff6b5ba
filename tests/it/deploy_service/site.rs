//! A machine with the package installed, and what is outside: Kafka, the store, the look at both.

use std::time::{Duration, Instant};

use super::{deb, packages};
use crate::support::bucket::{Bucket, Reading};
use crate::support::http;
use crate::support::kafka::{Broker, Bulk, Expected};
use crate::support::machine::Machine;
use crate::support::minio::Minio;
use crate::support::sink::SinkConfig;
use crate::support::tools;
use crate::support::workdir::free_port;

pub(super) const PATIENCE: Duration = Duration::from_secs(90);
pub(super) const UNIT: &str = "kafka-s3-sink";
pub(super) const CONFIG: &str = "/etc/kafka-s3-sink/sink.toml";
pub(super) const PARTITIONS: i32 = 4;

/// The store's keys, as AWS's own tools keep them, in a file for root alone.
const SECRETS: &str = "/etc/kafka-s3-sink/aws";

/// Asks brokers without a password for nothing, so any will do.
const PASSWORD: &str = "a-password-that-nobody-asks-for";

/// A machine, a topic and a bucket.
pub(super) struct Site {
    pub(super) machine: Machine,
    pub(super) broker: &'static Broker,
    pub(super) bucket: Bucket,
    pub(super) topic: String,
    next: Bulk,
    expected: Expected,
}

impl Site {
    /// Boots a machine without the package. `None` where it cannot be, and the test may go on.
    pub(super) fn bare(topic: &str) -> Option<Self> {
        if !tools::machine_is_here() {
            return None;
        }
        let minio = Minio::shared()?;
        let machine = Machine::boot(&[(packages(), "/srv/packages")])?;
        let broker = Broker::shared_v4();
        broker.create_topic(topic, PARTITIONS, &[]);
        let bucket = Bucket::create(minio, topic);
        let next = Bulk::new(topic, PARTITIONS, 2000);
        Some(Self {
            machine,
            broker,
            bucket,
            topic: topic.to_owned(),
            next,
            expected: Expected::default(),
        })
    }

    /// With the package, which has been configured since, and not started.
    pub(super) fn installed(topic: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let site = Self::bare(topic)?;
        site.install("0.1.0");
        site.give_credentials();
        site.configure(CONFIG, settings);
        Some(site)
    }

    /// `dpkg -i`, as an administrator who answers no question.
    pub(super) fn install(&self, version: &str) -> String {
        let package = deb(version);
        let package = package.file_name().expect("a name").to_string_lossy().into_owned();
        let package = format!("/srv/packages/{package}");
        self.machine.run(&["dpkg", "--force-confold", "-i", &package])
    }

    /// What the store and Kafka ask for, as files that only root can read.
    pub(super) fn give_credentials(&self) {
        let [(_, key), (_, secret)] = self.bucket.credentials();
        let text =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        self.machine.write(SECRETS, &text);
        let password = "/etc/credstore/KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD";
        self.machine.write(password, &format!("{PASSWORD}\n"));
        self.machine.run(&["chmod", "600", SECRETS, password]);
        let drop_in = format!(
            "[Service]\nLoadCredential=aws:{SECRETS}\n\
             Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws AWS_EC2_METADATA_DISABLED=true\n"
        );
        for unit in ["kafka-s3-sink", "kafka-s3-sink@"] {
            let path = format!("/etc/systemd/system/{unit}.service.d/store.conf");
            self.machine.write(&path, &drop_in);
        }
        self.machine.run(&["systemctl", "daemon-reload"]);
    }

    /// Writes settings, and says where its pages are.
    pub(super) fn configure(&self, path: &str, settings: &[(&str, &str)]) -> String {
        let address = format!("127.0.0.1:{}", free_port());
        let config = SinkConfig::new(self.broker, &self.bucket, &self.topic);
        let config = config.set("http.listen", &*address).set("memory.limit", "200MiB");
        let config = settings.iter().fold(config, |config, (key, value)| config.set(key, *value));
        self.machine.write(path, &config.text());
        address
    }

    /// The secrets must be nowhere but in the credentials.
    pub(super) fn secrets(&self) -> [&'static str; 2] {
        let [_, (_, secret)] = self.bucket.credentials();
        [secret, PASSWORD]
    }

    /// Produces the next records, which count from now on.
    pub(super) fn produce(&mut self) -> u64 {
        let produced = self.broker.produce_many(&self.next);
        self.expected = std::mem::take(&mut self.expected).and(produced);
        let count = self.next.count;
        self.next = self.next.next();
        count
    }

    /// The number of a metric's records read, over all its labels.
    pub(super) fn read(&self, address: &str) -> f64 {
        let Some((_, text)) = http::get(address, "/metrics") else { return 0.0 };
        let metrics = http::parse_metrics(&text);
        let read = |name: &&String| name.starts_with("kafka_s3_sink_consumed_records_total{");
        metrics.keys().filter(read).map(|name| metrics[name]).sum()
    }

    /// Waits until something holds; the journal tells why it does not.
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let journal = || self.machine.read_journal();
            assert!(Instant::now() < deadline, "not {what}\n{}", journal());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(super) fn wait_active(&self, unit: &str) {
        self.machine.wait_active(unit, PATIENCE);
    }

    /// Waits until the group stands at the ends of the logs.
    pub(super) fn wait_committed(&self) {
        let group = format!("{}-sink", self.topic);
        for number in 0..PARTITIONS {
            let end = self.broker.log_bounds(&self.topic, number).1;
            let at = || self.broker.committed(&group, &self.topic, number).offset;
            self.wait(&format!("{number} at {end}"), || at() == Some(end));
        }
    }

    /// Counts every record that was produced, once.
    pub(super) fn count(&self) {
        self.bucket.read(&Reading::of(&self.topic), &self.expected).assert_exact();
    }

    /// Sends a signal to the main process of a unit, and waits until systemd has started it again.
    pub(super) fn signal(&self, unit: &str, signal: &str) {
        let before: u32 = self.machine.show(unit, "NRestarts").parse().expect("a number");
        let pid = self.machine.show(unit, "MainPID");
        self.machine.run(&["bash", "-c", &format!("kill -{signal} {pid}")]);
        self.wait("started again", || {
            self.machine.show(unit, "NRestarts").parse::<u32>().expect("a number") > before
        });
    }

    /// `systemctl status`, as an administrator sees it.
    pub(super) fn status(&self, unit: &str) -> String {
        self.machine.try_run(&["systemctl", "status", "--no-pager", "--full", unit]).1
    }
}
