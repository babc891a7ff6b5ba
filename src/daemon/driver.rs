//! What a lane does with its `Sink`: feeds it, and executes what it asks for.
//!
//! Everything outside is behind [`Surroundings`]. In the daemon those are Kafka, S3 and the clock
//! (`lane`); in the simulated world they are the world's. Fetches are moved before the next
//! record is taken, as the pipeline expects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::TopicPolicies;
use crate::kafka::FetchEvent;
use crate::pipeline::{Action, Event, Moment, Sink, Ticket};
use crate::record::{
    CommitError, CommitRequest, Epoch, HeadOutcome, Layout, ObjectAddress, Offset, PutOutcome,
    PutRequest, RecordPolicy, ResolveError, StoreError, TopicFacts, TopicPartition,
};

/// What a lane is told.
pub enum LaneInput {
    /// These are ours from now on.
    Assigned(Vec<(TopicPartition, Epoch)>),
    /// Let go of these; with `lost` they are no longer ours already.
    Revoking(Vec<(TopicPartition, Epoch)>, bool),
    /// The deadline of a revoke is over: let go now.
    Release(Vec<(TopicPartition, Epoch)>),
    /// The answer to `Surroundings::resolve`.
    Facts(TopicPartition, Epoch, Result<TopicFacts, ResolveError>),
    /// The answer to a commit of this offset.
    Committed(TopicPartition, Epoch, Offset, Result<(), CommitError>),
    /// The answer to `Surroundings::put`.
    Put(Ticket, Result<PutOutcome, StoreError>),
    /// The answer to `Surroundings::head`.
    Head(Ticket, Result<HeadOutcome, StoreError>),
    /// A topic's id, as asked at intervals.
    TopicId(Arc<str>, Arc<str>),
    /// Memory is short: give some up.
    FlushLargest,
    /// End the open batches of this topic, or of all.
    Flush(Option<Arc<str>>),
    /// Rotate by these limits from now on; their layouts count for Kafka partitions to come.
    Policies(Arc<TopicPolicies>),
    /// Land what is open, read no more.
    Shutdown,
}

/// What a lane needs from outside.
pub trait Surroundings {
    /// The time, in ms since some moment.
    fn now(&mut self) -> Moment;

    /// Where the run of `--until-end` ends.
    fn goal(&self, partition: &TopicPartition) -> Option<Offset>;

    /// Hands on what was fetched, waiting at most `patience` for the first of it.
    fn poll(&mut self, patience: Duration, on_event: &mut dyn FnMut(FetchEvent<'_>));

    /// Starts fetches.
    fn start(&mut self, starts: &[(TopicPartition, Epoch, Offset)]);

    /// Stops a fetch: nothing more of it is handed on.
    fn stop(&mut self, partition: &TopicPartition);

    /// Pauses a fetch.
    fn pause(&mut self, partition: &TopicPartition);

    /// Lets a paused fetch go on.
    fn resume(&mut self, partition: &TopicPartition);

    /// Sends commits, together; each is answered by a `LaneInput::Committed`.
    fn commit(&mut self, requests: Vec<CommitRequest>);

    /// Asks where a Kafka partition begins.
    fn resolve(&mut self, partition: TopicPartition, epoch: Epoch, layout: Arc<Layout>);

    /// Puts an object.
    fn put(&mut self, ticket: Ticket, request: PutRequest);

    /// Looks at an object.
    fn head(&mut self, ticket: Ticket, address: ObjectAddress);

    /// Nothing is held any more of an assignment, which was perhaps revoked.
    fn let_go(&mut self, partition: &TopicPartition, epoch: Epoch);

    /// Something that people may want to know.
    fn tell(&mut self, partition: &TopicPartition, event: Event);

    /// Records that cannot be had, before the sink hears of it.
    fn fetch_failed(&mut self, partition: &TopicPartition, at: Option<Offset>, message: &str);
}

/// The driver of one lane.
pub struct Driver<S> {
    /// The pipeline.
    pub sink: Sink,
    /// What is outside.
    pub outside: S,
    policies: Arc<TopicPolicies>,
    by_topic: HashMap<Arc<str>, Arc<RecordPolicy>>,
    shutting_down: bool,
    /// Bytes read since `forget_read`.
    read: u64,
}

impl<S: Surroundings> Driver<S> {
    /// A driver without Kafka partitions.
    pub fn new(sink: Sink, outside: S, policies: Arc<TopicPolicies>) -> Self {
        Self { sink, outside, policies, by_topic: HashMap::new(), shutting_down: false, read: 0 }
    }

    /// Takes one input; what follows is executed with the next turn, so that what many inputs
    /// lead to goes together.
    pub fn take(&mut self, input: LaneInput) {
        let now = self.outside.now();
        match input {
            LaneInput::Assigned(partitions) => self.assigned(now, partitions),
            LaneInput::Revoking(partitions, lost) => self.revoking(now, partitions, lost),
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
            LaneInput::FlushLargest => self.sink.handle_flush_largest(now),
            LaneInput::Flush(topic) => self.sink.handle_flush(now, topic.as_deref()),
            LaneInput::Policies(policies) => self.take_policies(now, policies),
            LaneInput::Shutdown => {
                self.shutting_down = true;
                self.sink.handle_shutdown(now);
            }
        }
    }

    /// Executes what the inputs led to, reads what was fetched, and does what is due by time.
    pub fn turn(&mut self, idle: Duration) {
        self.execute();
        let now = self.outside.now();
        let patience = self.sink.poll_timeout().map_or(idle, |at| at.since(now).min(idle));
        self.poll(now, patience);
        let now = self.outside.now();
        if self.sink.poll_timeout().is_some_and(|at| at <= now) {
            self.sink.handle_time(now);
        }
        self.execute();
    }

    /// Whether the process is short of memory.
    pub fn set_memory_short(&mut self, short: bool) {
        let now = self.outside.now();
        self.sink.handle_memory_short(now, short);
    }

    /// Bytes read since `forget_read`.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Begins to count anew.
    pub fn forget_read(&mut self) {
        self.read = 0;
    }

    /// Whether a shutdown has nothing to wait for.
    pub fn is_drained(&self) -> bool {
        self.shutting_down && self.sink.is_drained()
    }

    /// One look at the clock a poll, the one before it: ages are in seconds.
    fn poll(&mut self, now: Moment, patience: Duration) {
        let Self { sink, outside, read, .. } = self;
        let mut failed = Vec::new();
        outside.poll(patience, &mut |event| match event {
            FetchEvent::Record { partition, epoch, record } => {
                *read += record.value.map_or(0, |value| value.len() as u64);
                sink.handle_record(now, partition, epoch, &record);
            }
            FetchEvent::Eof { partition, epoch, offset } => {
                sink.handle_eof(now, partition, epoch, offset);
            }
            FetchEvent::OutOfRange { partition, epoch, message, offset }
            | FetchEvent::Truncated { partition, epoch, message, offset } => {
                failed.push((partition.clone(), Some(offset), message));
                sink.handle_out_of_range(now, partition, epoch);
            }
            FetchEvent::Error { partition, epoch, message, stopped } => {
                if stopped {
                    sink.handle_fetch_failed(now, partition, epoch, &message);
                }
                failed.push((partition.clone(), None, message));
            }
        });
        for (partition, at, message) in failed {
            outside.fetch_failed(&partition, at, &message);
        }
    }

    fn assigned(&mut self, now: Moment, partitions: Vec<(TopicPartition, Epoch)>) {
        for (partition, epoch) in partitions {
            let policy = policy_of(&mut self.by_topic, &self.policies, &partition.topic);
            let goal = self.outside.goal(&partition);
            self.sink.handle_assigned(now, partition, epoch, policy, goal);
        }
        if self.shutting_down {
            self.sink.handle_shutdown(now);
        }
    }

    fn take_policies(&mut self, now: Moment, policies: Arc<TopicPolicies>) {
        self.policies = policies;
        self.by_topic.clear();
        let (known, policies) = (&mut self.by_topic, &self.policies);
        self.sink.handle_policies(now, |topic| policy_of(known, policies, topic));
    }

    fn revoking(&mut self, now: Moment, partitions: Vec<(TopicPartition, Epoch)>, lost: bool) {
        for (partition, epoch) in partitions {
            self.sink.handle_revoking(now, &partition, epoch, lost);
            if !self.sink.owns(&partition, epoch) {
                self.execute();
                self.outside.let_go(&partition, epoch);
            }
        }
    }

    /// Executes what the sink asks for; commits of many Kafka partitions travel together.
    fn execute(&mut self) {
        let (mut commits, mut starts) = (Vec::new(), Vec::new());
        let Self { sink, outside, .. } = self;
        while let Some(action) = sink.poll_action() {
            match action {
                Action::Fetch { partition, epoch, from } => starts.push((partition, epoch, from)),
                Action::Commit(request) => commits.push(request),
                Action::StopFetch(partition) => {
                    starts.retain(|(started, ..)| *started != partition);
                    outside.stop(&partition);
                }
                Action::Pause(partition) => outside.pause(&partition),
                Action::Resume(partition, _) => outside.resume(&partition),
                Action::Resolve { partition, epoch, layout } => {
                    outside.resolve(partition, epoch, layout);
                }
                Action::Put(ticket, request) => outside.put(ticket, request),
                Action::Head(ticket, address) => outside.head(ticket, address),
                Action::Released(partition, epoch) => outside.let_go(&partition, epoch),
                Action::Tell(partition, event) => outside.tell(&partition, event),
            }
        }
        if !starts.is_empty() {
            outside.start(&starts);
        }
        if !commits.is_empty() {
            outside.commit(commits);
        }
    }
}

/// The policy of a topic, shared by its Kafka partitions.
fn policy_of(
    known: &mut HashMap<Arc<str>, Arc<RecordPolicy>>,
    policies: &TopicPolicies,
    topic: &Arc<str>,
) -> Arc<RecordPolicy> {
    let policy = known.entry(topic.clone());
    Arc::clone(policy.or_insert_with(|| Arc::new(policies.of(topic).clone())))
}
