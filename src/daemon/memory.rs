//! The budget of the whole process, shared by the lanes.
//!
//! Each lane publishes what it holds; one watcher looks at the sum and at the resident size, asks
//! the lane with the largest open batch to flush it when the budget is near, and pauses all lanes
//! at the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::inbox::{LaneHandle, LaneInput};

/// Part of the limit that librdkafka's fetch queues may take.
const FETCH_SHARE: f64 = 0.2;
/// More than this the fetch queues do not need, whatever the limit.
const FETCH_AT_MOST: u64 = 256 << 20;
/// What the process takes before it holds a record: code, clients, runtime.
const BASE: u64 = 56 << 20;
/// Near the budget: flush the largest.
const NEAR: f64 = 0.75;
/// Below this reading goes on again.
const RELAXED: f64 = 0.6;

/// How the limit is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// The resident size to stay below.
    pub(super) limit: u64,
    /// For librdkafka's fetch queues.
    pub(super) fetch: u64,
    /// For batches, encoders and bodies.
    pub(super) batches: u64,
}

impl Budget {
    pub(super) fn of(limit: u64) -> Self {
        let fetch = ((limit as f64 * FETCH_SHARE) as u64).clamp(8 << 20, FETCH_AT_MOST);
        // The allocator keeps some of what was freed, and fetch responses are unpacked beside the
        // queues: a third of the rest is their share.
        let batches = (limit.saturating_sub(fetch + BASE) / 3 * 2).max(16 << 20);
        Self { limit, fetch, batches }
    }
}

/// What one lane holds, published by it.
#[derive(Default)]
pub(super) struct LaneMemory {
    pub(super) held: AtomicU64,
    pub(super) largest_open: AtomicU64,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Relaxed,
    Fine,
    Near,
    Short,
}

/// Looks at the lanes' memory.
pub(super) struct Watcher {
    budget: Budget,
    lanes: Vec<(Arc<LaneMemory>, LaneHandle)>,
    short: bool,
}

impl Watcher {
    pub(super) fn new(budget: Budget, lanes: Vec<(Arc<LaneMemory>, LaneHandle)>) -> Self {
        Self { budget, lanes, short: false }
    }

    /// Looks once, and acts.
    pub(super) fn look(&mut self, resident: u64) {
        let held = self.held();
        match verdict(self.budget, held, resident) {
            Verdict::Relaxed => self.set_short(false),
            Verdict::Fine => {}
            Verdict::Near => self.flush_largest(),
            Verdict::Short => {
                self.flush_largest();
                self.set_short(true);
            }
        }
    }

    /// What all lanes hold.
    pub(super) fn held(&self) -> u64 {
        self.lanes.iter().map(|(memory, _)| memory.held.load(Ordering::Relaxed)).sum()
    }

    fn set_short(&mut self, short: bool) {
        if self.short != short {
            self.short = short;
            tracing::info!(short, held = self.held(), "memory budget");
            for (_, lane) in &self.lanes {
                lane.send(LaneInput::MemoryShort(short));
            }
        }
    }

    fn flush_largest(&self) {
        let open = |memory: &LaneMemory| memory.largest_open.load(Ordering::Relaxed);
        if let Some((memory, lane)) = self.lanes.iter().max_by_key(|(memory, _)| open(memory))
            && open(memory) > 0
        {
            // Until the lane publishes anew this batch is not asked for twice.
            memory.largest_open.store(0, Ordering::Relaxed);
            lane.send(LaneInput::FlushLargest);
        }
    }
}

fn verdict(budget: Budget, held: u64, resident: u64) -> Verdict {
    let part = held as f64 / budget.batches as f64;
    // The resident size counts only while we hold something that could be given up: what the
    // allocator or the client library keeps must not stop the sink for good.
    let over = resident > budget.limit && part > 0.25;
    match part {
        part if part >= 1.0 || over => Verdict::Short,
        part if part >= NEAR => Verdict::Near,
        part if part < RELAXED => Verdict::Relaxed,
        _ => Verdict::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_stay_within_the_limit() {
        for limit in [256 << 20, 1 << 30, 64 << 30u64] {
            let budget = Budget::of(limit);
            assert!(budget.fetch + budget.batches + BASE <= limit, "{budget:?}");
        }
    }

    #[test]
    fn near_the_budget_batches_are_flushed_and_at_it_reading_stops() {
        let budget = Budget { limit: 1000, fetch: 100, batches: 400 };
        assert_eq!(verdict(budget, 100, 500), Verdict::Relaxed);
        assert_eq!(verdict(budget, 260, 500), Verdict::Fine);
        assert_eq!(verdict(budget, 300, 500), Verdict::Near);
        assert_eq!(verdict(budget, 400, 500), Verdict::Short);
        assert_eq!(verdict(budget, 120, 1001), Verdict::Short);
        assert_eq!(verdict(budget, 0, 1001), Verdict::Relaxed);
    }
}
