//! A lane: one thread that owns some of the Kafka partitions from bytes to compressed objects.
//!
//! It feeds its `Sink` with what its inbox and its fetch queue bring, and executes what the sink
//! asks for. Fetches are moved before the next record is taken, as the pipeline expects.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::goal::Goals;
use super::inbox::{LaneHandle, LaneInput, Latch};
use super::memory::Pool;
use super::observe::Observer;
use super::resolver::{Question, Resolver};
use super::uploads::Uploads;
use crate::config::TopicPolicies;
use crate::kafka::{CommitOutcome, FetchEvent, KafkaEdge, LaneConsumer};
use crate::pipeline::{Action, Sink};
use crate::record::{CommitRequest, Epoch, Offset, RecordPolicy, TopicPartition};
use crate::telemetry::Beat;

/// The longest that a lane waits without looking around.
const IDLE: Duration = Duration::from_millis(100);
/// How often the lane's picture is published.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// What a lane is made of.
pub(super) struct Lane {
    pub(super) sink: Sink,
    pub(super) consumer: LaneConsumer,
    pub(super) inbox: Receiver<LaneInput>,
    pub(super) handle: LaneHandle,
    pub(super) edge: KafkaEdge,
    pub(super) uploads: Uploads,
    pub(super) resolver: Resolver,
    pub(super) policies: Arc<TopicPolicies>,
    pub(super) goals: Arc<Goals>,
    pub(super) index: usize,
    pub(super) pool: Arc<Pool>,
    /// Bytes read since the pool was told.
    pub(super) untold: u64,
    pub(super) observer: Observer,
    pub(super) beat: Beat,
    pub(super) clock: Clock,
    pub(super) leaving: HashMap<(TopicPartition, Epoch), Arc<Latch>>,
    pub(super) by_topic: HashMap<Arc<str>, Arc<RecordPolicy>>,
    pub(super) shutting_down: bool,
}

impl Lane {
    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        let mut published = Instant::now();
        loop {
            self.beat.beat();
            let mut busy = false;
            while let Ok(input) = self.inbox.try_recv() {
                busy = true;
                if self.take(input) {
                    self.beat.finish();
                    return;
                }
            }
            let now = self.clock.now();
            self.sink.handle_memory_short(now, self.pool.is_short());
            self.execute();
            self.read(if busy { Duration::ZERO } else { self.patience() });
            let now = self.clock.now();
            if self.sink.poll_timeout().is_some_and(|at| at <= now) {
                self.sink.handle_time(now);
            }
            self.execute();
            if self.untold >= self.pool.step() {
                self.tell_pool();
            }
            if published.elapsed() >= PUBLISH_EVERY {
                published = Instant::now();
                self.publish();
            }
            self.tell_drained();
        }
    }

    /// How long a poll may wait: until the sink has something to do by time.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        self.sink.poll_timeout().map_or(IDLE, |at| at.since(now).min(IDLE))
    }

    fn read(&mut self, patience: Duration) {
        let Self { sink, consumer, clock, observer, untold, .. } = self;
        let mut now = None;
        consumer.poll(patience, &mut |event| {
            // One look at the clock a poll: ages are in seconds.
            let now = *now.get_or_insert_with(|| clock.now());
            match event {
                FetchEvent::Record { partition, epoch, record } => {
                    *untold += record.value.map_or(0, |value| value.len() as u64);
                    sink.handle_record(now, partition, epoch, &record);
                }
                FetchEvent::Eof { partition, epoch, offset } => {
                    sink.handle_eof(now, partition, epoch, offset);
                }
                FetchEvent::OutOfRange { partition, epoch, message, offset }
                | FetchEvent::Truncated { partition, epoch, message, offset } => {
                    observer.out_of_range(partition, offset, &message);
                    sink.handle_out_of_range(now, partition, epoch);
                }
                FetchEvent::Error { partition, epoch, message, stopped } => {
                    observer.fetch_failed(partition, &message);
                    if stopped {
                        sink.handle_fetch_failed(now, partition, epoch, &message);
                    }
                }
            }
        });
    }

    /// Takes one input; true if it is the last.
    fn take(&mut self, input: LaneInput) -> bool {
        let now = self.clock.now();
        match input {
            LaneInput::Assigned(partitions) => self.assigned(partitions),
            LaneInput::Revoking { partitions, lost, gone } => {
                for (partition, epoch) in partitions {
                    self.sink.handle_revoking(now, &partition, epoch, lost);
                    if self.sink.owns(&partition, epoch) {
                        self.leaving.insert((partition, epoch), Arc::clone(&gone));
                    } else {
                        self.leaving.remove(&(partition, epoch));
                        self.execute();
                        gone.count_down();
                    }
                }
            }
            LaneInput::Release(partitions) => {
                for (partition, epoch) in partitions {
                    self.sink.handle_released(now, &partition, epoch);
                }
            }
            LaneInput::Facts(partition, epoch, facts) => {
                self.sink.handle_facts(now, &partition, epoch, facts);
            }
            LaneInput::Committed(partition, epoch, offset, answer) => {
                self.sink.handle_committed(now, &partition, epoch, offset, answer);
            }
            LaneInput::Put(ticket, reply) => self.sink.handle_put(now, &ticket, reply),
            LaneInput::Head(ticket, reply) => self.sink.handle_head(now, &ticket, reply),
            LaneInput::TopicId(topic, id) => self.sink.handle_topic_id(now, &topic, &id),
            LaneInput::FlushLargest => {
                self.sink.handle_flush_largest(now);
                self.tell_pool();
            }
            LaneInput::Shutdown => {
                self.shutting_down = true;
                self.sink.handle_shutdown(now);
            }
            LaneInput::End => {
                self.publish();
                return true;
            }
        }
        false
    }

    fn assigned(&mut self, partitions: Vec<(TopicPartition, Epoch)>) {
        let now = self.clock.now();
        for (partition, epoch) in partitions {
            let policy = self
                .by_topic
                .entry(partition.topic.clone())
                .or_insert_with(|| Arc::new(self.policies.of(&partition.topic).clone()));
            let (policy, goal) = (Arc::clone(policy), self.goals.of(&partition));
            self.sink.handle_assigned(now, partition, epoch, policy, goal);
        }
        if self.shutting_down {
            self.sink.handle_shutdown(now);
        }
    }

    /// Executes what the sink asks for; commits of many Kafka partitions travel together.
    fn execute(&mut self) {
        let (mut commits, mut starts) = (Vec::new(), Vec::new());
        while let Some(action) = self.sink.poll_action() {
            match action {
                Action::Fetch { partition, epoch, from } => starts.push((partition, epoch, from)),
                Action::Commit(request) => commits.push(request),
                Action::StopFetch(partition) => {
                    starts.retain(|(started, ..)| *started != partition);
                    self.consumer.stop(&[partition]);
                }
                Action::Pause(partition) => self.consumer.pause(&[partition]),
                Action::Resume(partition, _) => self.consumer.resume(&[partition]),
                Action::Resolve { partition, epoch, layout } => {
                    let lane = self.handle.clone();
                    self.resolver.ask(Question { partition, epoch, layout, lane });
                }
                Action::Put(ticket, request) => {
                    self.uploads.put(self.handle.clone(), ticket, request);
                }
                Action::Head(ticket, address) => {
                    self.uploads.head(self.handle.clone(), ticket, address);
                }
                Action::Released(partition, epoch) => {
                    if let Some(gone) = self.leaving.remove(&(partition, epoch)) {
                        gone.count_down();
                    }
                }
                Action::Tell(partition, event) => self.observer.tell(&partition, event),
            }
        }
        self.start(&starts);
        self.commit(commits);
    }

    fn start(&mut self, starts: &[(TopicPartition, Epoch, Offset)]) {
        if !starts.is_empty() {
            // A start of an assignment that is over needs no answer: its revoke is on the way.
            drop(self.consumer.start(starts));
        }
    }

    fn commit(&self, requests: Vec<CommitRequest>) {
        if requests.is_empty() {
            return;
        }
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

    fn publish(&mut self) {
        self.tell_pool();
        self.observer.publish(&mut self.sink, &self.clock);
    }

    fn tell_pool(&mut self) {
        self.untold = 0;
        self.pool.publish(self.index, self.sink.memory());
    }

    fn tell_drained(&mut self) {
        if self.shutting_down && self.sink.is_drained() {
            self.observer.drained();
        }
    }
}
