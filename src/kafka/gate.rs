//! What the group thread and a lane share: the lane's queue, and which assignments it may start.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::bindings as c;

use super::native::{Client, Queue};
use crate::record::{Epoch, TopicPartition};

/// What the group thread and a lane share.
pub(super) struct LaneShared {
    pub(super) queue: Queue,
    gate: Mutex<Gate>,
}

/// Which assignments a lane may start; held while it does, so that a start never crosses a
/// revoke.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) epochs: HashMap<TopicPartition, Epoch>,
    /// Fetchers that librdkafka gave up; a seek cannot bring them back.
    pub(super) dead: HashSet<TopicPartition>,
    /// Those of them that shall run again, for the group thread to assign anew.
    pub(super) to_reassign: Vec<TopicPartition>,
    /// Kafka partitions that were assigned anew: what ran there is to be started again.
    pub(super) reassigned: Vec<TopicPartition>,
}

impl Gate {
    /// The lane may start this one no more; whether its fetcher was given up.
    pub(super) fn close(&mut self, partition: &TopicPartition) -> bool {
        self.epochs.remove(partition);
        self.to_reassign.retain(|each| each != partition);
        self.reassigned.retain(|each| each != partition);
        self.dead.remove(partition)
    }
}

impl LaneShared {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        Self { queue: Queue::new(client), gate: Mutex::default() }
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a lane out of a poll that waits.
#[derive(Clone)]
pub struct LaneWaker(Arc<LaneShared>);

impl LaneWaker {
    pub(super) fn new(shared: &Arc<LaneShared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// The present poll returns, or the next one if none waits.
    pub fn wake(&self) {
        // SAFETY: the queue is alive; the call is made for other threads.
        unsafe { c::rd_kafka_queue_yield(self.0.queue.ptr()) };
    }
}
