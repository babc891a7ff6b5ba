//! What is told of the status: the bodies of `/livez`, `/readyz` and `/status`, and the line
//! that systemd shows.

use serde::Serialize;

use super::{Condition, KafkaPartitionStatus, Status, Stop, lock};
use crate::telemetry::{clock, memory};

/// The body of `/livez`.
#[derive(Debug, Serialize)]
pub(in crate::telemetry) struct Liveness {
    pub(in crate::telemetry) live: bool,
    stale: Vec<BeatReport>,
}

#[derive(Debug, Serialize)]
struct BeatReport {
    name: String,
    age_seconds: f64,
}

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(in crate::telemetry) struct Readiness {
    pub(in crate::telemetry) ready: bool,
    pub(in crate::telemetry) conditions: Vec<ConditionReport>,
    pub(in crate::telemetry) stopped_kafka_partitions: Vec<StoppedReport>,
}

#[derive(Debug, Serialize)]
pub(in crate::telemetry) struct ConditionReport {
    pub(in crate::telemetry) condition: &'static str,
    pub(in crate::telemetry) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::telemetry) struct StoppedReport {
    topic: String,
    partition: i32,
    code: &'static str,
    reason: String,
    since: String,
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub(in crate::telemetry) struct FullReport {
    version: &'static str,
    started: String,
    now: String,
    resident_bytes: Option<u64>,
    live: bool,
    beats: Vec<BeatReport>,
    #[serde(flatten)]
    readiness: Readiness,
    kafka_partitions: Vec<PartitionReport>,
}

#[derive(Debug, Serialize)]
struct PartitionReport {
    topic: String,
    partition: i32,
    epoch: u64,
    state: String,
    since: String,
    paused: bool,
    position: Option<i64>,
    committed: Option<i64>,
    end: Option<i64>,
    consumed_lag: Option<i64>,
    landed_lag: Option<i64>,
    open_records: u64,
    open_bytes: u64,
    last_read_time: Option<String>,
    oldest_unlanded_time: Option<String>,
    oldest_unlanded_read_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<String>,
}

impl From<KafkaPartitionStatus> for PartitionReport {
    fn from(status: KafkaPartitionStatus) -> Self {
        let (consumed_lag, landed_lag) = (status.consumed_lag(), status.landed_lag());
        let (stop_code, stop_reason) = status.stop.map(|stop| (stop.code, stop.message)).unzip();
        Self {
            topic: status.partition.topic.to_string(),
            partition: status.partition.partition,
            epoch: status.epoch.0,
            state: status.state.into_owned(),
            since: clock::rfc3339(status.since),
            paused: status.paused,
            position: status.position.map(|offset| offset.0),
            committed: status.committed.map(|offset| offset.0),
            end: status.end.map(|offset| offset.0),
            consumed_lag,
            landed_lag,
            open_records: status.open_records,
            open_bytes: status.open_bytes,
            last_read_time: status.last_read_time.map(clock::rfc3339),
            oldest_unlanded_time: status.oldest_unlanded_time.map(clock::rfc3339),
            oldest_unlanded_read_at: status.oldest_unlanded_read_at.map(clock::rfc3339),
            stop_code,
            stop_reason,
        }
    }
}

impl Status {
    pub(in crate::telemetry) fn liveness(&self) -> Liveness {
        let stale: Vec<_> =
            self.heart.stale(clock::monotonic()).into_iter().map(BeatReport::from).collect();
        Liveness { live: stale.is_empty(), stale }
    }

    pub(in crate::telemetry) fn readiness(&self) -> Readiness {
        self.readiness_with(&self.kafka_partitions())
    }

    fn readiness_with(&self, partitions: &[KafkaPartitionStatus]) -> Readiness {
        let stopped: Vec<_> = partitions.iter().filter_map(StoppedReport::of).collect();
        let mut conditions = self.conditions();
        let count = stopped.len();
        conditions.push(ConditionReport {
            condition: "no_kafka_partition_stopped",
            ok: count == 0,
            reason: (count > 0).then(|| format!("stopped Kafka partitions: {count}")),
            since: None,
        });
        let ready = conditions.iter().all(|condition| condition.ok);
        Readiness { ready, conditions, stopped_kafka_partitions: stopped }
    }

    /// Whether the start is done: everything is there that was waited for. A Kafka partition that
    /// stopped does not count, for the others go on.
    pub(in crate::telemetry) fn has_begun(&self) -> bool {
        lock(&self.daemon).conditions.iter().all(|report| report.unmet.is_none())
    }

    /// What the daemon reported, and that it is not on its way out.
    fn conditions(&self) -> Vec<ConditionReport> {
        let daemon = lock(&self.daemon);
        let reported = Condition::ALL.iter().zip(&daemon.conditions);
        let mut reports: Vec<_> = reported
            .map(|(condition, report)| ConditionReport {
                condition: condition.as_str(),
                ok: report.unmet.is_none(),
                reason: report.unmet.clone(),
                since: Some(clock::rfc3339(report.since)),
            })
            .collect();
        reports.push(ConditionReport {
            condition: "not_shutting_down",
            ok: daemon.shutting_down.is_none(),
            reason: daemon.shutting_down.map(|_| "the daemon is shutting down".into()),
            since: daemon.shutting_down.map(clock::rfc3339),
        });
        reports
    }

    pub(in crate::telemetry) fn full_report(&self) -> FullReport {
        let partitions = self.kafka_partitions();
        FullReport {
            version: env!("CARGO_PKG_VERSION"),
            started: clock::rfc3339(self.started),
            now: clock::rfc3339(clock::wall()),
            resident_bytes: memory::resident_bytes(),
            live: self.live(),
            beats: self.heart.heard(clock::monotonic()).into_iter().map(Into::into).collect(),
            readiness: self.readiness_with(&partitions),
            kafka_partitions: partitions.into_iter().map(Into::into).collect(),
        }
    }

    /// One line for people: what the daemon does, or what keeps it from being ready.
    pub fn summary(&self) -> String {
        let partitions = self.kafka_partitions();
        let readiness = self.readiness_with(&partitions);
        let lag: i64 = partitions.iter().filter_map(KafkaPartitionStatus::landed_lag).sum();
        let work = format!("Kafka partitions: {}, offsets not landed: {lag}", partitions.len());
        let unmet = readiness.conditions.into_iter().filter(|condition| !condition.ok);
        let unmet: Vec<_> = unmet
            .map(|condition| match condition.reason {
                Some(reason) => format!("{} ({reason})", condition.condition),
                None => condition.condition.to_owned(),
            })
            .collect();
        match unmet.is_empty() {
            true => format!("ready; {work}"),
            false => format!("not ready: {}; {work}", unmet.join(", ")),
        }
    }
}

impl StoppedReport {
    fn of(status: &KafkaPartitionStatus) -> Option<Self> {
        let Stop { code, message } = status.stop.as_ref()?;
        Some(Self {
            topic: status.partition.topic.to_string(),
            partition: status.partition.partition,
            code,
            reason: message.clone(),
            since: clock::rfc3339(status.since),
        })
    }
}

impl From<super::liveness::Heard> for BeatReport {
    fn from(heard: super::liveness::Heard) -> Self {
        Self { name: heard.name, age_seconds: heard.age.as_secs_f64() }
    }
}
