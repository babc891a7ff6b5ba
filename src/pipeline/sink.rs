//! A lane's share of the sink: the Kafka partitions it owns, by the words `handle_*` in and
//! `poll_*` out.
//!
//! - A. What happens: `handle_*`, always with the time. Replies of an older epoch are dropped.
//! - B. What to do: `poll_action`, until there is none; `poll_timeout` says when to call
//!   `handle_time` although nothing happened.
//! - C. What people want to know: `snapshots`, `take_counters`.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, Ticket};
use super::layout::layout_hash;
use super::moment::Moment;
use super::partition::{Context, Partition};
use super::partitions::Partitions;
use super::resolve::Policies;
use super::snapshot::{Counters, PartitionSnapshot};
use crate::record::{
    CommitError, Epoch, HeadOutcome, LostOffsetsPolicy, Offset, OutOfRangePolicy, PutOutcome,
    Record, RecordPolicy, ResolveError, Spool, StartPosition, StoreError, TopicFacts,
    TopicPartition,
};

/// What a sink is told once.
#[derive(Clone, Debug)]
pub struct SinkSettings {
    /// The hash of the group's name, as it stands in metadata.
    pub group_hash: Arc<str>,
    /// A word that no other process, lane or run has; pin ids begin with it.
    pub session: Arc<str>,
    /// Whether the store honours `If-None-Match: *`.
    pub conditional_put: bool,
    /// Where a first start begins.
    pub start: StartPosition,
    /// What to do where offsets that we once had are gone.
    pub on_lost_offsets: LostOffsetsPolicy,
    /// What to do where the position is outside the log.
    pub on_offset_out_of_range: OutOfRangePolicy,
    /// How long a fenced member waits for the rebalance callback.
    pub fenced_deadline: Duration,
    /// Where compressed bytes go that memory should not hold.
    pub spool: Option<Arc<dyn Spool>>,
}

impl SinkSettings {
    pub(super) const fn policies(&self) -> Policies {
        Policies {
            start: self.start,
            on_lost_offsets: self.on_lost_offsets,
            on_out_of_range: self.on_offset_out_of_range,
        }
    }
}

/// The Kafka partitions of one lane.
pub struct Sink {
    settings: SinkSettings,
    pub(super) partitions: Partitions,
    out: Vec<Action>,
    ready: VecDeque<Action>,
    scratch: Vec<u8>,
    pins: u64,
    pub(super) memory_short: bool,
    /// Counts of partitions that are gone.
    counters: BTreeMap<Arc<str>, Counters>,
}

impl Sink {
    /// A sink without partitions.
    pub fn new(settings: SinkSettings) -> Self {
        Self {
            settings,
            partitions: Partitions::default(),
            out: Vec::new(),
            ready: VecDeque::new(),
            scratch: Vec::new(),
            pins: 0,
            memory_short: false,
            counters: BTreeMap::new(),
        }
    }

    /// Calls `act` with the partition, if it is ours under this epoch.
    pub(super) fn with(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Option<Epoch>,
        act: impl FnOnce(&mut Partition, &mut Context<'_>),
    ) {
        let acted = self.act(now, at, epoch, |partition, cx| {
            let replayed = partition.replay.is_some();
            act(partition, cx);
            replayed
        });
        if let Some(replayed) = acted {
            self.settle(now, at, replayed);
        }
    }

    /// The same without what must follow.
    fn act<T>(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Option<Epoch>,
        act: impl FnOnce(&mut Partition, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let partition = self.partitions.get_mut(at)?;
        if epoch.is_some_and(|epoch| epoch != partition.epoch) {
            return None;
        }
        let mut cx = Context {
            now,
            settings: &self.settings,
            memory_short: self.memory_short,
            pins: &mut self.pins,
            scratch: &mut self.scratch,
            out: &mut self.out,
        };
        Some(act(partition, &mut cx))
    }

    /// What follows: when the partition is due, whether it is gone, what it wants done.
    fn settle(&mut self, now: Moment, at: &TopicPartition, replayed: bool) {
        let Some(partition) = self.partitions.get_mut(at) else { return };
        let replays_no_more = replayed && partition.replay.is_none();
        let due = partition.deadline(self.settings.fenced_deadline);
        let released = partition.is_released();
        if released {
            let topic = partition.at.topic.clone();
            let counters = std::mem::take(&mut partition.counters);
            self.counters.entry(topic).or_default().add(counters);
        }
        self.partitions.set_due(due);
        if released {
            self.partitions.remove(at);
        }
        self.ready.extend(self.out.drain(..));
        if replays_no_more {
            self.next_replay(now);
        }
    }

    pub(super) fn with_all(
        &mut self,
        now: Moment,
        mut act: impl FnMut(&mut Partition, &mut Context<'_>),
    ) {
        let all: Vec<_> = self.partitions.values().map(|each| each.at.clone()).collect();
        for at in all {
            self.with(now, &at, None, &mut act);
        }
    }

    /// A Kafka partition was assigned. `goal` is where `--until-end` ends.
    pub fn handle_assigned(
        &mut self,
        now: Moment,
        at: TopicPartition,
        epoch: Epoch,
        policy: Arc<RecordPolicy>,
        goal: Option<Offset>,
    ) {
        let hash = layout_hash(&policy.layout).into();
        let partition = Partition::new(at.clone(), epoch, policy, hash, goal);
        self.partitions.insert(partition);
        self.with(now, &at, Some(epoch), Partition::ask_facts);
    }

    /// The answer to `Action::Resolve`.
    pub fn handle_facts(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Epoch,
        facts: Result<TopicFacts, ResolveError>,
    ) {
        self.with(now, at, Some(epoch), |partition, cx| partition.handle_facts(cx, facts));
    }

    /// A record was fetched.
    pub fn handle_record(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Epoch,
        record: &Record<'_>,
    ) {
        // Nearly every record only fills an open batch: it wants nothing done, and the partition
        // is due as before.
        let acted = self.act(now, at, Some(epoch), |partition, cx| {
            let (replayed, filled) = (partition.replay.is_some(), partition.is_filling());
            partition.handle_record(cx, record);
            let only_filled = filled && partition.is_filling() && cx.out.is_empty();
            (!only_filled).then_some(replayed)
        });
        if let Some(replayed) = acted.flatten() {
            self.settle(now, at, replayed);
        }
    }

    /// The log ends at this offset, for now.
    pub fn handle_eof(&mut self, now: Moment, at: &TopicPartition, epoch: Epoch, offset: Offset) {
        self.with(now, at, Some(epoch), |partition, cx| partition.handle_eof(cx, offset));
    }

    /// The position is outside the log.
    pub fn handle_out_of_range(&mut self, now: Moment, at: &TopicPartition, epoch: Epoch) {
        self.with(now, at, Some(epoch), Partition::handle_out_of_range);
    }

    /// The client gave up fetching for good, as it does on corrupt data.
    pub fn handle_fetch_failed(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Epoch,
        message: &str,
    ) {
        self.with(now, at, Some(epoch), |partition, cx| partition.handle_fetch_failed(cx, message));
    }

    /// The topic's id, as asked at intervals.
    pub fn handle_topic_id(&mut self, now: Moment, topic: &str, topic_id: &Arc<str>) {
        self.with_all(now, |partition, cx| {
            if &*partition.at.topic == topic {
                partition.handle_topic_id(cx, topic_id);
            }
        });
    }

    /// The answer to `Action::Commit`, for the offset that was asked.
    pub fn handle_committed(
        &mut self,
        now: Moment,
        at: &TopicPartition,
        epoch: Epoch,
        offset: Offset,
        answer: Result<(), CommitError>,
    ) {
        self.with(now, at, Some(epoch), |partition, cx| {
            partition.handle_committed(cx, offset, answer);
        });
    }

    /// The answer to `Action::Put`.
    pub fn handle_put(
        &mut self,
        now: Moment,
        ticket: &Ticket,
        reply: Result<PutOutcome, StoreError>,
    ) {
        self.with(now, &ticket.partition, Some(ticket.epoch), |partition, cx| {
            if partition.flight.as_ref().is_some_and(|flight| flight.awaits(ticket)) {
                partition.handle_put(cx, ticket.object, reply);
            }
        });
    }

    /// The answer to `Action::Head`.
    pub fn handle_head(
        &mut self,
        now: Moment,
        ticket: &Ticket,
        reply: Result<HeadOutcome, StoreError>,
    ) {
        self.with(now, &ticket.partition, Some(ticket.epoch), |partition, cx| {
            if partition.flight.as_ref().is_some_and(|flight| flight.awaits(ticket)) {
                partition.handle_head(cx, ticket.object, reply);
            }
        });
    }

    /// The Kafka partition is being taken away; `Action::Released` tells when it holds nothing.
    pub fn handle_revoking(&mut self, now: Moment, at: &TopicPartition, epoch: Epoch, lost: bool) {
        self.with(now, at, Some(epoch), |partition, cx| partition.handle_revoking(cx, lost));
    }

    /// The Kafka partition is gone, whatever it still holds.
    pub fn handle_released(&mut self, now: Moment, at: &TopicPartition, epoch: Epoch) {
        self.with(now, at, Some(epoch), Partition::release);
    }

    /// Whether the Kafka partition is here under this epoch.
    pub fn owns(&self, at: &TopicPartition, epoch: Epoch) -> bool {
        self.partitions.get(at).is_some_and(|partition| partition.epoch == epoch)
    }

    /// How many Kafka partitions are here.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The daemon stops: what is open lands, nothing more is read.
    pub fn handle_shutdown(&mut self, now: Moment) {
        self.with_all(now, Partition::handle_shutdown);
    }

    /// Time went by.
    pub fn handle_time(&mut self, now: Moment) {
        let deadline = self.settings.fenced_deadline;
        let due: Vec<_> = self
            .partitions
            .values()
            .filter(|partition| partition.deadline(deadline).is_some_and(|at| at <= now))
            .map(|partition| partition.at.clone())
            .collect();
        for at in due {
            self.with(now, &at, None, Partition::handle_time);
        }
    }

    /// What to do next, if anything.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.ready.pop_front()
    }

    /// When `handle_time` is to be called although nothing happened.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let earliest = self.partitions.earliest();
        let deadline = self.settings.fenced_deadline;
        debug_assert_eq!(
            earliest,
            self.partitions.values().filter_map(|partition| partition.deadline(deadline)).min(),
            "what is kept is what a look at all of them would find"
        );
        earliest
    }

    /// Whether a shutdown has nothing more to wait for.
    pub fn is_drained(&self) -> bool {
        self.partitions.values().all(Partition::is_drained)
    }

    /// Every Kafka partition as people see it.
    pub fn snapshots(&self) -> Vec<PartitionSnapshot> {
        self.partitions.values().map(Partition::snapshot).collect()
    }

    /// Counts by topic since they were last taken.
    pub fn take_counters(&mut self) -> BTreeMap<Arc<str>, Counters> {
        let mut counters = std::mem::take(&mut self.counters);
        for partition in self.partitions.values_mut() {
            if partition.counters != Counters::default() {
                let of_topic = counters.entry(partition.at.topic.clone()).or_default();
                of_topic.add(std::mem::take(&mut partition.counters));
            }
        }
        counters
    }
}
