//! What each client and the group say to each other: heartbeats, rebalances, commits, facts.

use std::sync::Arc;

use kafka_s3_sink::daemon::driver::LaneInput;
use kafka_s3_sink::pipeline::{
    dead_letter_root, is_blind, name_prefix, saw_enough, topic_prefix, wants_end,
};
use kafka_s3_sink::record::{
    CommitError, CommitRequest, Offset, ResolveError, TopicFacts, TopicPartition,
};

use crate::group::SESSION_MS;
use crate::process::Did;
use crate::world::{Flight, Inquiry, Looked, World};

impl World {
    pub(crate) fn group_tick(&mut self) {
        if self.is_broker_away() {
            return;
        }
        let all = self.all();
        let gone = self.group.expire(self.now, &all);
        if gone > 0 {
            self.note("session expired", || gone.to_string());
        }
    }

    /// The client's own thread of one process: heartbeats, rebalances.
    pub(crate) fn client_tick(&mut self) {
        if let Some(index) = self.some_process()
            && self.processes[index].deaf_until <= self.now
        {
            self.tick(index);
        }
    }

    pub(crate) fn tick(&mut self, index: usize) {
        let (now, all) = (self.now, self.all());
        let process = &mut self.processes[index];
        let (name, leaving) = (process.name, process.leaving && process.is_drained());
        let did = process.go_on_revoking(now);
        match did {
            Did::HardStop => return self.remove(index, "hard stop"),
            Did::GaveBack(partitions) => {
                if let Some((id, _)) = process.member {
                    self.group.given_back(id, &partitions);
                }
                self.note("gave back", || format!("process {name} {}", partitions.len()));
            }
            Did::GaveBackLate(given) => {
                process.assign(given);
                self.note("gave back late", || name.to_string());
            }
            Did::Lost => self.note("let go of what was lost", || name.to_string()),
            Did::Nothing => {}
        }
        if self.is_broker_away() {
            return self.tick_alone(index);
        }
        let process = &mut self.processes[index];
        process.heard = now;
        let revoking = process.is_revoking();
        let Some((id, _)) = process.member else {
            if !revoking && !process.leaving {
                let (member, took_over) = self.group.join(now, &all, process.instance);
                process.member = Some(member);
                let what = if took_over { "join in another's place" } else { "join" };
                self.note(what, || format!("process {name}"));
            } else if leaving && !revoking {
                self.remove(index, "left");
            }
            return;
        };
        if revoking {
            self.joins_again(index, id);
        }
        let process = &mut self.processes[index];
        let waits = |given: &mut Vec<TopicPartition>| given.is_empty();
        let busy = revoking && !process.given_meanwhile().is_some_and(waits);
        // librdkafka beats on while the application is in its callback.
        let Some(heartbeat) = self.group.heartbeat(id, now, busy) else {
            // librdkafka calls it a fatal error, and the daemon ends.
            if process.instance.is_some_and(|instance| self.group.is_taken_over(instance, id)) {
                return self.remove(index, "instance fenced");
            }
            if !revoking {
                let owned: Vec<_> = process.owned.keys().cloned().collect();
                process.member = None;
                process.begin_revoke(&owned, true, now);
                self.note("fenced member", || format!("process {name}"));
            }
            return;
        };
        if let Some(given) = process.given_meanwhile().filter(|_| !busy) {
            given.extend(heartbeat.assign.iter().cloned());
            process.member = Some((id, heartbeat.generation));
        }
        if revoking {
            return;
        }
        process.member = Some((id, heartbeat.generation));
        if heartbeat.revoke.is_empty() || !self.group.is_eager() {
            process.fence.go_on(process.generation());
        }
        let owned: Vec<_> = process.owned.keys().cloned().collect();
        if leaving && owned.is_empty() {
            // A static member does not say that it leaves.
            if process.instance.is_none() {
                self.group.leave(id, &all);
            }
            return self.remove(index, "left");
        }
        if leaving {
            process.begin_revoke(&owned, false, now);
        } else if !heartbeat.revoke.is_empty() {
            process.begin_revoke(&heartbeat.revoke, false, now);
            self.note("revoke", || format!("process {name} {}", heartbeat.revoke.len()));
        } else if !heartbeat.assign.is_empty() {
            let count = heartbeat.assign.len();
            process.assign(heartbeat.assign);
            self.note("assign", || format!("process {name} {count}"));
        } else {
            process.topics_seen = all.len();
        }
    }

    /// The client hears of a topic that changed while its application is in a revoke.
    fn joins_again(&mut self, index: usize, id: u64) {
        let topics = self.all().len();
        let process = &mut self.processes[index];
        let Some(given_back) = process.join_again(topics) else { return };
        let (name, member) = (process.name, process.member);
        // What waits for the coordinator is sent before the answer to the join is there.
        let unsent = self.flights.iter_mut().filter(|it| it.process == name);
        unsent.filter(|it| it.sent.is_none()).for_each(|it| it.sent = member);
        self.group.joined_again(id, &given_back);
        self.note("joins again in a revoke", || format!("process {name} {}", given_back.len()));
    }

    /// Without a broker the client takes its session for lost after a while.
    pub(crate) fn tick_alone(&mut self, index: usize) {
        let now = self.now;
        let process = &mut self.processes[index];
        let silent = now.saturating_sub(process.heard) > SESSION_MS;
        if silent && process.member.is_some() && !process.is_revoking() {
            let owned: Vec<_> = process.owned.keys().cloned().collect();
            process.member = None;
            process.begin_revoke(&owned, true, now);
            let name = process.name;
            self.note("session lost", || format!("process {name}"));
        }
    }

    pub(crate) fn commit_step(&mut self) {
        if self.dice.one_in(2)
            && let Some(index) = self.some_process()
            && let Some(requests) = self.processes[index].next_round()
        {
            let (process, since) = (self.processes[index].name, self.now);
            self.flights.push(Flight { process, requests, sent: None, since });
        }
        if !self.flights.is_empty() {
            let index = self.dice.below(self.flights.len() as u64) as usize;
            self.fly(index);
        }
    }

    /// Sends a commit, or lets it arrive.
    pub(crate) fn fly(&mut self, index: usize) {
        let name = self.flights[index].process;
        let sender = self.index(name);
        let awake = sender.filter(|at| self.processes[*at].frozen_until <= self.now);
        let Some(sent) = self.flights[index].sent else {
            // The generation is that of the moment of sending.
            let Some(at) = awake else {
                if sender.is_none() {
                    self.flights.swap_remove(index);
                }
                return;
            };
            if let Some(member) = self.processes[at].member {
                self.flights[index].sent = Some(member);
            } else if self.now - self.flights[index].since > SESSION_MS {
                self.flights.swap_remove(index);
                let error = CommitError::Retry("WAIT_COORD".to_owned());
                self.processes[at].answered(&Err(error));
                self.note("commit without a coordinator", || name.to_string());
            }
            return;
        };
        // See `joins_again`.
        let again = sender.is_some_and(|at| self.processes[at].given_meanwhile().is_some());
        if self.faults && self.dice.one_in(12) {
            // Lost on its way there; the client asks again, with the generation it has then.
            if !again {
                self.flights[index].sent = None;
            }
            self.note("commit lost before", || name.to_string());
            if sender.is_none() {
                self.flights.swap_remove(index);
            }
            return;
        }
        if self.is_broker_away() {
            return;
        }
        let Flight { requests, .. } = &self.flights[index];
        let answer = self.group.commit(sent.0, sent.1, requests);
        let requests = requests.clone();
        if answer.is_ok() {
            for request in &requests {
                self.judge_commit(name, request);
            }
        }
        if self.faults && self.dice.one_in(12) {
            self.note("commit's reply lost", || name.to_string());
            if self.dice.one_in(2) && sender.is_some() {
                if !again {
                    self.flights[index].sent = None;
                }
                return;
            }
            self.flights.swap_remove(index);
            if let Some(at) = sender {
                self.processes[at].answered(&Err(CommitError::Retry("reply lost".to_owned())));
            }
            return;
        }
        self.flights.swap_remove(index);
        match (&answer, sender) {
            (Err(error), _) => {
                let error = error.to_string();
                self.note("commit refused", || format!("process {name}: {error}"));
            }
            (Ok(()), None) => self.note("late commit of a dead process", || name.to_string()),
            (Ok(()), Some(_)) => {}
        }
        if let Some(at) = sender {
            self.processes[at].answered(&answer);
        }
    }

    pub(crate) fn judge_commit(&mut self, name: u64, request: &CommitRequest) {
        let CommitRequest { partition: at, offset, metadata, .. } = request;
        self.trace.note(self.now, "commit", || format!("process {name} {at} {offset} {metadata}"));
        let topic = self.topics.iter().find(|topic| topic.name == at.topic).expect("a topic");
        let log = &topic.logs[at.partition as usize];
        if let Err(wrong) = self.oracle.committed(at, offset.0, log) {
            self.verdict = Err(wrong);
        }
    }

    pub(crate) fn inquiry_step(&mut self) {
        if self.inquiries.is_empty() {
            return;
        }
        let index = self.dice.below(self.inquiries.len() as u64) as usize;
        let Some(process) = self.index(self.inquiries[index].process) else {
            self.inquiries.swap_remove(index);
            return;
        };
        if self.processes[process].frozen_until > self.now {
            return;
        }
        let inquiry = &self.inquiries[index];
        if inquiry.asked.is_some() && inquiry.looked.is_none() {
            let prefix = topic_prefix(&inquiry.layout, &inquiry.at.topic);
            let name = format!("/{}", name_prefix(&inquiry.at));
            let dead = dead_letter_root(&inquiry.layout, &inquiry.at.topic);
            let roots = [&*prefix, &*dead];
            let topic_empty = !roots.iter().any(|root| self.oracle.has_any(root, ""));
            let (facts, number) = (self.facts(&inquiry.at, None), inquiry.at.partition);
            let on_lost = self.processes[process].on_lost_offsets;
            let closer = !topic_empty && wants_end(&facts, number, on_lost);
            let bucket_end = closer.then(|| self.oracle.bucket_end(&roots, &name));
            self.inquiries[index].looked = Some(Looked { topic_empty, bucket_end });
            return;
        }
        if self.is_broker_away() {
            return;
        }
        let inquiry = &self.inquiries[index];
        let facts = self.facts(&inquiry.at, inquiry.looked.clone());
        let on_lost = self.processes[process].on_lost_offsets;
        let inquiry = &mut self.inquiries[index];
        let number = inquiry.at.partition;
        let seen = inquiry.asked.as_ref().zip(inquiry.looked.as_ref());
        let enough = seen.is_some_and(|(before, looked)| {
            saw_enough(before, &facts, number, on_lost, looked.bucket_end.is_some())
        });
        if is_blind(&facts, number, on_lost) && !enough {
            (inquiry.asked, inquiry.looked) = (Some(Arc::clone(&facts.committed)), None);
            return;
        }
        let Inquiry { lane, at, epoch, .. } = self.inquiries.swap_remove(index);
        let fails = self.faults && self.dice.one_in(10);
        let facts = if fails { Err(ResolveError("no answer".to_owned())) } else { Ok(facts) };
        if fails {
            self.note("facts not told", || at.to_string());
        }
        self.processes[process].post(lane, LaneInput::Facts(at, epoch, facts));
    }

    pub(crate) fn facts(&self, at: &TopicPartition, looked: Option<Looked>) -> TopicFacts {
        let topic = self.topics.iter().find(|topic| topic.name == at.topic).expect("a topic");
        let log = &topic.logs[at.partition as usize];
        let committed = topic.partitions().map(|at| {
            let committed = self.group.offsets.get(&at).cloned().unwrap_or_default();
            (at.partition, committed)
        });
        TopicFacts {
            topic_id: Arc::clone(&topic.id),
            cluster_id: "".into(),
            committed: Arc::new(committed.collect()),
            log_start: Offset(log.start),
            log_end: Offset(log.readable_end(self.now)),
            prefix_empty: looked.as_ref().map(|it| it.topic_empty),
            bucket_end: looked.and_then(|it| it.bucket_end),
            compacted: None,
        }
    }
}
