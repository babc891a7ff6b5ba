//! One value: from what stands in the file or the environment to what its key wants.
//!
//! Environment variables are texts, so they are read by the kind of their key and never guessed
//! at: a password `0123` stays one. A file has types of its own, and they must fit.

use std::time::Duration;

use ::config::{Value, ValueKind};

use super::schema::{Fallback, KeySpec, Kind};
use super::source;
use super::units;

/// A value that passed its key's own checks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parsed {
    /// Of `Kind::Text` and `Kind::Choice`.
    Text(String),
    /// Of `Kind::Bool`.
    Bool(bool),
    /// Of `Kind::Count` and `Kind::Size`.
    Number(u64),
    /// Of `Kind::Duration`; `None` is "off".
    Duration(Option<Duration>),
    /// Of `Kind::List`.
    List(Vec<String>),
}

/// What is wrong with a value, or with one element of it.
#[derive(Debug)]
pub(super) struct Fault {
    /// The element of a list.
    pub(super) index: Option<usize>,
    /// What is wrong and what is allowed.
    pub(super) message: String,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { index: None, message }
    }
}

/// Reads the value of a key.
pub(super) fn parse(key: &KeySpec, value: &Value, from_env: bool) -> Result<Parsed, Vec<Fault>> {
    match key.kind {
        Kind::List(each, all) => list(key, value, from_env)
            .map_err(|message| vec![message.into()])
            .and_then(|items| checked_list(items, each, all)),
        _ => scalar(key, value, from_env).map_err(|message| vec![message.into()]),
    }
}

/// The default of a key, if it has one.
pub(super) fn default_of(key: &KeySpec) -> Option<Parsed> {
    let Fallback::Value(text) = key.fallback else { return None };
    parse(key, &source::literal(text)?, false).ok()
}

fn scalar(key: &KeySpec, value: &Value, from_env: bool) -> Result<Parsed, String> {
    let typed = |value: &Value| wrong_type(key, value);
    match (&key.kind, &value.kind) {
        (Kind::Text(check), ValueKind::String(text)) => {
            check(text).map(|()| Parsed::Text(text.clone()))
        }
        (Kind::Choice(words), ValueKind::String(text)) => choice(words, text).map(Parsed::Text),
        (Kind::Bool, ValueKind::Boolean(value)) => Ok(Parsed::Bool(*value)),
        (Kind::Bool, ValueKind::String(text)) if from_env => text
            .parse()
            .map(Parsed::Bool)
            .map_err(|_| format!("{text:?} is neither true nor false")),
        (Kind::Count { min, max }, ValueKind::String(text)) if from_env => {
            in_range(units::parse_count(text)?.into(), *min, *max, u64::to_string)
        }
        (Kind::Count { min, max }, _) => {
            in_range(integer(value).ok_or_else(|| typed(value))?, *min, *max, u64::to_string)
        }
        (Kind::Size { min, max }, ValueKind::String(text)) => {
            in_range(units::parse_size(text)?.into(), *min, *max, |n| units::format_size(*n))
        }
        (Kind::Size { min, max }, _) => {
            let bytes = integer(value).ok_or_else(|| typed(value))?;
            in_range(bytes, *min, *max, |n| units::format_size(*n))
        }
        (Kind::Duration { off: true, .. }, ValueKind::String(text)) if text == "off" => {
            Ok(Parsed::Duration(None))
        }
        (Kind::Duration { min, max, .. }, ValueKind::String(text)) => {
            duration(units::parse_duration(text)?, *min, *max)
        }
        // A bare number reaches the parser for its words about units.
        (Kind::Duration { min, max, .. }, _) => {
            let number = integer(value).ok_or_else(|| typed(value))?;
            duration(units::parse_duration(&number.to_string())?, *min, *max)
        }
        _ => Err(typed(value)),
    }
}

/// Numbers beyond `i64` are kept too, so that they are out of range and not of another type.
fn integer(value: &Value) -> Option<i128> {
    match value.kind {
        ValueKind::I64(number) => Some(number.into()),
        ValueKind::I128(number) => Some(number),
        _ => None,
    }
}

fn choice(words: &[&str], text: &str) -> Result<String, String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not allowed; allowed: {}", words.join(", ")))
}

fn in_range(number: i128, min: u64, max: u64, show: fn(&u64) -> String) -> Result<Parsed, String> {
    let got = match u64::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => return Ok(Parsed::Number(number)),
        Ok(number) => show(&number),
        Err(_) => number.to_string(),
    };
    Err(format!("{got} is not between {} and {}", show(&min), show(&max)))
}

fn duration(duration: Duration, min: Duration, max: Duration) -> Result<Parsed, String> {
    if (min..=max).contains(&duration) {
        return Ok(Parsed::Duration(Some(duration)));
    }
    let [got, min, max] = [duration, min, max].map(units::format_duration);
    Err(format!("{got} is not between {min} and {max}"))
}

/// The elements of a list; in the environment they are separated by commas, or a list in JSON
/// where they hold some.
fn list(key: &KeySpec, value: &Value, from_env: bool) -> Result<Vec<String>, String> {
    match &value.kind {
        ValueKind::String(text) if from_env && text.trim().is_empty() => Ok(Vec::new()),
        ValueKind::String(text) if from_env && text.trim().starts_with('[') => {
            serde_json::from_str(text).map_err(|_| {
                "begins with [ and is no list of texts in JSON, such as [\"a\", \"b\"]".to_owned()
            })
        }
        ValueKind::String(text) if from_env => {
            Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
        }
        ValueKind::Array(items) => items
            .iter()
            .map(|item| match &item.kind {
                ValueKind::String(text) => Ok(text.clone()),
                _ => Err(wrong_type(key, item)),
            })
            .collect(),
        _ => Err(wrong_type(key, value)),
    }
}

fn checked_list(
    items: Vec<String>,
    each: fn(&str) -> Result<(), String>,
    all: fn(&[String]) -> Result<(), String>,
) -> Result<Parsed, Vec<Fault>> {
    let faults: Vec<Fault> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some(Fault { index: Some(index), message: each(item).err()? }))
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    all(&items).map_err(|message| vec![message.into()])?;
    Ok(Parsed::List(items))
}

fn wrong_type(key: &KeySpec, value: &Value) -> String {
    let wanted = match key.kind {
        Kind::Text(_) | Kind::Choice(_) => "a text in quotes",
        Kind::Bool => "true or false",
        Kind::Count { .. } => "a whole number",
        Kind::Size { .. } => "a size",
        Kind::Duration { .. } => "a duration in quotes",
        Kind::List(..) => "a list of texts",
    };
    format!("{} is not {wanted}; write it like {}", named(value), key.sample())
}

/// What a value is, never what it says.
pub(super) fn named(value: &Value) -> &'static str {
    match value.kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Float(_) => "a number with a point",
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
        _ => "a number",
    }
}
