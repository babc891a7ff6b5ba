//! How the other threads reach a lane: a channel, and a waker that ends its waiting poll.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::driver::LaneInput;
use crate::kafka::{LaneMove, LaneWaker};
use crate::record::{Epoch, TopicPartition, Unlanded};

/// What comes into a lane's inbox.
pub(super) enum Mail {
    Input(LaneInput),
    /// Let go of these; each counts the latch down once it holds nothing more.
    Revoking {
        partitions: Vec<(TopicPartition, Epoch)>,
        lost: bool,
        gone: Arc<Latch>,
    },
    /// End the open batches of a topic, or of all, and tell what has not landed.
    Flush {
        topic: Option<Arc<str>>,
        unlanded: oneshot::Sender<Vec<Unlanded>>,
    },
    /// Let go of this one, and give it to another lane.
    Give(LaneMove),
    /// End the thread, and count the latch down once all is told.
    End(Arc<Latch>),
}

/// One end of a lane's inbox; clones reach the same lane.
#[derive(Clone)]
pub(super) struct LaneHandle {
    inputs: Sender<Mail>,
    waker: LaneWaker,
}

impl LaneHandle {
    pub(super) fn new(waker: LaneWaker) -> (Self, Receiver<Mail>) {
        let (inputs, receiver) = mpsc::channel();
        (Self { inputs, waker }, receiver)
    }

    /// Hands an input over. A lane that has ended takes none, and none matters to it.
    pub(super) fn send(&self, input: LaneInput) {
        self.post(Mail::Input(input));
    }

    /// The same, for what is no input of the driver.
    pub(super) fn post(&self, mail: Mail) {
        if self.inputs.send(mail).is_ok() {
            self.wake();
        }
    }

    /// Ends a waiting poll, so that the lane looks around.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

/// Counts down to zero, once, and lets threads wait for that.
pub(super) struct Latch {
    left: Mutex<usize>,
    zero: Condvar,
}

impl Latch {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(count), zero: Condvar::new() })
    }

    pub(super) fn count_down(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.zero.notify_all();
        }
    }

    /// Whether zero was reached within the time.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left > 0 {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let waited = self.zero.wait_timeout(left, rest);
            left = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latch_waits_for_the_last_and_no_longer_than_told() {
        let latch = Latch::new(2);
        latch.count_down();
        assert!(!latch.wait(Duration::from_millis(5)));
        let other = Arc::clone(&latch);
        let thread = std::thread::spawn(move || other.count_down());
        assert!(latch.wait(Duration::from_secs(10)));
        thread.join().unwrap();
        assert!(Latch::new(0).wait(Duration::ZERO));
    }
}
