//! The harness itself, against the real servers: what it produces is there to be counted.

use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk, RawRecord, Transactions, Version};

fn read_sequences(broker: &Broker, topic: &str, count: usize) -> Vec<(i32, u64)> {
    let consumer: BaseConsumer = broker
        .client_config()
        .set("group.id", format!("{topic}-reader"))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("consumer");
    consumer.subscribe(&[topic]).expect("subscribe");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < deadline {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message.expect("a record");
        let value: serde_json::Value =
            serde_json::from_slice(message.payload().expect("a value")).expect("JSON");
        assert_eq!(value["partition"], message.partition());
        found.push((message.partition(), value["sequence"].as_u64().expect("a number")));
    }
    found.sort_unstable();
    found
}

fn produces_what_is_expected(broker: &Broker, topic: &str) {
    broker.create_topic(topic, 3, &[]);
    let bulk = Bulk::new(topic, 3, 100_000);
    let expected = broker.produce_many(&bulk);
    let wanted: Vec<(i32, u64)> = expected
        .sequences
        .iter()
        .flat_map(|(partition, ranges)| {
            ranges.iter().cloned().flatten().map(|sequence| (*partition, sequence))
        })
        .collect();
    assert_eq!(wanted.len(), 100_000);
    assert!(read_sequences(broker, topic, 100_000) == wanted);
}

#[test]
fn bulk_records_arrive_once_in_kafka_4() {
    needs_servers!();
    produces_what_is_expected(Broker::shared_v4(), "harness-bulk");
}

#[test]
fn bulk_records_arrive_once_in_kafka_3() {
    needs_servers!();
    produces_what_is_expected(Broker::shared_v3(), "harness-bulk");
}

#[test]
fn a_killed_broker_comes_back_with_its_records() {
    needs_servers!();
    for version in [Version::V4, Version::V3] {
        let mut broker = Broker::start(version);
        broker.create_topic("harness-kill", 1, &[]);
        let offsets = broker.produce_raw("harness-kill", &[RawRecord::of("{}")]);
        assert_eq!(offsets, [0]);
        broker.kill();
        broker.start_again();
        assert_eq!(broker.log_bounds("harness-kill", 0), (0, 1));
        broker.stop();
        broker.start_again();
        assert_eq!(broker.log_bounds("harness-kill", 0), (0, 1));
    }
}

#[test]
fn aborted_records_stay_in_the_log_unread() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic("harness-abort", 1, &[]);
    let first = Bulk::new("harness-abort", 1, 10);
    let transactions = Transactions::new(broker, "harness-abort");
    for (bulk, commits) in [(&first, true), (&first.next(), false), (&first.next().next(), true)] {
        transactions.begin();
        transactions.send(bulk);
        if commits { transactions.commit() } else { transactions.abort() }
    }
    let found = read_sequences(broker, "harness-abort", 20);
    assert_eq!(found, (0..10).chain(20..30).map(|number| (0, number)).collect::<Vec<_>>());
    assert_eq!(broker.log_bounds("harness-abort", 0), (0, 33));
}
