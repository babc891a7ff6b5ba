//! Right values arrive where the other rooms look for them.

use std::time::Duration;

use super::*;
use crate::config::{Assignor, GroupProtocol, LogFormat};
use crate::record::{
    Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, LostOffsetsPolicy,
    OutOfRangePolicy, RevokePolicy, StartPosition, TombstonePolicy,
};

#[test]
fn defaults() {
    let settings = good(LEAST);
    let (kafka, s3) = (&settings.kafka, &settings.s3);
    assert_eq!(kafka.bootstrap_servers, "127.0.0.1:9092");
    assert_eq!(kafka.topics, ["orders", "^clicks\\..*"]);
    assert_eq!(kafka.group_protocol, GroupProtocol::Classic);
    assert_eq!(kafka.assignor, Assignor::CooperativeSticky);
    assert_eq!(kafka.start, StartPosition::Earliest);
    assert_eq!(kafka.on_lost_offsets, LostOffsetsPolicy::Error);
    assert_eq!(kafka.on_offset_out_of_range, OutOfRangePolicy::Stop);
    assert_eq!(kafka.lanes, 4);
    assert!(kafka.librdkafka.is_empty() && kafka.group_instance_id.is_none());
    assert_eq!((s3.region.as_ref(), s3.endpoint.as_ref()), (None, None));
    assert_eq!((s3.multipart_threshold, s3.multipart_part_size), (100 << 20, 16 << 20));
    assert_eq!((s3.max_concurrent_uploads, s3.min_throughput), (16, 256 << 10));
    assert_eq!(s3.request_timeout, Duration::from_secs(30));
    assert_eq!(s3.retry_warn_after, Duration::from_secs(60));
    assert_eq!(settings.memory.limit, 2 << 30);
    assert_eq!(settings.http.listen, Some(([127, 0, 0, 1], 9464).into()));
    assert_eq!((settings.log.level.as_str(), settings.log.format), ("info", LogFormat::Text));
    assert_eq!(settings.shutdown.timeout, Duration::from_secs(25));
    assert!(settings.topics.by_topic.is_empty());
}

#[test]
fn the_default_policy() {
    let settings = good(LEAST);
    let policy = &settings.topics.default;
    let (layout, rotation) = (&policy.layout, &policy.rotation);
    assert_eq!((&*layout.bucket, &*layout.prefix), ("lake", ""));
    assert_eq!(&*layout.dead_letter_prefix, "dead-letters");
    assert_eq!(layout.partition_by, [HiveKey::Dt, HiveKey::Hour]);
    assert_eq!((layout.compression, policy.compression_level), (Compression::Gzip, None));
    assert_eq!(layout.usable_time, (946_684_800_000, 4_102_444_800_000));
    assert_eq!((layout.envelope, layout.max_record_bytes), (Envelope::None, 16 << 20));
    assert_eq!(layout.on_invalid, InvalidPolicy::DeadLetter);
    assert_eq!(layout.on_tombstone, TombstonePolicy::Skip);
    assert_eq!(layout.isolation_level, IsolationLevel::ReadCommitted);
    assert_eq!((rotation.max_bytes, rotation.max_records), (64 << 20, 1_000_000));
    assert_eq!((rotation.max_age, rotation.record_time), (Duration::from_secs(300), None));
    assert_eq!(rotation.max_open_hive_partitions, 64);
    assert_eq!(rotation.on_revoke, RevokePolicy::HandOver);
}

#[test]
fn every_key_arrives() {
    let settings = good(
        r#"
[kafka]
bootstrap_servers = "a:1,[::1]:2"
topics = ["orders"]
group_id = "g"
group_protocol = "consumer"
group_instance_id = "i-0"
start = "latest"
on_lost_offsets = "start"
on_offset_out_of_range = "earliest"
isolation_level = "read_uncommitted"
lanes = 3
[s3]
bucket = "lake"
region = "eu-central-1"
endpoint = "http://127.0.0.1:9000/"
force_path_style = true
storage_class = "STANDARD_IA"
server_side_encryption = "aws:kms"
kms_key_id = "alias/x"
multipart_threshold = "5MiB"
multipart_part_size = "6MiB"
max_concurrent_uploads = 2
request_timeout = "5s"
min_throughput = "1MiB"
retry_warn_after = "2m"
[layout]
prefix = "raw/v1"
partition_by = ["field:Country", "dt"]
compression = "zstd"
compression_level = 3
usable_time = [2020-01-01, "2020-01-02"]
max_open_hive_partitions = 5
dead_letter_prefix = "dead"
[rotation]
max_bytes = 2048
max_records = 10
max_age = "10s"
record_time = "1h"
on_revoke = "flush"
[records]
envelope = "fields"
max_bytes = "1MiB"
on_invalid = "skip"
on_tombstone = "stop"
[memory]
limit = "256MiB"
spool_dir = "/var/spool/sink"
[http]
listen = "off"
token_file = "/run/token"
[log]
level = "warn,kafka_s3_sink::s3=debug"
format = "json"
[shutdown]
timeout = "9s"
"#,
    );
    insist_on_the_process(&settings);
    insist_on_the_policy(&settings);
}

fn insist_on_the_process(settings: &Settings) {
    let (kafka, s3) = (&settings.kafka, &settings.s3);
    assert_eq!(kafka.group_protocol, GroupProtocol::Consumer);
    assert_eq!(kafka.group_instance_id.as_deref(), Some("i-0"));
    assert_eq!(kafka.start, StartPosition::Latest);
    assert_eq!(kafka.on_lost_offsets, LostOffsetsPolicy::Start);
    assert_eq!(kafka.on_offset_out_of_range, OutOfRangePolicy::Earliest);
    assert_eq!(kafka.lanes, 3);
    assert_eq!(s3.region.as_deref(), Some("eu-central-1"));
    assert_eq!(s3.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    assert!(s3.force_path_style);
    assert_eq!(s3.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(s3.server_side_encryption.as_deref(), Some("aws:kms"));
    assert_eq!(s3.kms_key_id.as_deref(), Some("alias/x"));
    assert_eq!((s3.multipart_threshold, s3.multipart_part_size), (5 << 20, 6 << 20));
    assert_eq!((s3.max_concurrent_uploads, s3.min_throughput), (2, 1 << 20));
    assert_eq!(s3.request_timeout, Duration::from_secs(5));
    assert_eq!(s3.retry_warn_after, Duration::from_secs(120));
    assert_eq!(settings.memory.limit, 256 << 20);
    assert_eq!(settings.memory.spool_dir.as_deref(), Some("/var/spool/sink".as_ref()));
    assert_eq!(settings.http.listen, None);
    assert_eq!(settings.http.token_file.as_deref(), Some("/run/token".as_ref()));
    assert_eq!(settings.log.level, "warn,kafka_s3_sink::s3=debug");
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.shutdown.timeout, Duration::from_secs(9));
}

fn insist_on_the_policy(settings: &Settings) {
    let policy = &settings.topics.default;
    let (layout, rotation) = (&policy.layout, &policy.rotation);
    assert_eq!((&*layout.prefix, &*layout.dead_letter_prefix), ("raw/v1", "dead"));
    let country = HiveKey::Field { name: "Country".into(), key: "country".into() };
    assert_eq!(layout.partition_by, [country, HiveKey::Dt]);
    assert_eq!((layout.compression, policy.compression_level), (Compression::Zstd, Some(3)));
    assert_eq!(layout.usable_time, (1_577_836_800_000, 1_577_923_200_000));
    assert_eq!((layout.envelope, layout.max_record_bytes), (Envelope::Fields, 1 << 20));
    assert_eq!(layout.on_invalid, InvalidPolicy::Skip);
    assert_eq!(layout.on_tombstone, TombstonePolicy::Stop);
    assert_eq!(layout.isolation_level, IsolationLevel::ReadUncommitted);
    assert_eq!((rotation.max_bytes, rotation.max_records), (2048, 10));
    assert_eq!(rotation.max_age, Duration::from_secs(10));
    assert_eq!(rotation.record_time, Some(Duration::from_secs(3600)));
    assert_eq!(rotation.max_open_hive_partitions, 5);
    assert_eq!(rotation.on_revoke, RevokePolicy::Flush);
}

/// A word that serde does not know would fall back to a default in silence.
#[test]
fn every_word_of_a_choice_makes_settings_of_its_own() {
    use crate::config::{Kind, schema};
    for key in schema::keys() {
        let Kind::Choice(words) = key.kind else { continue };
        let mut seen = Vec::new();
        for word in words {
            let name = key.variable();
            let settings = load_both(LEAST, &[(name.as_str(), word)]).expect("an allowed word");
            let line = format!("{} = \"{word}\"\n", key.name());
            assert!(settings.redacted_toml().contains(&line), "{} = {word}", key.path);
            let debug = format!("{settings:?}");
            assert!(!seen.contains(&debug), "{} = {word}", key.path);
            seen.push(debug);
        }
    }
}

#[test]
fn memory_and_lanes_follow_the_machine() {
    let on = |memory, cores| {
        let file = File { name: "sink.toml".into(), text: LEAST };
        let settings =
            from_layers(Some(&file), std::iter::empty(), Machine { memory, cores }, &|_, _| {
                Vec::new()
            });
        let settings = settings.expect("settings");
        (settings.memory.limit, settings.kafka.lanes)
    };
    assert_eq!(on(Some(1 << 30), 2), (512 << 20, 2));
    // A container of 256 MiB has room for one lane and the largest records.
    assert_eq!(on(Some(256 << 20), 4), (128 << 20, 1));
    assert_eq!(on(Some(512 << 20), 8), (256 << 20, 5));
    assert_eq!(on(None, 96), (512 << 20, 8));
}
