//! Hears of assignments on the group thread and hands them to the lanes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::driver::LaneInput;
use super::inbox::{LaneHandle, Latch, Mail};
use super::news::News;
use super::spread::Spread;
use crate::kafka::GroupListener;
use crate::record::{Epoch, TopicPartition};
use crate::telemetry::{Condition, Metrics, RebalanceKind, Status};

/// How long a revoke waits for batches that are pinned or on their way to land.
const REVOKE_PATIENCE: Duration = Duration::from_secs(8);
/// How long lanes may take to let go after that; they only drop what they hold.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// What this member holds.
#[derive(Default)]
pub(super) struct Holdings {
    pub(super) answered: bool,
    pub(super) held: BTreeMap<TopicPartition, Epoch>,
    /// Those of them whose goal of `--until-end` is in S3 and committed.
    pub(super) reached: BTreeSet<(TopicPartition, Epoch)>,
    /// Those of them that stopped.
    pub(super) stopped: BTreeSet<(TopicPartition, Epoch)>,
}

/// Shared between the group thread, which writes, and whoever wants to know.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Holdings>>);

impl Held {
    pub(super) fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topics of which this member holds Kafka partitions, with those.
    pub(super) fn by_topic(&self) -> BTreeMap<Arc<str>, Vec<TopicPartition>> {
        let mut topics: BTreeMap<Arc<str>, Vec<TopicPartition>> = BTreeMap::new();
        for partition in self.lock().held.keys() {
            topics.entry(partition.topic.clone()).or_default().push(partition.clone());
        }
        topics
    }
}

/// The daemon's ear on the group thread.
pub(super) struct Listener {
    /// Set before the group is joined, for the lanes come with the edge that wants a listener.
    lanes: Mutex<Vec<LaneHandle>>,
    spread: Spread,
    pub(super) held: Held,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Arc<Status>,
    pub(super) news: UnboundedSender<News>,
}

impl Listener {
    pub(super) fn new(
        held: Held,
        spread: Spread,
        metrics: Arc<Metrics>,
        status: Arc<Status>,
        news: UnboundedSender<News>,
    ) -> Self {
        Self { lanes: Mutex::default(), spread, held, metrics, status, news }
    }

    pub(super) fn set_lanes(&self, lanes: Vec<LaneHandle>) {
        *self.lanes() = lanes;
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<LaneHandle>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_lane(
        &self,
        partitions: &[(TopicPartition, Epoch)],
    ) -> Vec<(LaneHandle, Vec<(TopicPartition, Epoch)>)> {
        let lanes = self.lanes();
        let mut parts: HashMap<usize, Vec<_>> = HashMap::new();
        for each in partitions {
            parts.entry(self.spread.lane_of(&each.0)).or_default().push(each.clone());
        }
        parts.into_iter().map(|(lane, part)| (lanes[lane].clone(), part)).collect()
    }
}

impl GroupListener for Listener {
    fn assigned(&self, partitions: &[(TopicPartition, Epoch)]) {
        tracing::info!(count = partitions.len(), kafka_partitions = %Names(partitions), "assigned");
        self.metrics.rebalance(RebalanceKind::Assigned);
        self.held.lock().held.extend(partitions.iter().cloned());
        for (lane, part) in self.by_lane(partitions) {
            lane.send(LaneInput::Assigned(part));
        }
    }

    fn revoking(&self, partitions: &[(TopicPartition, Epoch)], lost: bool) {
        tracing::info!(
            count = partitions.len(), kafka_partitions = %Names(partitions), lost, "revoking"
        );
        self.metrics.rebalance(if lost { RebalanceKind::Lost } else { RebalanceKind::Revoked });
        let gone = Latch::new(partitions.len());
        let parts = self.by_lane(partitions);
        for (lane, part) in &parts {
            let partitions = part.clone();
            lane.post(Mail::Revoking { partitions, lost, gone: Arc::clone(&gone) });
        }
        if !gone.wait(REVOKE_PATIENCE) {
            for (lane, part) in parts {
                lane.send(LaneInput::Release(part));
            }
            if !gone.wait(RELEASE_PATIENCE) {
                // The fence still stands between a lane that hangs and the broker.
                tracing::error!("a lane does not let go of its Kafka partitions");
            }
        }
        self.spread.forget(partitions.iter().map(|(partition, _)| partition));
        let mut holdings = self.held.lock();
        for (partition, _) in partitions {
            holdings.held.remove(partition);
            holdings.reached.retain(|(at, _)| at != partition);
            holdings.stopped.retain(|(at, _)| at != partition);
        }
    }

    fn moved(&self, partition: &TopicPartition, epoch: Epoch, lane: usize) {
        tracing::info!(kafka_partition = %partition, lane, "moved to another lane, which has room");
        self.spread.moved(partition, lane);
        if let Some(handle) = self.lanes().get(lane) {
            handle.send(LaneInput::Assigned(vec![(partition.clone(), epoch)]));
        }
    }

    fn group_answered(&self) {
        self.held.lock().answered = true;
        self.status.met(Condition::GroupAnswered);
        let _ = self.news.send(News::GroupAnswered);
    }

    fn fatal(&self, message: String) {
        let _ = self.news.send(News::Fatal(message));
    }

    fn broker_state(&self, up: bool, detail: &str) {
        if up {
            tracing::info!(detail, "brokers are reachable");
            self.status.met(Condition::BrokerReachable);
        } else {
            tracing::warn!(detail, "no broker can be reached; see kafka.bootstrap_servers");
            self.status.unmet(Condition::BrokerReachable, detail);
        }
    }

    fn group_error(&self, message: &str) {
        tracing::error!("{message}");
        if !self.held.lock().answered {
            self.status.unmet(Condition::GroupAnswered, message);
        }
    }
}

/// A few names, for the log.
struct Names<'a>(&'a [(TopicPartition, Epoch)]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (partition, _)) in self.0.iter().take(8).enumerate() {
            write!(f, "{}{partition}", if index == 0 { "" } else { " " })?;
        }
        if self.0.len() > 8 { write!(f, " and {} more", self.0.len() - 8) } else { Ok(()) }
    }
}
