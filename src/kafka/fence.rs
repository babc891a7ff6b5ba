//! The fence: no commit leaves this process for an assignment that it has lost.
//!
//! The broker does not check who owns a Kafka partition, and librdkafka writes the generation
//! into a commit when it **sends** it, not when it is asked. So the check stands here: the
//! committer admits requests, the group thread opens and closes assignments, both under one
//! lock. Nothing in here knows Kafka's client, so that a simulated world can use it as it is.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{CommitRequest, Defect, Epoch, TopicPartition};

/// See the module.
#[derive(Debug, Default)]
pub struct Fence {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    epochs: HashMap<TopicPartition, Epoch>,
    in_flight: HashMap<TopicPartition, usize>,
    suspended: bool,
}

/// What became of the requests that wanted to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// These are in flight from now on, until `answered`.
    pub admitted: Vec<CommitRequest>,
    /// These belong to assignments that are over.
    pub stale: Vec<CommitRequest>,
}

impl Fence {
    /// A new assignment of a Kafka partition begins: the number that it is known by.
    pub fn open(&self, partition: &TopicPartition) -> Epoch {
        let mut state = self.lock();
        state.last_epoch += 1;
        let epoch = Epoch(state.last_epoch);
        state.epochs.insert(partition.clone(), epoch);
        epoch
    }

    /// The present assignment of a Kafka partition.
    pub fn current(&self, partition: &TopicPartition) -> Option<Epoch> {
        self.lock().epochs.get(partition).copied()
    }

    /// Checks the epochs of requests and takes those that stand into the flight, in one step.
    /// Waits while the fence is suspended.
    pub fn admit(&self, requests: Vec<CommitRequest>) -> Admission {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| state.suspended)
            .unwrap_or_else(PoisonError::into_inner);
        let (admitted, stale): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| {
            state.epochs.get(&request.partition) == Some(&request.epoch)
                || Defect::EpochIgnored.is_in()
        });
        for request in &admitted {
            *state.in_flight.entry(request.partition.clone()).or_default() += 1;
        }
        Admission { admitted, stale }
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
            state.epochs.remove(partition);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::record::Offset;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(30);

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
        let first = fence.open(&tp(0));
        fence.revoke([&tp(0)]);
        let second = fence.open(&tp(0));
        let other = fence.open(&tp(1));
        assert!(first < second && second < other);
        assert_eq!(fence.current(&tp(0)), Some(second));
    }

    #[test]
    fn requests_of_older_assignments_are_stale() {
        let fence = Fence::default();
        let old = fence.open(&tp(0));
        let new = fence.open(&tp(0));
        let admission = fence.admit(vec![request(0, old), request(0, new), request(1, new)]);
        assert_eq!(admission.admitted, vec![request(0, new)]);
        assert_eq!(admission.stale, vec![request(0, old), request(1, new)]);
    }

    #[test]
    fn a_revoke_waits_for_the_answer() {
        let fence = Arc::new(Fence::default());
        let epoch = fence.open(&tp(0));
        fence.admit(vec![request(0, epoch)]);
        fence.revoke([&tp(0)]);
        assert_eq!(fence.admit(vec![request(0, epoch)]).stale.len(), 1);
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
        let epoch = fence.open(&tp(0));
        fence.admit(vec![request(0, epoch)]);
        assert_eq!(fence.wait_answered(&[tp(1)], SHORT), Ok(()));
    }

    #[test]
    fn a_reassignment_still_waits_for_the_commit_before_it() {
        let fence = Fence::default();
        let old = fence.open(&tp(0));
        fence.admit(vec![request(0, old)]);
        fence.revoke([&tp(0)]);
        let new = fence.open(&tp(0));
        fence.admit(vec![request(0, new)]);
        fence.answered([&tp(0)]);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Err(vec![tp(0)]));
        fence.answered([&tp(0)]);
        assert_eq!(fence.wait_answered(&[tp(0)], SHORT), Ok(()));
    }

    #[test]
    fn nothing_is_admitted_while_suspended() {
        let fence = Arc::new(Fence::default());
        let epoch = fence.open(&tp(0));
        fence.admit(vec![request(0, epoch)]);
        assert_eq!(fence.suspend(SHORT), Err(vec![tp(0)]));
        fence.answered([&tp(0)]);
        assert_eq!(fence.suspend(SHORT), Ok(()));
        let committer = {
            let fence = Arc::clone(&fence);
            thread::spawn(move || fence.admit(vec![request(0, epoch)]))
        };
        // What is lost while it is suspended is stale when it goes on.
        fence.revoke([&tp(0)]);
        fence.resume();
        assert_eq!(committer.join().unwrap().stale.len(), 1);
    }
}
