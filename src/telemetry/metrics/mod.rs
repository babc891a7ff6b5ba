//! Every metric of the process, each name defined once.
//!
//! Lanes and the daemon keep the handles ([`TopicMetrics`], [`LaneMetrics`]) and add to them;
//! `http` renders them. Gauges by Kafka partition are not handles: they are read off
//! [`Status`] at the moment of a scrape. Labels are the topic at most, never a key,
//! a path or an offset.

mod define;
mod lane;
mod snapshot;
mod spool;
#[cfg(test)]
mod tests;
mod topic;

pub use lane::{LaneMetrics, Share};
pub use spool::{SpoolMetrics, SpoolOperation};
pub use topic::{TopicMetrics, Totals};

use std::time::Duration;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use self::define::Definer;
use self::topic::TopicFamilies;
use super::clock;
use super::status::Status;

/// 1 ms to 5 min: a commit takes some milliseconds, a large put over a slow line minutes.
const LATENCY_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

/// A step of the protocol, or what is timed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The commit that carries a pin and nothing else.
    Pin,
    /// The put of a batch's first object.
    Claim,
    /// The put of another object of a batch.
    Put,
    /// A commit that moves the position, with or without the next pin.
    Commit,
}

impl Step {
    const ALL: [Self; 4] = [Self::Pin, Self::Claim, Self::Put, Self::Commit];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Claim => "claim",
            Self::Put => "put",
            Self::Commit => "commit",
        }
    }
}

/// What a rebalance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceKind {
    /// Kafka partitions came, or the group answered that there are none.
    Assigned,
    /// Kafka partitions went in good order.
    Revoked,
    /// Kafka partitions were lost: the group went on without this member.
    Lost,
}

impl RebalanceKind {
    const ALL: [Self; 3] = [Self::Assigned, Self::Revoked, Self::Lost];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}

/// What became of a SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// What a running daemon can take up is in force.
    Done,
    /// The configuration is wrong; nothing was changed.
    Refused,
}

impl Reload {
    const ALL: [Self; 2] = [Self::Done, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// The metrics of the process; one, shared by all.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    topics: TopicFamilies,
    latency: [Histogram; Step::ALL.len()],
    rebalances: [IntCounter; RebalanceKind::ALL.len()],
    reloads: [IntCounter; Reload::ALL.len()],
    retries: IntCounterVec,
    errors: IntCounterVec,
    open_batches: IntGauge,
    memory_budget: IntGauge,
    memory_batches_budget: IntGauge,
    memory_batches: IntGauge,
    memory_in_flight: IntGauge,
    last_commit: IntGauge,
    spool: SpoolMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero, in a registry of their own.
    pub fn new() -> Self {
        Self::define(Definer::new()).0
    }

    fn define(mut define: Definer) -> (Self, Vec<String>) {
        let metrics = Self::all(&mut define);
        // The usual names without our prefix: every dashboard knows them.
        let process = Box::new(ProcessCollector::for_self());
        define.registry.register(process).expect("the process is described once");
        (metrics, define.names)
    }

    #[rustfmt::skip] // one line a metric reads as the table it is
    fn all(define: &mut Definer) -> Self {
        let build = define.gauges("build_info", "Always 1; the labels say which build runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let latency = define.histograms("step_duration_seconds", "Time that a step of the protocol took, retries included.", &["step"], LATENCY_BUCKETS);
        let rebalances = define.counters("rebalances_total", "Rebalances of the group, by what they did to this member.", &["kind"]);
        let reloads = define.counters("config_reloads_total", "Times that the configuration was read again (SIGHUP), by what became of it.", &["result"]);
        Self {
            registry: define.registry.clone(),
            topics: TopicFamilies::new(define),
            latency: Step::ALL.map(|step| latency.with_label_values(&[step.as_str()])),
            rebalances: RebalanceKind::ALL.map(|kind| rebalances.with_label_values(&[kind.as_str()])),
            reloads: Reload::ALL.map(|result| reloads.with_label_values(&[result.as_str()])),
            retries: define.counters("retries_total", "Requests to Kafka and to the store that were tried again.", &["operation", "class"]),
            errors: define.counters("errors_total", "Requests to Kafka and to the store that failed.", &["operation", "class"]),
            open_batches: define.gauge("open_batches", "Batches that are open or on their way."),
            memory_budget: define.gauge("memory_budget_bytes", "The memory that the process may use (memory.limit)."),
            memory_batches_budget: define.gauge("memory_batches_budget_bytes", "The part of memory.limit that batches may hold until they have landed; at it reading waits."),
            memory_batches: define.gauge("memory_batches_bytes", "Memory that open batches and their encoders hold."),
            memory_in_flight: define.gauge("memory_in_flight_bytes", "Memory that ended batches hold until they have landed."),
            spool: SpoolMetrics::new(define),
            last_commit: define.gauge("last_commit_timestamp_seconds", "Unix time of the last commit that Kafka stored, 0 before the first."),
        }
    }

    /// The counters of a topic: ask once, keep the set.
    pub fn topic(&self, topic: &str) -> TopicMetrics {
        self.topics.topic(topic)
    }

    /// What the run has landed so far.
    pub fn totals(&self) -> Totals {
        self.topics.totals()
    }

    /// A lane's part of the process-wide gauges: ask once a lane.
    pub fn lane(&self) -> LaneMetrics {
        LaneMetrics {
            open_batches: Share::of(&self.open_batches),
            batch_bytes: Share::of(&self.memory_batches),
            in_flight_bytes: Share::of(&self.memory_in_flight),
        }
    }

    /// What a spool tells.
    pub fn spool(&self) -> SpoolMetrics {
        self.spool.clone()
    }

    /// A step of the protocol succeeded after this time.
    pub fn step_took(&self, step: Step, time: Duration) {
        self.latency[step as usize].observe(time.as_secs_f64());
    }

    /// A request is tried again; `class` is why.
    pub fn retry(&self, operation: &str, class: &str) {
        self.retries.with_label_values(&[operation, class]).inc();
    }

    /// A request failed; `class` is why.
    pub fn error(&self, operation: &str, class: &str) {
        self.errors.with_label_values(&[operation, class]).inc();
    }

    /// The group was rebalanced.
    pub fn rebalance(&self, kind: RebalanceKind) {
        self.rebalances[kind as usize].inc();
    }

    /// The configuration was read again.
    pub fn reloaded(&self, result: Reload) {
        self.reloads[result as usize].inc();
    }

    /// Kafka stored a commit just now.
    pub fn committed(&self) {
        self.last_commit.set(clock::wall().0 / 1000);
    }

    /// The memory that the process may use.
    pub fn set_memory_budget(&self, bytes: u64) {
        self.memory_budget.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The part of it that batches may hold until they have landed.
    pub fn set_batches_budget(&self, bytes: u64) {
        self.memory_batches_budget.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Everything in Prometheus' text format, together with what `status` tells now.
    pub fn render(&self, status: &Status) -> String {
        let mut families = self.registry.gather();
        families.extend(snapshot::families(status));
        let mut text = String::new();
        // Writing to a string fails only for families without metrics, which `gather` leaves out.
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }
}
