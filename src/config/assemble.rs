//! From checked values to `Settings`. Nothing is refused here any more.
//!
//! Every key has passed its check or has its default, so the `unwrap_or`s below stand for values
//! that were refused before; such settings are thrown away. A test walks through every word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::machine::Machine;
use super::memory::most_lanes;
use super::rules::layout::{field_of, start_of_day};
use super::settings::{
    Assignor, GroupProtocol, HttpSettings, KafkaSettings, LogFormat, LogSettings, MemorySettings,
    S3Settings, Settings, ShutdownSettings, TopicPolicies,
};
use super::values::Values;
use super::walk::Parts;
use crate::record::{
    Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout, LostOffsetsPolicy,
    OutOfRangePolicy, RecordPolicy, RevokePolicy, RotationPolicy, StartPosition, TombstonePolicy,
};

/// More lanes than this do not help: the next limit is the network.
const MAX_DEFAULT_LANES: usize = 8;

/// The budget where nothing tells how much memory there is.
const BLIND_MEMORY: u64 = 512 * 1024 * 1024;

/// Makes settings. After errors the result is incomplete and must be thrown away.
pub(super) fn settings(parts: &Parts, machine: Machine) -> Settings {
    let values = &parts.general;
    let by_topic = parts.topics.iter().map(|(name, topic)| (name.clone(), policy(&topic.values)));
    Settings {
        kafka: kafka(parts, machine),
        s3: s3(values),
        topics: TopicPolicies { default: policy(values), by_topic: by_topic.collect() },
        memory: MemorySettings {
            limit: memory_limit(values, machine),
            spool_dir: values.text("memory.spool_dir").map(Into::into),
        },
        http: HttpSettings {
            listen: values.text("http.listen").and_then(|text| text.parse().ok()),
            token_file: values.text("http.token_file").map(Into::into),
        },
        log: LogSettings {
            level: values.owned_text("log.level"),
            format: match values.text("log.format") {
                Some("json") => LogFormat::Json,
                Some("journald") => LogFormat::Journald,
                _ => LogFormat::Text,
            },
        },
        shutdown: ShutdownSettings { timeout: duration(values, "shutdown.timeout") },
    }
}

fn kafka(parts: &Parts, machine: Machine) -> KafkaSettings {
    let values = &parts.general;
    let properties = parts.librdkafka.iter();
    KafkaSettings {
        bootstrap_servers: values.owned_text("kafka.bootstrap_servers"),
        topics: values.list("kafka.topics").to_vec(),
        group_id: values.owned_text("kafka.group_id"),
        group_protocol: match values.text("kafka.group_protocol") {
            Some("consumer") => GroupProtocol::Consumer,
            _ => GroupProtocol::Classic,
        },
        assignor: match values.text("kafka.assignor") {
            Some("eager") => Assignor::Eager,
            _ => Assignor::CooperativeSticky,
        },
        group_instance_id: values.text("kafka.group_instance_id").map(Into::into),
        msk_iam_region: values.text("kafka.msk_iam_region").map(Into::into),
        start: values.word("kafka.start").unwrap_or(StartPosition::Earliest),
        on_lost_offsets: values.word("kafka.on_lost_offsets").unwrap_or(LostOffsetsPolicy::Error),
        on_offset_out_of_range: values
            .word("kafka.on_offset_out_of_range")
            .unwrap_or(OutOfRangePolicy::Stop),
        lanes: lanes(parts, machine),
        librdkafka: properties
            .map(|(name, (text, _))| (name.clone(), text.clone()))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn s3(values: &Values) -> S3Settings {
    let optional = |key| values.text(key).map(Into::into);
    S3Settings {
        bucket: values.owned_text("s3.bucket"),
        region: optional("s3.region"),
        // The SDK appends a path of its own.
        endpoint: values.text("s3.endpoint").map(|text| text.trim_end_matches('/').to_owned()),
        force_path_style: values.switch("s3.force_path_style"),
        storage_class: optional("s3.storage_class"),
        server_side_encryption: optional("s3.server_side_encryption"),
        kms_key_id: optional("s3.kms_key_id"),
        multipart_threshold: number(values, "s3.multipart_threshold"),
        multipart_part_size: number(values, "s3.multipart_part_size"),
        max_concurrent_uploads: number(values, "s3.max_concurrent_uploads") as usize,
        request_timeout: duration(values, "s3.request_timeout"),
        min_throughput: number(values, "s3.min_throughput"),
        retry_warn_after: duration(values, "s3.retry_warn_after"),
    }
}

fn policy(values: &Values) -> RecordPolicy {
    RecordPolicy {
        layout: Arc::new(layout(values)),
        rotation: RotationPolicy {
            max_bytes: number(values, "rotation.max_bytes"),
            max_records: number(values, "rotation.max_records"),
            max_age: duration(values, "rotation.max_age"),
            record_time: values.duration("rotation.record_time"),
            max_open_hive_partitions: number(values, "layout.max_open_hive_partitions") as usize,
            on_revoke: values.word("rotation.on_revoke").unwrap_or(RevokePolicy::HandOver),
        },
        compression_level: values.number("layout.compression_level").map(|level| level as i32),
    }
}

/// All that travels in the pin, gathered from the sections where people look for it.
fn layout(values: &Values) -> Layout {
    let shared = |key| Arc::from(values.owned_text(key));
    let day = |index: usize| {
        values.list("layout.usable_time").get(index).and_then(|day| start_of_day(day).ok())
    };
    Layout {
        bucket: shared("s3.bucket"),
        prefix: shared("layout.prefix"),
        dead_letter_prefix: shared("layout.dead_letter_prefix"),
        partition_by: values.list("layout.partition_by").iter().map(|key| hive_key(key)).collect(),
        compression: values.word("layout.compression").unwrap_or(Compression::Gzip),
        usable_time: (day(0).unwrap_or(0), day(1).unwrap_or(0)),
        envelope: values.word("records.envelope").unwrap_or(Envelope::None),
        on_invalid: values.word("records.on_invalid").unwrap_or(InvalidPolicy::DeadLetter),
        on_tombstone: values.word("records.on_tombstone").unwrap_or(TombstonePolicy::Skip),
        max_record_bytes: number(values, "records.max_bytes") as u32,
        isolation_level: values
            .word("kafka.isolation_level")
            .unwrap_or(IsolationLevel::ReadCommitted),
    }
}

fn hive_key(text: &str) -> HiveKey {
    match (text, field_of(text)) {
        (_, Some((key, name))) => HiveKey::Field { name: name.to_owned(), key },
        ("hour", None) => HiveKey::Hour,
        // There is no other, by the rules.
        (_, None) => HiveKey::Dt,
    }
}

/// A number that has a default.
fn number(values: &Values, key: &str) -> u64 {
    values.number(key).unwrap_or_default()
}

/// A duration that has a default and cannot be off.
fn duration(values: &Values, key: &str) -> Duration {
    values.duration(key).unwrap_or_default()
}

/// `memory.limit`, or half of what there is: the rest is for the page cache, the kernel's sockets
/// and neighbours.
pub(super) fn memory_limit(values: &Values, machine: Machine) -> u64 {
    let half = || machine.memory.map_or(BLIND_MEMORY, |memory| memory / 2);
    values.number("memory.limit").unwrap_or_else(half)
}

/// `kafka.lanes`, or one a core, as far as memory goes.
pub(super) fn lanes(parts: &Parts, machine: Machine) -> usize {
    let values = &parts.general;
    let room = most_lanes(memory_limit(values, machine), parts.largest_record());
    let default = || machine.cores.clamp(1, MAX_DEFAULT_LANES).min(room);
    values.number("kafka.lanes").map_or_else(default, |lanes| lanes as usize)
}
