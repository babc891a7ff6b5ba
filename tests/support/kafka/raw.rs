//! Records of any shape, one by one, and transactions that commit or abort.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::ProducerContext;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::{Broker, Bulk};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A record as a test wants it; by default a tombstone without a key in Kafka partition 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawRecord {
    /// The Kafka partition.
    pub(crate) partition: i32,
    /// The key.
    pub(crate) key: Option<Vec<u8>>,
    /// The value.
    pub(crate) value: Option<Vec<u8>>,
    /// CreateTime; `None` is now.
    pub(crate) timestamp_ms: Option<i64>,
    /// The headers.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl RawRecord {
    /// A record with a value only.
    pub(crate) fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    fn native<'a, D: rdkafka::util::IntoOpaque>(
        &'a self,
        topic: &'a str,
        opaque: D,
    ) -> BaseRecord<'a, [u8], [u8], D> {
        let mut record = BaseRecord::with_opaque_to(topic, opaque).partition(self.partition);
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record.timestamp = self.timestamp_ms;
        if !self.headers.is_empty() {
            let headers = self.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            record = record.headers(headers);
        }
        record
    }
}

impl Broker {
    /// Produces the records in order and returns the offset of each.
    pub(crate) fn produce_raw(&self, topic: &str, records: &[RawRecord]) -> Vec<i64> {
        let context = Offsets(Mutex::new(vec![-1; records.len()]));
        let producer: BaseProducer<Offsets> = self
            .client_config()
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "33554432")
            .create_with_context(context)
            .expect("producer");
        for (number, record) in records.iter().enumerate() {
            let sent = producer.send(record.native(topic, number));
            sent.unwrap_or_else(|(error, _)| panic!("produce to {topic}: {error}"));
        }
        producer.flush(TIMEOUT).expect("every record is answered");
        producer.context().0.lock().expect("offsets").clone()
    }
}

/// Notes the offset of every record by its number.
struct Offsets(Mutex<Vec<i64>>);

impl ClientContext for Offsets {}

impl ProducerContext for Offsets {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(message) => self.0.lock().expect("offsets")[number] = message.offset(),
            Err((error, message)) => panic!("record for {}: {error}", message.topic()),
        }
    }
}

/// A producer whose records become visible, or never do.
pub(crate) struct Transactions(BaseProducer<DefaultProducerContext>);

impl Transactions {
    /// Takes up the transactional id, which fences its former holder.
    pub(crate) fn new(broker: &Broker, transactional_id: &str) -> Self {
        let producer: BaseProducer = broker
            .client_config()
            .set("transactional.id", transactional_id)
            .set("linger.ms", "5")
            .create()
            .expect("producer");
        producer.init_transactions(TIMEOUT).expect("init transactions");
        Self(producer)
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) {
        self.0.begin_transaction().expect("begin");
    }

    /// Sends the records of `bulk` in the open transaction and waits until the broker has them.
    pub(crate) fn send(&self, bulk: &Bulk) {
        bulk.send(&self.0);
        self.0.flush(TIMEOUT).expect("every record is acknowledged");
    }

    /// Commits the open transaction.
    pub(crate) fn commit(&self) {
        self.0.commit_transaction(TIMEOUT).expect("commit");
    }

    /// Aborts it; what was sent stays in the log and is never read.
    pub(crate) fn abort(&self) {
        self.0.abort_transaction(TIMEOUT).expect("abort");
    }
}
