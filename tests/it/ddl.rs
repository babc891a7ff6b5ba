//! `kafka-s3-sink ddl`, the real binary against a real broker.

use std::time::Duration;

use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, RawRecord};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};

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
