//! How often each thing happened, over all worlds of a run.

use std::collections::BTreeMap;

/// What must have happened at least once in a long run, or the world is not hostile enough.
pub(crate) const EXPECTED: &[&str] = &[
    "412",
    "adopts",
    "assign",
    "begins",
    "broker away",
    "calm",
    "commit lost before",
    "commit refused",
    "commit without a coordinator",
    "commit's reply lost",
    "committed",
    "compaction",
    "crash",
    "damage seen",
    "facts not told",
    "fenced member",
    "flush",
    "flush wanted",
    "freeze",
    "gap",
    "gave back",
    "gave back late",
    "hard stop",
    "head fails: 503",
    "hive_partitions",
    "instance fenced",
    "join",
    "join in another's place",
    "joins again in a revoke",
    "kafka partition added",
    "late commit of a dead process",
    "late request of a dead process",
    "left",
    "let go of what was lost",
    "log short for a while",
    "lost to retention",
    "max_age",
    "max_bytes",
    "max_records",
    "memory",
    "memory relaxed",
    "memory short",
    "object landed",
    "object was there",
    "offset set by hand",
    "offsets deleted",
    "offsets of another group",
    "offsets roll back",
    "other limits",
    "out of range",
    "put",
    "put fails after: 409",
    "put fails after: reply lost",
    "put fails before: 403",
    "put fails before: 409",
    "put fails before: 503",
    "put fails before: full",
    "reads again",
    "record_time",
    "replay",
    "replays",
    "retention",
    "retry",
    "revoke",
    "revoked",
    "session expired",
    "session lost",
    "shutdown",
    "spool does not read once",
    "spool gives no file",
    "spool is full",
    "spool loses a file",
    "spool read back",
    "spool reads something else",
    "start",
    "stopped rightly",
    "terminate",
    "time jumps",
    "to another lane",
    "topic made again",
];

#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|what| !self.0.contains_key(what)).collect()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(what, count)| format!("{count:>10}  {what}"))
    }
}
