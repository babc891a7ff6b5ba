//! A lane: one thread that owns some of the Kafka partitions from bytes to compressed objects.
//!
//! It hands to its driver what its inbox brings, and is the driver's link to Kafka, S3 and the
//! clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::driver::{Driver, LaneInput, Surroundings};
use super::goal::Goals;
use super::inbox::{LaneHandle, Latch, Mail};
use super::memory::Pool;
use super::observe::Observer;
use super::resolver::{Question, Resolver};
use super::spread::Spread;
use super::uploads::Uploads;
use crate::kafka::{CommitOutcome, FetchEvent, KafkaEdge, LaneConsumer, LaneMove};
use crate::pipeline::{Event, Moment, Ticket};
use crate::record::{
    CommitRequest, Epoch, Layout, ObjectAddress, Offset, PutRequest, TopicPartition,
};
use crate::telemetry::Beat;

/// The longest that a lane waits without looking around.
const IDLE: Duration = Duration::from_millis(100);
/// How often the lane's picture is published, and later by so much for each Kafka partition in it:
/// a thousand of them must cost next to nothing.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
const PUBLISH_EACH: Duration = Duration::from_millis(1);
/// And by so much where nothing was read and nothing was heard.
const PUBLISH_QUIET: Duration = Duration::from_secs(1);

/// What a lane is made of.
pub(super) struct Lane {
    pub(super) index: usize,
    pub(super) driver: Driver<Outside>,
    pub(super) inbox: Receiver<Mail>,
    pub(super) pool: Arc<Pool>,
    pub(super) beat: Beat,
}

impl Lane {
    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        let (mut published, mut heard) = (Instant::now(), true);
        loop {
            self.beat.beat();
            let mut busy = false;
            while let Ok(mail) = self.inbox.try_recv() {
                (busy, heard) = (true, true);
                if self.take(mail) {
                    self.beat.finish();
                    return;
                }
            }
            self.driver.set_memory_short(self.pool.is_short());
            self.driver.turn(if busy { Duration::ZERO } else { IDLE });
            heard |= self.driver.read() > 0;
            if self.driver.read() >= self.pool.step() {
                self.tell_pool();
            }
            let many = u32::try_from(self.driver.sink.len()).unwrap_or(u32::MAX);
            let quiet = if heard { Duration::ZERO } else { PUBLISH_QUIET };
            if published.elapsed() >= PUBLISH_EVERY + PUBLISH_EACH * many + quiet {
                (published, heard) = (Instant::now(), false);
                self.publish();
            }
            if self.driver.is_drained() {
                self.driver.outside.observer.drained();
            }
        }
    }

    /// Takes one input; true if it is the last.
    fn take(&mut self, mail: Mail) -> bool {
        match mail {
            Mail::Input(input) => {
                let gives_up = matches!(input, LaneInput::FlushLargest);
                self.driver.take(input);
                if gives_up {
                    self.tell_pool();
                }
            }
            Mail::Revoking { partitions, lost, gone } => {
                let leaving = partitions.iter().map(|each| (each.clone(), Arc::clone(&gone)));
                self.driver.outside.leaving.extend(leaving);
                self.driver.take(LaneInput::Revoking(partitions, lost));
            }
            Mail::Flush { topic, unlanded } => {
                self.driver.take(LaneInput::Flush(topic.clone()));
                // Who asked may have gone.
                let _ = unlanded.send(self.driver.sink.unlanded(topic.as_deref()));
            }
            Mail::Give(asked) => self.give(asked),
            Mail::End(told) => {
                self.publish();
                told.count_down();
                return true;
            }
        }
        false
    }

    /// Lets go of a Kafka partition that another lane is to have, as in a revoke.
    fn give(&mut self, asked: LaneMove) {
        let key = (asked.partition.clone(), asked.epoch);
        if self.driver.sink.owns(&key.0, key.1) {
            self.driver.outside.giving.insert(key.clone(), asked);
            self.driver.take(LaneInput::Revoking(vec![key], false));
        }
    }

    fn publish(&mut self) {
        self.tell_pool();
        let Driver { sink, outside, .. } = &mut self.driver;
        let load = outside.observer.publish(sink, &outside.clock);
        outside.spread.tell(self.index, load);
    }

    fn tell_pool(&mut self) {
        self.driver.forget_read();
        self.pool.publish(self.index, self.driver.sink.memory());
    }
}

/// Kafka, S3 and the clock, as one lane sees them.
pub(super) struct Outside {
    pub(super) consumer: LaneConsumer,
    pub(super) handle: LaneHandle,
    pub(super) edge: KafkaEdge,
    pub(super) uploads: Uploads,
    pub(super) resolver: Resolver,
    pub(super) goals: Arc<Goals>,
    pub(super) observer: Observer,
    pub(super) clock: Clock,
    /// Who waits for an assignment to hold nothing more.
    pub(super) leaving: HashMap<(TopicPartition, Epoch), Arc<Latch>>,
    /// What goes to another lane once nothing is held of it.
    pub(super) giving: HashMap<(TopicPartition, Epoch), LaneMove>,
    pub(super) spread: Spread,
}

impl Surroundings for Outside {
    fn now(&mut self) -> Moment {
        self.clock.now()
    }

    fn goal(&self, partition: &TopicPartition) -> Option<Offset> {
        self.goals.of(partition)
    }

    fn poll(&mut self, patience: Duration, on_event: &mut dyn FnMut(FetchEvent<'_>)) {
        self.consumer.poll(patience, on_event);
    }

    fn start(&mut self, starts: &[(TopicPartition, Epoch, Offset)]) {
        // A start of an assignment that is over needs no answer: its revoke is on the way.
        drop(self.consumer.start(starts));
    }

    fn stop(&mut self, partition: &TopicPartition) {
        self.consumer.stop(std::slice::from_ref(partition));
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.consumer.pause(std::slice::from_ref(partition));
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.consumer.resume(std::slice::from_ref(partition));
    }

    fn commit(&mut self, requests: Vec<CommitRequest>) {
        let offsets: HashMap<TopicPartition, Offset> =
            requests.iter().map(|each| (each.partition.clone(), each.offset)).collect();
        let lane = self.handle.clone();
        let done = move |CommitOutcome { partition, epoch, result }| {
            if let Some(offset) = offsets.get(&partition) {
                lane.send(LaneInput::Committed(partition, epoch, *offset, result));
            }
        };
        self.edge.commit(requests, Arc::new(done));
    }

    fn resolve(&mut self, partition: TopicPartition, epoch: Epoch, layout: Arc<Layout>) {
        let lane = self.handle.clone();
        self.resolver.ask(Question { partition, epoch, layout, lane });
    }

    fn put(&mut self, ticket: Ticket, request: PutRequest) {
        self.uploads.put(self.handle.clone(), ticket, request);
    }

    fn head(&mut self, ticket: Ticket, address: ObjectAddress) {
        self.uploads.head(self.handle.clone(), ticket, address);
    }

    fn let_go(&mut self, partition: &TopicPartition, epoch: Epoch) {
        let key = (partition.clone(), epoch);
        let given = self.giving.remove(&key);
        // What is revoked goes nowhere else.
        if let Some(gone) = self.leaving.remove(&key) {
            gone.count_down();
        } else if let Some(asked) = given {
            self.edge.move_to_lane(asked);
        }
    }

    fn tell(&mut self, partition: &TopicPartition, event: Event) {
        self.observer.tell(partition, event);
    }

    fn fetch_failed(&mut self, partition: &TopicPartition, at: Option<Offset>, message: &str) {
        match at {
            Some(offset) => self.observer.out_of_range(partition, offset, message),
            None => self.observer.fetch_failed(partition, message),
        }
    }
}
