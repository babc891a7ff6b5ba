//! What is allowed and yet worth a word.

use super::*;

/// What is said about the least with more lines.
fn said(more: &str) -> Vec<String> {
    good(&with(more)).warnings()
}

#[test]
fn nothing_is_said_about_defaults() {
    assert_eq!(said(""), Vec::<String>::new());
}

#[test]
fn each_has_its_key() {
    let cases = [
        (
            "[layout]\ncompression = \"zstd\"",
            "layout.compression: Glue's crawlers do not list zstd",
        ),
        (
            "[rotation]\nmax_age = \"25h\"",
            "rotation.max_age: records of a quiet topic may land 1d1h",
        ),
        ("[rotation]\nmax_bytes = \"1023KiB\"", "rotation.max_bytes: objects below 1MiB make"),
        (
            "[memory]\nlimit = \"127MiB\"",
            "rotation.max_bytes: 64MiB is more than half of memory.limit (127MiB)",
        ),
        (
            "[kafka.librdkafka]\nacks = \"all\"",
            "kafka.librdkafka.acks: a property of producers, without effect here",
        ),
        (
            "[topic.orders.layout]\ncompression = \"zstd\"",
            "topic orders: layout.compression: Glue's crawlers",
        ),
    ];
    for (more, expected) in cases {
        let said = said(more);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with(expected), "{said:#?}");
    }
}

#[test]
fn of_the_store() {
    let cases = [
        ("endpoint = \"http://minio:9000\"", "s3.endpoint: plain http beyond this machine"),
        ("storage_class = \"GLACIER\"", "s3.storage_class: Athena does not read"),
        ("bucket = \"Old_Lake\"", "s3.bucket: AWS takes no new bucket named \"Old_Lake\""),
        ("bucket = \"a.lake\"", "s3.bucket: with a dot in its name the host"),
    ];
    for (line, expected) in cases {
        let text = match line.starts_with("bucket") {
            true => LEAST.replace("bucket = \"lake\"", line),
            false => with(line),
        };
        let said = good(&text).warnings();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with(expected), "{said:#?}");
    }
    assert!(said("endpoint = \"http://127.0.0.1:9000\"").is_empty());
}

#[test]
fn of_the_group() {
    let text = LEAST.replace("[s3]", "group_protocol = \"consumer\"\nassignor = \"eager\"\n[s3]");
    let said = good(&text).warnings();
    assert_eq!(said, ["kafka.assignor: has no effect with group_protocol = \"consumer\""]);
}

#[test]
fn what_topics_inherit_is_said_once() {
    let more = "[layout]\ncompression = \"zstd\"\n[topic.orders.rotation]\nmax_age = \"1m\"";
    assert_eq!(said(more).len(), 1);
}
