//! What is looked at from time to time: the ends of the logs, for the lags, and the topics' ids,
//! for a topic that was deleted and made again while we run. A thread of its own, for it blocks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::driver::LaneInput;
use super::group::Held;
use super::inbox::{LaneHandle, Mail};
use super::memory::Watcher;
use super::spread::Balance;
use crate::kafka::KafkaEdge;
use crate::record::{Offset, TopicPartition};
use crate::telemetry::memory::resident_bytes;

const MEMORY_EVERY: Duration = Duration::from_millis(50);
const BALANCE_EVERY: Duration = Duration::from_secs(5);
const ENDS_EVERY: Duration = Duration::from_secs(5);
/// And later by so much for each Kafka partition: the end of one that is read is known by itself.
const ENDS_EACH: Duration = Duration::from_millis(5);
const TOPIC_IDS_EVERY: Duration = Duration::from_secs(15);

/// The ends of the logs as last asked.
#[derive(Clone, Default)]
pub(super) struct LogEnds(Arc<Mutex<HashMap<TopicPartition, Offset>>>);

impl LogEnds {
    pub(super) fn of(&self, partition: &TopicPartition) -> Option<Offset> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied()
    }

    fn set(&self, ends: impl Iterator<Item = (TopicPartition, Offset)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(ends);
    }
}

/// Looks after the cluster's side of things.
pub(super) struct ClusterWatch {
    pub(super) edge: KafkaEdge,
    pub(super) held: Held,
    pub(super) lanes: Vec<LaneHandle>,
    pub(super) ends: LogEnds,
    pub(super) balance: Balance,
    pub(super) stop: Arc<AtomicBool>,
}

impl ClusterWatch {
    pub(super) fn start(self) -> std::io::Result<()> {
        std::thread::Builder::new().name("watch".to_owned()).spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        let (mut ends_at, mut ids_at) = (Instant::now(), Instant::now());
        let (mut balance_at, mut ends_every) = (Instant::now(), ENDS_EVERY);
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(200));
            if balance_at.elapsed() >= BALANCE_EVERY {
                self.look_at_lanes(balance_at.elapsed());
                balance_at = Instant::now();
            }
            if ends_at.elapsed() >= ends_every {
                let many = self.look_at_ends();
                ends_every = ENDS_EVERY + ENDS_EACH * u32::try_from(many).unwrap_or(u32::MAX);
                ends_at = Instant::now();
            }
            if ids_at.elapsed() >= TOPIC_IDS_EVERY {
                self.look_at_topic_ids();
                ids_at = Instant::now();
            }
        }
    }

    fn look_at_lanes(&mut self, since: Duration) {
        if let Some(asked) = self.balance.look(since)
            && let Some(lane) = self.lanes.get(asked.from)
        {
            lane.post(Mail::Give(asked));
        }
    }

    /// Says of how many Kafka partitions it asked.
    fn look_at_ends(&self) -> usize {
        let held: Vec<_> = self.held.by_topic().into_values().flatten().collect();
        // Without an answer the last end stands: an unreachable broker is told elsewhere.
        let ends = self.edge.end_offsets(&held).into_iter();
        self.ends.set(ends.filter_map(|(at, end)| Some((at, end.ok()?))));
        held.len()
    }

    fn look_at_topic_ids(&self) {
        let topics: Vec<_> = self.held.by_topic().into_keys().collect();
        for (topic, id) in self.edge.topic_ids(&topics).unwrap_or_default() {
            for lane in &self.lanes {
                lane.send(LaneInput::TopicId(topic.clone(), id.clone()));
            }
        }
    }
}

/// Looks after the memory; a thread of its own, for the cluster's may block for long.
pub(super) fn watch_memory(mut watcher: Watcher, stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let run = move || {
        while !stop.load(Ordering::Acquire) {
            std::thread::sleep(MEMORY_EVERY);
            watcher.look(|| resident_bytes().unwrap_or(0));
        }
    };
    std::thread::Builder::new().name("memory".to_owned()).spawn(run).map(drop)
}
