//! The only place of this room that reads the clock.
#![allow(clippy::disallowed_methods, reason = "telemetry tells ages and points in time")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::record::TimestampMs;

/// For ages: never steps back.
pub(super) fn monotonic() -> Instant {
    Instant::now()
}

/// For points in time that people and Prometheus read.
pub(super) fn wall() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(since_epoch.as_millis() as i64)
}

/// A point in time as people and collectors read it: RFC 3339, UTC.
pub(super) fn rfc3339(time: TimestampMs) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(timestamp) => timestamp.to_string(),
        // Kafka's timestamps may lie beyond any calendar.
        Err(_) => format!("{} ms", time.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_rfc3339_in_utc() {
        assert_eq!(rfc3339(TimestampMs(1_763_800_000_123)), "2025-11-22T08:26:40.123Z");
        assert_eq!(rfc3339(TimestampMs(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(TimestampMs(i64::MAX)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        assert!(rfc3339(wall()).starts_with("20"));
    }
}
