//! The shape of a configuration: every section and key, once, with its kind, default and words.
//!
//! `walk` checks a file against it, `suggest` takes its suggestions from it, `example` writes
//! `config/complete.toml` from it. A key that is not here does not exist.

mod kafka;
mod policy;
mod process;
mod s3;

use std::time::Duration;

pub(super) use process::MIN_MEMORY;

/// Says what is wrong with a text and what is allowed.
pub type Check = fn(&str) -> Result<(), String>;

/// Says what is wrong with a list as a whole.
pub type ListCheck = fn(&[String]) -> Result<(), String>;

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text that passes a check.
    Text(Check),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number of bytes, with or without a unit.
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A length of time, with its unit.
    Duration {
        /// The least.
        min: Duration,
        /// The most.
        max: Duration,
        /// Whether `"off"` is a value too.
        off: bool,
    },
    /// A list of texts; the first check is for each, the second for all together.
    List(Check, ListCheck),
}

/// What stands in for a key that was not set.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// Nothing: it must be set. The example is TOML.
    Required(&'static str),
    /// It stays unset. The example is TOML.
    Unset(&'static str),
    /// This value, as TOML.
    Value(&'static str),
    /// A value that the machine decides, told in words. The example is TOML.
    Machine(&'static str, &'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// `section.key`.
    pub path: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What stands in for it.
    pub fallback: Fallback,
    /// What it is for, in plain words.
    pub doc: &'static str,
}

impl KeySpec {
    /// The section.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(section, _)| section)
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{}{}", super::source::PREFIX, self.path.replace('.', "__").to_uppercase())
    }

    /// Whether a running daemon takes a change up on SIGHUP.
    pub fn is_live(&self) -> bool {
        self.section() == "rotation" || LIVE.contains(&self.path)
    }

    /// A value that is allowed, as TOML: the default if there is one.
    pub fn sample(&self) -> &'static str {
        match self.fallback {
            Fallback::Required(text)
            | Fallback::Unset(text)
            | Fallback::Value(text)
            | Fallback::Machine(_, text) => text,
        }
    }
}

/// One section.
#[derive(Clone, Copy, Debug)]
pub struct SectionSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in plain words.
    pub doc: &'static str,
    /// Whether `[topic."NAME".section]` may stand in for it.
    pub by_topic: bool,
    /// Its keys, in the order in which people meet them.
    pub keys: &'static [KeySpec],
}

/// Every section, in the order in which people meet them.
pub const SECTIONS: &[SectionSpec] = &[
    kafka::KAFKA,
    s3::S3,
    policy::LAYOUT,
    policy::ROTATION,
    policy::RECORDS,
    process::MEMORY,
    process::HTTP,
    process::LOG,
    process::SHUTDOWN,
];

/// What a running daemon takes up beside `[rotation]`.
const LIVE: &[&str] = &[
    "kafka.topics",
    "layout.compression_level",
    "layout.max_open_hive_partitions",
    "log.level",
    "shutdown.timeout",
];

/// The section whose keys are librdkafka's own.
pub(super) const LIBRDKAFKA: &str = "kafka.librdkafka";

/// The root of the sections by topic.
pub(super) const TOPIC: &str = "topic";

/// The section of that name.
pub(super) fn section(name: &str) -> Option<&'static SectionSpec> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// Every key.
pub(super) fn keys() -> impl Iterator<Item = &'static KeySpec> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key with that path.
pub(super) fn key(path: &str) -> Option<&'static KeySpec> {
    keys().find(|key| key.path == path)
}

const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
