//! What the edge says about topics, groups and records, beside what is so.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_s3_sink::kafka::produce::{SampleProducer, SampleRecord, create_topic};
use kafka_s3_sink::kafka::{self, FetchEvent, KafkaEdge, LogBounds};
use kafka_s3_sink::record::{
    CommitError, CommitRequest, Epoch, HeaderSource, IsolationLevel, Offset, TopicFacts,
    TopicPartition,
};

use super::member::{Member, PATIENCE, Protocol, connect, connect_at, settings, wait_until};
use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk, RawRecord, Transactions};

fn bounds(start: i64, end: i64) -> LogBounds {
    LogBounds { start: Offset(start), end: Offset(end) }
}

/// The facts of one topic, by Kafka partition; all of them must be known.
fn facts_of(
    edge: &KafkaEdge,
    topic: &str,
    numbers: &[i32],
    prefix_empty: Option<bool>,
) -> BTreeMap<i32, TopicFacts> {
    let partitions: Vec<_> = numbers.iter().map(|p| TopicPartition::new(topic, *p)).collect();
    let empty = prefix_empty.into_iter().map(|empty| (topic.into(), empty)).collect();
    let facts = kafka::all(edge.topic_facts(&partitions, &empty)).expect("facts");
    facts.into_iter().map(|(at, facts)| (at.partition, facts)).collect()
}

fn topic_is_described(broker: &Broker) {
    let topic = "described";
    broker.create_topic(topic, 3, &[("cleanup.policy", "compact")]);
    let wanted = settings(broker, Protocol::Cooperative, "described-group", &[topic]);
    let (_, edge, _lanes) = connect(&wanted);
    let record = RawRecord { key: Some(b"k".to_vec()), ..RawRecord::of("v") };
    broker.produce_raw(topic, &vec![record; 5]);
    let first = facts_of(&edge, topic, &[0, 2], Some(true));
    assert_eq!(first.keys().copied().collect::<Vec<_>>(), [0, 2]);
    let facts = &first[&0];
    assert_eq!((facts.log_start, facts.log_end), (Offset(0), Offset(5)));
    assert_eq!((facts.prefix_empty, facts.compacted), (Some(true), Some(true)));
    assert_eq!(facts.topic_id.len(), 22, "an id as Kafka prints it: {}", facts.topic_id);
    assert_eq!(facts.cluster_id.len(), 22, "an id as Kafka prints it: {}", facts.cluster_id);
    assert_eq!(facts.committed.len(), 3);
    assert!(facts.committed.values().all(|committed| committed.offset.is_none()));
    assert_eq!(edge.topics().expect("topics").get(topic), Some(&3));
    broker.delete_topic(topic);
    wait_until("the end of the topic", || edge.partition_count(topic).is_err());
    broker.create_topic(topic, 1, &[]);
    wait_until("the new topic", || edge.partition_count(topic) == Ok(1));
    let second = facts_of(&edge, topic, &[0], None);
    assert_ne!(second[&0].topic_id, facts.topic_id);
    assert_eq!(second[&0].compacted, Some(false));
}

#[test]
fn a_topic_is_described() {
    needs_servers!();
    topic_is_described(Broker::shared_v4());
    topic_is_described(Broker::shared_v3());
}

/// The end is the last stable offset while a transaction is open.
#[test]
fn the_readable_end_is_that_of_the_isolation_level() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic("bounded", 2, &[]);
    let wanted = settings(broker, Protocol::Cooperative, "bounded-group", &["bounded"]);
    let (_, edge, _lanes) = connect(&wanted);
    let names = [TopicPartition::new("bounded", 0), TopicPartition::new("bounded", 1)];
    broker.produce_many(&Bulk::new("bounded", 2, 20));
    broker.delete_records("bounded", 1, 4);
    let transactions = Transactions::new(broker, "bounded-transactions");
    transactions.begin();
    transactions.send(&Bulk::new("bounded", 1, 5));
    let found = kafka::all(edge.log_bounds(&names)).expect("bounds");
    assert_eq!(found[&names[0]], bounds(0, 10));
    assert_eq!(found[&names[1]], bounds(4, 10));
    let (_, all, _lanes) = connect_at(IsolationLevel::ReadUncommitted, &wanted);
    assert_eq!(kafka::all(all.log_bounds(&names)).expect("bounds")[&names[0]], bounds(0, 15));
    transactions.commit();
    wait_until("the transaction's end", || {
        // Its records and its marker.
        edge.end_offsets(&names[..1])[&names[0]] == Ok(Offset(16))
    });
}

/// Commits one offset as the lane of an assignment would, and waits for the answer.
fn commit(edge: &KafkaEdge, epoch: Epoch, offset: i64, metadata: &str) -> Result<(), CommitError> {
    let (sender, answer) = channel();
    let request = CommitRequest {
        partition: TopicPartition::new("pinned", 0),
        epoch,
        offset: Offset(offset),
        metadata: metadata.to_owned(),
    };
    edge.commit(vec![request], Arc::new(move |outcome| sender.send(outcome).unwrap()));
    let outcome = answer.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(outcome.epoch, epoch);
    outcome.result
}

#[test]
fn commits_carry_metadata_and_are_classified() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic("pinned", 2, &[]);
    for protocol in [Protocol::Cooperative, Protocol::Eager, Protocol::Kip848] {
        let group = format!("pinned-{protocol:?}");
        let wanted = settings(broker, protocol, &group, &["pinned"]);
        let member = Member::join(&wanted, &Arc::default());
        member.wait_held(2);
        let edge = &member.edge;
        let epoch = edge.fence().current(&TopicPartition::new("pinned", 0)).expect("assigned");
        let pin = "p".repeat(4_012);
        assert_eq!(commit(edge, epoch, 0, &pin), Ok(()));
        let committed = &facts_of(edge, "pinned", &[0], None)[&0].committed;
        assert_eq!((committed[&0].offset, &committed[&0].metadata), (Some(Offset(0)), &pin));
        assert_eq!(committed[&1].offset, None);
        let too_large = commit(edge, epoch, 0, &"p".repeat(4_097));
        assert!(matches!(too_large, Err(CommitError::Permanent(_))), "{too_large:?}");
        assert_eq!(commit(edge, Epoch(epoch.0 + 100), 7, ""), Err(CommitError::Stale));
        let edge = edge.clone();
        member.leave();
        assert_eq!(commit_after_leaving(&edge, epoch), Err(CommitError::Stale));
        assert_eq!(broker.committed(&group, "pinned", 0).offset, Some(0));
    }
}

/// The committer may have ended with the member, which then is the answer.
fn commit_after_leaving(edge: &KafkaEdge, epoch: Epoch) -> Result<(), CommitError> {
    assert_eq!(edge.fence().current(&TopicPartition::new("pinned", 0)), None);
    match commit(edge, epoch, 9, "late") {
        Err(CommitError::Retry(_)) => Err(CommitError::Stale),
        answer => answer,
    }
}

type Seen = (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

#[test]
fn records_arrive_as_they_were_sent() {
    needs_servers!();
    let broker = Broker::shared_v4();
    let bootstrap = broker.bootstrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let properties = BTreeMap::new();
    let create =
        || create_topic(&bootstrap, &properties, "whole", 1, &[("max.message.bytes", "9999999")]);
    runtime.block_on(create()).expect("created");
    runtime.block_on(create()).expect("there already");
    let producer = SampleProducer::connect(&bootstrap, &properties).expect("producer");
    let send = |key, value, headers, timestamp| {
        let record =
            SampleRecord { topic: "whole", partition: Some(0), key, value, headers, timestamp };
        producer.send(&record).expect("queued");
    };
    let big = vec![b'x'; 900_000];
    let headers: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("a", None), ("", Some(b""))];
    send(Some(b"k"), Some(b"v"), headers, Some(1_700_000_000_000));
    send(None, None, &[], Some(1));
    send(Some(b""), Some(b""), &[], Some(253_402_300_799_999));
    send(None, Some(&big), &[], Some(-7));
    producer.flush(PATIENCE).expect("flushed");
    // Kafka refuses negative timestamps but -1.
    let refused = producer.failed();
    let mut wanted: Vec<Seen> = vec![
        (
            Some(1_700_000_000_000),
            Some(b"k".to_vec()),
            Some(b"v".to_vec()),
            headers.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.map(<[u8]>::to_vec))).collect(),
        ),
        (Some(1), None, None, vec![]),
        (Some(253_402_300_799_999), Some(vec![]), Some(vec![]), vec![]),
        (Some(-7), None, Some(big.clone()), vec![]),
    ];
    wanted.truncate(4 - refused as usize);
    assert_eq!(producer.delivered(), wanted.len() as u64);
    let seen = read_all(broker, "whole");
    assert_eq!(seen.len(), wanted.len());
    for (seen, wanted) in seen.iter().zip(&wanted) {
        assert!(seen == wanted, "{:?} and {:?}", seen.0, wanted.0);
    }
}

/// Reads one Kafka partition to its end.
fn read_all(broker: &Broker, topic: &str) -> Vec<Seen> {
    let wanted = settings(broker, Protocol::Kip848, &format!("{topic}-group"), &[topic]);
    let (shared, edge, mut lanes) = connect(&wanted);
    edge.join().expect("joined");
    let partition = TopicPartition::new(topic, 0);
    wait_until("the assignment", || shared.held.lock().unwrap().contains_key(&partition));
    let epoch = shared.held.lock().unwrap()[&partition];
    let lane = &mut lanes[0];
    assert_eq!(lane.start(&[(partition, epoch, Offset(0))])[0].1, Ok(()));
    let (mut seen, mut ended) = (Vec::<Seen>::new(), false);
    wait_until("the end", || {
        lane.poll(Duration::from_millis(50), &mut |event| match event {
            FetchEvent::Record { record, .. } => {
                let mut headers = Vec::new();
                let names: &dyn HeaderSource = record.headers;
                names.for_each(&mut |name, value| {
                    headers.push((name.to_vec(), value.map(<[u8]>::to_vec)));
                });
                let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                assert_eq!(record.leader_epoch, Some(0));
                let timestamp = record.timestamp.map(|timestamp| timestamp.0);
                seen.push((timestamp, own(record.key), own(record.value), headers));
            }
            FetchEvent::Eof { offset, .. } => ended = offset.0 as usize == seen.len(),
            _ => panic!("a fault"),
        });
        ended
    });
    seen
}

#[test]
fn a_waiting_lane_is_woken() {
    needs_servers!();
    let broker = Broker::shared_v4();
    let wanted = settings(broker, Protocol::Cooperative, "woken-group", &["woken"]);
    let (_, _edge, mut lanes) = connect(&wanted);
    let waker = lanes[1].waker();
    let woken = Arc::new(Mutex::new(None));
    let at = Arc::clone(&woken);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        *at.lock().unwrap() = Some(Instant::now());
        waker.wake();
    });
    let events = lanes[1].poll(PATIENCE, &mut |_| {});
    let woken = woken.lock().unwrap().expect("not before it was woken");
    assert_eq!(events, 0);
    assert!(woken.elapsed() < Duration::from_millis(500));
}

/// Positions move over control records and aborted data, at the end of the log too.
#[test]
fn the_end_lies_behind_control_records() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic("aborted", 1, &[]);
    broker.produce_many(&Bulk::new("aborted", 1, 3));
    let transactions = Transactions::new(broker, "aborted-transactions");
    transactions.begin();
    transactions.send(&Bulk::new("aborted", 1, 4).next());
    transactions.abort();
    // Three records, four aborted ones and their marker.
    let end = TopicPartition::new("aborted", 0);
    let wanted = settings(broker, Protocol::Cooperative, "aborted-group", &["aborted"]);
    let (shared, edge, mut lanes) = connect(&wanted);
    wait_until("the abort", || edge.end_offsets(std::slice::from_ref(&end))[&end] == Ok(Offset(8)));
    edge.join().expect("joined");
    wait_until("the assignment", || shared.held.lock().unwrap().len() == 1);
    let epoch = shared.held.lock().unwrap()[&end];
    lanes[0].start(&[(end, epoch, Offset(0))]);
    let (mut records, mut ended) = (Vec::new(), None);
    wait_until("the end", || {
        lanes[0].poll(Duration::from_millis(50), &mut |event| match event {
            FetchEvent::Record { record, .. } => records.push(record.offset.0),
            FetchEvent::Eof { offset, .. } => ended = Some(offset),
            _ => panic!("a fault"),
        });
        ended == Some(Offset(8))
    });
    assert_eq!(records, [0, 1, 2]);
}
