//! The gauges that are read off [`Status`] at the moment of a scrape.
//!
//! They live in a registry that is made for one scrape: what is revoked has no series any more,
//! with nobody to remember its removal, and ages go on growing even if a lane hangs.

use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec};

use super::define::Definer;
use crate::record::TimestampMs;
use crate::telemetry::status::{KafkaPartitionStatus, Status};
use crate::telemetry::{clock, memory};

/// All families, as of now.
pub(super) fn families(status: &Status) -> Vec<MetricFamily> {
    let mut define = Definer::new();
    describe(&mut define, status, clock::wall());
    define.registry.gather()
}

/// Defines the gauges and fills them; `now` decides the ages.
pub(super) fn describe(define: &mut Definer, status: &Status, now: TimestampMs) {
    let partitions = status.kafka_partitions();
    let gauges = KafkaPartitionGauges::new(define);
    for partition in &partitions {
        gauges.fill(partition, now);
    }
    totals(define, &partitions);
    max_ages(define, &partitions);
    readiness(define, status);
    let resident = define.gauge("memory_resident_bytes", "Resident size of the process.");
    resident.set(memory::resident_bytes().unwrap_or(0) as i64);
}

fn totals(define: &mut Definer, partitions: &[KafkaPartitionStatus]) {
    let count = |wanted: fn(&KafkaPartitionStatus) -> bool| {
        partitions.iter().filter(|partition| wanted(partition)).count() as i64
    };
    define
        .gauge("assigned_kafka_partitions", "Kafka partitions that this member holds.")
        .set(partitions.len() as i64);
    define
        .gauge("paused_kafka_partitions", "Kafka partitions that are held but not read from now.")
        .set(count(|partition| partition.paused));
    define
        .gauge("stopped_kafka_partitions", "Kafka partitions that need an operator.")
        .set(count(|partition| partition.stop.is_some()));
}

/// As a metric, so that no alert on lags has to be told of it.
fn max_ages(define: &mut Definer, partitions: &[KafkaPartitionStatus]) {
    let help = "rotation.max_age of the topic: after that long a batch ends.";
    let max_ages = define.float_gauges("max_age_seconds", help, &["topic"]);
    for partition in partitions {
        if let Some(max_age) = partition.max_age {
            max_ages.with_label_values(&[&*partition.partition.topic]).set(max_age.as_secs_f64());
        }
    }
}

fn readiness(define: &mut Definer, status: &Status) {
    let readiness = status.readiness();
    define
        .gauge("ready", "1 if every condition of /readyz holds, else 0.")
        .set(readiness.ready.into());
    let help = "1 if this condition of /readyz holds, else 0.";
    let conditions = define.gauges("ready_condition", help, &["condition"]);
    for condition in &readiness.conditions {
        conditions.with_label_values(&[condition.condition]).set(condition.ok.into());
    }
}

/// The gauges with a label for the Kafka partition; no others have one.
struct KafkaPartitionGauges {
    consumed_lag_records: IntGaugeVec,
    landed_lag_records: IntGaugeVec,
    consumed_lag_seconds: GaugeVec,
    landed_lag_seconds: GaugeVec,
    oldest_unlanded_age: GaugeVec,
    landing_stalled: GaugeVec,
    stopped: IntGaugeVec,
}

#[rustfmt::skip] // one line a metric reads as the table it is
impl KafkaPartitionGauges {
    fn new(define: &mut Definer) -> Self {
        let labels = &["topic", "partition"];
        Self {
            consumed_lag_records: define.gauges("consumed_lag_records", "End of the log minus the position: offsets not read yet.", labels),
            landed_lag_records: define.gauges("landed_lag_records", "End of the log minus the committed offset: offsets not landed yet.", labels),
            consumed_lag_seconds: define.float_gauges("consumed_lag_seconds", "Age of the last record read by its own timestamp while more are there, else 0.", labels),
            landed_lag_seconds: define.float_gauges("landed_lag_seconds", "Age of the oldest record read but not landed by its own timestamp, 0 if all have landed.", labels),
            oldest_unlanded_age: define.float_gauges("oldest_unlanded_age_seconds", "Time since the oldest record that has not landed was read, 0 if there is none; none for a stopped Kafka partition.", labels),
            landing_stalled: define.float_gauges("landing_stalled_seconds", "Time since the committed offset last moved, 0 if nothing waits behind it; of a stopped Kafka partition too.", labels),
            stopped: define.gauges("kafka_partition_stopped", "1 for a Kafka partition that needs an operator; /status has the whole reason.", &["topic", "partition", "reason"]),
        }
    }
}

impl KafkaPartitionGauges {
    fn fill(&self, status: &KafkaPartitionStatus, now: TimestampMs) {
        let topic = &*status.partition.topic;
        let number = status.partition.partition.to_string();
        let labels = &[topic, number.as_str()];
        if let Some(lag) = status.consumed_lag() {
            self.consumed_lag_records.with_label_values(labels).set(lag);
        }
        if let Some(lag) = status.landed_lag() {
            self.landed_lag_records.with_label_values(labels).set(lag);
        }
        // What is not known has no series: 0 would say that all is well.
        if let Some(seconds) = consumed_seconds(status, now) {
            self.consumed_lag_seconds.with_label_values(labels).set(seconds);
        }
        if let Some(seconds) = landed_seconds(status, now) {
            self.landed_lag_seconds.with_label_values(labels).set(seconds);
        }
        let since = |then: Option<TimestampMs>| then.map_or(0.0, |then| seconds_since(then, now));
        // A stopped one has let go of what it had read, which says nothing of what waits in Kafka.
        if status.stop.is_none() {
            let age = since(status.oldest_unlanded_read_at);
            self.oldest_unlanded_age.with_label_values(labels).set(age);
        }
        self.landing_stalled.with_label_values(labels).set(since(status.waiting_since));
        if let Some(stop) = &status.stop {
            self.stopped.with_label_values(&[topic, &number, stop.code]).set(1);
        }
    }
}

fn consumed_seconds(status: &KafkaPartitionStatus, now: TimestampMs) -> Option<f64> {
    match status.consumed_lag()? {
        0 => Some(0.0),
        _ => status.last_read_time.map(|time| seconds_since(time, now)),
    }
}

fn landed_seconds(status: &KafkaPartitionStatus, now: TimestampMs) -> Option<f64> {
    match status.landed_lag()? {
        0 => Some(0.0),
        _ => status.oldest_unlanded_time.map(|time| seconds_since(time, now)),
    }
}

/// A timestamp from the future is no lag.
fn seconds_since(then: TimestampMs, now: TimestampMs) -> f64 {
    now.0.saturating_sub(then.0).max(0) as f64 / 1000.0
}
