//! `kafka-s3-sink ddl`, the real binary against a real broker.

use std::time::Duration;

use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, RawRecord};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::free_port;

/// The columns that a text has.
fn columns(text: &str) -> Vec<&str> {
    let table = text.split("\n)\nCOMMENT").next().expect("a table");
    table.lines().filter(|line| line.starts_with("  `")).collect()
}

/// What has landed tells the same columns, and no broker is asked for them.
#[test]
fn the_columns_come_from_the_bucket_too() {
    let Some(minio) = Minio::shared() else { return };
    let (broker, topic) = (Broker::shared_v4(), "ddl-landed");
    broker.create_topic(topic, 2, &[]);
    let hour = |hours: i64| 1_795_000_000_000 + hours * 3_600_000;
    let values = [
        (hour(0), r#"{"id":1,"old":true}"#),
        (hour(30), r#"{"id":2,"amount":1,"DT":"x"}"#),
        (hour(30), r#"{"id":3,"amount":1.5,"user":{"id":7}}"#),
        (7, r#"{"id":4,"lost":"in time"}"#),
        (hour(0), "no"),
    ];
    for (number, (timestamp, value)) in values.into_iter().enumerate() {
        let mut record = RawRecord::of(value);
        record.timestamp_ms = Some(timestamp);
        record.partition = number as i32 % 2;
        broker.produce_raw(topic, &[record]);
    }
    let bucket = Bucket::create(minio, topic);
    let landing = SinkConfig::new(broker, &bucket, topic);
    for (compression, envelope) in [("gzip", "fields"), ("zstd", "none"), ("none", "fields")] {
        let config = landing
            .clone()
            .set("kafka.group_id", format!("{topic}-{compression}"))
            .set("layout.prefix", compression)
            .set("layout.compression", compression)
            .set("records.envelope", envelope);
        Sink::run_until_end(&config).wait_success(Duration::from_secs(60));
        let (code, wanted) = printed(&config, &["--topic", topic]);
        assert_eq!(code, 0, "{wanted}");
        // Nobody listens there.
        let nobody = format!("127.0.0.1:{}", free_port());
        let config = config.set("kafka.bootstrap_servers", nobody);
        let (code, text) = printed(&config, &["--topic", topic, "--sample-from", "bucket"]);
        assert_eq!((code, columns(&text)), (0, columns(&wanted)), "{text}");
        assert!(columns(&text).len() >= 6, "{text}");
        // The newest come first.
        let two = ["--topic", topic, "--sample-from", "bucket", "--sample", "2"];
        let (_, text) = printed(&config, &two);
        assert!(text.contains("`amount` double,") && !text.contains("`old`"), "{text}");
        let (code, text) = printed(&config, &["--topic", topic]);
        assert!(code == 5 && text.contains("hint: --sample-from bucket"), "{code}: {text}");
    }
    let nothing = landing.set("layout.prefix", "elsewhere");
    let (code, text) = printed(&nothing, &["--topic", topic, "--sample-from", "bucket"]);
    assert!(code == 0 && text.contains("so the columns are not known"), "{code}: {text}");
}

fn printed(config: &SinkConfig, args: &[&str]) -> (i32, String) {
    let args: Vec<_> = ["ddl"].iter().chain(args).copied().collect();
    let mut sink = Sink::spawn(config, &args);
    let code = sink.wait(Duration::from_secs(60)).status.code();
    (code.expect("an exit code"), sink.log())
}

#[test]
fn the_columns_come_from_the_records() {
    let Some(minio) = Minio::shared() else { return };
    let (broker, topic) = (Broker::shared_v4(), "ddl-orders");
    broker.create_topic(topic, 2, &[]);
    let values = [r#"{"amount":1,"DT":"x"}"#, r#"{"amount":1.5,"user":{"id":7}}"#, "no", "[]"];
    broker.produce_raw(topic, &values.map(RawRecord::of));
    // Nothing is asked of the store.
    let config = SinkConfig::new(broker, &Bucket::of(minio, "nobodys"), topic)
        .set("records.envelope", "fields");
    let (code, text) = printed(&config, &["--topic", topic, "--database", "lake"]);
    assert_eq!(code, 0, "{text}");
    for words in [
        "CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`ddl_orders` (",
        "`amount` double,",
        "`dt_field` string,",
        "`user` struct<`id`:bigint>,",
        "`_kafka` struct<`topic`:string,`partition`:int,`offset`:bigint",
        "'mapping.dt_field' = 'dt'",
        "LOCATION 's3://nobodys/raw/ddl-orders/'",
        "`ddl_orders_unusable_time`",
        "the member \"dt\" has the name of a partition key",
    ] {
        assert!(text.contains(words), "no {words} in\n{text}");
    }
    let (code, text) = printed(&config, &["--topic", topic, "--format", "cloudformation"]);
    assert!(code == 0 && text.contains("\"Type\": \"AWS::Glue::Table\""), "{text}");
    let (code, text) = printed(&config, &["--topic", "ddl-nothing"]);
    assert!(code == 2 && text.contains("ddl-nothing"), "{text}");
    let by_field = config.set("layout.partition_by", vec!["a=field:amount".to_owned()]);
    let (code, text) = printed(&by_field, &["--topic", topic, "--since", "bucket"]);
    assert!(code == 2 && text.contains("write the day"), "{text}");
}
