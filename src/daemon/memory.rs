//! The budget of the whole process, shared by the lanes.
//!
//! Each lane tells what it holds, and reading stops as soon as the sum reaches the budget. One
//! watcher looks at the sum and at the resident size, asks the lane with the largest open batch
//! to flush it when the budget is near, and lets reading go on when enough has landed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use crate::config::memory::{LEAST_BATCHES, RESTING, records_in_hand};
use crate::pipeline::MemoryUse;
use crate::telemetry::Limiter;

/// Part of what is left beside the resting process that librdkafka's fetch queues may take.
const FETCH_SHARE: u64 = 4;
/// Less makes fetching stutter.
const FETCH_AT_LEAST: u64 = 8 << 20;
/// More than this the fetch queues do not need, whatever the limit.
const FETCH_AT_MOST: u64 = 256 << 20;
/// Near the budget: flush the largest.
const NEAR: f64 = 0.75;
/// Below this reading goes on again.
const RELAXED: f64 = 0.6;
/// How often a shortage is told of.
const TELL_EVERY: Duration = Duration::from_secs(60);

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
    /// For lanes that may meet records of `largest` bytes. The configuration has seen to it that
    /// the limit has room for them.
    pub(super) fn of(limit: u64, lanes: usize, largest: u64) -> Self {
        let rest = limit.saturating_sub(RESTING);
        let fetch = (rest / FETCH_SHARE).clamp(FETCH_AT_LEAST, FETCH_AT_MOST);
        // The allocator keeps some of what was freed, and fetch responses are unpacked beside the
        // queues: a third of the rest is their share, unless large records need more than that.
        let of_small = rest.saturating_sub(fetch) / 3 * 2;
        let of_large = rest.saturating_sub(fetch / 2 + records_in_hand(lanes, largest));
        let batches = of_small.min(of_large).max(LEAST_BATCHES);
        Self { limit, fetch, batches }
    }

    /// What of the batches' share may be on its way to the store at a time. More would not be
    /// faster on any line, and the requests would wait for one another until they time out.
    pub(super) fn uploads(&self) -> u64 {
        self.batches / 2
    }
}

/// What the lanes hold together, and whether that is too much. Each lane writes its own share.
pub(super) struct Pool {
    budget: Budget,
    shares: Vec<Share>,
    short: AtomicBool,
}

#[derive(Default)]
struct Share {
    open: AtomicU64,
    landing: AtomicU64,
    largest_open: AtomicU64,
}

impl Pool {
    pub(super) fn new(budget: Budget, lanes: usize) -> Arc<Self> {
        let shares = (0..lanes).map(|_| Share::default()).collect();
        Arc::new(Self { budget, shares, short: AtomicBool::new(false) })
    }

    /// A lane tells what it holds. The one that reaches the budget does not wait for the watcher.
    pub(super) fn publish(&self, lane: usize, holds: MemoryUse) {
        let share = &self.shares[lane];
        share.open.store(holds.open, Ordering::Relaxed);
        share.landing.store(holds.landing, Ordering::Relaxed);
        share.largest_open.store(holds.largest_open, Ordering::Relaxed);
        let (open, landing) = self.held();
        if open + landing >= self.budget.batches {
            self.short.store(true, Ordering::Relaxed);
        }
    }

    /// Whether reading has to wait.
    pub(super) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// How much a lane may read before it tells again what it holds: that much the lanes together
    /// may pass the budget by.
    pub(super) fn step(&self) -> u64 {
        self.budget.batches / (32 * self.shares.len().max(1) as u64)
    }

    /// Bytes that are open, and bytes that are landing.
    fn held(&self) -> (u64, u64) {
        let sum = |of: fn(&Share) -> &AtomicU64| {
            self.shares.iter().map(|share| of(share).load(Ordering::Relaxed)).sum()
        };
        (sum(|share| &share.open), sum(|share| &share.landing))
    }
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    short: bool,
    flush: bool,
}

/// Looks at the pool and at the resident size.
pub(super) struct Watcher {
    pool: Arc<Pool>,
    lanes: Vec<LaneHandle>,
    told: Limiter<()>,
}

impl Watcher {
    pub(super) fn new(pool: Arc<Pool>, lanes: Vec<LaneHandle>) -> Self {
        Self { pool, lanes, told: Limiter::new(TELL_EVERY) }
    }

    /// Looks once, and acts. Twenty times a second: the resident size is asked for where it counts.
    pub(super) fn look(&mut self, resident: fn() -> u64) {
        let (open, landing) = self.pool.held();
        let was = self.pool.is_short();
        let verdict = verdict(self.pool.budget, open, landing, resident, was);
        if verdict.flush {
            self.flush_largest();
        }
        self.pool.short.store(verdict.short, Ordering::Relaxed);
        if verdict.short
            && let Some(suppressed) = self.told.admit(())
        {
            tracing::warn!(
                open,
                landing,
                resident = resident(),
                limit = self.pool.budget.limit,
                suppressed,
                "memory is short: reading waits until batches have landed; if this is not for \
                 catching up, raise memory.limit or lower rotation.max_bytes"
            );
        }
        if was && !verdict.short {
            self.lanes.iter().for_each(LaneHandle::wake);
        }
    }

    fn flush_largest(&self) {
        let open = |share: &Share| share.largest_open.load(Ordering::Relaxed);
        let pairs = self.pool.shares.iter().zip(&self.lanes);
        if let Some((share, lane)) = pairs.max_by_key(|(share, _)| open(share))
            && open(share) > 0
        {
            // Until the lane tells anew, this batch is not asked for twice.
            share.largest_open.store(0, Ordering::Relaxed);
            lane.send(LaneInput::FlushLargest);
        }
    }
}

fn verdict(
    budget: Budget,
    open: u64,
    landing: u64,
    resident: impl FnOnce() -> u64,
    was_short: bool,
) -> Verdict {
    let held = open + landing;
    let part = held as f64 / budget.batches as f64;
    // The resident size counts only while we hold something that could be given up: what the
    // allocator or the client library keeps must not stop the sink for good.
    let over = part > 0.25 && resident() > budget.limit;
    let short = part >= 1.0 || over || (was_short && part >= RELAXED);
    // What is landing frees memory by itself: more of it would only make small objects.
    let flush = (short || part >= NEAR) && open >= landing;
    Verdict { short, flush }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_stay_within_the_limit() {
        for (limit, lanes) in [(128 << 20, 1), (256 << 20, 2), (1 << 30, 8), (64 << 30u64, 64)] {
            let budget = Budget::of(limit, lanes, 16 << 20);
            assert!(budget.fetch + budget.batches + RESTING <= limit, "{budget:?}");
            let large = records_in_hand(lanes, 16 << 20) + budget.fetch / 2;
            assert!(large + budget.batches + RESTING <= limit, "{budget:?}");
        }
    }

    const BUDGET: Budget = Budget { limit: 1000, fetch: 100, batches: 400 };

    fn judged(open: u64, landing: u64, resident: u64, was_short: bool) -> (bool, bool) {
        let Verdict { short, flush } = verdict(BUDGET, open, landing, || resident, was_short);
        (short, flush)
    }

    #[test]
    fn near_the_budget_batches_are_flushed_and_at_it_reading_stops() {
        assert_eq!(judged(260, 0, 500, false), (false, false));
        assert_eq!(judged(300, 0, 500, false), (false, true));
        assert_eq!(judged(400, 0, 500, false), (true, true));
        assert_eq!(judged(120, 0, 1001, false), (true, true));
        assert_eq!(judged(0, 0, 1001, true), (false, false));
    }

    /// Between the marks, open batches must go on being flushed, or nothing would ever change.
    #[test]
    fn what_is_short_stays_so_until_it_is_relaxed_and_is_worked_off_meanwhile() {
        assert_eq!(judged(250, 10, 500, true), (true, true));
        assert_eq!(judged(230, 0, 500, true), (false, false));
        assert_eq!(judged(150, 200, 500, true), (true, false));
    }

    #[test]
    fn the_lane_that_reaches_the_budget_stops_all_at_once() {
        let pool = Pool::new(BUDGET, 2);
        let holds = |open| MemoryUse { open, landing: 0, largest_open: open };
        pool.publish(0, holds(399));
        assert!(!pool.is_short());
        pool.publish(1, holds(1));
        assert!(pool.is_short());
    }
}
