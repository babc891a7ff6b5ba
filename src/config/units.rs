//! Durations and sizes as people write them, and back. `value` reads them, `render` writes them.

use std::time::Duration;

/// Units of time in milliseconds, the largest first, with every spelling.
const TIMES: &[(u64, &[&str])] = &[
    (86_400_000, &["d", "day", "days"]),
    (3_600_000, &["h", "hr", "hour", "hours"]),
    (60_000, &["m", "min", "mins", "minute", "minutes"]),
    (1_000, &["s", "sec", "secs", "second", "seconds"]),
    (1, &["ms", "millis", "millisecond", "milliseconds"]),
];

/// Units of size in bytes, the largest first, with every spelling; the first is written.
const SIZES: &[(u64, &[&str])] = &[
    (1 << 40, &["TiB", "Ti"]),
    (1_000_000_000_000, &["TB"]),
    (1 << 30, &["GiB", "Gi"]),
    (1_000_000_000, &["GB"]),
    (1 << 20, &["MiB", "Mi"]),
    (1_000_000, &["MB"]),
    (1 << 10, &["KiB", "Ki"]),
    (1_000, &["kB"]),
    (1, &["B", "byte", "bytes"]),
];

/// Reads `5m`, `1h30m`, `500ms` or `2 minutes`; a bare number is an error, for its unit is
/// anybody's guess.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return Err(format!("{text:?} has no unit; write \"{rest}s\", \"{rest}m\" or \"{rest}h\""));
    }
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, unit, tail) = split(rest).ok_or_else(|| no_duration(text))?;
        let unit = self::unit(TIMES, unit).ok_or_else(|| no_duration(text))?;
        // "30m1h" and "5m5m" are slips more often than sums.
        if unit >= last {
            return Err(format!("{text:?} has its units out of order; write it like \"1h30m\""));
        }
        let part = scaled(number, unit).ok_or_else(|| no_duration(text))?;
        total = total.checked_add(part).ok_or_else(|| no_duration(text))?;
        (last, rest) = (unit, tail);
    }
    if last == u64::MAX { Err(no_duration(text)) } else { Ok(Duration::from_millis(total)) }
}

/// Reads `64MiB`, `10MB`, `1.5 GiB`, `1_000_000`; a bare number is bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let (number, unit, tail) = split(trimmed).ok_or_else(|| no_size(text))?;
    let letter = unit.to_ascii_uppercase();
    if matches!(letter.as_str(), "K" | "M" | "G" | "T") {
        return Err(format!(
            "{text:?} may mean two things; write \"{number}{letter}iB\" (powers of 1024) or \
             \"{number}{letter}B\" (powers of 1000)"
        ));
    }
    let unit = if unit.is_empty() { Some(1) } else { self::unit(SIZES, unit) };
    match unit.filter(|_| tail.is_empty()).and_then(|unit| scaled(number, unit)) {
        Some(bytes) => Ok(bytes),
        None => Err(no_size(text)),
    }
}

/// Reads a whole number with or without underscores.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    digits(text.trim()).ok_or_else(|| format!("{text:?} is not a whole number, such as 1_000_000"))
}

/// Writes a duration so that `parse_duration` reads the same one.
pub(super) fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, names) in TIMES {
        if rest >= *unit {
            text += &format!("{}{}", rest / unit, names[0]);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes a size in the largest unit that divides it.
pub(super) fn format_size(bytes: u64) -> String {
    SIZES
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(|| "0B".to_owned(), |(unit, names)| format!("{}{}", bytes / unit, names[0]))
}

/// Splits off a number and the letters behind it.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || c == '_' || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    (!number.is_empty()).then(|| (number, unit, rest.trim_start()))
}

/// A number with at most nine decimals, times a unit; only if the product is whole.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let Some((whole, decimals)) = number.split_once('.') else {
        return digits(number)?.checked_mul(unit);
    };
    let power = 10u64.checked_pow(u32::try_from(decimals.len()).ok().filter(|n| *n <= 9)?)?;
    let product = u128::from(digits(decimals)?) * u128::from(unit);
    if !product.is_multiple_of(u128::from(power)) {
        return None;
    }
    let fraction = u64::try_from(product / u128::from(power)).ok()?;
    digits(whole)?.checked_mul(unit)?.checked_add(fraction)
}

/// Digits with single underscores between them.
fn digits(text: &str) -> Option<u64> {
    let sound = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && !text.contains("__");
    if sound { text.replace('_', "").parse().ok() } else { None }
}

fn unit(units: &[(u64, &[&str])], name: &str) -> Option<u64> {
    let spelt = |names: &&[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    units.iter().find(|(_, names)| spelt(names)).map(|(unit, _)| *unit)
}

fn no_duration(text: &str) -> String {
    format!("{text:?} is not a duration; write it like \"5m\", \"90s\", \"1h30m\" or \"500ms\"")
}

fn no_size(text: &str) -> String {
    format!("{text:?} is not a size; write it like \"64MiB\", \"10MB\" or 1_000_000 (bytes)")
}
