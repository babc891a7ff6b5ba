//! Processes come, go, freeze, and run their lanes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_s3_sink::config::TopicPolicies;
use kafka_s3_sink::daemon::driver::LaneInput;
use kafka_s3_sink::pipeline::{Event, SinkSettings};
use kafka_s3_sink::record::{
    Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout, LostOffsetsPolicy,
    OutOfRangePolicy, RecordPolicy, RevokePolicy, RotationPolicy, StartPosition, TombstonePolicy,
    TopicPartition,
};

use crate::dice::Dice;
use crate::group::SESSION_MS;
use crate::ports::{Fetched, Request};
use crate::process::Process;
use crate::world::{Fences, Inquiry, Operation, What, World};

impl World {
    pub(crate) fn some_process(&mut self) -> Option<usize> {
        let now = self.now;
        let awake: Vec<usize> = (0..self.processes.len())
            .filter(|index| self.processes[*index].frozen_until <= now)
            .collect();
        (!awake.is_empty()).then(|| *self.dice.pick(&awake))
    }

    pub(crate) fn layout(&mut self) -> Layout {
        let one = matches!(self.fences, Fences::Store | Fences::None) || self.rolls_back;
        let partition_by = match self.dice.below(if one { 1 } else { 4 }) {
            0 | 1 => vec![HiveKey::Dt, HiveKey::Hour],
            2 => vec![],
            _ => vec![HiveKey::Field { name: "f".into(), key: "renamed".into() }, HiveKey::Dt],
        };
        let fresh = |dice: &mut Dice| !one && dice.one_in(5);
        // Under another prefix nothing of what landed would be seen: where offsets are lost, records
        // would rightly land again, and one left behind whose log has lost its head would stop.
        let may_move = !self.tampers && !self.deletes;
        Layout {
            bucket: "lake".into(),
            prefix: if may_move && fresh(&mut self.dice) { "raw2" } else { "raw" }.into(),
            dead_letter_prefix: "dead".into(),
            partition_by,
            compression: if fresh(&mut self.dice) { Compression::Gzip } else { Compression::None },
            usable_time: (0, i64::MAX),
            envelope: if fresh(&mut self.dice) { Envelope::Fields } else { Envelope::None },
            on_invalid: InvalidPolicy::DeadLetter,
            on_tombstone: TombstonePolicy::Skip,
            max_record_bytes: 1 << 20,
            isolation_level: IsolationLevel::ReadCommitted,
        }
    }

    pub(crate) fn policies(&mut self) -> TopicPolicies {
        let layout = Arc::new(self.layout());
        self.oracle.know_layout(&layout);
        let dice = &mut self.dice;
        let revoke = [RevokePolicy::HandOver, RevokePolicy::Flush];
        let rotation = RotationPolicy {
            max_bytes: 60 + dice.below(400),
            max_records: 1 + dice.below(12),
            max_age: Duration::from_millis(200 + dice.below(20_000)),
            record_time: dice.one_in(4).then(|| Duration::from_secs(3_600)),
            max_open_hive_partitions: 1 + dice.below(4) as usize,
            on_revoke: *dice.pick(&revoke),
        };
        let default = RecordPolicy { layout, rotation, compression_level: None };
        TopicPolicies { default, by_topic: BTreeMap::new() }
    }

    pub(crate) fn start_process(&mut self) {
        let name = self.next_name;
        self.next_name += 1;
        let insists = self.tampers && self.dice.one_in(2);
        let on_lost_offsets =
            if insists { LostOffsetsPolicy::Start } else { LostOffsetsPolicy::Error };
        let instance = self.is_static.then(|| self.dice.below(5));
        let spool = self.spool();
        let settings = SinkSettings {
            group_hash: Arc::clone(&self.group_hash),
            session: "".into(),
            conditional_put: matches!(self.fences, Fences::Both | Fences::Store),
            start: StartPosition::Earliest,
            on_lost_offsets,
            on_offset_out_of_range: OutOfRangePolicy::Earliest,
            fenced_deadline: Duration::from_secs(60),
            spool,
        };
        let policies = self.policies_of_all.clone().unwrap_or_else(|| self.policies());
        let policies = Arc::new(policies);
        let lanes = 1 + self.dice.below(2) as usize;
        let mut process = Process::new(name, lanes, &settings, &policies);
        process.instance = instance;
        process.counted = self.group.counts_generations();
        process.topics_seen = self.all().len();
        self.processes.push(process);
        self.note("start", || format!("process {name}, {lanes} lanes"));
    }

    pub(crate) fn scale_up(&mut self) {
        if self.processes.len() < 4 {
            self.start_process();
        }
    }

    /// SIGKILL. What it had sent may still arrive.
    pub(crate) fn crash(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let index = self.dice.below(self.processes.len() as u64) as usize;
        self.remove(index, "crash");
    }

    pub(crate) fn remove(&mut self, index: usize, what: &'static str) {
        let process = self.processes.remove(index);
        self.inquiries.retain(|it| it.process != process.name);
        if self.dice.one_in(2) {
            self.operations.retain(|it| it.process != process.name);
        }
        if self.dice.one_in(2) {
            self.flights.retain(|it| it.process != process.name || it.sent.is_some());
        }
        self.note(what, || format!("process {}", process.name));
    }

    /// SIGSTOP, mostly beyond the session.
    pub(crate) fn freeze(&mut self) {
        let Some(index) = self.some_process() else { return };
        let until = self.now + 1_000 + self.dice.below(4 * SESSION_MS);
        let deaf = self.dice.below(3_000);
        self.processes[index].frozen_until = until;
        self.processes[index].deaf_until = until + deaf;
        let name = self.processes[index].name;
        self.note("freeze", || format!("process {name} until {until}"));
    }

    /// SIGTERM.
    pub(crate) fn terminate(&mut self) {
        let Some(index) = self.some_process() else { return };
        let process = &mut self.processes[index];
        if !process.leaving {
            process.leaving = true;
            (0..process.lanes.len()).for_each(|lane| process.post(lane, LaneInput::Shutdown));
            let name = process.name;
            self.note("terminate", || format!("process {name}"));
        }
    }

    pub(crate) fn lane_turn(&mut self) {
        let Some(index) = self.some_process() else { return };
        let lane = self.dice.below(self.processes[index].lanes.len() as u64) as usize;
        let at_once = 1 + self.dice.below(6) as usize;
        self.turn(index, lane, at_once);
    }

    pub(crate) fn turn(&mut self, index: usize, lane: usize, at_once: usize) {
        self.processes[index].turn(lane, self.now, at_once);
        let name = self.processes[index].name;
        for request in self.processes[index].take_requests(lane) {
            match request {
                Request::Put(ticket, request) => {
                    let what = What::Put(request);
                    self.operations.push(Operation { process: name, lane, ticket, what });
                }
                Request::Head(ticket, address) => {
                    let what = What::Head(address);
                    self.operations.push(Operation { process: name, lane, ticket, what });
                }
                Request::Resolve(at, epoch, layout) => {
                    let (looked, asked) = (None, None);
                    let process = name;
                    self.inquiries.push(Inquiry {
                        process,
                        lane,
                        at,
                        epoch,
                        layout,
                        looked,
                        asked,
                    });
                }
                Request::Commit(_) => unreachable!("taken by the committer"),
            }
        }
        for (at, event) in self.processes[index].take_events(lane) {
            self.event(name, &at, &event);
        }
    }

    pub(crate) fn event(&mut self, name: u64, at: &TopicPartition, event: &Event) {
        let what = match event {
            Event::Begins { .. } => "begins",
            Event::Replays { .. } => "replays",
            Event::ReadsAgain { .. } => "reads again",
            Event::Adopts { .. } => "adopts",
            Event::BatchEnded { reason, .. } => reason.as_str(),
            Event::ObjectLanded { found: true, .. } => "object was there",
            Event::ObjectLanded { .. } => "object landed",
            Event::Committed { .. } => "committed",
            Event::Lost { .. } => "lost to retention",
            Event::Failed(_) => "retry",
            Event::FencedForGood(_) => "fenced for good",
            Event::StepTook { .. } | Event::ReachedEnd => return,
            Event::Stopped(reason)
                if self.tampered.contains(at)
                    && matches!(
                        reason.code,
                        "lost_offsets" | "topic_recreated" | "log_truncated"
                    ) =>
            {
                "stopped rightly"
            }
            // What a process stops that the group has given to another is the other's business.
            Event::Stopped(_) if !self.is_owner(name, at) => "stopped by a zombie",
            Event::Stopped(reason) => {
                self.verdict = Err(format!("process {name}: {at} stopped: {}", reason.text));
                "stopped for good"
            }
        };
        self.note(what, || format!("process {name} {at} {event:?}"));
    }

    pub(crate) fn is_owner(&self, name: u64, at: &TopicPartition) -> bool {
        let process = self.processes.iter().find(|process| process.name == name);
        let member = process.and_then(|process| process.member);
        member.is_some_and(|(id, _)| self.group.owner(at) == Some(id))
    }

    pub(crate) fn fetch(&mut self) {
        let Some(index) = self.some_process() else { return };
        let lane = self.dice.below(self.processes[index].lanes.len() as u64) as usize;
        let ports = self.processes[index].lanes[lane].ports.clone();
        let running: Vec<_> = ports
            .0
            .borrow()
            .fetches
            .iter()
            .filter(|(_, fetch)| !fetch.paused)
            .map(|(at, _)| at.clone())
            .collect();
        if running.is_empty() {
            return;
        }
        let at = self.dice.pick(&running).clone();
        let count = 1 + self.dice.below(8);
        let mut side = ports.0.borrow_mut();
        let side = &mut *side;
        let fetch = side.fetches.get_mut(&at).expect("it runs");
        let now = self.now;
        let log = self.log(&at);
        let end = log.readable_end(now);
        if fetch.next < log.start || fetch.next > log.end {
            side.ready.push_back(Fetched::OutOfRange(at.clone(), fetch.epoch, fetch.next));
            side.fetches.remove(&at);
            self.note("out of range", || at.to_string());
            return;
        }
        for _ in 0..count {
            let next = log.next(fetch.next).filter(|entry| entry.offset < end);
            let Some(entry) = next.cloned() else { break };
            fetch.next = entry.offset + 1;
            side.ready.push_back(Fetched::Record(at.clone(), fetch.epoch, entry));
        }
        let more = log.next(fetch.next).is_some_and(|entry| entry.offset < end);
        if !more && fetch.told_end != Some(end) {
            (fetch.told_end, fetch.next) = (Some(end), fetch.next.max(end));
            side.ready.push_back(Fetched::Eof(at.clone(), fetch.epoch, end));
        }
    }
}
