//! What tests do to a cluster from outside, through the client library: the Java tools would cost
//! two seconds a call.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Broker, eventually};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What a group holds for one Kafka partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupOffset {
    /// The committed offset, if there is one.
    pub(crate) offset: Option<i64>,
    /// Its metadata.
    pub(crate) metadata: String,
}

impl Broker {
    /// A client's configuration for this broker, quiet about brokers that tests take away.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    /// Makes a topic and waits until it is led; tries again while an old one is being deleted.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin = self.admin();
        let new = settings.iter().fold(
            // As many replicas as the broker says: one, but in a cluster.
            NewTopic::new(topic, partitions, TopicReplication::Fixed(-1)),
            |new, (key, value)| new.set(key, value),
        );
        eventually(&format!("create topic {topic}"), || {
            one(wait(admin.create_topics([&new], &options())))
        });
        self.wait_for_leaders(topic, partitions);
    }

    /// Deletes a topic.
    pub(crate) fn delete_topic(&self, topic: &str) {
        let admin = self.admin();
        let deleted = one(wait(admin.delete_topics(&[topic], &options())));
        deleted.unwrap_or_else(|error| panic!("delete topic {topic}: {error}"));
    }

    /// Raises the number of Kafka partitions of a topic; tries again while the broker has trouble of
    /// its own.
    pub(crate) fn add_partitions(&self, topic: &str, total: i32) {
        let admin = self.admin();
        let new = NewPartitions::new(topic, total as usize);
        eventually(&format!("partitions of {topic}"), || {
            match one(wait(admin.create_partitions([&new], &options()))) {
                // An earlier try was answered with an error, and done.
                Err(_) if self.led(topic).is_ok_and(|led| led == total as usize) => Ok(()),
                tried => tried,
            }
        });
        self.wait_for_leaders(topic, total);
    }

    /// Moves the start of a Kafka partition's log to `before`, as retention does.
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let admin = self.admin();
        let offsets = offsets_of(topic, partition, Offset::Offset(before));
        let deleted = wait(admin.delete_records(&offsets, &options())).expect("delete records");
        for element in deleted.elements() {
            element.error().unwrap_or_else(|error| panic!("delete records of {topic}: {error}"));
        }
    }

    /// Sets a topic's settings to exactly these, all others to their defaults.
    pub(crate) fn configure_topic(&self, topic: &str, settings: &[(&str, &str)]) {
        let admin = self.admin();
        let change = settings
            .iter()
            .fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |change, (key, value)| {
                change.set(key, value)
            });
        let result = wait(admin.alter_configs([&change], &options())).expect("alter configs");
        for resource in result {
            resource.unwrap_or_else(|(_, error)| panic!("settings of {topic}: {error}"));
        }
    }

    /// The first offset that a Kafka partition's log has, and the one after its last.
    pub(crate) fn log_bounds(&self, topic: &str, partition: i32) -> (i64, i64) {
        let client = self.group_client("harness");
        eventually(&format!("offsets of {topic}[{partition}]"), || {
            client.fetch_watermarks(topic, partition, TIMEOUT)
        })
    }

    /// What the group has committed for a Kafka partition.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> GroupOffset {
        let client = self.group_client(group);
        let asked = offsets_of(topic, partition, Offset::Invalid);
        let found = eventually(&format!("offsets of group {group}"), || {
            client.committed_offsets(asked.clone(), TIMEOUT)
        });
        let element = found.find_partition(topic, partition).expect("the one asked for");
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        GroupOffset { offset, metadata: element.metadata().to_owned() }
    }

    /// Sets an offset by hand, as Kafka's reset tool does: without metadata, in an empty group.
    pub(crate) fn set_offset(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.restore_offset(group, topic, partition, offset, "");
    }

    /// Sets an offset with its metadata, in an empty group.
    pub(crate) fn restore_offset(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: &str,
    ) {
        let client = self.group_client(group);
        let offsets = offsets_of(topic, partition, Offset::Offset(offset));
        if !metadata.is_empty() {
            let mut element = offsets.find_partition(topic, partition).expect("the one added");
            element.set_metadata(metadata);
        }
        eventually(&format!("set an offset of group {group}"), || {
            client.commit(&offsets, CommitMode::Sync)
        });
    }

    /// Deletes a group with all its offsets; it must be empty.
    pub(crate) fn delete_group(&self, group: &str) {
        let admin = self.admin();
        eventually(&format!("delete group {group}"), || {
            one(wait(admin.delete_groups(&[group], &options())))
        });
    }

    /// The ids of a group's members, as Kafka's own tool tells them. Of groups of both protocols, which
    /// the client library's call does not know.
    pub(crate) fn members(&self, group: &str) -> BTreeSet<String> {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let mut command = self.small_java("-Xmx128m", class);
        command.args(["--bootstrap-server", &self.bootstrap(), "--describe", "--members"]);
        let output = command.args(["--group", group]).output().expect("java");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // The group, and then who it is.
        let member = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some(group)).then(|| words.next().map(str::to_owned)).flatten()
        };
        let found: BTreeSet<_> = text.lines().filter_map(member).collect();
        assert!(!found.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        found
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client_config().create().expect("admin client")
    }

    fn group_client(&self, group: &str) -> BaseConsumer {
        self.client_config().set("group.id", group).create().expect("client")
    }

    fn wait_for_leaders(&self, topic: &str, partitions: i32) {
        eventually(&format!("leaders of {topic}"), || {
            let led = self.led(topic)?;
            if led == partitions as usize { Ok(()) } else { Err(format!("{led} have one")) }
        });
    }

    /// How many Kafka partitions of a topic have a leader.
    fn led(&self, topic: &str) -> Result<usize, String> {
        let client = self.group_client("harness");
        let metadata = client.fetch_metadata(Some(topic), TIMEOUT).map_err(|e| e.to_string())?;
        let found = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
        Ok(found.iter().filter(|partition| partition.leader() >= 0).count())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn offsets_of(topic: &str, partition: i32, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).expect("a valid offset");
    list
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

type OneResult = Result<String, (String, rdkafka::types::RDKafkaErrorCode)>;

/// The one result of a request about one thing.
fn one(results: rdkafka::error::KafkaResult<Vec<OneResult>>) -> Result<(), String> {
    let results = results.map_err(|error| error.to_string())?;
    let result = results.into_iter().next().expect("one result");
    result.map(drop).map_err(|(what, code)| format!("{what}: {code}"))
}
