//! What somebody may have meant who wrote a name that does not exist.

use super::schema::{self, KeySpec};

/// Names that other sinks use, and what to say about them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("brokers", "here it is kafka.bootstrap_servers"),
    ("consumer_group", "here it is kafka.group_id"),
    ("key_prefix", "here it is layout.prefix"),
    ("path", "here it is layout.prefix"),
    ("flush_size", "here it is rotation.max_records (records) or rotation.max_bytes (bytes)"),
    ("batch_size", "here it is rotation.max_records (records) or rotation.max_bytes (bytes)"),
    ("max_events", "here it is rotation.max_records"),
    ("flush_interval", "here it is rotation.max_age"),
    ("rotate_interval", "here it is rotation.max_age or, by the records' time, record_time"),
    ("librdkafka_options", "here it is the section [kafka.librdkafka]"),
    ("access_key_id", CREDENTIALS),
    ("access_key", CREDENTIALS),
    ("secret_access_key", CREDENTIALS),
    ("secret_key", CREDENTIALS),
    ("session_token", CREDENTIALS),
    ("profile", CREDENTIALS),
];

const CREDENTIALS: &str = "credentials are not written here, they come from the AWS SDK's default \
                           chain, for example AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or \
                           AWS_PROFILE";

/// The nearest of the candidates, if it is near enough to be a slip.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.'], "_");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The key that has this name in its own section, or this path but for the separators.
pub(super) fn home_of(name: &str) -> Option<&'static KeySpec> {
    schema::keys().find(|key| key.name() == name || key.path.replace('.', "_") == name)
}

/// Words for an unknown key of a known section.
pub(super) fn for_key(section: &str, name: &str) -> String {
    let own = || schema::section(section).into_iter().flat_map(|section| section.keys);
    if let Some(near) = nearest(name, own().map(KeySpec::name)) {
        return format!("did you mean {near}?");
    }
    elsewhere(name).unwrap_or_else(|| {
        let names: Vec<&str> = own().map(KeySpec::name).collect();
        format!("[{section}] has {}", names.join(", "))
    })
}

/// Words for an unknown section, or for a key that stands in none.
pub(super) fn for_section(name: &str) -> String {
    let sections = || schema::SECTIONS.iter().map(|section| section.name).chain([schema::TOPIC]);
    if let Some(near) = nearest(name, sections()) {
        return format!("did you mean [{near}]?");
    }
    elsewhere(name).unwrap_or_else(|| {
        let names: Vec<String> = sections().map(|name| format!("[{name}]")).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Words for what is no section of a topic.
pub(super) fn for_topic_section(name: &str) -> String {
    let sections = || schema::SECTIONS.iter().filter(|section| section.by_topic);
    if let Some(near) = nearest(name, sections().map(|section| section.name)) {
        return format!("did you mean {near}?");
    }
    let home = home_of(name).filter(|key| sections().any(|section| section.name == key.section()));
    match home {
        Some(key) => format!("it belongs to [topic.\"NAME\".{}]", key.section()),
        None => "a topic may have layout, rotation and records of its own".to_owned(),
    }
}

fn elsewhere(name: &str) -> Option<String> {
    if let Some(key) = home_of(name) {
        return Some(format!("it belongs to [{}]", key.section()));
    }
    if let Some((_, words)) = ELSEWHERE.iter().find(|(word, _)| *word == name) {
        return Some((*words).to_owned());
    }
    nearest(name, schema::keys().map(KeySpec::name))
        .and_then(home_of)
        .map(|key| format!("did you mean {}?", key.path))
}
