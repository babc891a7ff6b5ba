//! What a running daemon takes up of a changed file, and what waits for a restart.

use super::*;
use crate::config::schema::{self, Kind};
use crate::config::{TakenUp, TopicPolicies};

fn taken_up(from: &str, to: &str) -> TakenUp {
    good(from).take_up(good(to), true)
}

#[test]
fn nothing_changed_nothing_told() {
    let same = taken_up(LEAST, LEAST);
    assert_eq!((same.changes, same.restart), (vec![], vec![]));
    assert_eq!(same.settings.redacted_toml(), good(LEAST).redacted_toml());
}

#[test]
fn limits_level_timeout_and_topics_are_taken_up() {
    let to = with(
        "[rotation]\nmax_age = \"1m\"\nmax_records = 7\n[log]\nlevel = \"debug\"\n\
         [shutdown]\ntimeout = \"5s\"\n[layout]\ncompression_level = 3\n",
    )
    .replace(r#"["orders", "#, r#"["orders", "returns", "#);
    let TakenUp { settings, changes, restart } = taken_up(LEAST, &to);
    assert_eq!(restart, Vec::<String>::new());
    assert_eq!(settings.redacted_toml(), good(&to).redacted_toml());
    assert_eq!(
        changes,
        [
            r#"kafka.topics: ["orders", '^clicks\..*'] -> ["orders", "returns", '^clicks\..*']"#,
            "layout.compression_level: unset -> 3",
            "rotation.max_records: 1000000 -> 7",
            r#"rotation.max_age: "5m" -> "1m""#,
            r#"log.level: "info" -> "debug""#,
            r#"shutdown.timeout: "25s" -> "5s""#,
        ]
    );
}

#[test]
fn what_decides_where_records_stand_waits_and_the_limits_beside_it_do_not() {
    let to = with(
        "[layout]\nprefix = \"new\"\ncompression = \"zstd\"\ncompression_level = 9\n\
         [rotation]\nmax_age = \"1m\"\n[records]\nenvelope = \"fields\"\n\
         [topic.orders.layout]\npartition_by = [\"dt\"]\n[topic.orders.rotation]\nmax_age = \"2m\"\n",
    )
    .replace("bucket = \"lake\"", "bucket = \"other\"");
    let TakenUp { settings, changes, restart } = taken_up(LEAST, &to);
    let old = good(LEAST);
    assert_eq!(settings.topics.default.layout, old.topics.default.layout);
    assert_eq!(settings.topics.of("orders").layout, old.topics.default.layout);
    assert_eq!(settings.topics.of("orders").rotation.max_age.as_secs(), 120);
    assert_eq!(settings.topics.of("clicks.eu").rotation.max_age.as_secs(), 60);
    // A level of another compression's scale.
    assert_eq!(settings.topics.default.compression_level, None);
    assert_eq!(settings.s3.bucket, "lake");
    assert_eq!(
        changes,
        [r#"rotation.max_age: "5m" -> "1m""#, r#"topic.orders.rotation.max_age: "5m" -> "2m""#]
    );
    assert_eq!(
        restart,
        [
            "s3.bucket",
            "layout.prefix",
            "layout.compression",
            "layout.compression_level",
            "records.envelope",
            "topic.orders.layout.partition_by",
        ]
    );
}

#[test]
fn a_topic_that_comes_new_brings_its_own_layout_but_not_the_bucket() {
    let to = with("[topic.returns.layout]\nprefix = \"own\"\npartition_by = [\"dt\"]\n")
        .replace(r#"["orders", "#, r#"["orders", "returns", "#)
        .replace("bucket = \"lake\"", "bucket = \"other\"");
    let TakenUp { settings, restart, .. } = taken_up(LEAST, &to);
    let layout = &settings.topics.of("returns").layout;
    assert_eq!((&*layout.prefix, layout.partition_by.len(), &*layout.bucket), ("own", 1, "lake"));
    assert_eq!(restart, ["s3.bucket"]);
}

#[test]
fn a_topic_that_loses_its_own_layout_keeps_it_until_a_restart() {
    let from = with(
        "[topic.orders.layout]\nprefix = \"own\"\n[topic.orders.rotation]\nmax_age = \"9m\"\n",
    );
    let TakenUp { settings, changes, restart } = taken_up(&from, LEAST);
    assert_eq!(&*settings.topics.of("orders").layout.prefix, "own");
    assert_eq!(settings.topics.of("orders").rotation.max_age.as_secs(), 300);
    assert_eq!(changes, [r#"topic.orders.rotation.max_age: "9m" -> "5m""#]);
    assert_eq!(restart, ["topic.orders.layout.prefix"]);
}

#[test]
fn before_the_group_knows_only_what_newcomers_bring_is_in_force() {
    let from = with("[topic.orders.rotation]\nmax_age = \"9m\"\n");
    let to = with(
        "[rotation]\nmax_age = \"1m\"\n[topic.returns.layout]\nprefix = \"own\"\n\
         [topic.returns.rotation]\nmax_age = \"3m\"\n",
    )
    .replace(r#"["orders", "#, r#"["orders", "returns", "#);
    let taken = taken_up(&from, &to).settings;
    let before = good(&from).policies_before(&taken);
    let age = |policies: &TopicPolicies, topic| policies.of(topic).rotation.max_age.as_secs();
    for (topic, now, then) in [("orders", 540, 60), ("clicks.eu", 300, 60), ("returns", 180, 180)] {
        assert_eq!((age(&before, topic), age(&taken.topics, topic)), (now, then), "{topic}");
    }
    assert_eq!(&*before.of("returns").layout.prefix, "own");
}

#[test]
fn a_run_with_an_end_keeps_its_topics() {
    let to = LEAST.replace(r#"["orders", "#, r#"["orders", "returns", "#);
    let taken = good(LEAST).take_up(good(&to), false);
    assert_eq!(taken.settings.kafka.topics, good(LEAST).kafka.topics);
    assert_eq!((taken.changes.len(), taken.restart), (0, vec!["kafka.topics".to_owned()]));
}

#[test]
fn properties_are_named_without_their_values() {
    let from = with("[kafka.librdkafka]\nsasl.password = \"hunter2\"\nclient.id = \"a\"\n");
    let to = with("[kafka.librdkafka]\nsasl.password = \"hunter3\"\nclient.id = \"a\"\n");
    let taken = taken_up(&from, &to);
    assert_eq!(taken.restart, ["kafka.librdkafka.sasl.password"]);
    assert!(!format!("{taken:?}").contains("hunter"));
}

/// Another value than the default or the one in `LEAST`.
fn another(key: &schema::KeySpec) -> String {
    match key.path {
        "kafka.bootstrap_servers" => "\"b:1\"".into(),
        "kafka.topics" => "[\"returns\"]".into(),
        "layout.partition_by" => "[\"dt\"]".into(),
        "layout.usable_time" => "[\"2001-01-01\", \"2099-01-01\"]".into(),
        "layout.compression_level" => "3".into(),
        "log.level" => "\"debug\"".into(),
        "http.listen" => "\"127.0.0.1:9999\"".into(),
        "s3.endpoint" => "\"https://s3.example.com\"".into(),
        "s3.server_side_encryption" => "\"AES256\"".into(),
        "s3.storage_class" => "\"STANDARD_IA\"".into(),
        "records.max_bytes" => "\"1MiB\"".into(),
        "s3.multipart_part_size" => "\"17MiB\"".into(),
        "memory.limit" => "\"1GiB\"".into(),
        "memory.spool_dir" => "\"/another\"".into(),
        "kafka.lanes" => "3".into(),
        _ => match key.kind {
            Kind::Choice(words) => {
                let is_default = |word: &&&str| key.sample() != format!("\"{word}\"");
                format!("\"{}\"", words.iter().find(is_default).unwrap())
            }
            Kind::Bool => "true".into(),
            Kind::Count { max, .. } => (max - 1).to_string(),
            Kind::Size { min, .. } => (min + 1).to_string(),
            Kind::Duration { min, .. } => format!("\"{}s\"", min.as_secs() + 7),
            _ => "\"another\"".into(),
        },
    }
}

#[test]
fn each_key_is_taken_up_if_it_says_so_and_else_named() {
    for key in schema::keys().filter(|key| key.path != "s3.kms_key_id") {
        let line = format!("{} = {}\n", key.name(), another(key));
        let section = format!("[{}]\n", key.section());
        let kept: String = LEAST
            .lines()
            .filter(|it| !it.starts_with(&format!("{} = ", key.name())))
            .map(|it| format!("{it}\n"))
            .collect();
        let text = match kept.contains(&section) {
            true => kept.replace(&section, &format!("{section}{line}")),
            false => format!("{kept}{section}{line}"),
        };
        let TakenUp { changes, restart, .. } = taken_up(LEAST, &text);
        let (in_changes, in_restart) = (
            changes.iter().any(|it| it.starts_with(key.path)),
            restart.iter().any(|it| it == key.path),
        );
        assert_eq!((in_changes, in_restart), (key.is_live(), !key.is_live()), "{text}");
    }
}
