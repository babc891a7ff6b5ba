//! The fence: no commit leaves this process for an assignment that it has lost.
//!
//! The broker does not check who owns a Kafka partition, and librdkafka writes the generation
//! into a commit when it **sends** it, not when it is asked. So the check stands here: the
//! committer admits requests, the group thread opens and closes assignments, both under one
//! lock.
//!
//! And librdkafka does not always wait for the answer to a revoke: where the number of a topic's
//! Kafka partitions changes meanwhile, it joins again at once, and what is being given back is
//! another member's in the next generation, in which librdkafka would send our commits. So an
//! assignment stands for one generation, until the group thread hears that it goes on.
//!
//! Nothing in here knows Kafka's client, so that a simulated world can use it as it is.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{CommitRequest, Defect, Epoch, TopicPartition};

/// A generation of the group, as far as it matters: always the same where assignments are not
/// bound to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(pub i32);

/// See the module.
#[derive(Debug, Default)]
pub struct Fence {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    standing: HashMap<TopicPartition, Standing>,
    in_flight: HashMap<TopicPartition, usize>,
    suspended: bool,
}

/// An assignment that is not over.
#[derive(Debug)]
struct Standing {
    epoch: Epoch,
    /// The group's word for it.
    generation: Generation,
    /// It is being given back: it goes on in no later generation.
    revoking: bool,
}

/// What became of the requests that wanted to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// These are in flight from now on, until `answered`.
    pub admitted: Vec<CommitRequest>,
    /// These belong to assignments that are over.
    pub stale: Vec<CommitRequest>,
    /// Of these it is not known yet whether they go on in the new generation; soon it is.
    pub early: Vec<CommitRequest>,
}

impl Fence {
    /// A new assignment of a Kafka partition begins: the number that it is known by.
    pub fn open(&self, partition: &TopicPartition, generation: Generation) -> Epoch {
        let mut state = self.lock();
        state.last_epoch += 1;
        let epoch = Epoch(state.last_epoch);
        let standing = Standing { epoch, generation, revoking: false };
        state.standing.insert(partition.clone(), standing);
        epoch
    }

    /// The group said what changes with this generation: whatever stands goes on in it.
    pub fn go_on(&self, generation: Generation) {
        let mut state = self.lock();
        for standing in state.standing.values_mut().filter(|each| !each.revoking) {
            standing.generation = generation;
        }
    }

    /// These are to be given back. Commits go on, as long as the generation does.
    pub fn begin_revoke<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.lock();
        for partition in partitions {
            if let Some(standing) = state.standing.get_mut(partition) {
                standing.revoking = true;
            }
        }
    }

    /// The present assignment of a Kafka partition.
    pub fn current(&self, partition: &TopicPartition) -> Option<Epoch> {
        self.lock().standing.get(partition).map(|standing| standing.epoch)
    }

    /// Checks the epochs of requests and takes those that stand into the flight, in one step.
    /// Waits while the fence is suspended, and asks for the generation after that.
    pub fn admit(
        &self,
        requests: Vec<CommitRequest>,
        generation: impl FnOnce() -> Generation,
    ) -> Admission {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| state.suspended)
            .unwrap_or_else(PoisonError::into_inner);
        let generation = generation();
        let mut admission = Admission::default();
        for request in requests {
            match state.verdict(&request, generation) {
                Verdict::Stands => {
                    *state.in_flight.entry(request.partition.clone()).or_default() += 1;
                    admission.admitted.push(request);
                }
                Verdict::Stale => admission.stale.push(request),
                Verdict::Early => admission.early.push(request),
            }
        }
        admission
    }

    /// The coordinator (or the client on its behalf) answered for these.
    pub fn answered<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.lock();
        for partition in partitions {
            if let Some(count) = state.in_flight.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    state.in_flight.remove(partition);
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// These assignments are over: nothing more is admitted for them. What is in flight still is.
    pub fn revoke<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.lock();
        for partition in partitions {
            state.standing.remove(partition);
        }
    }

    /// Waits until nothing is in flight for these; otherwise names what still is.
    pub fn wait_answered(
        &self,
        partitions: &[TopicPartition],
        deadline: Duration,
    ) -> Result<(), Vec<TopicPartition>> {
        let busy = |state: &State| -> Vec<TopicPartition> {
            let busy = partitions.iter().filter(|p| state.in_flight.contains_key(p));
            busy.filter(|_| !Defect::RevokeDoesNotWait.is_in()).cloned().collect()
        };
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), deadline, |state| !busy(state).is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let left = busy(&state);
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Admits nothing until `resume`, and waits until nothing at all is in flight.
    pub fn suspend(&self, deadline: Duration) -> Result<(), Vec<TopicPartition>> {
        let mut state = self.lock();
        state.suspended = true;
        let (state, _) = self
            .changed
            .wait_timeout_while(state, deadline, |state| !state.in_flight.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = state.in_flight.keys().cloned().collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Ends `suspend`.
    pub fn resume(&self) {
        self.lock().suspended = false;
        self.changed.notify_all();
    }

    /// A thread that panicked with the lock held left whole maps behind: each step is one insert
    /// or remove.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Verdict {
    Stands,
    Stale,
    Early,
}

impl State {
    fn verdict(&self, request: &CommitRequest, now: Generation) -> Verdict {
        if Defect::EpochIgnored.is_in() {
            return Verdict::Stands;
        }
        match self.standing.get(&request.partition) {
            Some(Standing { epoch, generation, revoking }) if *epoch == request.epoch => {
                if *generation == now || Defect::GenerationIgnored.is_in() {
                    Verdict::Stands
                } else if *revoking {
                    Verdict::Stale
                } else {
                    Verdict::Early
                }
            }
            _ => Verdict::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::record::Offset;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(30);
    const FIRST: Generation = Generation(1);
    const SECOND: Generation = Generation(2);

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn request(partition: i32, epoch: Epoch) -> CommitRequest {
        CommitRequest {
            partition: tp(partition),
            epoch,
            offset: Offset(1),
            metadata: String::new(),
        }
    }

    #[test]
    fn epochs_never_repeat() {
        let fence = Fence::default();
        let first = fence.open(&tp(0), FIRST);
        fence.revoke([&tp(0)]);
        let second = fence.open(&tp(0), FIRST);
        let other = fence.open(&tp(1), FIRST);
        assert!(first < second && second < other);
        assert_eq!(fence.current(&tp(0)), Some(second));
    }

    #[test]
    fn requests_of_older_assignments_are_stale() {
        let fence = Fence::default();
        let old = fence.open(&tp(0), FIRST);
        let new = fence.open(&tp(0), FIRST);
        let admission =
            fence.admit(vec![request(0, old), request(0, new), request(1, new)], || FIRST);
        assert_eq!(admission.admitted, vec![request(0, new)]);
        assert_eq!(admission.stale, vec![request(0, old), request(1, new)]);
    }

    #[test]
    fn in_a_new_generation_a_request_waits_for_the_groups_word() {
        let fence = Fence::default();
        let epoch = fence.open(&tp(0), FIRST);
        let ask = || fence.admit(vec![request(0, epoch)], || SECOND);
        assert_eq!(ask().early, vec![request(0, epoch)]);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Ok(()), "nothing is in flight");
        fence.go_on(SECOND);
        assert_eq!(ask().admitted, vec![request(0, epoch)]);
    }

    #[test]
    fn what_is_being_given_back_goes_on_in_no_new_generation() {
        let fence = Fence::default();
        let (given, kept) = (fence.open(&tp(0), FIRST), fence.open(&tp(1), FIRST));
        fence.begin_revoke([&tp(0)]);
        let both = || vec![request(0, given), request(1, kept)];
        assert_eq!(fence.admit(both(), || FIRST).admitted, both());
        let joined_again = fence.admit(both(), || SECOND);
        assert_eq!(joined_again.stale, vec![request(0, given)]);
        assert_eq!(joined_again.early, vec![request(1, kept)]);
        fence.go_on(SECOND);
        let gone_on = fence.admit(both(), || SECOND);
        assert_eq!(gone_on.stale, vec![request(0, given)]);
        assert_eq!(gone_on.admitted, vec![request(1, kept)]);
    }

    #[test]
    fn a_revoke_waits_for_the_answer() {
        let fence = Arc::new(Fence::default());
        let epoch = fence.open(&tp(0), FIRST);
        fence.admit(vec![request(0, epoch)], || FIRST);
        fence.revoke([&tp(0)]);
        assert_eq!(fence.admit(vec![request(0, epoch)], || FIRST).stale.len(), 1);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Err(vec![tp(0)]));
        let waiting = {
            let fence = Arc::clone(&fence);
            thread::spawn(move || fence.wait_answered(&[tp(0)], LONG))
        };
        fence.answered([&tp(0)]);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_revoke_does_not_wait_for_others() {
        let fence = Fence::default();
        let epoch = fence.open(&tp(0), FIRST);
        fence.admit(vec![request(0, epoch)], || FIRST);
        assert_eq!(fence.wait_answered(&[tp(1)], SHORT), Ok(()));
    }

    #[test]
    fn a_reassignment_still_waits_for_the_commit_before_it() {
        let fence = Fence::default();
        let old = fence.open(&tp(0), FIRST);
        fence.admit(vec![request(0, old)], || FIRST);
        fence.revoke([&tp(0)]);
        let new = fence.open(&tp(0), FIRST);
        fence.admit(vec![request(0, new)], || FIRST);
        fence.answered([&tp(0)]);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Err(vec![tp(0)]));
        fence.answered([&tp(0)]);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Ok(()));
    }

    #[test]
    fn nothing_is_admitted_while_suspended() {
        let fence = Arc::new(Fence::default());
        let epoch = fence.open(&tp(0), FIRST);
        fence.admit(vec![request(0, epoch)], || FIRST);
        assert_eq!(fence.suspend(SHORT), Err(vec![tp(0)]));
        fence.answered([&tp(0)]);
        assert_eq!(fence.suspend(SHORT), Ok(()));
        let committer = {
            let fence = Arc::clone(&fence);
            thread::spawn(move || fence.admit(vec![request(0, epoch)], || FIRST))
        };
        // What is lost while it is suspended is stale when it goes on.
        fence.revoke([&tp(0)]);
        fence.resume();
        assert_eq!(committer.join().unwrap().stale.len(), 1);
    }
}
