//! What the process knows of itself at this moment.
//!
//! Lanes replace their Kafka partitions a few times a second, the daemon reports conditions,
//! threads beat; `http`, `systemd` and the metrics of a scrape read it. Short mutexes will do,
//! for none of this is on the data path.

pub(super) mod liveness;
mod partition;
mod report;
#[cfg(test)]
mod tests;

pub use liveness::Beat;
pub use partition::{KafkaPartitionStatus, Stop};

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::liveness::Heart;
use super::clock;
use crate::record::{TimestampMs, TopicPartition};

/// What must hold before the daemon is ready; each is unmet until it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The group has answered with an assignment, an empty one included.
    GroupAnswered,
    /// A broker answers.
    BrokerReachable,
    /// The store takes our requests.
    StoreReachable,
}

impl Condition {
    const ALL: [Self; 3] = [Self::GroupAnswered, Self::BrokerReachable, Self::StoreReachable];

    /// Its name in `/readyz` and in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GroupAnswered => "group_answered",
            Self::BrokerReachable => "broker_reachable",
            Self::StoreReachable => "store_reachable",
        }
    }
}

/// A condition as last reported.
#[derive(Clone, Debug)]
struct Report {
    /// Why it does not hold; `None` if it does.
    unmet: Option<String>,
    since: TimestampMs,
}

#[derive(Debug)]
struct Daemon {
    conditions: [Report; Condition::ALL.len()],
    shutting_down: Option<TimestampMs>,
}

/// The shared status of the process; one, in an `Arc`.
#[derive(Debug)]
pub struct Status {
    started: TimestampMs,
    heart: Heart,
    daemon: Mutex<Daemon>,
    lanes: Mutex<BTreeMap<usize, Vec<KafkaPartitionStatus>>>,
}

impl Default for Status {
    fn default() -> Self {
        Self::new()
    }
}

impl Status {
    /// The status of a process that starts now: alive, not ready.
    pub fn new() -> Self {
        Self::started_at(clock::wall(), clock::monotonic())
    }

    pub(in crate::telemetry) fn started_at(started: TimestampMs, origin: Instant) -> Self {
        let unknown = Report { unmet: Some("not known yet".into()), since: started };
        let conditions = [unknown.clone(), unknown.clone(), unknown];
        Self {
            started,
            heart: Heart::new(origin),
            daemon: Mutex::new(Daemon { conditions, shutting_down: None }),
            lanes: Mutex::default(),
        }
    }

    /// A condition holds. Cheap to repeat.
    pub fn met(&self, condition: Condition) {
        self.report(condition, None);
    }

    /// A condition does not hold; `why` says what is wrong and how to mend it, without secrets.
    pub fn unmet(&self, condition: Condition, why: impl Into<String>) {
        self.report(condition, Some(why.into()));
    }

    fn report(&self, condition: Condition, unmet: Option<String>) {
        let mut daemon = lock(&self.daemon);
        let report = &mut daemon.conditions[condition as usize];
        if report.unmet.is_some() != unmet.is_some() {
            report.since = clock::wall();
        }
        report.unmet = unmet;
    }

    /// From now on the daemon is not ready, for it is on its way out.
    pub fn shutting_down(&self) {
        lock(&self.daemon).shutting_down.get_or_insert_with(clock::wall);
    }

    /// Whether it is on its way out.
    pub(in crate::telemetry) fn is_shutting_down(&self) -> bool {
        lock(&self.daemon).shutting_down.is_some()
    }

    /// Replaces what is known of a lane's Kafka partitions: those that it does not name are gone.
    pub fn update(&self, lane: usize, partitions: Vec<KafkaPartitionStatus>) {
        let previous = lock(&self.lanes).insert(lane, partitions);
        // The old list is freed here, after the lock.
        drop(previous);
    }

    /// Forgets a lane that has ended.
    pub fn remove_lane(&self, lane: usize) {
        lock(&self.lanes).remove(&lane);
    }

    /// The Kafka partitions of all lanes, in order. While one moves between two lanes both may
    /// name it: the newer assignment counts.
    pub fn kafka_partitions(&self) -> Vec<KafkaPartitionStatus> {
        let mut newest: BTreeMap<TopicPartition, KafkaPartitionStatus> = BTreeMap::new();
        for status in lock(&self.lanes).values().flatten() {
            match newest.entry(status.partition.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(status.clone())),
                Entry::Occupied(mut entry) if entry.get().epoch < status.epoch => {
                    entry.insert(status.clone());
                }
                Entry::Occupied(_) => {}
            }
        }
        newest.into_values().collect()
    }

    /// Makes a thread or task answerable for being alive. It beats, or `/livez` fails.
    pub fn beat(&self, name: impl Into<String>) -> Beat {
        self.heart.beat(name.into(), clock::monotonic())
    }

    /// Whether every thread that promised to beat has done so lately.
    pub fn live(&self) -> bool {
        self.heart.stale(clock::monotonic()).is_empty()
    }
}

/// A panic elsewhere does not make the status unreadable: it holds plain values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
