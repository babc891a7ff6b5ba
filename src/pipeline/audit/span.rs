//! A span of time, and the Hive paths that belong to it.
//!
//! Fed with the paths of names; what decides is the path alone, for no clock of a store is trusted.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset as UtcOffset;

use crate::record::{HiveKey, Layout, TimestampMs};

const MS_PER_HOUR: i64 = 3_600_000;

/// The times `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first moment.
    pub from: TimestampMs,
    /// The first moment after.
    pub to: TimestampMs,
}

impl TimeSpan {
    /// Whether the layout's paths tell times at all.
    pub fn fits(layout: &Layout) -> bool {
        layout.partition_by.contains(&HiveKey::Dt)
    }

    /// Whether records of this span may stand below this path. One that tells no day may hold
    /// any; so may that of 1970-01-01, where the records of unusable times are.
    pub fn may_stand_in(&self, path: &str) -> bool {
        match times_of(path) {
            Some(times) if times.from.0 == 0 => true,
            Some(times) => times.from < self.to && self.from < times.to,
            None => true,
        }
    }

    /// Whether it holds this time.
    pub fn holds(&self, at: TimestampMs) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// The times that a path stands for; `None` where it names no day. It may end in the middle.
pub(super) fn times_of(path: &str) -> Option<TimeSpan> {
    let level = |key: &str| {
        let mut levels = path.split('/').filter_map(|level| level.split_once('='));
        levels.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let day: Date = level("dt")?.parse().ok()?;
    let midnight = UtcOffset::UTC.to_timestamp(day.to_datetime(Time::midnight())).ok()?;
    let midnight = midnight.as_millisecond();
    let (from, hours) = match level("hour") {
        Some(hour) => (midnight + hour.parse::<i64>().ok()?.clamp(0, 23) * MS_PER_HOUR, 1),
        None => (midnight, 24),
    };
    Some(TimeSpan { from: TimestampMs(from), to: TimestampMs(from + hours * MS_PER_HOUR) })
}

/// Reads a moment: `2026-11-22`, `2026-11-22T16`, or as RFC 3339 has it. Without an offset from
/// UTC it is in UTC.
pub fn moment(text: &str) -> Option<TimestampMs> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(TimestampMs(at.as_millisecond()));
    }
    let whole = |text: &str| text.parse::<jiff::civil::DateTime>().ok();
    let utc = whole(text).or_else(|| whole(&format!("{text}:00")))?;
    Some(TimestampMs(UtcOffset::UTC.to_timestamp(utc).ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> TimeSpan {
        TimeSpan { from: moment(from).unwrap(), to: moment(to).unwrap() }
    }

    #[test]
    fn moments_are_read_in_utc() {
        let wanted = Some(TimestampMs(1_795_363_200_000));
        for text in [
            "2026-11-22T16:00:00Z",
            "2026-11-22T16:00:00",
            "2026-11-22T16:00",
            "2026-11-22T16",
            "2026-11-22T18:00:00+02:00",
        ] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        assert_eq!(moment("2026-11-22"), Some(TimestampMs(1_795_305_600_000)));
        for wrong in ["", "yesterday", "2026-13-01", "16:00"] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_is_in_the_span_if_a_record_of_it_may_be() {
        let span = span("2026-11-22T16:30", "2026-11-23T02");
        for inside in [
            "dt=2026-11-22",
            "dt=2026-11-22/hour=16",
            "country=de/dt=2026-11-23/hour=01",
            "country=de",
            "",
            "dt=1970-01-01/hour=00",
            "dt=nonsense",
        ] {
            assert!(span.may_stand_in(inside), "{inside}");
        }
        for outside in ["dt=2026-11-21", "dt=2026-11-22/hour=15", "dt=2026-11-23/hour=02"] {
            assert!(!span.may_stand_in(outside), "{outside}");
        }
    }
}
