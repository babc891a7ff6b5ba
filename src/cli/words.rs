//! Numbers, sizes, durations and lists for people.

use std::time::Duration;

/// `1234567.8` as `1,234,568`; small ones keep a digit or two behind the point.
pub(super) fn number(value: f64) -> String {
    if value > 0.0 && value < 0.01 {
        return "under 0.01".to_owned();
    }
    if value < 10.0 && value.fract() > 0.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    count(value.round() as u64)
}

/// A reckoned count, without digits that nobody knows: `about 43,000`.
pub(super) fn about(value: f64) -> String {
    let unit = 10f64.powf((value.max(1.0).log10().floor() - 1.0).max(0.0));
    format!("about {}", count((value / unit).round() as u64 * unit as u64))
}

/// `1234567` as `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the largest unit that leaves a whole one.
pub(super) fn size(bytes: f64) -> String {
    let mut scaled = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            let decimals = usize::from(scaled < 10.0 && unit != "B");
            return format!("{scaled:.decimals$} {unit}");
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} TiB")
}

/// A duration as the configuration takes it, in whole minutes or hours where it has them.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        hours if hours.is_multiple_of(3600) => format!("{}h", hours / 3600),
        minutes if minutes.is_multiple_of(60) => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

/// `1 record`, `2 records`.
pub(super) fn many(number: usize, what: &str) -> String {
    format!("{} {what}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// The first few, and how many more.
pub(super) fn listed<T: AsRef<str>>(items: &[T], at_most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(at_most).map(AsRef::as_ref).collect();
    match items.len().saturating_sub(at_most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "under 0.01"),
            (0.5, "0.5"),
            (2.71, "2.71"),
            (9.999, "10"),
            (12.7, "13"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(count(100), "100");
        for (value, text) in [(0.4, "about 0"), (7.0, "about 7"), (43_208.0, "about 43,000")] {
            assert_eq!(about(value), text);
        }
    }

    #[test]
    fn sizes_and_durations_read_well() {
        assert_eq!(size(512.0), "512 B");
        assert_eq!(size(1536.0), "1.5 KiB");
        assert_eq!(size(64.0 * 1024.0 * 1024.0), "64 MiB");
        assert_eq!(size(3.0 * 1024f64.powi(4)), "3.0 TiB");
        for (seconds, text) in [(3600, "1h"), (5400, "90m"), (90, "90s")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(500)), "500ms");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&["a", "b"], 2), "a, b");
        assert_eq!(listed(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(
            (many(1, "record"), many(2000, "record")),
            ("1 record".into(), "2,000 records".into())
        );
    }
}
