//! What a lane tells people: metrics for each event, a log line for those that matter, and the
//! status of its Kafka partitions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::clock::{Clock, cpu_of_this_thread, wall_now};
use super::group::Held;
use super::news::News;
use super::seen::Seen;
use super::spread::LaneLoad;
use super::tries::with_retry;
use super::watch::LogEnds;
use crate::pipeline::{Event, Fault, InvalidReason, LOST_REASONS, PartitionSnapshot, Sink};
use crate::record::{Epoch, Offset, StoreErrorClass, TimestampMs, TopicPartition};
use crate::telemetry::{
    KafkaPartitionStatus, LaneMetrics, Limiter, Metrics, Status, Step, Stop, TopicMetrics,
};

/// After so many tries (most of a minute) it will not heal by itself.
const HOPELESS_AFTER: u32 = 8;
/// One line in this time for each kind of trouble with each Kafka partition.
const QUIET: Duration = Duration::from_secs(10);

/// A lane's mouth.
pub(super) struct Observer {
    lane: usize,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    held: Held,
    ends: LogEnds,
    news: UnboundedSender<News>,
    topics: HashMap<Arc<str>, TopicMetrics>,
    shares: LaneMetrics,
    seen: HashMap<(TopicPartition, Epoch), Seen>,
    limiter: Limiter<(TopicPartition, &'static str)>,
    told_drained: bool,
}

impl Observer {
    pub(super) fn new(
        lane: usize,
        metrics: Arc<Metrics>,
        status: Arc<Status>,
        held: Held,
        ends: LogEnds,
        news: UnboundedSender<News>,
    ) -> Self {
        let shares = metrics.lane();
        Self {
            lane,
            metrics,
            status,
            held,
            ends,
            news,
            topics: HashMap::new(),
            shares,
            seen: HashMap::new(),
            limiter: Limiter::new(QUIET),
            told_drained: false,
        }
    }

    fn topic(&mut self, topic: &Arc<str>) -> &TopicMetrics {
        let metrics = &self.metrics;
        self.topics.entry(topic.clone()).or_insert_with(|| {
            let topic = metrics.topic(topic);
            // What is alerted on is there before it happens, or nobody would see the first increase.
            InvalidReason::ALL.iter().for_each(|reason| topic.dead_letters(reason.as_str(), 0));
            LOST_REASONS.iter().for_each(|reason| topic.lost(reason, 0));
            topic
        })
    }

    /// Counts an event, and logs it where somebody may want to know.
    pub(super) fn tell(&mut self, at: &TopicPartition, event: Event) {
        match event {
            Event::Begins { from, how } => {
                tracing::info!(kafka_partition = %at, offset = %from, "begins: {how}");
            }
            Event::Replays { range, pin_id } => {
                self.topic(&at.topic).replay();
                tracing::info!(kafka_partition = %at, %range, pin = %pin_id, "replays a pinned batch");
            }
            Event::ReadsAgain { range, pin_id } => {
                self.topic(&at.topic).replay();
                tracing::warn!(kafka_partition = %at, %range, pin = %pin_id, "reads a pinned batch again: what was spooled of it is lost");
            }
            Event::Adopts { range, pin_id } => {
                self.topic(&at.topic).adoption();
                tracing::warn!(kafka_partition = %at, %range, pin = %pin_id, "adopts a batch that another member won");
            }
            Event::BatchEnded { range, reason, objects } => {
                self.topic(&at.topic).batch_ended(reason.as_str());
                let reason = reason.as_str();
                tracing::debug!(kafka_partition = %at, %range, reason, objects, "batch ended");
            }
            Event::ObjectLanded {
                address, reason, records, stored, uncompressed, found, ..
            } => {
                self.topic(&at.topic).object_stored(reason.as_str(), stored, uncompressed);
                let reason = reason.as_str();
                tracing::debug!(kafka_partition = %at, object = %address, reason, records, stored, found, "object landed");
            }
            Event::Committed { range, records, age } => {
                self.topic(&at.topic).landed(records);
                self.metrics.committed();
                tracing::info!(kafka_partition = %at, %range, records, age_ms = age.as_millis() as u64, "committed");
            }
            Event::StepTook { step, took } => self.metrics.step_took(step_of(step), took),
            Event::Failed(fault) => self.failed(at, &fault),
            Event::Lost { range, reason, why } => {
                self.topic(&at.topic).lost(reason, range.len());
                tracing::error!(kafka_partition = %at, %range, reason, "offsets are passed over: {why}");
            }
            Event::Stopped(reason) => self.stopped(at, reason.code, &reason.text),
            Event::ReachedEnd => self.reached_end(at),
            Event::FencedForGood(message) => {
                let text =
                    format!("the group no longer knows this member and says nothing: {message}");
                let _ = self.news.send(News::Fatal(text));
            }
        }
    }

    fn failed(&self, at: &TopicPartition, fault: &Fault) {
        let class = fault.class.as_str();
        self.metrics.error(fault.operation, class);
        self.metrics.retry(fault.operation, class);
        if fault.class == StoreErrorClass::Configuration && fault.attempt >= HOPELESS_AFTER {
            let _ = self.news.send(News::ToBeMended(fault.message.clone()));
        }
        let key = (at.clone(), fault.operation);
        let Some(suppressed) = self.limiter.admit(key) else { return };
        let Fault { operation, attempt, .. } = fault;
        let message = with_retry(&fault.message);
        let wrong = matches!(fault.class, StoreErrorClass::Configuration | StoreErrorClass::Full);
        if wrong || *attempt >= 5 {
            tracing::error!(kafka_partition = %at, operation, class, attempt, suppressed, "{message}");
        } else {
            tracing::warn!(kafka_partition = %at, operation, class, attempt, suppressed, "{message}");
        }
    }

    fn stopped(&self, at: &TopicPartition, code: &'static str, text: &str) {
        tracing::error!(kafka_partition = %at, code, "stopped: {text}");
        self.mark(at, |holdings, key| {
            holdings.stopped.insert(key);
        });
    }

    fn reached_end(&self, at: &TopicPartition) {
        tracing::info!(kafka_partition = %at, "everything up to the end is in S3 and committed");
        self.mark(at, |holdings, key| {
            holdings.reached.insert(key);
        });
    }

    fn mark(
        &self,
        at: &TopicPartition,
        set: impl FnOnce(&mut super::group::Holdings, (TopicPartition, Epoch)),
    ) {
        let mut holdings = self.held.lock();
        if let Some(epoch) = holdings.held.get(at).copied() {
            set(&mut holdings, (at.clone(), epoch));
        }
        drop(holdings);
        let _ = self.news.send(News::Progress);
    }

    /// The position is outside the log.
    pub(super) fn out_of_range(&self, at: &TopicPartition, offset: Offset, message: &str) {
        self.metrics.error("fetch", "out_of_range");
        tracing::warn!(kafka_partition = %at, %offset, "the position is outside the log: {message}");
    }

    /// A fetch failed.
    pub(super) fn fetch_failed(&self, at: &TopicPartition, message: &str) {
        self.metrics.error("fetch", "retry");
        if let Some(suppressed) = self.limiter.admit((at.clone(), "fetch")) {
            tracing::warn!(kafka_partition = %at, suppressed, "fetch: {message}");
        }
    }

    /// A shutdown has nothing more to wait for in this lane.
    pub(super) fn drained(&mut self) {
        if !self.told_drained {
            self.told_drained = true;
            let _ = self.news.send(News::Drained);
        }
    }

    /// Replaces what is known of this lane; what it has done.
    pub(super) fn publish(&mut self, sink: &mut Sink, clock: &Clock) -> LaneLoad {
        self.count(sink);
        let snapshots = sink.snapshots();
        let reads = snapshots.iter().filter(|each| each.state == "running");
        let position =
            |each: &PartitionSnapshot| Some((each.partition.clone(), each.epoch, each.position?));
        let positions = reads.filter_map(position).collect();
        let open = snapshots.iter().filter(|each| each.oldest_read.is_some()).count();
        self.shares.open_batches.set(open as u64);
        self.shares.batch_bytes.set(snapshots.iter().map(|each| each.open_bytes).sum());
        self.shares.in_flight_bytes.set(snapshots.iter().map(|each| each.landing_bytes).sum());
        let present: HashSet<_> =
            snapshots.iter().map(|each| (each.partition.clone(), each.epoch)).collect();
        self.seen.retain(|key, _| present.contains(key));
        for each in &snapshots {
            self.topic(&each.partition.topic);
        }
        let statuses = snapshots.into_iter().map(|each| self.status_of(each, clock)).collect();
        self.status.update(self.lane, statuses);
        LaneLoad { cpu: cpu_of_this_thread(), positions }
    }

    fn count(&mut self, sink: &mut Sink) {
        for (topic, counters) in sink.take_counters() {
            let metrics = self.topic(&topic);
            metrics.consumed(counters.records, counters.bytes);
            metrics.compacted_lines(counters.compacted);
            metrics.unusable_timestamps(counters.unusable_time);
            for (reason, count) in &counters.dead_letters {
                metrics.dead_letters(reason.as_str(), *count);
            }
            for (reason, count) in &counters.skipped {
                metrics.skipped(reason.as_str(), *count);
            }
            self.tell_rejected(&topic, "to the dead letters", &counters.dead_letters);
            self.tell_rejected(&topic, "skipped", &counters.skipped);
        }
    }

    /// Nothing is left out without a line, at a limited rate.
    fn tell_rejected(
        &self,
        topic: &Arc<str>,
        fate: &'static str,
        counts: &std::collections::BTreeMap<InvalidReason, u64>,
    ) {
        for (reason, count) in counts {
            let key = (TopicPartition::new(topic.clone(), -1), reason.as_str());
            if let Some(suppressed) = self.limiter.admit(key) {
                let reason = reason.as_str();
                tracing::warn!(%topic, reason, count, suppressed, "records {fate}");
            }
        }
    }

    fn status_of(&mut self, each: PartitionSnapshot, clock: &Clock) -> KafkaPartitionStatus {
        let key = (each.partition.clone(), each.epoch);
        let now = TimestampMs(wall_now());
        let seen = self.seen.entry(key).or_insert_with(|| Seen::new(each.state, now));
        seen.state(each.state, now);
        let mut status =
            KafkaPartitionStatus::new(each.partition, each.epoch, each.state, seen.since);
        status.paused = each.state == "paused";
        status.position = each.position;
        status.committed = each.committed;
        // The watcher asks seldom, an EOF tells at once: the later end is the truer one.
        status.end = self.ends.of(&status.partition).max(each.log_end).max(each.position);
        seen.landed(status.committed, status.landed_lag(), now);
        status.waiting_since = seen.waiting_since;
        status.max_age = Some(each.max_age);
        status.open_records = each.open_records;
        status.open_bytes = each.open_bytes;
        status.last_read_time = each.last_timestamp;
        status.oldest_unlanded_time = each.oldest_timestamp;
        status.oldest_unlanded_read_at = each.oldest_read.map(|at| clock.wall(at));
        status.stop = each.stopped.map(|reason| Stop { code: reason.code, message: reason.text });
        status
    }
}

fn step_of(step: &str) -> Step {
    match step {
        "pin" => Step::Pin,
        "claim" => Step::Claim,
        "put" => Step::Put,
        _ => Step::Commit,
    }
}
