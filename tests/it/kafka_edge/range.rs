//! Records of given offsets, read without a group; and offsets set from outside.

use std::time::Duration;

use kafka_s3_sink::kafka::{KafkaError, Onlooker, RangeReader, RangeReaders};
use kafka_s3_sink::record::{IsolationLevel, Offset, OffsetRange, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::member::{Protocol, settings, wait_until};
use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk, Transactions};

fn range(base: i64, end: i64) -> OffsetRange {
    OffsetRange { base: Offset(base), end: Offset(end) }
}

fn read(reader: &mut RangeReader, topic: &str, of: OffsetRange) -> Vec<i64> {
    let mut offsets = Vec::new();
    let at = TopicPartition::new(topic, 0);
    let done = reader.read(&at, of, &mut |record| {
        assert!(record.value.is_some_and(|value| value.starts_with(b"{")));
        offsets.push(record.offset.0);
        true
    });
    done.expect("records");
    offsets
}

fn ranges_are_read(broker: &Broker) {
    let topic = "ranges";
    broker.create_topic(topic, 1, &[]);
    let bulk = Bulk::new(topic, 1, 20_000);
    broker.produce_many(&bulk);
    let transactions = Transactions::new(broker, "ranges");
    transactions.begin();
    transactions.send(&Bulk { count: 10, ..bulk.next() });
    transactions.abort();
    // 20,010 is the marker of the end.
    let settings = settings(broker, Protocol::Cooperative, "ranges-group", &[topic]);
    let readers = RangeReaders::connect(&settings, IsolationLevel::ReadCommitted).expect("client");
    let mut reader = readers.reader();
    let all = |from: i64, to: i64| (from..to).collect::<Vec<_>>();
    for (base, end) in [(0, 10), (10, 100), (150, 160), (19_000, 19_001), (5, 7), (7, 7), (40, 45)]
    {
        assert_eq!(read(&mut reader, topic, range(base, end)), all(base, end), "{base} {end}");
    }
    assert_eq!(read(&mut reader, topic, range(19_990, 20_005)), all(19_990, 20_000), "aborted");
    assert_eq!(read(&mut reader, topic, range(20_000, 20_011)), [0; 0]);
    assert_eq!(read(&mut reader, topic, range(20_005, 20_011)), [0; 0], "the end comes again");

    let at = TopicPartition::new(topic, 0);
    let mut seen = 0;
    let read_some = reader.read(&at, range(0, 1000), &mut |_| {
        seen += 1;
        seen < 3
    });
    read_some.expect("as many as wanted");
    assert_eq!(seen, 3);
    assert_eq!(read(&mut reader, topic, range(3, 9)), all(3, 9), "it goes on from there");

    let beyond = reader.read(&at, range(20_000, 20_012), &mut |_| true);
    let text = beyond.expect_err("the log ends before").to_string();
    assert!(text.contains("the log ends at 20011"), "{text}");
    broker.delete_records(topic, 0, 100);
    let gone = reader.read(&at, range(50, 200), &mut |_| true);
    assert!(matches!(gone, Err(KafkaError::Request { .. })), "{gone:?}");
    assert_eq!(read(&mut reader, topic, range(100, 120)), all(100, 120));
    // The simple consumer of librdkafka would commit by itself if it knew a group.
    let onlooker = Onlooker::connect(&settings, IsolationLevel::ReadCommitted).expect("client");
    let held = onlooker.committed(std::slice::from_ref(&at)).expect("an answer");
    assert_eq!(held[&at].as_ref().expect("known").offset, None);
}

#[test]
fn ranges_are_read_without_a_group() {
    needs_servers!();
    ranges_are_read(Broker::shared_v4());
    ranges_are_read(Broker::shared_v3());
}

/// A plain consumer that has joined.
fn member(broker: &Broker, protocol: Protocol, group: &str, topic: &str) -> BaseConsumer {
    let mut config = broker.client_config();
    config.set("group.id", group).set("enable.auto.commit", "false");
    if protocol == Protocol::Kip848 {
        config.set("group.protocol", "consumer");
    }
    let consumer: BaseConsumer = config.create().expect("consumer");
    consumer.subscribe(&[topic]).expect("subscribed");
    let joined = || {
        let _ = consumer.poll(Duration::from_millis(100));
        consumer.assignment().is_ok_and(|assigned| assigned.count() == 2)
    };
    wait_until("the assignment", joined);
    consumer
}

fn offsets_are_set(broker: &Broker, protocol: Protocol) {
    let topic = format!("set-offsets-{protocol:?}").to_lowercase();
    let group = format!("{topic}-group");
    broker.create_topic(&topic, 2, &[]);
    let settings = settings(broker, protocol, &group, &[&topic]);
    let onlooker = Onlooker::connect(&settings, IsolationLevel::ReadCommitted).expect("client");
    let offsets = |to: i64| -> Vec<_> {
        let at = |number| TopicPartition::new(topic.as_str(), number);
        vec![(at(0), Offset(to), "mark".to_owned()), (at(1), Offset(to + 1), String::new())]
    };
    onlooker.set_offsets(&[]).expect("nothing to do");
    onlooker.set_offsets(&offsets(5)).expect("an empty group takes them");
    let held = |number| broker.committed(&group, &topic, number);
    assert_eq!((held(0).offset, &*held(0).metadata), (Some(5), "mark"));
    assert_eq!(held(1).offset, Some(6));

    let member = member(broker, protocol, &group, &topic);
    let refused = onlooker.set_offsets(&offsets(9)).expect_err("it has a member");
    assert!(matches!(refused, KafkaError::GroupInUse { .. }), "{refused}");
    assert_eq!((held(0).offset, held(1).offset), (Some(5), Some(6)));
    drop(member);
    onlooker.set_offsets(&offsets(9)).expect("an empty group again");
    assert_eq!(held(1).offset, Some(10));
}

#[test]
fn offsets_are_set_only_in_a_group_without_members() {
    needs_servers!();
    for protocol in [Protocol::Cooperative, Protocol::Kip848] {
        offsets_are_set(Broker::shared_v4(), protocol);
    }
    offsets_are_set(Broker::shared_v3(), Protocol::Cooperative);
}
