//! Texts of `[layout]`.
//!
//! All of them travel in every pin, which has 4,096 bytes in the group's offset metadata, so each
//! has a bound.

use jiff::SignedDuration;
use jiff::civil::Date;

use super::repeated;

/// The longest prefix: keys have 1,024 bytes, of which topic and Hive path need theirs.
const MAX_PREFIX: usize = 200;
const MAX_HIVE_KEYS: usize = 6;
const MAX_FIELD: usize = 128;

/// The first part of every key; empty is none.
pub(in crate::config) fn prefix(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.!@,()/".contains(c);
    let bare = text.trim_matches('/');
    let problem = if bare.len() != text.len() {
        format!("{text:?} begins or ends with a slash; write {bare:?}")
    } else if text.len() > MAX_PREFIX {
        format!("longer than {MAX_PREFIX} bytes")
    } else if text.contains("//") {
        format!("{text:?} has // in it, which Athena does not read; write one slash")
    } else if text.contains('=') {
        format!("{text:?} has a = in it: crawlers would take that folder for a Hive partition")
    } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        format!("{text:?} has {c:?} in it; allowed: letters, digits and - _ . ! @ , ( ) /")
    } else if text.split('/').any(|step| step == "." || step == "..") {
        format!("{text:?} has a step of dots alone, which tools resolve")
    } else {
        return Ok(());
    };
    Err(problem)
}

/// The first part of the dead letters' keys.
pub(in crate::config) fn dead_letter_prefix(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty; dead letters need a root of their own, such as \"dead-letters\"".into());
    }
    prefix(text)
}

/// What `KEY=field:NAME` or `field:NAME` says: the key, in lower case, and the field's name.
pub(in crate::config) fn field_of(text: &str) -> Option<(String, &str)> {
    if let Some(name) = text.strip_prefix("field:") {
        return Some((name.to_ascii_lowercase(), name));
    }
    let (key, name) = text.split_once("=field:")?;
    Some((key.to_ascii_lowercase(), name))
}

/// `dt`, `hour`, `field:NAME` or `KEY=field:NAME`.
pub(in crate::config) fn hive_key(text: &str) -> Result<(), String> {
    let Some((key, field)) = field_of(text) else {
        return match text {
            "dt" | "hour" => Ok(()),
            _ => Err(format!(
                "{text:?} is not allowed; allowed: dt, hour, field:NAME, KEY=field:NAME"
            )),
        };
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let problem = if field.is_empty() || field.len() > MAX_FIELD {
        format!("{text:?}: a field's name has 1 to {MAX_FIELD} bytes")
    } else if key.is_empty() || key.len() > MAX_FIELD || !key.chars().all(allowed) {
        format!(
            "{text:?}: the name of a Hive partition may have letters, digits and _ alone, at most \
             {MAX_FIELD}; another one than the field's is written as in \"region=field:user.region\""
        )
    } else if matches!(key.as_str(), "dt" | "hour") {
        format!("{text:?} would have the name of the record's own day or hour")
    } else {
        return Ok(());
    };
    Err(problem)
}

/// At most six, no name twice.
pub(in crate::config) fn hive_keys(list: &[String]) -> Result<(), String> {
    if list.len() > MAX_HIVE_KEYS {
        return Err(format!("{} Hive partitions; at most {MAX_HIVE_KEYS}", list.len()));
    }
    let names = list.iter().map(|key| field_of(key).map_or_else(|| key.clone(), |(key, _)| key));
    repeated(names).map_or(Ok(()), |name| {
        Err(format!("{name:?} stands twice (names of Hive partitions are lower case)"))
    })
}

/// A day.
pub(in crate::config) fn date(text: &str) -> Result<(), String> {
    start_of_day(text).map(|_| ())
}

/// Where Kafka's milliseconds begin.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The first millisecond of a day in UTC.
pub(in crate::config) fn start_of_day(text: &str) -> Result<i64, String> {
    let shaped = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    text.parse::<Date>()
        .ok()
        .filter(|_| shaped)
        .and_then(|date| i64::try_from(date.duration_since(EPOCH).as_millis()).ok())
        .ok_or_else(|| format!("{text:?} is not a day; write it like 2000-01-01"))
}

/// The day of a millisecond in UTC.
pub(in crate::config) fn day_of(millis: i64) -> Date {
    EPOCH.saturating_add(SignedDuration::from_millis(millis))
}

/// Two days, the second after the first.
pub(in crate::config) fn usable_time(list: &[String]) -> Result<(), String> {
    const FIRST: &str = "1970-01-02";
    let [from, to] = list else {
        return Err(format!(
            "{} days; write two, as in [\"2000-01-01\", \"2100-01-01\"]",
            list.len()
        ));
    };
    // Days of this shape are in the order of their texts.
    if from.as_str() < FIRST {
        return Err(format!("begins before {FIRST}; the day before is where the others go"));
    }
    if from >= to {
        return Err(format!("{to:?} is not after {from:?}"));
    }
    Ok(())
}
