//! `[memory]`, `[http]`, `[log]` and `[shutdown]`.

use super::{Fallback, HOUR, KeySpec, Kind, MIB, SECOND, SectionSpec};
use crate::config::rules::process as rules;

/// What librdkafka, the SDK and small batches of small records need in any case; `memory` says
/// what large records need.
pub(in crate::config) const MIN_MEMORY: u64 = 64 * MIB;

pub(super) const MEMORY: SectionSpec = SectionSpec {
    name: "memory",
    doc: "One budget for the whole process.",
    by_topic: false,
    keys: &[
        KeySpec {
            path: "memory.limit",
            kind: Kind::Size { min: MIN_MEMORY, max: 1 << 50 },
            fallback: Fallback::Machine(
                "half of the container's or the machine's memory",
                r#""2GiB""#,
            ),
            doc: "The resident size to stay below, to within a few MiB. Near it the largest batches \
                  are put early, at it reading pauses. At least 64MiB, and at least 48MiB + 2 * \
                  records.max_bytes * (kafka.lanes + 1): 112MiB with one lane and the default of \
                  records.max_bytes.",
        },
        KeySpec {
            path: "memory.spool_dir",
            kind: Kind::Text(rules::folder),
            fallback: Fallback::Unset(r#""/var/lib/kafka-s3-sink""#),
            doc: "A folder on a disk of this machine for what objects hold beyond 64 KiB until they \
                  have landed, so that many of them reach rotation.max_bytes in little memory. It \
                  may need rotation.max_bytes a Kafka partition and Hive partition, several times \
                  while the store is slow. Its files have no names, are never synced and never needed \
                  after a restart. A full disk only ends batches earlier. Unset: all in memory.",
        },
    ],
};

pub(super) const HTTP: SectionSpec = SectionSpec {
    name: "http",
    doc: "Metrics, health and status.",
    by_topic: false,
    keys: &[
        KeySpec {
            path: "http.listen",
            kind: Kind::Text(rules::listen),
            fallback: Fallback::Value(r#""127.0.0.1:9464""#),
            doc: "Address and port, or \"off\". Port 0 picks a free one and logs it. Never open \
                  it to the internet.",
        },
        KeySpec {
            path: "http.token_file",
            kind: Kind::Text(rules::file),
            fallback: Fallback::Unset(r#""/run/credentials/token""#),
            doc: "A file whose first line is a bearer token that every path but /livez and \
                  /readyz wants. Without one nobody may ask for a flush.",
        },
    ],
};

pub(super) const LOG: SectionSpec = SectionSpec {
    name: "log",
    doc: "What is logged, and how.",
    by_topic: false,
    keys: &[
        KeySpec {
            path: "log.level",
            kind: Kind::Text(rules::level),
            fallback: Fallback::Value(r#""info""#),
            doc: "off, error, warn, info, debug or trace; by target too, as in \
                  \"info,kafka_s3_sink::s3=debug\". RUST_LOG wins over it.",
        },
        KeySpec {
            path: "log.format",
            kind: Kind::Choice(&["text", "json", "journald"]),
            fallback: Fallback::Value(r#""text""#),
            doc: "text for people, json for collectors, both on standard error; journald for systemd's \
                  journal, with priorities and fields.",
        },
    ],
};

pub(super) const SHUTDOWN: SectionSpec = SectionSpec {
    name: "shutdown",
    doc: "Stopping on SIGTERM or SIGINT.",
    by_topic: false,
    keys: &[KeySpec {
        path: "shutdown.timeout",
        kind: Kind::Duration { min: SECOND, max: HOUR, off: false },
        fallback: Fallback::Value(r#""25s""#),
        doc: "How long it may take to put open batches, commit and leave the group. What is not \
              done then is done by the next start; nothing is lost. Keep it below the service \
              manager's own limit (Kubernetes: 30 s) by a few seconds; systemd is told to wait.",
    }],
};
