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
/// Whoever resumed so short a time after a wake finds the thread at work.
const PAUSE: Duration = Duration::from_millis(100);

/// One of those who resume.
pub(super) struct BrokerWaker {
    client: Arc<Client>,
    latest: Option<Instant>,
}

impl BrokerWaker {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        Self { client: Arc::clone(client), latest: None }
    }

    /// Wakes the threads of the leaders of these; to be called after the resume.
    pub(super) fn wake<'a>(
        &mut self,
        partitions: impl ExactSizeIterator<Item = &'a TopicPartition>,
    ) {
        let now = Instant::now();
        if partitions.len() == 0 || self.latest.is_some_and(|latest| now < latest + PAUSE) {
            return;
        }
        self.latest = Some(now);
        let step = partitions.len().div_ceil(ASKED);
        let some: Vec<_> = partitions.step_by(step).cloned().collect();
        drop(OffsetsAsked::send(&self.client, &some, END));
    }
}
