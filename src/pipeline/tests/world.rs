//! A log, a group, a store and members that crash: just enough to run the real pipeline in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Action, Event, Moment, Sink, SinkSettings, StopReason, Ticket};
use super::common::{bucket_end, settings};
use crate::record::{
    CommitError, CommitRequest, Committed, Epoch, HeadOutcome, LostOffsetsPolicy, NoHeaders,
    ObjectMetadata, Offset, OutOfRangePolicy, PutOutcome, PutRequest, Record, RecordPolicy,
    StoreError, StoreErrorClass, TimestampMs, TopicFacts, TopicPartition,
};

/// A small generator of reproducible choices (xorshift64*).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    /// True once in `n` throws.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A record of the log.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) value: Option<Vec<u8>>,
    pub(super) leader_epoch: i32,
}

impl Entry {
    /// As a fetch hands it on.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            offset: Offset(self.offset),
            timestamp: Some(TimestampMs(self.timestamp)),
            key: None,
            value: self.value.as_deref(),
            headers: &NoHeaders,
            leader_epoch: Some(self.leader_epoch),
        }
    }
}

/// An object of the store.
pub(super) struct Stored {
    pub(super) metadata: ObjectMetadata,
    pub(super) bytes: Vec<u8>,
}

/// A reply on its way to a member.
enum Reply {
    Facts(Epoch),
    Committed(Epoch, Offset, Result<(), CommitError>),
    Put(Ticket, Result<PutOutcome, StoreError>),
    Head(Ticket, Result<HeadOutcome, StoreError>),
}

/// One process of the sink.
pub(super) struct Member {
    pub(super) sink: Sink,
    pub(super) epoch: Epoch,
    fetching: Option<Offset>,
    paused: bool,
    eof_told: Option<i64>,
    todo: VecDeque<Action>,
    replies: Vec<Reply>,
    pub(super) events: Vec<Event>,
}

impl Member {
    pub(super) fn stopped(&self) -> Option<&StopReason> {
        self.events.iter().find_map(|event| match event {
            Event::Stopped(reason) => Some(reason),
            _ => None,
        })
    }
}

/// One Kafka partition's world.
pub(super) struct World {
    pub(super) at: TopicPartition,
    pub(super) now: Moment,
    pub(super) log: Vec<Entry>,
    pub(super) log_start: i64,
    pub(super) log_end: i64,
    pub(super) topic_id: Arc<str>,
    pub(super) committed: Committed,
    pub(super) store: BTreeMap<String, Stored>,
    pub(super) owner: Epoch,
    pub(super) group_fence: bool,
    pub(super) conditional: bool,
    pub(super) lost_offsets: LostOffsetsPolicy,
    pub(super) out_of_range: OutOfRangePolicy,
    pub(super) faults: bool,
    /// Whether time may jump to the next deadline.
    pub(super) jumps: bool,
    pub(super) dice: Dice,
    pub(super) goal: Option<Offset>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            at: TopicPartition::new("t", 0),
            now: Moment(1000),
            log: Vec::new(),
            log_start: 0,
            log_end: 0,
            topic_id: "topic-id".into(),
            committed: Committed::default(),
            store: BTreeMap::new(),
            owner: Epoch(0),
            group_fence: true,
            conditional: true,
            lost_offsets: LostOffsetsPolicy::Error,
            out_of_range: OutOfRangePolicy::Stop,
            faults: false,
            jumps: true,
            dice: Dice::new(seed),
            goal: None,
        }
    }

    /// Appends a JSON record whose `n` is its offset; the hour of its timestamp is `hour`.
    pub(super) fn append(&mut self, hour: i64) {
        let offset = self.log_end;
        let value = format!("{{\"n\":{offset}}}").into_bytes();
        self.append_value(hour, Some(value));
    }

    pub(super) fn append_value(&mut self, hour: i64, value: Option<Vec<u8>>) {
        let timestamp = 1_700_000_000_000 + hour * 3_600_000;
        let offset = self.log_end;
        self.log.push(Entry { offset, timestamp, value, leader_epoch: 0 });
        self.log_end += 1;
    }

    /// Leaves a hole in the offsets.
    pub(super) fn gap(&mut self, len: i64) {
        self.log_end += len;
    }

    /// Starts a process that owns the partition from now on.
    pub(super) fn start(&mut self, policy: &RecordPolicy) -> Member {
        self.owner = Epoch(self.owner.0 + 1);
        let settings = SinkSettings {
            session: format!("s{}", self.owner).into(),
            conditional_put: self.conditional,
            on_lost_offsets: self.lost_offsets,
            on_offset_out_of_range: self.out_of_range,
            ..settings()
        };
        let mut member = Member {
            sink: Sink::new(settings),
            epoch: self.owner,
            fetching: None,
            paused: false,
            eof_told: None,
            todo: VecDeque::new(),
            replies: Vec::new(),
            events: Vec::new(),
        };
        let policy = Arc::new(policy.clone());
        member.sink.handle_assigned(self.now, self.at.clone(), self.owner, policy, self.goal);
        member
    }

    /// One random step of one member.
    pub(super) fn step(&mut self, member: &mut Member) {
        if self.faults && self.dice.one_in(50) {
            let short = self.dice.one_in(2);
            member.sink.handle_memory_short(self.now, short);
            member.sink.handle_flush_largest(self.now);
        }
        self.poll(member);
        match self.dice.below(4) {
            0 if !member.todo.is_empty() => self.execute(member),
            1 if !member.replies.is_empty() => self.reply(member),
            2 => self.deliver(member),
            _ => self.wait(member),
        }
    }

    /// Takes the sink's actions. What moves the fetch is done at once, as the daemon does: a
    /// record that was fetched before must not be handed in after.
    fn poll(&mut self, member: &mut Member) {
        while let Some(action) = member.sink.poll_action() {
            match action {
                Action::Fetch { from, .. } => {
                    (member.fetching, member.paused, member.eof_told) = (Some(from), false, None);
                }
                Action::StopFetch(_) | Action::Released(..) => member.fetching = None,
                Action::Pause(_) => member.paused = true,
                Action::Resume(_, next) => {
                    // As librdkafka does, a resume may deliver again what was delivered.
                    member.paused = false;
                    member.fetching = Some(Offset((next.0 - 2).max(self.log_start)));
                }
                other => member.todo.push_back(other),
            }
        }
    }

    /// Runs a member until it has nothing more to do: all read, all landed, all committed.
    pub(super) fn settle(&mut self, member: &mut Member) {
        let mut quiet = 0;
        while quiet < 40 {
            let before = (self.committed.clone(), member.events.len());
            for _ in 0..100 {
                self.step(member);
            }
            let idle = before == (self.committed.clone(), member.events.len());
            quiet = if idle { quiet + 1 } else { 0 };
        }
    }

    fn wait(&mut self, member: &mut Member) {
        self.now = self.now + Duration::from_millis(1 + self.dice.below(50));
        if self.jumps && self.dice.one_in(20) {
            // Nothing else may be going on: jump to the next deadline.
            let next = member.sink.poll_timeout().filter(|at| at.0 < u64::MAX);
            self.now = next.map_or(self.now, |at| at.max(self.now));
        }
        member.sink.handle_time(self.now);
    }

    fn deliver(&mut self, member: &mut Member) {
        let Some(from) = member.fetching.filter(|_| !member.paused) else { return };
        if from.0 < self.log_start || from.0 > self.log_end {
            member.sink.handle_out_of_range(self.now, &self.at, member.epoch);
            return;
        }
        let Some(entry) = self.log.iter().find(|entry| entry.offset >= from.0).cloned() else {
            if member.eof_told != Some(self.log_end) {
                member.eof_told = Some(self.log_end);
                member.sink.handle_eof(self.now, &self.at, member.epoch, Offset(self.log_end));
            }
            return;
        };
        member.fetching = Some(Offset(entry.offset).next());
        member.sink.handle_record(self.now, &self.at, member.epoch, &entry.record());
    }

    fn execute(&mut self, member: &mut Member) {
        let Some(action) = member.todo.pop_front() else { return };
        match action {
            Action::Resolve { epoch, .. } => member.replies.push(Reply::Facts(epoch)),
            Action::Commit(request) => self.commit(member, request),
            Action::Put(ticket, request) => {
                let reply = self.put(&request);
                member.replies.push(Reply::Put(ticket, reply));
            }
            Action::Head(ticket, address) => {
                let found = self.store.get(&*address.key).map(|stored| HeadOutcome::Found {
                    metadata: stored.metadata.clone(),
                    size: stored.bytes.len() as u64,
                });
                member.replies.push(Reply::Head(ticket, Ok(found.unwrap_or(HeadOutcome::Missing))));
            }
            Action::Tell(_, event) => member.events.push(event),
            moved => unreachable!("done by poll: {moved:?}"),
        }
    }

    fn commit(&mut self, member: &mut Member, request: CommitRequest) {
        assert!(request.metadata.len() <= 4096);
        let accepted = !self.group_fence || member.epoch == self.owner;
        let fails_before = self.faults && self.dice.one_in(8);
        if accepted && !fails_before {
            self.committed = Committed { offset: Some(request.offset), metadata: request.metadata };
        }
        let answer = match (accepted, fails_before || (self.faults && self.dice.one_in(8))) {
            (false, _) => Err(CommitError::Fenced("unknown member".into())),
            (true, true) => Err(CommitError::Retry("no answer".into())),
            (true, false) => Ok(()),
        };
        member.replies.push(Reply::Committed(request.epoch, request.offset, answer));
    }

    fn put(&mut self, request: &PutRequest) -> Result<PutOutcome, StoreError> {
        let failed = |message: &str| {
            Err(StoreError { class: StoreErrorClass::Retry, message: message.into() })
        };
        if self.faults && self.dice.one_in(6) {
            return failed("before the effect");
        }
        let key = request.address.key.to_string();
        if request.if_none_match && self.store.contains_key(&key) {
            return Ok(PutOutcome::Taken);
        }
        let bytes = request.body.joined().expect("in memory");
        self.store.insert(key, Stored { metadata: request.metadata.clone(), bytes });
        if self.faults && self.dice.one_in(6) {
            failed("after the effect")
        } else {
            Ok(PutOutcome::Stored)
        }
    }

    fn reply(&mut self, member: &mut Member) {
        let index = self.dice.below(member.replies.len() as u64) as usize;
        match member.replies.swap_remove(index) {
            Reply::Facts(epoch) => {
                let facts = self.facts();
                member.sink.handle_facts(self.now, &self.at, epoch, Ok(facts));
            }
            Reply::Committed(epoch, offset, answer) => {
                member.sink.handle_committed(self.now, &self.at, epoch, offset, answer);
            }
            Reply::Put(ticket, reply) => member.sink.handle_put(self.now, &ticket, reply),
            Reply::Head(ticket, reply) => member.sink.handle_head(self.now, &ticket, reply),
        }
    }

    fn facts(&self) -> TopicFacts {
        TopicFacts {
            topic_id: self.topic_id.clone(),
            cluster_id: "".into(),
            committed: Arc::new(BTreeMap::from([(0, self.committed.clone())])),
            log_start: Offset(self.log_start),
            log_end: Offset(self.log_end),
            prefix_empty: Some(self.store.is_empty()),
            bucket_end: Some(bucket_end(self)),
            compacted: None,
        }
    }

    /// How often each record stands in the store, by offset.
    pub(super) fn landed(&self) -> HashMap<i64, u32> {
        let mut landed = HashMap::new();
        for stored in self.store.values() {
            for line in text(&stored.bytes).lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let offset = value.get("n").or_else(|| value.get("offset")).unwrap();
                *landed.entry(offset.as_i64().unwrap()).or_default() += 1;
            }
        }
        landed
    }

    /// The promise: every landing record below the committed offset once, none twice.
    pub(super) fn check(&self) {
        let landed = self.landed();
        let committed = self.committed.offset.map_or(0, |offset| offset.0);
        for entry in self.log.iter().filter(|entry| entry.value.is_some()) {
            let count = landed.get(&entry.offset).copied().unwrap_or(0);
            let wanted = if entry.offset < committed { 1..=1 } else { 0..=1 };
            assert!(
                wanted.contains(&count),
                "offset {} stands {count} times with {committed} committed in {:#?}",
                entry.offset,
                self.holding(entry.offset)
            );
        }
    }

    /// The objects that hold a record, with their metadata.
    fn holding(&self, offset: i64) -> Vec<(&String, &ObjectMetadata)> {
        let number = format!(":{offset}");
        let holds = |stored: &Stored| {
            let text = text(&stored.bytes);
            text.contains(&(number.clone() + "}")) || text.contains(&(number.clone() + ","))
        };
        let holding = self.store.iter().filter(|(_, stored)| holds(stored));
        holding.map(|(key, stored)| (key, &stored.metadata)).collect()
    }

    /// The committed offset.
    pub(super) fn position(&self) -> i64 {
        self.committed.offset.map_or(-1, |offset| offset.0)
    }
}

/// The text of a gzip object.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}
