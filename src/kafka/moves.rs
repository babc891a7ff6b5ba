//! Kafka partitions that go from one lane to another within an assignment.
//!
//! A lane that has let go of one asks; the group thread, which knows what is still ours, does it
//! between two events, so that a move never crosses a revoke.

use std::sync::{Mutex, PoisonError};

use super::gate::LaneShared;
use crate::record::{Epoch, TopicPartition};

/// One that a lane has let go of, to be given to another.
#[derive(Debug)]
pub struct LaneMove {
    /// Which one.
    pub partition: TopicPartition,
    /// The assignment that this is for.
    pub epoch: Epoch,
    /// The lane that had it.
    pub from: usize,
    /// The lane that gets it.
    pub to: usize,
}

/// What was asked and not done yet.
#[derive(Default)]
pub(super) struct Moves(Mutex<Vec<LaneMove>>);

impl Moves {
    pub(super) fn ask(&self, asked: LaneMove) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    }

    pub(super) fn take(&self) -> Vec<LaneMove> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one lane may start, the other may from now on.
pub(super) fn hand_over(
    from: &LaneShared,
    to: &LaneShared,
    partition: &TopicPartition,
    epoch: Epoch,
) {
    let dead = from.gate().close(partition);
    let mut gate = to.gate();
    gate.epochs.insert(partition.clone(), epoch);
    if dead {
        gate.dead.insert(partition.clone());
    }
}
