//! Producers that go on while everything around them fails: each record has a number of its own in
//! its Kafka partition, and what the broker acknowledged is known in the end.

use std::collections::BTreeMap;
use std::iter::once;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::scenario::{Tenant, Use};
use crate::servers::Topic;
use crate::stage::Stage;
use crate::support::kafka::Bulk;

/// Ranges of sequence numbers by Kafka partition.
pub(crate) type Ranges = BTreeMap<i32, Vec<Range<u64>>>;

/// What a producer knows of its records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Produced {
    /// Acknowledged, and committed where there are transactions.
    pub(crate) acknowledged: Ranges,
    /// In transactions that were aborted.
    pub(crate) aborted: Ranges,
    /// In transactions whose end nobody told: the log decides.
    pub(crate) unknown: Ranges,
}

/// Keys of a compacted topic, in each Kafka partition.
const KEYS: u64 = 40;
const HOUR_MS: i64 = 3_600_000;
const TICK: Duration = Duration::from_millis(20);
/// A transaction takes so long, if nothing goes wrong.
const TRANSACTION: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(180);

/// Errors of records that the broker did not take.
#[derive(Default)]
struct Refusals(Mutex<Vec<String>>);

impl ClientContext for Refusals {}

impl ProducerContext for Refusals {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: ()) {
        if let Err((error, _)) = result {
            self.0.lock().expect("refusals").push(error.to_string());
        }
    }
}

/// The source of one topic's records.
pub(crate) struct Source<'a> {
    stage: &'a Stage<'a>,
    tenant: &'a Tenant,
    topic: &'a Topic,
    bulk: Bulk,
    /// The next sequence number of each Kafka partition.
    next: Vec<u64>,
    turn: usize,
    began: Instant,
    sent: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn new(stage: &'a Stage<'a>, tenant: &'a Tenant, topic: &'a Topic) -> Self {
        // A compacted topic stays within one Hive partition: compaction must not leave a batch with
        // fewer objects than it had before a crash. The others cross an hour every now and then.
        let step_us = if tenant.topic == Use::Compacted { 1_000 } else { 600_000 };
        // By the times of records, a broker forgets a producer after a day: when it comes back after
        // a SIGKILL it would take what is sent again for new, were they older.
        let hour = jiff::Timestamp::now().as_millisecond() / HOUR_MS * HOUR_MS;
        let bulk = Bulk { size: 300, step_us, first_ms: hour, ..Bulk::new(&topic.name, 1, 0) };
        let (next, began) = (Vec::new(), Instant::now());
        Self { stage, tenant, topic, bulk, next, turn: 0, began, sent: 0 }
    }

    /// Produces until `over`, then waits until all is acknowledged.
    pub(crate) fn run(mut self, over: impl Fn() -> bool) -> Produced {
        if self.tenant.topic == Use::Transactions {
            return self.run_transactions(over);
        }
        let producer = self.producer(None);
        while !over() {
            self.send_due(&producer);
            std::thread::sleep(TICK);
        }
        if let Err(error) = producer.flush(PATIENCE) {
            self.stage.break_off(format!("producer of {}: {error}", self.topic.name));
        }
        self.refuse_refusals(&producer);
        let all = self.next.iter().enumerate();
        let acknowledged = all.map(|(number, next)| (number as i32, once(0..*next).collect()));
        let acknowledged = acknowledged.collect();
        Produced { acknowledged, ..Produced::default() }
    }

    fn producer(&self, transactional_id: Option<&str>) -> ThreadedProducer<Refusals> {
        let mut config = self.stage.cluster.client_config();
        config
            .set("enable.idempotence", "true")
            .set("compression.codec", "lz4")
            .set("linger.ms", "20")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("queue.buffering.max.messages", "500000")
            .set("delivery.report.only.error", "true");
        match transactional_id {
            Some(id) => config.set("transactional.id", id),
            // A broker that was taken away comes back: wait for it as long as it takes.
            None => config.set("message.timeout.ms", "0"),
        };
        config.create_with_context(Refusals::default()).expect("producer")
    }

    /// An idempotent producer that waits for ever is refused nothing; if it is, what stands in the
    /// log is not what these tests are about.
    fn refuse_refusals(&self, producer: &ThreadedProducer<Refusals>) {
        let refusals = producer.context().0.lock().expect("refusals");
        if let Some(first) = refusals.first() {
            let (name, count) = (&self.topic.name, refusals.len());
            self.stage.break_off(format!("producer of {name}: {count} records refused: {first}"));
        }
    }

    /// Sends what the rate asks for by now, to all Kafka partitions that are there in turn.
    fn send_due(&mut self, producer: &ThreadedProducer<Refusals>) {
        let due = (self.began.elapsed().as_secs_f64() * self.tenant.rate as f64) as u64;
        let partitions = self.topic.partitions.load(Ordering::Relaxed) as usize;
        self.next.resize(partitions, 0);
        let mut value = Vec::new();
        while self.sent < due {
            let at = self.turn % partitions;
            let sequence = self.next[at];
            self.bulk.write_value(at as i32, sequence, &mut value);
            if let Err(error) = self.send(producer, at as i32, sequence, &value) {
                // The client does not know a new Kafka partition yet, its queue is full, or its
                // transaction is lost, which the end of it tells.
                self.stage.tell(&format!("producer of {}: {error}", self.topic.name));
                std::thread::sleep(Duration::from_millis(100));
                return;
            }
            self.next[at] += 1;
            self.turn += 1;
            self.sent += 1;
        }
    }

    fn send(
        &self,
        producer: &ThreadedProducer<Refusals>,
        partition: i32,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), KafkaError> {
        let key = format!("k{}", sequence % KEYS);
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic.name)
            .partition(partition)
            .timestamp(self.bulk.timestamp_ms(sequence))
            .payload(value);
        if self.tenant.topic == Use::Compacted {
            record = record.key(key.as_bytes());
        }
        producer.send(record).map_err(|(error, _)| error)
    }

    fn run_transactions(&mut self, over: impl Fn() -> bool) -> Produced {
        let mut produced = Produced::default();
        let mut dice = self.stage.dice(&format!("{} transactions", self.topic.name));
        let mut producer = None;
        while !over() {
            let Some(current) = producer.take().or_else(|| self.transactional()) else { continue };
            let before = self.next.clone();
            let commits = !dice.one_in(3);
            let end = self.one_transaction(&current, commits);
            let of = match end {
                End::Committed => &mut produced.acknowledged,
                End::Aborted => &mut produced.aborted,
                End::Unknown => &mut produced.unknown,
            };
            for (partition, next) in self.next.iter().enumerate() {
                let first = before.get(partition).copied().unwrap_or_default();
                of.entry(partition as i32).or_default().push(first..*next);
            }
            if end == End::Aborted {
                self.stage.counts.saw(crate::faults::Fault::TransactionAborted, 1);
            }
            // One whose end is not known is of no more use.
            producer = (end != End::Unknown).then_some(current);
        }
        produced
    }

    /// Takes up the transactional id; nothing if that fails.
    fn transactional(&self) -> Option<ThreadedProducer<Refusals>> {
        let producer = self.producer(Some(&self.topic.name));
        match producer.init_transactions(Duration::from_secs(30)) {
            Ok(()) => Some(producer),
            Err(error) => {
                self.stage.tell(&format!("init transactions of {}: {error}", self.topic.name));
                None
            }
        }
    }

    fn one_transaction(&mut self, producer: &ThreadedProducer<Refusals>, commits: bool) -> End {
        if let Err(error) = producer.begin_transaction() {
            self.stage.tell(&format!("begin a transaction of {}: {error}", self.topic.name));
            return End::Unknown;
        }
        let until = Instant::now() + TRANSACTION;
        while Instant::now() < until {
            self.send_due(producer);
            std::thread::sleep(TICK);
        }
        if commits {
            match self.settle(|| producer.commit_transaction(Duration::from_secs(10))) {
                Settled::Done => return End::Committed,
                Settled::Never => return End::Unknown,
                Settled::MustAbort => {}
            }
        }
        match self.settle(|| producer.abort_transaction(Duration::from_secs(10))) {
            Settled::Done => End::Aborted,
            _ => End::Unknown,
        }
    }

    /// Tries until it is known how it ends.
    fn settle(&self, try_it: impl Fn() -> Result<(), KafkaError>) -> Settled {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let error = match try_it() {
                Ok(()) => return Settled::Done,
                Err(error) => error,
            };
            self.stage.tell(&format!("a transaction of {}: {error}", self.topic.name));
            match &error {
                KafkaError::Transaction(error) if error.txn_requires_abort() => {
                    return Settled::MustAbort;
                }
                KafkaError::Transaction(error) if error.is_retriable() => {}
                KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => {}
                _ => return Settled::Never,
            }
        }
        Settled::Never
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
    Unknown,
}

enum Settled {
    Done,
    MustAbort,
    Never,
}
