//! The effective settings as TOML, without secrets: for the log at a start, and for people who
//! want to see what is in force.

use std::fmt::Write as _;
use std::path::Path;

use secrecy::ExposeSecret;
use serde::Serialize;

use super::librdkafka;
use super::rules::layout::day_of;
use super::schema::{self, SectionSpec};
use super::settings::{Assignor, GroupProtocol, KafkaSettings, LogFormat, S3Settings, Settings};
use super::units;
use crate::record::{HiveKey, RecordPolicy};

/// What stands in for a value that may be secret.
const REDACTED: &str = "<redacted>";

impl Settings {
    /// What is in force, as TOML that `load` would take: defaults written out, secrets as
    /// `<redacted>`, of each topic only what differs.
    pub fn redacted_toml(&self) -> String {
        let mut text = String::new();
        for section in schema::SECTIONS {
            heading(&mut text, section.name);
            lines(&mut text, section, |path| self.shown(path));
            if section.name == "kafka" {
                properties(&mut text, &self.kafka);
            }
        }
        for (topic, policy) in &self.topics.by_topic {
            for section in schema::SECTIONS.iter().filter(|section| section.by_topic) {
                let differing = |path: &str| {
                    of_policy(policy, path)
                        .filter(|own| of_policy(&self.topics.default, path).as_ref() != Some(own))
                };
                if section.keys.iter().any(|key| differing(key.path).is_some()) {
                    heading(&mut text, &format!("topic.{}.{}", quoted(topic), section.name));
                    lines(&mut text, section, differing);
                }
            }
        }
        text
    }

    /// The value of a key as TOML; `None` if it is unset.
    pub(super) fn shown(&self, path: &str) -> Option<String> {
        let (section, name) = path.split_once('.')?;
        match section {
            "kafka" if name == "isolation_level" => {
                word(&self.topics.default.layout.isolation_level)
            }
            "kafka" => of_kafka(&self.kafka, name),
            "s3" => of_s3(&self.s3, name),
            "memory" if name == "spool_dir" => self.memory.spool_dir.as_deref().map(file),
            "memory" => Some(size(self.memory.limit)),
            "http" if name == "token_file" => self.http.token_file.as_deref().map(file),
            "http" => Some(self.http.listen.map_or(quoted("off"), |at| quoted(&at.to_string()))),
            "log" if name == "level" => Some(quoted(&self.log.level)),
            "log" => Some(quoted(match self.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
                LogFormat::Journald => "journald",
            })),
            "shutdown" => Some(quoted(&units::format_duration(self.shutdown.timeout))),
            _ => of_policy(&self.topics.default, path),
        }
    }
}

fn heading(text: &mut String, name: &str) {
    let space = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{space}[{name}]");
}

fn lines(text: &mut String, section: &SectionSpec, value: impl Fn(&str) -> Option<String>) {
    for key in section.keys {
        if let Some(value) = value(key.path) {
            let _ = writeln!(text, "{} = {value}", key.name());
        }
    }
}

/// Names in quotes: as bare dotted keys, one that begins another could not stand beside it.
fn properties(text: &mut String, kafka: &KafkaSettings) {
    if kafka.librdkafka.is_empty() {
        return;
    }
    heading(text, schema::LIBRDKAFKA);
    for (name, value) in &kafka.librdkafka {
        let public = librdkafka::is_public(name);
        let value = if public { value.expose_secret() } else { REDACTED };
        let _ = writeln!(text, "{} = {}", quoted(name), quoted(value));
    }
}

fn of_kafka(kafka: &KafkaSettings, name: &str) -> Option<String> {
    match name {
        "bootstrap_servers" => Some(quoted(&kafka.bootstrap_servers)),
        "topics" => Some(list(kafka.topics.iter().map(|topic| quoted(topic)))),
        "group_id" => Some(quoted(&kafka.group_id)),
        "group_protocol" => Some(quoted(match kafka.group_protocol {
            GroupProtocol::Classic => "classic",
            GroupProtocol::Consumer => "consumer",
        })),
        "assignor" => Some(quoted(match kafka.assignor {
            Assignor::CooperativeSticky => "cooperative-sticky",
            Assignor::Eager => "eager",
        })),
        "group_instance_id" => kafka.group_instance_id.as_deref().map(quoted),
        "msk_iam_region" => kafka.msk_iam_region.as_deref().map(quoted),
        "start" => word(&kafka.start),
        "on_lost_offsets" => word(&kafka.on_lost_offsets),
        "on_offset_out_of_range" => word(&kafka.on_offset_out_of_range),
        "lanes" => Some(kafka.lanes.to_string()),
        _ => None,
    }
}

fn of_s3(s3: &S3Settings, name: &str) -> Option<String> {
    match name {
        "bucket" => Some(quoted(&s3.bucket)),
        "region" => s3.region.as_deref().map(quoted),
        "endpoint" => s3.endpoint.as_deref().map(quoted),
        "force_path_style" => Some(s3.force_path_style.to_string()),
        "storage_class" => s3.storage_class.as_deref().map(quoted),
        "server_side_encryption" => s3.server_side_encryption.as_deref().map(quoted),
        "kms_key_id" => s3.kms_key_id.as_deref().map(quoted),
        "multipart_threshold" => Some(size(s3.multipart_threshold)),
        "multipart_part_size" => Some(size(s3.multipart_part_size)),
        "max_concurrent_uploads" => Some(s3.max_concurrent_uploads.to_string()),
        "request_timeout" => Some(quoted(&units::format_duration(s3.request_timeout))),
        "min_throughput" => Some(size(s3.min_throughput)),
        "retry_warn_after" => Some(quoted(&units::format_duration(s3.retry_warn_after))),
        _ => None,
    }
}

/// A policy by the names of its keys, for the general one and for those of topics.
pub(super) fn of_policy(policy: &RecordPolicy, path: &str) -> Option<String> {
    let RecordPolicy { layout, rotation, compression_level } = policy;
    match path {
        "layout.prefix" => Some(quoted(&layout.prefix)),
        "layout.partition_by" => Some(list(layout.partition_by.iter().map(hive_key))),
        "layout.compression" => word(&layout.compression),
        "layout.compression_level" => compression_level.map(|level| level.to_string()),
        "layout.usable_time" => {
            let (from, to) = layout.usable_time;
            Some(list([from, to].into_iter().map(day)))
        }
        "layout.max_open_hive_partitions" => Some(rotation.max_open_hive_partitions.to_string()),
        "layout.dead_letter_prefix" => Some(quoted(&layout.dead_letter_prefix)),
        "rotation.max_bytes" => Some(size(rotation.max_bytes)),
        "rotation.max_records" => Some(rotation.max_records.to_string()),
        "rotation.max_age" => Some(quoted(&units::format_duration(rotation.max_age))),
        "rotation.record_time" => {
            Some(quoted(&rotation.record_time.map_or("off".to_owned(), units::format_duration)))
        }
        "rotation.on_revoke" => word(&rotation.on_revoke),
        "records.envelope" => word(&layout.envelope),
        "records.max_bytes" => Some(size(layout.max_record_bytes.into())),
        "records.on_invalid" => word(&layout.on_invalid),
        "records.on_tombstone" => word(&layout.on_tombstone),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn file(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn size(bytes: u64) -> String {
    quoted(&units::format_size(bytes))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// The word that serde has for a variant.
fn word<T: Serialize>(value: &T) -> Option<String> {
    toml::Value::try_from(value).ok().map(|value| value.to_string())
}

fn hive_key(key: &HiveKey) -> String {
    match key {
        HiveKey::Dt => quoted("dt"),
        HiveKey::Hour => quoted("hour"),
        HiveKey::Field { name, key } if name.to_ascii_lowercase() == *key => {
            quoted(&format!("field:{name}"))
        }
        HiveKey::Field { name, key } => quoted(&format!("{key}=field:{name}")),
    }
}

fn day(millis: i64) -> String {
    quoted(&day_of(millis).to_string())
}
