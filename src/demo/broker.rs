//! An embedded Kafka: librdkafka's mock cluster, in this process, on free loopback ports.
//!
//! Any client, of this process or another, reaches it by its bootstrap address. It keeps at most
//! 5 MiB and 100,000 records a Kafka partition and drops the oldest beyond that; it has no
//! control records, no log compaction and no admin API.

use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_handle_mock_cluster, rd_kafka_mock_cluster_t,
    rd_kafka_mock_group_initial_rebalance_delay_ms,
    rd_kafka_mock_set_group_consumer_heartbeat_interval_ms,
    rd_kafka_mock_set_group_consumer_session_timeout_ms,
};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};

use super::DemoError;

/// Every broker of the cluster.
const ALL: i32 = -1;

/// How a cluster is started.
#[derive(Clone, Copy, Debug)]
pub struct BrokerOptions {
    /// How many brokers there are.
    pub brokers: i32,
    /// How long a group's first member waits for others (`group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay: Duration,
    /// After how long a silent member of a KIP-848 group is put out. In the classic protocol the
    /// member says it (`session.timeout.ms`).
    pub consumer_session_timeout: Duration,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            brokers: 1,
            initial_rebalance_delay: Duration::ZERO,
            consumer_session_timeout: Duration::from_secs(2),
        }
    }
}

/// A running cluster. It ends, with all that it holds, when it is dropped.
pub struct Broker {
    /// The client that the cluster lives in; it produces nothing itself.
    client: BaseProducer,
    bootstrap: String,
}

impl Broker {
    /// Starts a cluster.
    pub fn start(options: BrokerOptions) -> Result<Self, DemoError> {
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", options.brokers.to_string())
            // It would complain of each broker that a test takes down.
            .set_log_level(RDKafkaLogLevel::Critical)
            .create()
            .map_err(|error| failed("start", &error))?;
        let mut broker = Self { client, bootstrap: String::new() };
        let bootstrap = broker.cluster("start")?.bootstrap_servers();
        broker.bootstrap = bootstrap;
        broker.tune(options);
        Ok(broker)
    }

    /// What `kafka.bootstrap_servers` is set to.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic with one replica.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), DemoError> {
        self.on_cluster("make a topic", |cluster| cluster.create_topic(topic, partitions, 1))
    }

    /// Closes all connections and takes no new ones.
    pub fn down(&self) -> Result<(), DemoError> {
        self.on_cluster("take the brokers down", |cluster| cluster.broker_down(ALL))
    }

    /// Takes connections again, on the same ports, with all that was there.
    pub fn up(&self) -> Result<(), DemoError> {
        self.on_cluster("bring the brokers up", |cluster| cluster.broker_up(ALL))
    }

    /// Lets every answer take this much longer.
    pub fn set_round_trip(&self, time: Duration) -> Result<(), DemoError> {
        self.on_cluster("slow the brokers", |cluster| cluster.broker_round_trip_time(ALL, time))
    }

    fn on_cluster(
        &self,
        what: &'static str,
        act: impl FnOnce(&MockCluster<'_, DefaultProducerContext>) -> Result<(), KafkaError>,
    ) -> Result<(), DemoError> {
        act(&self.cluster(what)?).map_err(|error| failed(what, &error))
    }

    fn cluster(
        &self,
        what: &'static str,
    ) -> Result<MockCluster<'_, DefaultProducerContext>, DemoError> {
        let none = || DemoError::Broker { what, reason: "there is no mock cluster".to_owned() };
        self.client.client().mock_cluster().ok_or_else(none)
    }

    /// What the safe wrapper has no call for.
    fn tune(&self, options: BrokerOptions) {
        let ms = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let session = ms(options.consumer_session_timeout);
        // SAFETY: the handle is a live client's, for `self.client` owns it.
        let cluster: *mut rd_kafka_mock_cluster_t =
            unsafe { rd_kafka_handle_mock_cluster(self.client.client().native_ptr()) };
        debug_assert!(!cluster.is_null(), "`start` has just spoken to it");
        // SAFETY: the cluster lives as long as its client, is not null, for `start` has spoken to
        // it, and these setters take its lock.
        unsafe {
            rd_kafka_mock_group_initial_rebalance_delay_ms(
                cluster,
                ms(options.initial_rebalance_delay),
            );
            rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, session);
            rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, (session / 6).max(100));
        }
    }
}

fn failed(what: &'static str, error: &KafkaError) -> DemoError {
    DemoError::Broker { what, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::produce::{SampleProducer, SampleRecord};
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::{Message as _, Offset, TopicPartitionList};
    use std::collections::BTreeMap;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(20);

    fn produce(broker: &Broker, topic: &str, values: std::ops::Range<u32>) -> SampleProducer {
        let producer =
            SampleProducer::connect(broker.bootstrap_servers(), &BTreeMap::new()).unwrap();
        for value in values {
            let (value, partition) = (value.to_be_bytes(), Some(value as i32 % 3));
            let record =
                SampleRecord { topic, partition, value: Some(&value), ..Default::default() };
            producer.send(&record).unwrap();
        }
        producer
    }

    /// Reads the three Kafka partitions from their beginning until `count` records came.
    fn read(broker: &Broker, topic: &str, count: usize) -> Vec<u32> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("group.id", "reader")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..3 {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let deadline = Instant::now() + LONG;
        let mut seen = Vec::new();
        while seen.len() < count {
            assert!(Instant::now() < deadline, "only {} of {count} came", seen.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                seen.push(u32::from_be_bytes(message.payload().unwrap().try_into().unwrap()));
            }
        }
        seen.sort_unstable();
        seen
    }

    #[test]
    fn what_is_produced_can_be_read() {
        let broker = Broker::start(BrokerOptions::default()).unwrap();
        broker.create_topic("orders", 3).unwrap();
        let producer = produce(&broker, "orders", 0..1_000);
        producer.flush(LONG).unwrap();
        assert_eq!((producer.delivered(), producer.failed()), (1_000, 0));
        assert_eq!(read(&broker, "orders", 1_000), (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_there_is_there_after_the_brokers_come_back() {
        let broker = Broker::start(BrokerOptions { brokers: 3, ..Default::default() }).unwrap();
        broker.create_topic("orders", 3).unwrap();
        produce(&broker, "orders", 0..30).flush(LONG).unwrap();
        broker.down().unwrap();
        let producer = produce(&broker, "orders", 30..60);
        producer.flush(Duration::from_millis(500)).unwrap_err();
        assert_eq!(producer.delivered(), 0);
        broker.up().unwrap();
        producer.flush(LONG).unwrap();
        assert_eq!(read(&broker, "orders", 60), (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn a_topic_is_made_once() {
        let broker = Broker::start(BrokerOptions::default()).unwrap();
        broker.create_topic("orders", 3).unwrap();
        let again = broker.create_topic("orders", 3).unwrap_err();
        assert!(again.to_string().contains("make a topic"), "{again}");
    }
}
