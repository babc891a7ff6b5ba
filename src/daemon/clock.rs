//! The process's clocks: the monotonic one that the pipeline is told, and the wall's for people.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::pipeline::Moment;
use crate::record::TimestampMs;

/// Counts from the start of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the start.
    pub(super) fn now(self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The wall clock's time at a moment of this clock.
    pub(super) fn wall(self, at: Moment) -> TimestampMs {
        let ago = i64::try_from(self.now().since(at).as_millis()).unwrap_or(i64::MAX);
        TimestampMs(wall_now().saturating_sub(ago))
    }
}

/// Milliseconds since 1970 by the wall clock.
pub(super) fn wall_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How much of a core this thread has used.
pub(super) fn cpu_of_this_thread() -> Duration {
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes into the one that is given; where there is no such clock it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut used) };
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or_default())
}
