//! Keeps log lines that repeat from flooding the log; used by whoever logs in a loop.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock;

/// Above this many keys those that have been quiet are forgotten.
const KEYS_KEPT: usize = 1024;

/// Lets one line a key pass in each interval and counts the others.
///
/// ```
/// # use kafka_s3_sink::telemetry::Limiter;
/// # use std::time::Duration;
/// let limiter = Limiter::new(Duration::from_secs(10));
/// if let Some(suppressed) = limiter.admit("broker") {
///     tracing::warn!(suppressed, "all brokers are down");
/// }
/// assert_eq!(limiter.admit("broker"), None);
/// ```
#[derive(Debug)]
pub struct Limiter<K> {
    interval: Duration,
    keys: Mutex<HashMap<K, Passed>>,
}

/// When a key's last line passed, and how many did not since.
#[derive(Debug)]
struct Passed {
    at: Instant,
    suppressed: u64,
}

impl<K: Eq + Hash> Limiter<K> {
    /// A limiter that lets one line a key pass in each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, keys: Mutex::new(HashMap::new()) }
    }

    /// Whether a line of this key may pass now, and if so how many were held back before it.
    pub fn admit(&self, key: K) -> Option<u64> {
        self.admit_at(key, clock::monotonic())
    }

    fn admit_at(&self, key: K, now: Instant) -> Option<u64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passed) = keys.get_mut(&key) {
            if now.saturating_duration_since(passed.at) < self.interval {
                passed.suppressed += 1;
                return None;
            }
            passed.at = now;
            return Some(std::mem::take(&mut passed.suppressed));
        }
        if keys.len() >= KEYS_KEPT {
            keys.retain(|_, passed| now.saturating_duration_since(passed.at) < self.interval);
        }
        keys.insert(key, Passed { at: now, suppressed: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn one_line_a_key_and_interval_passes_and_the_others_are_counted() {
        let limiter = Limiter::new(INTERVAL);
        let start = clock::monotonic();
        assert_eq!(limiter.admit_at("store", start), Some(0));
        for second in 1..10 {
            assert_eq!(limiter.admit_at("store", start + Duration::from_secs(second)), None);
        }
        assert_eq!(limiter.admit_at("store", start + INTERVAL), Some(9));
        assert_eq!(limiter.admit_at("store", start + INTERVAL * 2), Some(0));
    }

    #[test]
    fn keys_do_not_hold_each_other_back() {
        let limiter = Limiter::new(INTERVAL);
        let start = clock::monotonic();
        assert_eq!(limiter.admit_at(("store", 1), start), Some(0));
        assert_eq!(limiter.admit_at(("store", 2), start), Some(0));
        assert_eq!(limiter.admit_at(("store", 1), start), None);
    }

    #[test]
    fn quiet_keys_are_forgotten_and_busy_ones_are_not() {
        let limiter = Limiter::new(INTERVAL);
        let start = clock::monotonic();
        for key in 0..KEYS_KEPT {
            assert_eq!(limiter.admit_at(key, start), Some(0));
        }
        let later = start + INTERVAL;
        assert_eq!(limiter.admit_at(0, later), Some(0));
        assert_eq!(limiter.admit_at(KEYS_KEPT, later), Some(0));
        assert_eq!(limiter.keys.lock().unwrap().len(), 2);
        assert_eq!(limiter.admit_at(0, later), None);
    }

    #[test]
    fn a_clock_that_lags_behind_does_not_open_the_gate() {
        let limiter = Limiter::new(INTERVAL);
        let start = clock::monotonic() + INTERVAL;
        assert_eq!(limiter.admit_at("store", start), Some(0));
        assert_eq!(limiter.admit_at("store", start - INTERVAL), None);
    }
}
