//! How fast: so many records a second, evenly, whatever sleeping costs.

use std::time::{Duration, Instant};

/// Shorter pauses are not worth the system call: they gather.
const SHORTEST: Duration = Duration::from_millis(1);

/// A signal is looked for at least this often.
const LONGEST: Duration = Duration::from_millis(100);

/// Tells how long to wait before the next record.
pub(super) struct Pace {
    rate: u64,
    begun: Instant,
    counted: u64,
}

impl Pace {
    /// `rate` records a second; 0 is no limit.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self { rate, begun: now, counted: 0 }
    }

    /// One more was sent.
    pub(super) fn count(&mut self) {
        self.counted += 1;
    }

    /// What is to be slept now, if anything; to be asked again after it.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let micros = u128::from(self.counted) * 1_000_000 / u128::from(self.rate.max(1));
        let due = self.begun + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let wait = due.saturating_duration_since(now);
        (self.rate > 0 && wait >= SHORTEST).then(|| wait.min(LONGEST))
    }
}
