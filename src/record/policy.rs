//! Settings that decide about records, as checked by `config` and obeyed by `pipeline`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How objects are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// One gzip member an object, `.json.gz`.
    Gzip,
    /// One zstd frame an object, window of at most 8 MiB, `.json.zst`.
    Zstd,
    /// Plain text, `.json`.
    None,
}

/// One level of the Hive path, `key=value`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HiveKey {
    /// `dt=2026-11-22`, the record's day in UTC.
    Dt,
    /// `hour=07`, the record's hour in UTC.
    Hour,
    /// A top-level field of the JSON object.
    Field {
        /// Its name.
        name: String,
        /// The key in paths and tables, in lower case.
        key: String,
    },
}

impl HiveKey {
    /// The key in paths and tables.
    pub fn key(&self) -> &str {
        match self {
            Self::Dt => "dt",
            Self::Hour => "hour",
            Self::Field { key, .. } => key,
        }
    }
}

/// What a line carries beside the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// Nothing: the line is the value.
    None,
    /// One member `_kafka` before the closing brace.
    Fields,
}

/// What becomes of a record that is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidPolicy {
    /// It goes to the dead letters of its batch.
    DeadLetter,
    /// Its Kafka partition stops before it.
    Stop,
    /// It is counted and left out.
    Skip,
}

/// What becomes of a record whose value is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TombstonePolicy {
    /// It is counted and left out.
    Skip,
    /// It goes to the dead letters of its batch.
    DeadLetter,
    /// Its Kafka partition stops before it.
    Stop,
}

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// Only committed ones (librdkafka's default).
    ReadCommitted,
    /// All of them.
    ReadUncommitted,
}

/// All that decides which records of a topic stand where, and how a line reads. It travels in
/// the pin, so a replay after a change of the configuration finishes what was begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The bucket.
    pub bucket: Arc<str>,
    /// The first part of every key; no slash at either end; may be empty.
    pub prefix: Arc<str>,
    /// The first part of the dead letters' keys; no slash at either end; never empty.
    pub dead_letter_prefix: Arc<str>,
    /// The Hive path, in order.
    pub partition_by: Vec<HiveKey>,
    /// The compression of objects.
    pub compression: Compression,
    /// Timestamps in `[from, to)`, in milliseconds, are used; others go to 1970-01-01.
    pub usable_time: (i64, i64),
    /// What a line carries beside the value.
    pub envelope: Envelope,
    /// What becomes of a record that is not a JSON object.
    pub on_invalid: InvalidPolicy,
    /// What becomes of a tombstone.
    pub on_tombstone: TombstonePolicy,
    /// A larger value is treated as invalid.
    pub max_record_bytes: u32,
    /// Which records of transactions are read.
    pub isolation_level: IsolationLevel,
}

/// When a batch ends. It never decides which records stand where: the pin records the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Stored bytes of the batch's largest object.
    pub max_bytes: u64,
    /// Records that land.
    pub max_records: u64,
    /// Wall-clock time since the batch's first record was read.
    pub max_age: Duration,
    /// Span of the records' own time; `None` switches it off.
    pub record_time: Option<Duration>,
    /// Hive partitions that one batch opens.
    pub max_open_hive_partitions: usize,
    /// What a revoke does with the open batch.
    pub on_revoke: RevokePolicy,
}

/// What a revoke does with an open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokePolicy {
    /// A young batch is left to the next owner; one past half its age is pinned.
    HandOver,
    /// It is flushed whatever its age, as far as the deadline allows.
    Flush,
}

/// What differs by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPolicy {
    /// Where records stand and how they read.
    pub layout: Arc<Layout>,
    /// When batches end.
    pub rotation: RotationPolicy,
    /// The compressor's level, in its own scale; `None` is our default for the compression.
    pub compression_level: Option<i32>,
}

/// Where a first start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPosition {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
}

/// What to do where offsets that we once had are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostOffsetsPolicy {
    /// Stop the Kafka partition and explain.
    Error,
    /// Go on from the offset that is there, else from the configured start.
    Start,
}

/// What to do where the position is outside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfRangePolicy {
    /// Stop the Kafka partition and say what was lost.
    Stop,
    /// Go on at the oldest record there is, and count what was lost.
    Earliest,
}
