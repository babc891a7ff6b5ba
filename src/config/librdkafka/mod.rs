//! `[kafka.librdkafka]`: every property passes, except those that would break the promise.
//!
//! Values may be secret. They are kept as `SecretString` and appear in no message.

pub(super) mod names;
mod refused;

use std::collections::BTreeMap;

use ::config::{Value, ValueKind};
use secrecy::SecretString;

use super::error::{ConfigError, Place};
use super::suggest;
use super::value;
use names::{NAMES, Scope};
pub(super) use refused::REFUSED;

/// Properties by name, each with its place.
pub(super) type Properties = BTreeMap<String, (SecretString, Place)>;

/// The most that a request may wait for its answer: commits wait this long too, and a revoke
/// waits for them.
const MAX_SOCKET_TIMEOUT_MS: u64 = 60_000;

/// Two names of one property each.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("sasl.mechanism", "sasl.mechanisms"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
];

/// Both names of the SASL mechanism, which is Kerberos unless told otherwise.
pub(super) const MECHANISM: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];

/// The mechanisms that are built in.
pub(super) const MECHANISMS: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER";

/// Reads one property, or says why it may not stand here.
pub(super) fn checked(name: &str, value: &Value) -> Result<SecretString, String> {
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(format!("refused: {reason}"));
    }
    match scope(name) {
        None => return Err(unknown(name)),
        Some(Scope::Program) => {
            return Err("refused: only a program can set it, never a text".to_owned());
        }
        Some(Scope::Absent) => {
            return Err("refused: the librdkafka that is built in lacks it (OIDC)".to_owned());
        }
        Some(Scope::Consumer | Scope::Producer) => {}
    }
    let text = text_of(value)?;
    if MECHANISM.contains(&name) && text.eq_ignore_ascii_case("GSSAPI") {
        return Err(format!("Kerberos is not built in; allowed: {MECHANISMS}"));
    }
    if name == "socket.timeout.ms" && !text.parse().is_ok_and(|ms: u64| ms <= MAX_SOCKET_TIMEOUT_MS)
    {
        return Err(format!(
            "at most {MAX_SOCKET_TIMEOUT_MS}: a rebalance waits for commits in flight, which wait \
             this long"
        ));
    }
    Ok(text.into())
}

/// What librdkafka refuses, with the place of the property, or of the first where none is named.
pub(super) fn refusal(set: &Properties, name: Option<String>, message: String) -> ConfigError {
    let of = |name: &String| set.get(name).map(|(_, place)| place.clone());
    let place = name.as_ref().and_then(of).or_else(|| set.values().map(|(_, at)| at.clone()).min());
    let key = name.map_or("kafka.librdkafka".to_owned(), |name| format!("kafka.librdkafka.{name}"));
    let message = format!("librdkafka refuses it: {message} (see [kafka.librdkafka])");
    ConfigError::Value { place: place.unwrap_or(Place::Environment), key, message }
}

/// Whether only producers know the property, so that it has no effect here.
pub(super) fn for_producers(name: &str) -> bool {
    scope(name) == Some(Scope::Producer)
}

/// The property that `SASL_PASSWORD`, in lower case, stands for: an underscore is a dot, except
/// in the few names that have underscores themselves.
pub(super) fn name_of_variable(variable: &str) -> String {
    let dots = variable.replace('_', ".");
    let known = NAMES.iter().find(|(name, _)| name.replace('_', ".") == dots);
    known.map_or(dots, |(name, _)| (*name).to_owned())
}

/// Whether a value may be shown to people. What might identify or open something is not.
pub(super) fn is_public(name: &str) -> bool {
    const SHOWN: &[&str] = &[
        "sasl.mechanism",
        "sasl.mechanisms",
        "ssl.ca.location",
        "ssl.endpoint.identification.algorithm",
    ];
    const HIDDEN: &[&str] = &["sasl.", "ssl.", "https.", "plugin."];
    const WORDS: &[&str] = &["password", "secret", "token", "key", "pem", "credential"];
    SHOWN.contains(&name)
        || !(HIDDEN.iter().any(|start| name.starts_with(start))
            || WORDS.iter().any(|word| name.contains(word)))
}

fn scope(name: &str) -> Option<Scope> {
    NAMES.binary_search_by_key(&name, |(name, _)| name).ok().map(|index| NAMES[index].1)
}

fn unknown(name: &str) -> String {
    match suggest::nearest(name, NAMES.iter().map(|(name, _)| *name)) {
        Some(near) => format!("unknown to librdkafka; did you mean {near}?"),
        None => "unknown to librdkafka; its CONFIGURATION.md has the list".to_owned(),
    }
}

fn text_of(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        ValueKind::Boolean(flag) => Ok(flag.to_string()),
        ValueKind::I64(number) => Ok(number.to_string()),
        ValueKind::Float(number) => Ok(number.to_string()),
        _ => Err(format!(
            "{} is not a text; write lists as one text with commas",
            value::named(value)
        )),
    }
}
