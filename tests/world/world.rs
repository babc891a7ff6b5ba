//! One world: topics, a group, a store, processes, and the faults that befall them.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_s3_sink::config::TopicPolicies;
use kafka_s3_sink::pipeline::Ticket;
use kafka_s3_sink::record::{
    BucketEnd, CommitRequest, CommittedOffsets, Epoch, Layout, ObjectAddress, Offset, PutRequest,
    TopicPartition,
};

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::group::{Coordinator, Protocol};
use crate::oracle::{Oracle, Verdict};
use crate::process::Process;
use crate::spool::Happened;
use crate::topic::{Log, Topic};
use crate::trace::Trace;

/// Which fences stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fences {
    Both,
    /// The store overwrites whatever is asked.
    Group,
    /// The group takes every commit. One layout, and nothing is deleted: the two limits of it.
    Store,
    /// To see that the world can fail.
    None,
}

/// A request to the store on its way, even if who sent it is gone.
pub(crate) struct Operation {
    pub(crate) process: u64,
    pub(crate) lane: usize,
    pub(crate) ticket: Ticket,
    pub(crate) what: What,
}

pub(crate) enum What {
    Put(PutRequest),
    Head(ObjectAddress),
}

/// A commit on its way, with the generation of the moment it was sent.
pub(crate) struct Flight {
    pub(crate) process: u64,
    pub(crate) requests: Vec<CommitRequest>,
    pub(crate) sent: Option<(u64, i32)>,
    pub(crate) since: u64,
}

/// The steps of learning where a Kafka partition begins.
pub(crate) struct Inquiry {
    pub(crate) process: u64,
    pub(crate) lane: usize,
    pub(crate) at: TopicPartition,
    pub(crate) epoch: Epoch,
    pub(crate) layout: Arc<Layout>,
    pub(crate) looked: Option<Looked>,
    /// What the group held when it was asked about first.
    pub(crate) asked: Option<Arc<CommittedOffsets>>,
}

/// What stood in the bucket before the offsets were fetched.
#[derive(Clone)]
pub(crate) struct Looked {
    pub(crate) topic_empty: bool,
    /// Looked for only where a run would.
    pub(crate) bucket_end: Option<BucketEnd>,
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) now: u64,
    pub(crate) fences: Fences,
    pub(crate) topics: Vec<Topic>,
    pub(crate) group: Coordinator,
    pub(crate) oracle: Oracle,
    pub(crate) processes: Vec<Process>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) inquiries: Vec<Inquiry>,
    pub(crate) faults: bool,
    pub(crate) deletes: bool,
    /// The offsets topic loses its newest commits now and then. The store's fence alone stands
    /// that, so in these worlds there is one layout and nothing is deleted.
    pub(crate) rolls_back: bool,
    pub(crate) goes_away: bool,
    /// Members have instance ids.
    pub(crate) is_static: bool,
    /// Somebody else has his hands on offsets and topics now and then, while the group has no
    /// members.
    pub(crate) tampers: bool,
    /// Somebody asks for flushes, and changes limits. In every second world: batches that end early
    /// hide what is rare.
    pub(crate) operates: bool,
    /// Processes have spools, which fail. In half of the worlds with operators: it hides what is rare too.
    pub(crate) spools: bool,
    pub(crate) happened: Happened,
    /// These Kafka partitions may stop.
    pub(crate) tampered: BTreeSet<TopicPartition>,
    pub(crate) group_hash: Arc<str>,
    pub(crate) broker_away_until: u64,
    pub(crate) next_uid: u64,
    pub(crate) next_name: u64,
    pub(crate) verdict: Verdict,
    /// The hostile time ends after so many steps, if it is not over before.
    pub(crate) steps_at_most: u64,
    /// What every process is told, where it is not up to chance.
    pub(crate) policies_of_all: Option<TopicPolicies>,
}

impl World {
    pub(crate) fn new(seed: u64, fences: Fences, keep_trace: bool) -> Self {
        let mut dice = Dice::new(seed);
        let protocols = [Protocol::Eager, Protocol::Cooperative, Protocol::Consumer];
        let protocol = *dice.pick(&protocols);
        let group_stands = matches!(fences, Fences::Both | Fences::Group);
        let topics = (0..1 + dice.below(2))
            .map(|n| Topic::new(["t", "u"][n as usize], 1 + dice.below(3) as usize))
            .collect();
        let deletes = group_stands && dice.one_in(3);
        let rolls_back = fences == Fences::Both && !deletes && dice.one_in(3);
        Self {
            trace: Trace::new(keep_trace),
            coverage: Coverage::default(),
            now: 1_000,
            fences,
            topics,
            group: Coordinator::new(protocol, group_stands),
            oracle: Oracle::default(),
            processes: Vec::new(),
            operations: Vec::new(),
            flights: Vec::new(),
            inquiries: Vec::new(),
            faults: true,
            deletes,
            rolls_back,
            goes_away: dice.one_in(4),
            is_static: dice.one_in(4),
            tampers: !deletes && !rolls_back && dice.one_in(4),
            operates: seed % 2 == 1,
            spools: seed % 4 == 3,
            happened: Happened::default(),
            tampered: BTreeSet::new(),
            group_hash: "group".into(),
            broker_away_until: 0,
            next_uid: 1,
            next_name: 1,
            verdict: Ok(()),
            steps_at_most: u64::MAX,
            policies_of_all: None,
            dice,
        }
    }

    /// Lives through a hostile time and a quiet one; whatever breaks the promise is the error.
    pub(crate) fn run(&mut self) -> Verdict {
        self.produce(30);
        self.start_process();
        let steps = 150 + self.dice.below(350);
        for _ in 0..steps.min(self.steps_at_most) {
            self.hostile_step();
            for _ in 0..8 {
                self.ordinary_step();
            }
            self.verdict.clone()?;
        }
        self.calm_down();
        self.settle()?;
        self.oracle.final_verdict(&self.tampered)
    }

    pub(crate) fn note(&mut self, what: &'static str, detail: impl FnOnce() -> String) {
        self.coverage.saw(what);
        self.trace.note(self.now, what, detail);
    }

    pub(crate) fn all(&self) -> Vec<TopicPartition> {
        self.topics.iter().flat_map(Topic::partitions).collect()
    }

    pub(crate) fn log(&mut self, at: &TopicPartition) -> &mut Log {
        let topic = self.topics.iter_mut().find(|topic| topic.name == at.topic);
        &mut topic.expect("a topic").logs[at.partition as usize]
    }

    pub(crate) fn index(&self, process: u64) -> Option<usize> {
        self.processes.iter().position(|it| it.name == process)
    }

    /// No more faults: whoever is left is killed, and one new process does the rest.
    pub(crate) fn calm_down(&mut self) {
        self.faults = false;
        self.broker_away_until = self.broker_away_until.min(self.now);
        self.topics.iter_mut().flat_map(|topic| &mut topic.logs).for_each(|log| log.short = None);
        while !self.processes.is_empty() {
            self.remove(0, "crash");
        }
        self.start_process();
        self.note("calm", String::new);
    }

    pub(crate) fn quiet_step(&mut self) {
        for _ in 0..8 {
            self.ordinary_step();
        }
        let lanes = self.processes.first().map_or(0, |process| process.lanes.len());
        for lane in 0..lanes {
            self.turn(0, lane, 16);
        }
        if let Some(index) = self.processes.len().checked_sub(1) {
            self.tick(index);
        }
    }

    pub(crate) fn settle(&mut self) -> Verdict {
        for round in 0..6_000 {
            self.quiet_step();
            self.verdict.clone()?;
            if round % 16 == 15 {
                if self.is_done() {
                    return Ok(());
                }
                self.now += 400;
            }
        }
        let behind: Vec<_> = self.all().into_iter().filter(|at| !self.is_at_end(at)).collect();
        let states: Vec<_> = self
            .processes
            .iter()
            .flat_map(|process| &process.lanes)
            .flat_map(|lane| lane.driver.sink.snapshots())
            .map(|it| {
                format!("{} {} at {:?} of {:?}", it.partition, it.state, it.position, it.committed)
            })
            .collect();
        Err(format!("never done: {behind:?} in {states:#?}"))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.operations.is_empty()
            && self.all().iter().all(|at| self.tampered.contains(at) || self.is_at_end(at))
    }

    pub(crate) fn is_at_end(&self, at: &TopicPartition) -> bool {
        let topic = self.topics.iter().find(|topic| topic.name == at.topic).expect("a topic");
        let end = topic.logs[at.partition as usize].end;
        let committed = self.group.offsets.get(at).and_then(|it| it.offset);
        committed == Some(Offset(end))
    }
}
