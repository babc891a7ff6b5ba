//! `[layout]`, `[rotation]` and `[records]`: what may differ by topic.

use super::{DAY, Fallback, GIB, KIB, KeySpec, Kind, SECOND, SectionSpec};
use crate::config::rules::layout as rules;

/// The largest object that one PUT may carry, and more than any table should have.
pub(super) const MAX_OBJECT: u64 = 5 * GIB;

/// Athena takes lines of up to 32 MB.
const MAX_LINE: u64 = 32_000_000;

pub(super) const LAYOUT: SectionSpec = SectionSpec {
    name: "layout",
    doc: "Where records stand in the bucket, as \
          prefix/topic/dt=2026-11-22/hour=16/topic-0-00000000000000000000.json.gz. A change loses \
          and doubles nothing: batches that were begun are finished as they were laid out. But a \
          crawler skips folders whose Hive partitions or compression differ from its table's, so \
          give a changed layout a prefix of its own.",
    by_topic: true,
    keys: &[
        KeySpec {
            path: "layout.prefix",
            kind: Kind::Text(rules::prefix),
            fallback: Fallback::Value(r#""""#),
            doc: "The first part of every key, without a slash at either end. A table's location \
                  is the prefix and the topic.",
        },
        KeySpec {
            path: "layout.partition_by",
            kind: Kind::List(rules::hive_key, rules::hive_keys),
            fallback: Fallback::Value(r#"["dt", "hour"]"#),
            doc: "The Hive partitions, in order: \"dt\" and \"hour\" are the record's day and hour \
                  in UTC, \"field:NAME\" is a field at the top of the JSON object, \
                  \"KEY=field:NAME\" is one under another name. Give it another name where a \
                  crawler makes the table: the field stays in the lines, and Athena refuses a \
                  table that has a column twice. At most 6.",
        },
        KeySpec {
            path: "layout.compression",
            kind: Kind::Choice(&["gzip", "zstd", "none"]),
            fallback: Fallback::Value(r#""gzip""#),
            doc: "gzip is read by everything. zstd is smaller and faster, but Glue's crawlers do \
                  not list it (Athena reads it).",
        },
        KeySpec {
            path: "layout.compression_level",
            kind: Kind::Count { min: 1, max: 19 },
            fallback: Fallback::Unset("6"),
            doc: "1 to 9 for gzip, 1 to 19 for zstd. Unset: a fast level that compresses well: 1 for \
                  gzip, 3 for zstd. Levels 1 to 3 of gzip are done by ISA-L where the program was \
                  built with it (--version tells), which is several times as fast as zlib at its \
                  levels 4 to 9; without it unset is 6. A topic that sets a compression of its own \
                  does not inherit it.",
        },
        KeySpec {
            path: "layout.usable_time",
            kind: Kind::List(rules::date, rules::usable_time),
            fallback: Fallback::Value(r#"["2000-01-01", "2100-01-01"]"#),
            doc: "Timestamps from the first day up to, not including, the second (UTC) are \
                  believed. Records with others stand under dt=1970-01-01/hour=00 and are counted.",
        },
        KeySpec {
            path: "layout.max_open_hive_partitions",
            kind: Kind::Count { min: 1, max: 10_000 },
            fallback: Fallback::Value("64"),
            doc: "Hive partitions that one batch opens at most; then it ends. Bounds memory and \
                  small objects when late data comes.",
        },
        KeySpec {
            path: "layout.dead_letter_prefix",
            kind: Kind::Text(rules::dead_letter_prefix),
            fallback: Fallback::Value(r#""dead-letters""#),
            doc: "The first part of the dead letters' keys; the table's prefix and the topic come \
                  behind it. It must lie outside every table, for Athena would read what lies \
                  inside.",
        },
    ],
};

pub(super) const ROTATION: SectionSpec = SectionSpec {
    name: "rotation",
    doc: "When a batch ends and its objects are put. A batch belongs to one Kafka partition and \
          makes one object for each Hive partition that it touches. Whatever is reached first \
          counts. Few large objects make fast queries.",
    by_topic: true,
    keys: &[
        KeySpec {
            path: "rotation.max_bytes",
            kind: Kind::Size { min: KIB, max: MAX_OBJECT },
            fallback: Fallback::Value(r#""64MiB""#),
            doc: "Bytes of the batch's largest object, as stored (compressed).",
        },
        KeySpec {
            path: "rotation.max_records",
            kind: Kind::Count { min: 1, max: 1_000_000_000 },
            fallback: Fallback::Value("1_000_000"),
            doc: "Records of the batch that land.",
        },
        KeySpec {
            path: "rotation.max_age",
            kind: Kind::Duration { min: SECOND, max: DAY.saturating_mul(30), off: false },
            fallback: Fallback::Value(r#""5m""#),
            doc: "Time since the batch's first record was read: how late a quiet topic's last \
                  records land at most.",
        },
        KeySpec {
            path: "rotation.record_time",
            kind: Kind::Duration { min: SECOND, max: DAY.saturating_mul(366), off: true },
            fallback: Fallback::Value(r#""off""#),
            doc: "Span of the records' own time within one batch, or \"off\".",
        },
        KeySpec {
            path: "rotation.on_revoke",
            kind: Kind::Choice(&["hand_over", "flush"]),
            fallback: Fallback::Value(r#""hand_over""#),
            doc: "When a Kafka partition moves to another instance: \"hand_over\" leaves a young \
                  batch to it (no small objects), \"flush\" puts it before, as far as time allows.",
        },
    ],
};

pub(super) const RECORDS: SectionSpec = SectionSpec {
    name: "records",
    doc: "What a line is. A record's value is written as it is, one JSON object a line.",
    by_topic: true,
    keys: &[
        KeySpec {
            path: "records.envelope",
            kind: Kind::Choice(&["none", "fields"]),
            fallback: Fallback::Value(r#""none""#),
            doc: "\"fields\" adds one member _kafka with topic, partition, offset, timestamp, key \
                  and headers to every line.",
        },
        KeySpec {
            path: "records.max_bytes",
            kind: Kind::Size { min: KIB, max: MAX_LINE },
            fallback: Fallback::Value(r#""16MiB""#),
            doc: "A larger value is treated as invalid. At most 32MB: Athena reads no longer line.",
        },
        KeySpec {
            path: "records.on_invalid",
            kind: Kind::Choice(&["dead_letter", "stop", "skip"]),
            fallback: Fallback::Value(r#""dead_letter""#),
            doc: "What is not a JSON object: keep it as a dead letter, stop the Kafka partition \
                  before it, or count it and leave it out.",
        },
        KeySpec {
            path: "records.on_tombstone",
            kind: Kind::Choice(&["skip", "dead_letter", "stop"]),
            fallback: Fallback::Value(r#""skip""#),
            doc: "A record without a value, which marks a deletion in compacted topics: count it \
                  and leave it out, keep it as a dead letter, or stop before it.",
        },
    ],
};
