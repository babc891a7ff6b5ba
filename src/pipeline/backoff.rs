//! How long to wait before the next try: exponential, bounded, and spread without randomness.
//!
//! The jitter comes from a hash of who waits, so that a simulated world replays exactly and a
//! thousand Kafka partitions still do not come back in one moment.

use std::time::Duration;

use super::moment::Moment;

/// The shape of one kind of waiting.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
}

/// Between tries of a request to the store.
pub(super) const STORE: Backoff =
    Backoff { first: Duration::from_millis(200), most: Duration::from_secs(20) };
/// Between tries of a commit; a rebalance is over in seconds.
pub(super) const COMMIT: Backoff =
    Backoff { first: Duration::from_millis(100), most: Duration::from_secs(3) };
/// Between tries to learn where to begin.
pub(super) const RESOLVE: Backoff =
    Backoff { first: Duration::from_millis(250), most: Duration::from_secs(10) };
/// After a 409: somebody else is writing this very name.
pub(super) const CONFLICT: Backoff =
    Backoff { first: Duration::from_millis(50), most: Duration::from_secs(2) };

impl Backoff {
    /// When to try again after `attempt` failures (1 is the first); `seed` names who waits.
    pub(super) fn after(self, now: Moment, attempt: u32, seed: u64) -> Moment {
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let bounded = doubled.min(self.most);
        let mixed = (seed ^ u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xff51_afd7_ed55_8ccd);
        let share = f64::from((mixed >> 33) as u32) / f64::from(u32::MAX >> 1);
        now + bounded.mul_f64(0.5 + 0.5 * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_differ_between_waiters() {
        for attempt in 1..40 {
            let wait = STORE.after(Moment(0), attempt, 7).0;
            assert!(wait >= 100, "{attempt}: {wait}");
            assert!(wait <= 20_000, "{attempt}: {wait}");
        }
        assert!(STORE.after(Moment(0), 20, 7).0 >= 10_000);
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|seed| STORE.after(Moment(0), 5, seed).0).collect();
        assert!(waits.len() > 50);
    }
}
