//! Whether a root lies inside a table.
//!
//! A table's root is `prefix/topic`, and Athena reads everything below it, so neither another
//! topic's prefix nor the dead letters may lie there. `roots` asks this for every pair.

use regex::Regex;

use crate::config::rules::kafka::MAX_TOPIC;

/// The topics that have one prefix.
pub(super) enum Topics {
    /// One by name.
    Named(String),
    /// All that match.
    Matching(Regex),
}

impl Topics {
    /// Reads an entry of `kafka.topics`; `None` if it is no regular expression.
    pub(super) fn new(entry: &str) -> Option<Self> {
        if entry.starts_with('^') {
            Regex::new(entry).ok().map(Self::Matching)
        } else {
            Some(Self::Named(entry.to_owned()))
        }
    }

    /// How long their names may be: a topic that is still to come has Kafka's limit.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Named(name) => name.len(),
            Self::Matching(_) => MAX_TOPIC,
        }
    }

    /// Whether the topic is one of them.
    pub(super) fn contain(&self, topic: &str) -> bool {
        match self {
            Self::Named(name) => name == topic,
            Self::Matching(regex) => regex.is_match(topic),
        }
    }
}

/// The step of `root` that makes it lie in the table of a topic under `prefix`.
pub(super) fn topic_step<'a>(root: &'a str, prefix: &str) -> Option<&'a str> {
    let rest =
        if prefix.is_empty() { root } else { root.strip_prefix(prefix)?.strip_prefix('/')? };
    rest.split('/').next().filter(|step| !step.is_empty())
}

/// Whether one of two roots is the other or lies inside it.
pub(super) fn inside(root: &str, of: &str) -> bool {
    root == of || topic_step(root, of).is_some()
}
