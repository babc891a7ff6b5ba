//! Logs with gaps: transactions that abort or stay open, control records, compaction, retention.

use super::*;
use crate::support::kafka::{RawRecord, Transactions};

#[test]
fn only_committed_transactions_land_and_the_lag_reaches_zero() {
    let Some(case) = Case::shared("e2e-transactions", 2) else { return };
    let transactions = Transactions::new(case.broker, "e2e-transactions");
    let (mut bulk, mut expected) = (case.bulk(1000), Expected::default());
    for commits in [true, false, false, true, true, false] {
        transactions.begin();
        transactions.send(&bulk);
        if commits {
            transactions.commit();
            expected = expected.and(bulk.expected());
        } else {
            transactions.abort();
        }
        bulk = bulk.next();
    }
    let config = case.config().set("rotation.max_age", "1s").set("rotation.max_records", 170);
    let mut sink = Sink::run(&config);
    case.wait_committed(&mut sink);
    case.assert_exact(&expected);
    sink.wait_for_metric("kafka_s3_sink_landed_records_total", 3000.0, PATIENCE);
    assert_eq!(sink.metric("kafka_s3_sink_landed_lag_records"), 0.0);
    // A transaction that is open hides what comes after it until it is decided.
    transactions.begin();
    transactions.send(&bulk);
    case.run_to_end(&config);
    case.read(&expected).assert_exact();
    transactions.commit();
    case.wait_committed(&mut sink);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected.and(bulk.expected()));
}

#[test]
fn aborted_records_land_where_they_are_asked_for() {
    let Some(case) = Case::shared("e2e-uncommitted", 1) else { return };
    let transactions = Transactions::new(case.broker, "e2e-uncommitted");
    let bulk = case.bulk(300);
    transactions.begin();
    transactions.send(&bulk);
    transactions.abort();
    case.run_to_end(&case.config().set("kafka.isolation_level", "read_uncommitted"));
    case.assert_exact(&bulk.expected());
}

/// The offsets that a plain consumer finds.
fn readable(case: &Case<'_>) -> Vec<i64> {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::{Message, Offset, TopicPartitionList};
    let consumer: BaseConsumer = case
        .broker
        .client_config()
        .set("group.id", "e2e-reader")
        .set("enable.partition.eof", "true")
        .create()
        .expect("consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&case.topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assign");
    let mut found = Vec::new();
    loop {
        match consumer.poll(Duration::from_secs(10)).expect("a record or the end") {
            Ok(message) => found.push(message.offset()),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => return found,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_compacted_topic_with_gaps() {
    let Some(minio) = Minio::shared() else { return };
    let broker = Broker::shared_v4();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "500"),
    ];
    broker.create_topic("e2e-compacted", 1, &settings);
    let case = Case::at(broker, minio, "e2e-compacted", 1);
    let record = |number: usize| RawRecord {
        key: Some(format!("k{}", if number.is_multiple_of(3) { 0 } else { number }).into_bytes()),
        ..RawRecord::of(format!("{{\"n\":{number}}}"))
    };
    for part in 0..3 {
        let records: Vec<RawRecord> = (part * 200..part * 200 + 200).map(record).collect();
        broker.produce_raw(&case.topic, &records);
        std::thread::sleep(Duration::from_millis(700));
    }
    let deadline = Instant::now() + PATIENCE;
    while readable(&case).len() > 500 {
        assert!(Instant::now() < deadline, "Kafka did not compact");
        // Appending rolls the segment.
        broker.produce_raw(&case.topic, &[RawRecord { key: Some(b"last".into()), ..record(1) }]);
        std::thread::sleep(Duration::from_millis(700));
    }
    // Compacted no further while the test looks.
    broker.configure_topic(
        &case.topic,
        &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "3600000")],
    );
    std::thread::sleep(Duration::from_secs(1));
    let wanted = readable(&case);
    let config = case.config().set("records.envelope", "fields").set("rotation.max_records", 50);
    case.run_to_end(&config);
    case.read(&Expected::default()).assert_exact();
    case.assert_committed();
    let mut found: Vec<i64> =
        case.rows().iter().map(|row| row["_kafka"]["offset"].as_i64().expect("offset")).collect();
    found.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn retention_that_overtakes_the_sink_stops_it_or_is_counted() {
    let Some(case) = Case::shared("e2e-retention", 2) else { return };
    let bulk = case.bulk(1000);
    let first = case.broker.produce_many(&bulk);
    let config = case.config().set("rotation.max_age", "1s");
    case.run_to_end(&config);
    let second = case.broker.produce_many(&bulk.next());
    case.broker.delete_records(&case.topic, 0, 700);

    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "offset_out_of_range");
    for words in ["[500, 700)", "on_offset_out_of_range"] {
        assert!(line.contains(words), "{line}");
    }
    case.wait_until(&mut sink, "the other one to go on", || case.committed(1).0 == Some(1000));
    assert_eq!(case.committed(0).0, Some(500));
    sink.sigterm();
    sink.wait_success(PATIENCE);

    let mut sink = Sink::run(&config.set("kafka.on_offset_out_of_range", "earliest"));
    case.wait_committed(&mut sink);
    sink.wait_for_metric("kafka_s3_sink_lost_records_total", 200.0, PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let tally = case.read(&first.and(second));
    assert_eq!((tally.missing.count, tally.doubled.count, tally.problems.count), (200, 0, 0));
    assert_eq!(tally.records, 1800);
    case.assert_committed();
}

#[test]
fn retention_that_overtakes_a_running_sink_stops_it() {
    let Some(case) = Case::shared("e2e-retention-live", 1) else { return };
    let bulk = case.bulk(400);
    let first = case.broker.produce_many(&bulk);
    let mut sink = Sink::run(&case.config().set("rotation.max_age", "1s"));
    case.wait_committed(&mut sink);
    sink.sigstop();
    case.broker.produce_many(&bulk.next());
    case.broker.delete_records(&case.topic, 0, 600);
    case.broker.produce_many(&bulk.next().next());
    sink.sigcont();
    wait_stopped(&mut sink, "offset_out_of_range");
    case.read(&first).assert_exact();
    assert_eq!(case.committed(0).0, Some(400));
    sink.sigterm();
    sink.wait_success(PATIENCE);
}
