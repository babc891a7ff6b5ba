//! One process of the sink: real lane drivers, the real fence, the real rounds of commits, and
//! what librdkafka does between them and the group.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_s3_sink::config::TopicPolicies;
use kafka_s3_sink::daemon::driver::{Driver, LaneInput};
use kafka_s3_sink::kafka::CommitDone;
use kafka_s3_sink::kafka::fence::{Fence, Generation};
use kafka_s3_sink::kafka::rounds::Rounds;
use kafka_s3_sink::pipeline::{Event, Sink, SinkSettings};
use kafka_s3_sink::record::{CommitError, CommitRequest, Epoch, LostOffsetsPolicy, TopicPartition};

use crate::ports::{Ports, Request};

/// As the daemon's: how long a revoke waits for what is on its way to land.
const REVOKE_PATIENCE_MS: u64 = 8_000;
/// How long a revoke waits for commits in flight before the process stops.
const FENCE_DEADLINE_MS: u64 = 36_000;

pub(crate) struct Lane {
    pub(crate) driver: Driver<Ports>,
    pub(crate) ports: Ports,
    pub(crate) inbox: Arc<Mutex<VecDeque<LaneInput>>>,
}

/// A revoke that is under way.
struct Revoke {
    partitions: Vec<(TopicPartition, Epoch)>,
    left: Vec<(TopicPartition, Epoch)>,
    lost: bool,
    since: u64,
    released: bool,
    /// The lanes have let go; commits in flight are waited for.
    fenced: bool,
    /// The client joined again meanwhile, as if it had been answered; it was given these.
    joined_again: Option<Vec<TopicPartition>>,
}

/// What a process does to the world beside its lanes' requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Nothing,
    /// These are held no more, and the group may know.
    GaveBack(Vec<TopicPartition>),
    /// The same, and the group believed it long ago: it has given these since.
    GaveBackLate(Vec<TopicPartition>),
    /// The same, but the group had taken them away already.
    Lost,
    /// A commit hung for too long: the process is gone.
    HardStop,
}

pub(crate) struct Process {
    pub(crate) name: u64,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) fence: Fence,
    pub(crate) rounds: Rounds,
    /// A request is in the network, or its answer is.
    pub(crate) committing: bool,
    pub(crate) member: Option<(u64, i32)>,
    /// Whether its assignments are bound to generations.
    pub(crate) counted: bool,
    /// How many Kafka partitions there were when its client last heard of topics.
    pub(crate) topics_seen: usize,
    pub(crate) owned: BTreeMap<TopicPartition, Epoch>,
    revoke: Option<Revoke>,
    /// Those that do not stand in the lane that their number says.
    moved: BTreeMap<TopicPartition, usize>,
    /// Those that go to another lane once theirs has let go.
    giving: BTreeMap<(TopicPartition, Epoch), usize>,
    pub(crate) frozen_until: u64,
    /// After a freeze the lanes may run before the client hears of anything.
    pub(crate) deaf_until: u64,
    /// The last answer to a heartbeat.
    pub(crate) heard: u64,
    pub(crate) leaving: bool,
    /// What it was told about offsets that are lost.
    pub(crate) on_lost_offsets: LostOffsetsPolicy,
    /// Its instance id, if it is a static member.
    pub(crate) instance: Option<u64>,
}

impl Process {
    pub(crate) fn new(
        name: u64,
        lanes: usize,
        settings: &SinkSettings,
        policies: &Arc<TopicPolicies>,
    ) -> Self {
        let lanes = (0..lanes).map(|index| {
            let session = format!("{name}.{index}").into();
            let sink = Sink::new(SinkSettings { session, ..settings.clone() });
            let ports = Ports::default();
            let driver = Driver::new(sink, ports.clone(), Arc::clone(policies));
            Lane { driver, ports, inbox: Arc::default() }
        });
        Self {
            name,
            lanes: lanes.collect(),
            fence: Fence::default(),
            rounds: Rounds::default(),
            committing: false,
            member: None,
            counted: false,
            topics_seen: 0,
            owned: BTreeMap::new(),
            revoke: None,
            moved: BTreeMap::new(),
            giving: BTreeMap::new(),
            frozen_until: 0,
            deaf_until: 0,
            heard: 0,
            leaving: false,
            on_lost_offsets: settings.on_lost_offsets,
            instance: None,
        }
    }

    pub(crate) fn lane_of(&self, at: &TopicPartition) -> usize {
        let by_number = at.partition.unsigned_abs() as usize % self.lanes.len();
        self.moved.get(at).copied().unwrap_or(by_number)
    }

    /// Asks a lane to give one of its Kafka partitions to the next; whether it was asked.
    pub(crate) fn give(&mut self, at: &TopicPartition) -> bool {
        let Some(epoch) = self.owned.get(at).copied() else { return false };
        let (key, from) = ((at.clone(), epoch), self.lane_of(at));
        if self.lanes.len() < 2 || self.is_revoking() || self.leaving {
            return false;
        }
        let is_new = self.giving.insert(key.clone(), (from + 1) % self.lanes.len()).is_none();
        if is_new {
            self.post(from, LaneInput::Revoking(vec![key], false));
        }
        is_new
    }

    /// Gives to other lanes what was let go for that, and is still ours.
    fn give_on(&mut self, gone: &[(TopicPartition, Epoch)]) {
        for key in gone {
            let Some(to) = self.giving.remove(key) else { continue };
            let revoked = self.revoke.as_ref().is_some_and(|it| it.partitions.contains(key));
            if !revoked && self.owned.get(&key.0) == Some(&key.1) {
                self.moved.insert(key.0.clone(), to);
                self.post(to, LaneInput::Assigned(vec![key.clone()]));
            }
        }
    }

    pub(crate) fn post(&self, lane: usize, input: LaneInput) {
        self.lanes[lane].inbox.lock().unwrap().push_back(input);
    }

    /// One turn of one lane's thread.
    pub(crate) fn turn(&mut self, lane: usize, now: u64, at_once: usize) {
        let lane = &mut self.lanes[lane];
        {
            let mut side = lane.ports.0.borrow_mut();
            (side.now, side.at_once) = (now, at_once);
        }
        loop {
            let input = lane.inbox.lock().unwrap().pop_front();
            let Some(input) = input else { break };
            lane.driver.take(input);
        }
        lane.driver.turn(Duration::ZERO);
    }

    /// What the lanes ask for; commits go to the committer.
    pub(crate) fn take_requests(&mut self, lane: usize) -> Vec<Request> {
        let requests = std::mem::take(&mut self.lanes[lane].ports.0.borrow_mut().requests);
        let mut others = Vec::new();
        for request in requests {
            match request {
                Request::Commit(requests) => self.queue_commit(lane, requests),
                other => others.push(other),
            }
        }
        others
    }

    pub(crate) fn take_events(&mut self, lane: usize) -> Vec<(TopicPartition, Event)> {
        std::mem::take(&mut self.lanes[lane].ports.0.borrow_mut().events)
    }

    fn queue_commit(&mut self, lane: usize, requests: Vec<CommitRequest>) {
        let offsets: BTreeMap<_, _> =
            requests.iter().map(|each| (each.partition.clone(), each.offset)).collect();
        let inbox = Arc::clone(&self.lanes[lane].inbox);
        let done: CommitDone = Arc::new(move |outcome| {
            let offset = offsets[&outcome.partition];
            let (at, epoch) = (outcome.partition, outcome.epoch);
            let input = LaneInput::Committed(at, epoch, offset, outcome.result);
            inbox.lock().unwrap().push_back(input);
        });
        self.rounds.push(requests, &done);
    }

    /// The committer's next request, if none is on its way.
    pub(crate) fn next_round(&mut self) -> Option<Vec<CommitRequest>> {
        if self.committing || self.rounds.is_empty() {
            return None;
        }
        let generation = self.generation();
        let round = self.rounds.next_round(&self.fence, || generation);
        self.committing = !round.is_empty();
        self.committing.then_some(round)
    }

    pub(crate) fn answered(&mut self, answer: &Result<(), CommitError>) {
        self.committing = false;
        self.rounds.answered(&self.fence, |_| answer.clone());
    }

    pub(crate) fn generation(&self) -> Generation {
        match self.member {
            _ if !self.counted => Generation::default(),
            Some((_, generation)) => Generation(generation),
            None => Generation(-1),
        }
    }

    pub(crate) fn assign(&mut self, partitions: Vec<TopicPartition>) {
        let generation = self.generation();
        self.fence.go_on(generation);
        for at in partitions {
            let epoch = self.fence.open(&at, generation);
            self.owned.insert(at.clone(), epoch);
            self.post(self.lane_of(&at), LaneInput::Assigned(vec![(at, epoch)]));
        }
    }

    pub(crate) const fn is_revoking(&self) -> bool {
        self.revoke.is_some()
    }

    /// A topic that changed makes librdkafka join again at once, although it waits for the answer
    /// to a revoke. What the group takes for given back then.
    pub(crate) fn join_again(&mut self, topics: usize) -> Option<Vec<TopicPartition>> {
        let changed = std::mem::replace(&mut self.topics_seen, topics) != topics;
        let revoke = self.revoke.as_mut().filter(|revoke| !revoke.lost)?;
        let again = changed && self.counted && !self.leaving && revoke.joined_again.is_none();
        again.then(|| {
            revoke.joined_again = Some(Vec::new());
            revoke.partitions.iter().map(|(at, _)| at.clone()).collect()
        })
    }

    /// What it was given since it joined again in the midst of a revoke, if it did.
    pub(crate) fn given_meanwhile(&mut self) -> Option<&mut Vec<TopicPartition>> {
        self.revoke.as_mut()?.joined_again.as_mut()
    }

    /// The rebalance callback begins.
    pub(crate) fn begin_revoke(&mut self, which: &[TopicPartition], lost: bool, now: u64) {
        let partitions: Vec<_> =
            which.iter().filter_map(|at| Some((at.clone(), *self.owned.get(at)?))).collect();
        for each in &partitions {
            self.post(self.lane_of(&each.0), LaneInput::Revoking(vec![each.clone()], lost));
        }
        self.fence.begin_revoke(partitions.iter().map(|(at, _)| at));
        self.revoke = Some(Revoke {
            left: partitions.clone(),
            partitions,
            lost,
            since: now,
            released: false,
            fenced: false,
            joined_again: None,
        });
    }

    /// Goes on with the rebalance callback: first the lanes, then the commits, then the group.
    pub(crate) fn go_on_revoking(&mut self, now: u64) -> Did {
        let gone: Vec<_> = self
            .lanes
            .iter()
            .flat_map(|lane| std::mem::take(&mut lane.ports.0.borrow_mut().let_go))
            .collect();
        self.give_on(&gone);
        let Some(revoke) = &mut self.revoke else { return Did::Nothing };
        revoke.left.retain(|each| !gone.contains(each));
        let waited = now.saturating_sub(revoke.since);
        if !revoke.left.is_empty() {
            if waited > REVOKE_PATIENCE_MS && !revoke.released {
                revoke.released = true;
                let left = revoke.left.clone();
                for each in left {
                    self.post(self.lane_of(&each.0), LaneInput::Release(vec![each]));
                }
            }
            return Did::Nothing;
        }
        let names: Vec<_> = revoke.partitions.iter().map(|(at, _)| at.clone()).collect();
        if !revoke.fenced {
            revoke.fenced = true;
            self.fence.revoke(&names);
        }
        if self.fence.wait_answered(&names, Duration::ZERO).is_err() {
            return if waited > FENCE_DEADLINE_MS { Did::HardStop } else { Did::Nothing };
        }
        let (lost, joined_again) = (revoke.lost, revoke.joined_again.take());
        self.revoke = None;
        self.owned.retain(|at, _| !names.contains(at));
        self.moved.retain(|at, _| !names.contains(at));
        self.giving.retain(|(at, _), _| !names.contains(at));
        match joined_again {
            Some(given) => Did::GaveBackLate(given),
            None if lost => Did::Lost,
            None => Did::GaveBack(names),
        }
    }

    /// When one of its lanes has something to do although nothing happened.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let due = self.lanes.iter().filter_map(|lane| lane.driver.sink.poll_timeout());
        due.map(|at| at.0).filter(|at| *at < u64::MAX).min()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.driver.is_drained())
    }
}
