//! The effective settings as people may see them.

use super::*;

const RICH: &str = r#"
[kafka]
bootstrap_servers = "a:1,b:2"
topics = ["orders", "^clicks\\..*"]
group_id = "q's\\\\"
group_protocol = "consumer"
group_instance_id = "i"
lanes = 3
[kafka.librdkafka]
sasl.password = "hunter2"
sasl.username = "agent7"
ssl.key.pem = "-----BEGIN hunter2"
client.id = "sink"
[s3]
bucket = "lake"
endpoint = "https://s3.example.com"
multipart_part_size = 5_242_881
[layout]
prefix = "raw"
partition_by = ["field:Country", "dt"]
[rotation]
max_age = "1h30m"
[memory]
limit = "256MiB"
spool_dir = "/var/spool/sink"
[http]
token_file = "/run/token"
[topic."clicks.eu".layout]
compression = "zstd"
compression_level = 7
[topic."clicks.eu".rotation]
record_time = "90s"
max_age = "1h30m"
[topic.orders.records]
envelope = "fields"
"#;

#[test]
fn what_is_rendered_loads_as_the_same_settings() {
    for text in [LEAST.to_owned(), RICH.to_owned()] {
        let settings = good(&text);
        let rendered = settings.redacted_toml();
        let again = good(&rendered);
        // `Debug` shows no secret, so the redacted ones are the same.
        assert_eq!(format!("{settings:?}"), format!("{again:?}"), "{rendered}");
        assert_eq!(rendered, again.redacted_toml());
    }
}

#[test]
fn secrets_appear_nowhere() {
    let settings = good(RICH);
    let rendered = settings.redacted_toml();
    for secret in ["hunter2", "agent7", "BEGIN"] {
        assert!(!rendered.contains(secret), "{rendered}");
        assert!(!format!("{settings:?}").contains(secret));
        assert!(!format!("{:?}", settings.warnings()).contains(secret));
    }
    assert!(rendered.contains("\"sasl.password\" = \"<redacted>\"\n"), "{rendered}");
    assert!(rendered.contains("\"client.id\" = \"sink\"\n"), "{rendered}");
}

#[test]
fn defaults_are_written_out_and_unset_keys_are_left_out() {
    let rendered = good(LEAST).redacted_toml();
    for line in [
        "[kafka]",
        "topics = [\"orders\", '^clicks\\..*']",
        "isolation_level = \"read_committed\"",
        "lanes = 4",
        "multipart_threshold = \"100MiB\"",
        "usable_time = [\"2000-01-01\", \"2100-01-01\"]",
        "max_open_hive_partitions = 64",
        "max_age = \"5m\"",
        "record_time = \"off\"",
        "limit = \"2GiB\"",
        "listen = \"127.0.0.1:9464\"",
    ] {
        assert!(rendered.lines().any(|have| have == line), "{line}\n{rendered}");
    }
    for absent in ["region", "kms_key_id", "librdkafka", "topic.", "token_file"] {
        assert!(!rendered.contains(absent), "{absent}\n{rendered}");
    }
}

#[test]
fn a_topic_shows_what_differs_and_nothing_else() {
    let rendered = good(RICH).redacted_toml();
    let tail = rendered.split_once("[topic.").map(|(_, tail)| tail).unwrap_or_default();
    assert_eq!(
        format!("[topic.{tail}"),
        "[topic.\"clicks.eu\".layout]\ncompression = \"zstd\"\ncompression_level = 7\n\n\
         [topic.\"clicks.eu\".rotation]\nrecord_time = \"1m30s\"\n\n\
         [topic.\"orders\".records]\nenvelope = \"fields\"\n"
    );
}
