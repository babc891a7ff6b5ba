//! A small producer, and topics to produce into: for `produce`, for quick starts, for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use secrecy::{ExposeSecret, SecretString};

use super::KafkaError;

/// How long a full queue of the producer is waited for at a time.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a sample producer has unless its properties say otherwise: a property, its other name,
/// the value.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("compression.codec", "compression.type", "lz4"),
    ("linger.ms", "queue.buffering.max.ms", "20"),
];

/// One record to be produced.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The Kafka partition; `None` leaves it to the key's hash.
    pub partition: Option<i32>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// CreateTime in milliseconds; `None` is now, and so is 0 to librdkafka.
    pub timestamp: Option<i64>,
}

#[derive(Default)]
struct Deliveries {
    delivered: AtomicU64,
    failed: AtomicU64,
    first_failure: OnceLock<String>,
    /// What the client last said of its connections.
    complaint: Mutex<Option<String>>,
}

struct Counting(Arc<Deliveries>);

impl ClientContext for Counting {
    /// librdkafka says the same many times a second while no broker is there; whoever waits for
    /// one is told by `topics` or by the delivery, with the reason that is kept here.
    fn error(&self, error: ClientError, reason: &str) {
        tracing::debug!(%error, reason, "the producer's client complains");
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            let mut complaint = self.0.complaint.lock().unwrap_or_else(PoisonError::into_inner);
            *complaint = Some(reason.to_owned());
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(?level, facility, "{text}");
    }
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.delivered.fetch_add(1, Ordering::Relaxed),
            Err((error, _)) => {
                if self.0.first_failure.set(error.to_string()).is_ok() {
                    tracing::warn!(%error, "a sample record was not delivered");
                }
                self.0.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// A producer that counts what was delivered.
pub struct SampleProducer {
    producer: ThreadedProducer<Counting>,
    deliveries: Arc<Deliveries>,
}

impl SampleProducer {
    /// Connects with librdkafka's properties for producers.
    pub fn connect(
        bootstrap_servers: &str,
        properties: &BTreeMap<String, SecretString>,
    ) -> Result<Self, KafkaError> {
        let deliveries = Arc::new(Deliveries::default());
        let mut config = client_config(bootstrap_servers, properties);
        for (key, alias, value) in DEFAULTS {
            if !properties.contains_key(*key) && !properties.contains_key(*alias) {
                config.set(*key, *value);
            }
        }
        let producer = config
            .create_with_context(Counting(Arc::clone(&deliveries)))
            .map_err(|error| KafkaError::Config(error.to_string()))?;
        Ok(Self { producer, deliveries })
    }

    /// Queues one record; waits while the queue is full.
    pub fn send(&self, sample: &SampleRecord<'_>) -> Result<(), KafkaError> {
        let mut record = base_record(sample);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) => {
                    let full = RDKafkaErrorCode::QueueFull;
                    if error.rdkafka_error_code() != Some(full) {
                        let what = format!("produce to {}", sample.topic);
                        return Err(KafkaError::Request { what, reason: error.to_string() });
                    }
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                    record = back;
                }
            }
        }
    }

    /// Waits until everything queued is delivered or failed.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.producer.flush(timeout).map_err(|error| KafkaError::Request {
            what: "flush of the producer".to_owned(),
            reason: error.to_string(),
        })
    }

    /// How many records the brokers took.
    pub fn delivered(&self) -> u64 {
        self.deliveries.delivered.load(Ordering::Relaxed)
    }

    /// How many were given up.
    pub fn failed(&self) -> u64 {
        self.deliveries.failed.load(Ordering::Relaxed)
    }

    /// Why the first record that was given up was given up.
    pub fn first_failure(&self) -> Option<&str> {
        self.deliveries.first_failure.get().map(String::as_str)
    }

    /// The topics of the cluster that this client may see, with their numbers of Kafka
    /// partitions. An error means that no broker answered in time.
    pub fn topics(&self, timeout: Duration) -> Result<BTreeMap<String, usize>, KafkaError> {
        let answer = self.producer.client().fetch_metadata(None, timeout);
        let metadata = answer.map_err(|error| {
            let complaint = self.deliveries.complaint.lock();
            let complaint = complaint.unwrap_or_else(PoisonError::into_inner).clone();
            let reason = complaint.unwrap_or_else(|| error.to_string());
            KafkaError::Request { what: "list of topics".to_owned(), reason }
        })?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }
}

fn base_record<'a>(sample: &SampleRecord<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut record = BaseRecord::to(sample.topic);
    record.partition = sample.partition;
    record.key = sample.key;
    record.payload = sample.value;
    record.timestamp = sample.timestamp;
    if !sample.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(sample.headers.len());
        let headers = sample
            .headers
            .iter()
            .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: *value }));
        debug_assert_eq!(headers.count(), sample.headers.len());
        record = record.headers(headers);
    }
    record
}

/// Makes a topic; one that is there already is left as it is. `properties` are the client's,
/// `config` the topic's.
pub async fn create_topic(
    bootstrap_servers: &str,
    properties: &BTreeMap<String, SecretString>,
    topic: &str,
    partitions: i32,
    config: &[(&str, &str)],
) -> Result<(), KafkaError> {
    let failed = |reason| KafkaError::Request { what: format!("create topic {topic}"), reason };
    let admin: AdminClient<DefaultClientContext> = client_config(bootstrap_servers, properties)
        .create()
        .map_err(|error: ClientError| KafkaError::Config(error.to_string()))?;
    // Replication factor -1 is the broker's default.
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    for (key, value) in config {
        new = new.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
    let results = admin.create_topics([&new], &options).await.map_err(|e| failed(e.to_string()))?;
    match results.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(failed(code.to_string()))
        }
        _ => Ok(()),
    }
}

fn client_config(
    bootstrap_servers: &str,
    properties: &BTreeMap<String, SecretString>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers).set("ssl.ca.location", "probe");
    for (key, value) in properties {
        config.set(key, value.expose_secret());
    }
    config
}
