//! What a lane's batches hold, and what it gives up when the memory of the process runs short.
//!
//! The daemon adds the lanes up and asks. Open batches can be ended early. A replay cannot: its
//! end is pinned. So where only replays are left, one reads on and the others begin again later.

use super::batch::{OpenBatch, SealedBatch};
use super::moment::Moment;
use super::partition::{Context, Partition};
use super::rotate::RotationReason;
use super::sink::Sink;
use crate::record::TopicPartition;

/// Memory that batches hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Open batches and their encoders, replays included.
    pub open: u64,
    /// Ended batches, until they have landed.
    pub landing: u64,
    /// The largest of the open ones.
    pub largest_open: u64,
}

/// Whether a replay reads. A pinned batch cannot be flushed early, so replays that together need
/// more memory than there is go one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Reads while memory lasts.
    Shared,
    /// Reads though memory is short: nothing else of the lane can give any up.
    Alone,
    /// Gave up what it had read, to read it again later.
    Later,
}

impl Sink {
    /// What the lane holds now.
    pub fn memory(&self) -> MemoryUse {
        let mut sum = MemoryUse::default();
        for partition in self.partitions.values() {
            let open = partition.open_bytes();
            sum.open += open;
            sum.landing += partition.landing_bytes();
            sum.largest_open = sum.largest_open.max(open);
        }
        sum
    }

    /// Whether the whole process is at its memory budget; if so, nothing more is read.
    pub fn handle_memory_short(&mut self, now: Moment, short: bool) {
        if self.memory_short != short {
            self.memory_short = short;
            self.with_all(now, Partition::regulate);
            self.next_replay(now);
        }
    }

    /// Gives memory up: ends the largest open batch. Where only replays are open and nothing is
    /// landing, all of them but the foremost give up what they have read.
    pub fn handle_flush_largest(&mut self, now: Moment) {
        if let Some(at) = self.largest(|partition| partition.replay.is_none()) {
            return self.with(now, &at, None, |partition, cx| {
                partition.seal(cx, RotationReason::Memory);
                partition.pump(cx);
            });
        }
        let landing = self.partitions.values().any(|partition| partition.landing_bytes() > 0);
        if !self.memory_short || landing {
            return;
        }
        if let Some(foremost) = self.largest(|partition| partition.replay.is_some()) {
            self.with_all(now, |partition, cx| {
                if partition.at == foremost {
                    partition.replay_alone(cx);
                } else {
                    partition.replay_later(cx);
                }
            });
        }
    }

    /// Lets the next replay that was put off read, if none reads now.
    pub(super) fn next_replay(&mut self, now: Moment) {
        let turn = |partition: &Partition| partition.replay.as_ref().map(|replay| replay.turn);
        let waits = |partition: &Partition| turn(partition) == Some(Turn::Later);
        let reads = |partition: &Partition| turn(partition).is_some() && !waits(partition);
        if self.memory_short || self.partitions.values().any(reads) {
            return;
        }
        let next = self.partitions.values().find(|partition| waits(partition));
        if let Some(at) = next.map(|partition| partition.at.clone()) {
            self.with(now, &at, None, Partition::replay_now);
        }
    }

    fn largest(&self, of: impl Fn(&Partition) -> bool) -> Option<TopicPartition> {
        let open = self.partitions.values().filter(|it| it.open_bytes() > 0 && of(it));
        // With a spool they hold much the same: the one that is nearest to its full size ends.
        let size = |it: &Partition| it.open.as_ref().map_or(0, |open| open.fill().largest_object);
        open.max_by_key(|it| (it.open_bytes(), size(it))).map(|it| it.at.clone())
    }
}

impl Partition {
    /// The memory of the open batch and its encoders.
    pub(super) fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, OpenBatch::held)
    }

    /// The memory of ended batches.
    pub(super) fn landing_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(SealedBatch::held).sum();
        sealed + self.flight.as_ref().map_or(0, |flight| flight.batch.held())
    }

    fn replay_alone(&mut self, cx: &mut Context<'_>) {
        if let Some(replay) = &mut self.replay {
            replay.turn = Turn::Alone;
            self.regulate(cx);
        }
    }

    /// Drops what was read of a pinned range; the pin stands.
    fn replay_later(&mut self, cx: &mut Context<'_>) {
        let (Some(replay), Some(open)) = (&mut self.replay, &self.open) else { return };
        if replay.turn != Turn::Later {
            (replay.turn, replay.give_up) = (Turn::Later, None);
            self.next = replay.from;
            self.open = Some(open.emptied());
            self.stop_fetch(cx);
        }
    }

    /// Reads a pinned range from where it begins.
    fn replay_now(&mut self, cx: &mut Context<'_>) {
        if let Some(replay) = &mut self.replay {
            replay.turn = Turn::Shared;
            let from = replay.from;
            self.fetch(cx, from);
        }
    }
}
