//! Which commits travel together: what waits while a request is in flight goes in the next one.
//!
//! Fed by the lanes through the committer, which sends what `next_round` gives. Nothing in here
//! knows Kafka's client, so that a simulated world can use it as it is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::fence::{Fence, Generation};
use crate::record::{CommitError, CommitRequest, Epoch, TopicPartition};

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The Kafka partition.
    pub partition: TopicPartition,
    /// The assignment that the request belonged to.
    pub epoch: Epoch,
    /// Whether it is stored.
    pub result: Result<(), CommitError>,
}

/// Called on the committer's thread, once a request; it must not block.
pub type CommitDone = Arc<dyn Fn(CommitOutcome) + Send + Sync>;

/// Requests that wait for their turn, and those that are in flight.
#[derive(Default)]
pub struct Rounds {
    waiting: VecDeque<(CommitRequest, CommitDone)>,
    in_flight: Vec<(CommitRequest, CommitDone)>,
}

impl Rounds {
    /// Takes requests in.
    pub fn push(&mut self, requests: Vec<CommitRequest>, done: &CommitDone) {
        self.waiting.extend(requests.into_iter().map(|request| (request, Arc::clone(done))));
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next request to send, of which the fence knows from now on; those of assignments that
    /// are over are told so, and those that are early wait on. Only to be called when nothing is in
    /// flight.
    pub fn next_round(
        &mut self,
        fence: &Fence,
        generation: impl FnOnce() -> Generation,
    ) -> Vec<CommitRequest> {
        let (requests, dones): (Vec<_>, Vec<_>) = self.take_round().into_iter().unzip();
        let callers: HashMap<_, _> =
            requests.iter().map(|request| request.partition.clone()).zip(dones).collect();
        let caller = |request: &CommitRequest| callers.get(&request.partition).map(Arc::clone);
        let admission = fence.admit(requests, generation);
        for request in &admission.stale {
            if let Some(done) = caller(request) {
                done(outcome(request, Err(CommitError::Stale)));
            }
        }
        let early = admission.early.iter().rev();
        for waits in early.filter_map(|it| Some((it.clone(), caller(it)?))) {
            self.waiting.push_front(waits);
        }
        let admitted = admission.admitted.iter();
        self.in_flight = admitted.filter_map(|it| Some((it.clone(), caller(it)?))).collect();
        admission.admitted
    }

    /// The request was answered: first the fence hears of it, so that a revoke goes on, then
    /// those who asked.
    pub fn answered(
        &mut self,
        fence: &Fence,
        answer: impl Fn(&CommitRequest) -> Result<(), CommitError>,
    ) {
        let round = std::mem::take(&mut self.in_flight);
        fence.answered(round.iter().map(|(request, _)| &request.partition));
        for (request, done) in round {
            done(outcome(&request, answer(&request)));
        }
    }

    /// Takes the oldest request of every Kafka partition; a later one waits for its answer.
    fn take_round(&mut self) -> Vec<(CommitRequest, CommitDone)> {
        let mut seen = HashSet::new();
        let (mut round, mut rest) = (Vec::new(), VecDeque::new());
        for (request, done) in self.waiting.drain(..) {
            if seen.insert(request.partition.clone()) {
                round.push((request, done));
            } else {
                rest.push_back((request, done));
            }
        }
        self.waiting = rest;
        round
    }
}

fn outcome(request: &CommitRequest, result: Result<(), CommitError>) -> CommitOutcome {
    CommitOutcome { partition: request.partition.clone(), epoch: request.epoch, result }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::record::Offset;

    const NOW: Generation = Generation(7);

    fn request(partition: i32, epoch: Epoch, offset: i64) -> CommitRequest {
        CommitRequest {
            partition: TopicPartition::new("t", partition),
            epoch,
            offset: Offset(offset),
            metadata: String::new(),
        }
    }

    #[test]
    fn a_round_holds_one_request_a_kafka_partition_in_order() {
        let (fence, heard) = (Fence::default(), Arc::new(Mutex::new(Vec::new())));
        let epochs: Vec<_> =
            (0..3).map(|n| fence.open(&TopicPartition::new("t", n), NOW)).collect();
        let ear = Arc::clone(&heard);
        let done: CommitDone = Arc::new(move |outcome: CommitOutcome| {
            ear.lock().unwrap().push((outcome.partition.partition, outcome.result));
        });
        let ask = |partition: usize, offset| request(partition as i32, epochs[partition], offset);
        let mut rounds = Rounds::default();
        rounds.push(vec![ask(0, 1), ask(1, 1)], &done);
        rounds.push(vec![ask(0, 2), ask(2, 1), ask(0, 3)], &done);
        let mut next = || {
            let round = rounds.next_round(&fence, || NOW);
            rounds.answered(&fence, |_| Ok(()));
            round.iter().map(|it| (it.partition.partition, it.offset.0)).collect::<Vec<_>>()
        };
        assert_eq!(next(), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(next(), [(0, 2)]);
        assert_eq!(next(), [(0, 3)]);
        assert_eq!(heard.lock().unwrap().len(), 5);
        assert!(rounds.is_empty());
    }

    #[test]
    fn what_belongs_to_an_older_assignment_is_told_so_and_never_sent() {
        let (fence, heard) = (Fence::default(), Arc::new(Mutex::new(Vec::new())));
        let old = fence.open(&TopicPartition::new("t", 0), NOW);
        fence.revoke([&TopicPartition::new("t", 0)]);
        let ear = Arc::clone(&heard);
        let done: CommitDone =
            Arc::new(move |outcome: CommitOutcome| ear.lock().unwrap().push(outcome.result));
        let mut rounds = Rounds::default();
        rounds.push(vec![request(0, old, 1)], &done);
        assert_eq!(rounds.next_round(&fence, || NOW), []);
        assert_eq!(*heard.lock().unwrap(), [Err(CommitError::Stale)]);
    }

    #[test]
    fn what_is_early_keeps_its_place() {
        let (fence, heard) = (Fence::default(), Arc::new(Mutex::new(Vec::new())));
        let epoch = fence.open(&TopicPartition::new("t", 0), NOW);
        let ear = Arc::clone(&heard);
        let done: CommitDone =
            Arc::new(move |outcome: CommitOutcome| ear.lock().unwrap().push(outcome.result));
        let mut rounds = Rounds::default();
        rounds.push(vec![request(0, epoch, 1), request(0, epoch, 2)], &done);
        let next = Generation(8);
        assert_eq!(rounds.next_round(&fence, || next), []);
        assert!(!rounds.is_empty());
        fence.go_on(next);
        for offset in [1, 2] {
            assert_eq!(rounds.next_round(&fence, || next), [request(0, epoch, offset)]);
            rounds.answered(&fence, |_| Ok(()));
        }
        assert_eq!(*heard.lock().unwrap(), [Ok(()), Ok(())]);
    }
}
