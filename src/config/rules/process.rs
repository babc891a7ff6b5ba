//! Texts of `[memory]`, `[http]` and `[log]`.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;

/// An address with a port, or "off".
pub(in crate::config) fn listen(text: &str) -> Result<(), String> {
    if text == "off" || text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not an address with a port; write it like \"127.0.0.1:9464\", \
         \"0.0.0.0:9464\" (all interfaces), \"[::1]:9464\" or \"off\""
    ))
}

/// A file's name.
pub(in crate::config) fn file(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("empty; name a file".to_owned()) } else { Ok(()) }
}

/// A folder's whole path: a service's working folder is not where one thinks.
pub(in crate::config) fn folder(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err(format!("{text:?} is not a whole path; write it like \"/var/lib/kafka-s3-sink\""))
}

/// A filter of log lines. `EnvFilter` takes a misspelt level for a target and then shows
/// nothing, so a word alone must be a level.
pub(in crate::config) fn level(text: &str) -> Result<(), String> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let sound = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part),
    };
    if text.split(',').all(|part| sound(part.trim())) && EnvFilter::try_new(text).is_ok() {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a filter; allowed: {}, also by target as in \
         \"info,kafka_s3_sink::s3=debug\"",
        LEVELS.join(", ")
    ))
}
