//! Wakes librdkafka's broker threads after a resume. Fed by the group thread and the lanes.
//!
//! A broker thread that has nothing to fetch sleeps for up to a second, and a resume does not wake it
//! (2.12.1: `rd_kafka_toppar_pause_resume` sends it nothing), neither one of ours nor that which ends
//! a rebalance, for which librdkafka pauses every fetcher. A request to its broker does wake it: the
//! ends of a few logs are asked for, and nobody waits for the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admin::OffsetsAsked;
use super::facts::END;
use super::native::Client;
use crate::record::TopicPartition;

/// So many Kafka partitions, evenly spread, reach all of their leaders.
const ASKED: usize = 64;
/// Lanes resume often under a small memory budget; so short a time after a wake the threads are at work.
pub(super) const LANES_PAUSE: Duration = Duration::from_millis(100);

/// One of those who resume.
pub(super) struct BrokerWaker {
    client: Arc<Client>,
    pause: Duration,
    latest: Option<Instant>,
}

impl BrokerWaker {
    /// One that does nothing within this time after it did something.
    pub(super) fn new(client: &Arc<Client>, pause: Duration) -> Self {
        Self { client: Arc::clone(client), pause, latest: None }
    }

    /// Wakes the threads of the leaders of these; to be called after the resume.
    pub(super) fn wake(&mut self, partitions: &[TopicPartition]) {
        let now = Instant::now();
        if partitions.is_empty() || self.latest.is_some_and(|latest| now < latest + self.pause) {
            return;
        }
        self.latest = Some(now);
        let step = partitions.len().div_ceil(ASKED);
        let some: Vec<_> = partitions.iter().step_by(step).cloned().collect();
        drop(OffsetsAsked::send(&self.client, &some, END));
    }
}
