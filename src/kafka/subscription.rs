//! What the member is subscribed to, and how it hears soon what it is to give or take. `edge` sets the
//! topics, the group thread asks.
//!
//! With KIP-848 a member learns of its assignment in the answer to its heartbeat, and the broker says
//! how often it sends one: every 5 s, and brokers refuse less unless their operator allows it
//! (`group.consumer.min.heartbeat.interval.ms`). So long a Kafka partition would wait for its next
//! reader. librdkafka sends a heartbeat at once when it is subscribed anew, to the same topics too
//! (2.12.1: `rd_kafka_cgrp_consumer_apply_next_subscribe`), and the broker finds nothing changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings as c;

use super::KafkaError;
use super::list::PartitionList;
use super::native::{self, Client};
use crate::record::TopicPartition;

/// How often the broker is asked, as by `heartbeat.interval.ms` with the classic protocol.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Subscription {
    client: Arc<Client>,
    topics: Mutex<Vec<String>>,
}

impl Subscription {
    pub(super) fn new(client: &Arc<Client>, topics: Vec<String>) -> Arc<Self> {
        Arc::new(Self { client: Arc::clone(client), topics: Mutex::new(topics) })
    }

    /// Subscribes to the present topics, for the first time or once more.
    pub(super) fn subscribe(&self) -> Result<(), KafkaError> {
        self.tell(&self.topics())
    }

    /// Subscribes to these instead.
    pub(super) fn replace(&self, topics: &[String]) -> Result<(), KafkaError> {
        let mut present = self.topics();
        self.tell(topics)?;
        *present = topics.to_vec();
        Ok(())
    }

    /// Held while librdkafka is told, or the group thread could put old topics back in force.
    fn topics(&self) -> MutexGuard<'_, Vec<String>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, topics: &[String]) -> Result<(), KafkaError> {
        let topics = topics.iter().map(|topic| TopicPartition::new(topic.as_str(), -1));
        let list = PartitionList::at(&topics.collect::<Vec<_>>(), 0);
        // SAFETY: client and list outlive the call.
        let code = unsafe { c::rd_kafka_subscribe(self.client.ptr(), list.ptr()) };
        native::check_code(code).map_err(KafkaError::Subscribe)
    }
}

/// The group thread's questions.
pub(super) struct News {
    subscription: Arc<Subscription>,
    asked: Instant,
}

impl News {
    pub(super) fn of(subscription: &Arc<Subscription>) -> Self {
        Self { subscription: Arc::clone(subscription), asked: Instant::now() }
    }

    /// Asks if it is time; never once the group is being left, or it would be joined again.
    pub(super) fn ask(&mut self) {
        if self.asked.elapsed() < ASK_EVERY {
            return;
        }
        self.asked = Instant::now();
        if let Err(error) = self.subscription.subscribe() {
            tracing::debug!(%error, "the broker is not asked for news before the next heartbeat");
        }
    }
}
