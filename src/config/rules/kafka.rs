//! Texts of `[kafka]`.

use regex::Regex;

use super::{plain, repeated};
use crate::record::is_internal;

/// Kafka's own limit of a topic's name.
pub(in crate::config) const MAX_TOPIC: usize = 249;
const MAX_ID: usize = 255;

/// `host:port`, separated by commas.
pub(in crate::config) fn bootstrap_servers(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("empty; write host:port, separated by commas".to_owned());
    }
    text.split(',').map(str::trim).try_for_each(broker)
}

fn broker(text: &str) -> Result<(), String> {
    if text.contains('@') {
        // Not quoted: what stands before the @ may be a password.
        return Err("a broker has an @ in it; write host:port, and user and password in \
                    [kafka.librdkafka] as sasl.username and sasl.password"
            .to_owned());
    }
    if text.contains("://") {
        return Err(format!("{text:?} is a URL; write host:port alone"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        Some(_) => return Err(format!("{text:?}: write an IPv6 address as [::1]:9092")),
        None => return Err(format!("{text:?} has no port; write host:port, as in {text}:9092")),
    };
    let named = !host.is_empty() && !host.contains(['/', ' ']);
    match port.parse::<u16>() {
        Ok(1..) if named => Ok(()),
        Ok(1..) => Err(format!("{text:?} has no host; write host:port")),
        _ => Err(format!("{text:?}: the port is not a number from 1 to 65535")),
    }
}

/// A topic's name, or a regular expression that begins with `^`.
pub(in crate::config) fn topic(text: &str) -> Result<(), String> {
    if is_internal(text) {
        return Err(format!("{text:?} is one of Kafka's own topics, which hold no events"));
    }
    if text.starts_with('^') { expression(text).map(|_| ()) } else { topic_name(text) }
}

/// A topic's name.
pub(in crate::config) fn topic_name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match text {
        "" => "empty".to_owned(),
        "." | ".." => format!("{text:?} is not a topic's name"),
        _ if text.starts_with('^') => {
            format!("{text:?} is a regular expression; name one topic here")
        }
        _ if text.len() > MAX_TOPIC => format!("longer than {MAX_TOPIC} characters"),
        _ if !text.chars().all(allowed) => format!(
            "{text:?} is not a topic's name; allowed: letters, digits, . _ - (a regular \
             expression begins with ^)"
        ),
        _ => return Ok(()),
    };
    Err(problem)
}

/// A regular expression that means the same to librdkafka (POSIX extended) and to us.
pub(in crate::config) fn expression(text: &str) -> Result<Regex, String> {
    if let Some(foreign) = foreign_syntax(text) {
        return Err(format!(
            "{text:?}: {foreign} means something else to librdkafka, whose regular expressions \
             are POSIX extended; write [0-9], [a-z] or [[:alnum:]]"
        ));
    }
    Regex::new(text).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default();
        format!("{text:?} is not a regular expression: {}", last.trim_start_matches("error: "))
    })
}

/// Perl's syntax, which POSIX takes for other things: `\d` there is the letter d.
fn foreign_syntax(text: &str) -> Option<String> {
    let mut chars = text.chars().peekable();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars.next()?;
                if next.is_alphanumeric() && (in_brackets || !matches!(next, 'w' | 'W' | 'b' | 'B'))
                {
                    return Some(format!("\\{next}"));
                }
            }
            '(' if !in_brackets && chars.peek() == Some(&'?') => return Some("(?".to_owned()),
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ => {}
        }
    }
    None
}

/// At least one topic, none twice.
pub(in crate::config) fn topics(list: &[String]) -> Result<(), String> {
    if list.is_empty() {
        return Err("empty; name at least one topic".to_owned());
    }
    repeated(list).map_or(Ok(()), |topic| Err(format!("{topic:?} stands twice")))
}

/// A consumer group.
pub(in crate::config) fn group_id(text: &str) -> Result<(), String> {
    id(text)
}

/// A static member.
pub(in crate::config) fn group_instance_id(text: &str) -> Result<(), String> {
    id(text)
}

fn id(text: &str) -> Result<(), String> {
    plain(text)?;
    if text.len() > MAX_ID { Err(format!("longer than {MAX_ID} bytes")) } else { Ok(()) }
}
