//! What differs by topic.

use std::time::Duration;

use super::*;
use crate::record::{Compression, Envelope, HiveKey};

#[test]
fn a_topic_differs_only_where_it_says_so() {
    let settings = good(&with(
        r#"
[layout]
prefix = "raw"
compression = "gzip"
compression_level = 9
[rotation]
max_age = "10m"
max_records = 5
[topic."orders".rotation]
max_age = "1m"
[topic."clicks.eu".layout]
compression = "zstd"
partition_by = ["dt"]
[topic."clicks.eu".records]
envelope = "fields"
"#,
    ));
    let orders = settings.topics.of("orders");
    let clicks = settings.topics.of("clicks.eu");
    let other = settings.topics.of("clicks.us");
    assert_eq!(orders.rotation.max_age, Duration::from_secs(60));
    assert_eq!(orders.rotation.max_records, 5);
    assert_eq!(orders.layout, other.layout);
    assert_eq!(orders.compression_level, Some(9));
    assert_eq!(clicks.layout.compression, Compression::Zstd);
    assert_eq!(clicks.layout.partition_by, [HiveKey::Dt]);
    assert_eq!(clicks.layout.envelope, Envelope::Fields);
    assert_eq!(&*clicks.layout.prefix, "raw");
    assert_eq!(clicks.rotation, other.rotation);
    assert_eq!(other.layout.compression, Compression::Gzip);
    assert_eq!(other.rotation.max_age, Duration::from_secs(600));
}

#[test]
fn a_level_is_not_inherited_beside_another_compression() {
    let settings = good(&with(
        "[layout]\ncompression_level = 9\n[topic.orders.layout]\ncompression = \"none\"\n",
    ));
    assert_eq!(settings.topics.of("orders").compression_level, None);
    let settings =
        good(&with("[topic.orders.layout]\ncompression = \"zstd\"\ncompression_level = 19\n"));
    assert_eq!(settings.topics.of("orders").compression_level, Some(19));
}

#[test]
fn record_time_can_be_switched_off_for_one_topic() {
    let settings = good(&with(
        "[rotation]\nrecord_time = \"1h\"\n[topic.orders.rotation]\nrecord_time = \"off\"\n",
    ));
    assert_eq!(settings.topics.of("orders").rotation.record_time, None);
    assert_eq!(settings.topics.default.rotation.record_time, Some(Duration::from_secs(3600)));
}

#[test]
fn errors_name_the_topic() {
    let cases = [
        (
            "[topic.orders.rotation]\nmax_age = \"5\"",
            "sink.toml:9:1: topic.orders.rotation.max_age: \"5\" has no unit; ",
        ),
        (
            "[topic.\"clicks.eu\".rotation]\nmax_agee = \"5m\"",
            "sink.toml:9:1: topic.\"clicks.eu\".rotation.max_agee: unknown; did you mean max_age?",
        ),
        (
            "[topic.orders.kafka]\nlanes = 1",
            "sink.toml:8:15: topic.orders.kafka: unknown; a topic may have layout, rotation and \
             records of its own",
        ),
        (
            "[topic.orders]\nmax_age = \"5m\"",
            "sink.toml:9:1: topic.orders.max_age: unknown; it belongs to [topic.\"NAME\".rotation]",
        ),
        (
            "[topic.orders.layuot]\nprefix = \"x\"",
            "sink.toml:8:15: topic.orders.layuot: unknown; did you mean layout?",
        ),
        (
            "[topic.orders.layout]\ncompression_level = 12",
            "sink.toml:9:1: topic.orders.layout.compression_level: 12 is not between 1 and 9, gzip's levels",
        ),
    ];
    for (more, expected) in cases {
        let error = only(more);
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn a_topic_that_nobody_reads_is_a_slip() {
    assert_eq!(
        only("[topic.order.rotation]\nmax_age = \"5m\""),
        "sink.toml:8:8: topic.\"order\": unknown; nothing in kafka.topics is or matches it; did \
         you mean \"orders\"?"
    );
    let report = report(&with("[topic.\"^clicks.*\".rotation]\nmax_age = \"5m\""));
    assert!(
        report[0].starts_with(
            "sink.toml:8:8: topic.\"^clicks.*\": \"^clicks.*\" is a regular expression; name one \
             topic here"
        ),
        "{report:#?}"
    );
}

/// The group's offset metadata has 4,096 bytes, and pin and mark need some for themselves.
#[test]
fn the_largest_layout_fits_the_pin() {
    let fields = (0..6).map(|n| format!("\"field:{}\"", format!("{n}").repeat(100)));
    let text =
        LEAST.replace("lake", &"b".repeat(255)).replace("\"orders\", \"^clicks\\\\..*\"", "\"o\"")
            + &format!(
                "[layout]\nprefix = \"{}\"\ndead_letter_prefix = \"{}\"\npartition_by = [{}]\n",
                "p".repeat(200),
                "d".repeat(200),
                fields.collect::<Vec<_>>().join(",")
            );
    let policy = good(&text).topics.default;
    let layout = &policy.layout;
    assert!(layout.partition_by.iter().all(|key| matches!(key, HiveKey::Field { .. })));
    let compact = serde_json::json!({
        "bucket": &*layout.bucket,
        "prefix": &*layout.prefix,
        "dead_letter_prefix": &*layout.dead_letter_prefix,
        "partition_by": layout.partition_by,
        "compression": layout.compression,
        "usable_time": layout.usable_time,
        "envelope": layout.envelope,
        "on_invalid": layout.on_invalid,
        "on_tombstone": layout.on_tombstone,
        "max_record_bytes": layout.max_record_bytes,
        "isolation_level": layout.isolation_level,
    });
    let length = compact.to_string().len();
    assert!(length < 2500, "{length}");
}
