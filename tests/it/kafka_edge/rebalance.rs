//! Members join, leave and vanish while records flow: every record lands once.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kafka_s3_sink::config::KafkaSettings;
use kafka_s3_sink::kafka::CommitOutcome;
use kafka_s3_sink::record::{CommitError, CommitRequest, Offset, TopicPartition};

use super::member::{Landed, Member, PATIENCE, Protocol, connect, settings, wait_until};
use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk, Version};

const PARTITIONS: i32 = 6;

/// Records of one partition after `bulks` productions of `count` in all.
fn per_partition(count: u64, bulks: u64) -> Vec<i64> {
    vec![(count / PARTITIONS as u64 * bulks) as i64; PARTITIONS as usize]
}

fn members_come_and_go(broker: &Broker, protocol: Protocol) {
    let topic = format!("come-and-go-{protocol:?}").to_lowercase();
    broker.create_topic(&topic, PARTITIONS, &[]);
    let settings = settings(broker, protocol, &format!("{topic}-group"), &[&topic]);
    let landed = Arc::<Landed>::default();
    let bulk = Bulk { rate: Some(8_000), ..Bulk::new(&topic, PARTITIONS, 96_000) };
    std::thread::scope(|scope| {
        let producing = scope.spawn(|| broker.produce_many(&bulk));
        let first = Member::join(&settings, &landed);
        first.wait_held(6);
        let second = Member::join(&settings, &landed);
        second.wait_held(3);
        first.wait_held(3);
        let third = Member::join(&settings, &landed);
        third.wait_held(2);
        wait_until("even shares", || first.held() == 2 && second.held() == 2);
        first.leave();
        wait_until("the shares of two", || second.held() == 3 && third.held() == 3);
        let fourth = Member::join(&settings, &landed);
        fourth.wait_held(2);
        second.leave();
        third.leave();
        fourth.wait_held(6);
        producing.join().expect("produced");
        landed.expect(&per_partition(96_000, 1));
        fourth.leave();
    });
    let committed: i64 = (0..PARTITIONS)
        .filter_map(|p| broker.committed(&format!("{topic}-group"), &topic, p).offset)
        .sum();
    assert_eq!(committed, 96_000);
}

#[test]
fn cooperative_members_come_and_go() {
    needs_servers!();
    members_come_and_go(Broker::shared_v4(), Protocol::Cooperative);
}

#[test]
fn eager_members_come_and_go() {
    needs_servers!();
    members_come_and_go(Broker::shared_v4(), Protocol::Eager);
}

#[test]
fn kip_848_members_come_and_go() {
    needs_servers!();
    members_come_and_go(Broker::shared_v4(), Protocol::Kip848);
}

#[test]
fn classic_members_come_and_go_on_kafka_3() {
    needs_servers!();
    members_come_and_go(Broker::shared_v3(), Protocol::Cooperative);
    members_come_and_go(Broker::shared_v3(), Protocol::Eager);
}

/// A member without a Kafka partition is told that the group answered all the same.
#[test]
fn an_empty_assignment_is_an_answer() {
    needs_servers!();
    let broker = Broker::shared_v4();
    for protocol in [Protocol::Cooperative, Protocol::Kip848] {
        let topic = format!("empty-{protocol:?}").to_lowercase();
        broker.create_topic(&topic, 1, &[]);
        let settings = settings(broker, protocol, &format!("{topic}-group"), &[&topic]);
        let landed = Arc::<Landed>::default();
        let first = Member::join(&settings, &landed);
        first.wait_held(1);
        let second = Member::join(&settings, &landed);
        let answered = &second.shared.answered;
        wait_until("an answer", || answered.load(std::sync::atomic::Ordering::Acquire));
        assert_eq!(first.held() + second.held(), 1);
        second.leave();
        first.leave();
    }
}

/// Topics made later that match, and Kafka partitions added later, are found.
#[test]
fn new_topics_and_partitions_are_found() {
    needs_servers!();
    let broker = Broker::shared_v4();
    for protocol in [Protocol::Cooperative, Protocol::Eager, Protocol::Kip848] {
        let prefix = format!("grow-{protocol:?}-").to_lowercase();
        broker.create_topic(&format!("{prefix}one"), 1, &[]);
        let pattern = format!("^{prefix}.*");
        let group = format!("{prefix}group");
        let member =
            Member::join(&settings(broker, protocol, &group, &[&pattern]), &Arc::default());
        member.wait_held(1);
        broker.create_topic(&format!("{prefix}two"), 2, &[]);
        member.wait_held(3);
        broker.add_partitions(&format!("{prefix}one"), 3);
        member.wait_held(5);
        member.leave();
    }
}

/// A broker that hears of KIP-848 members no oftener than it must: news for them wait a minute, unless
/// they ask. And what they ask with is what they are subscribed to now.
#[test]
fn kip_848_members_need_not_wait_for_their_heartbeat() {
    needs_servers!();
    const INTERVAL: Duration = Duration::from_secs(60);
    let interval = INTERVAL.as_millis().to_string();
    let broker = Broker::start_with(
        Version::V4,
        &[
            ("group.consumer.heartbeat.interval.ms", &interval),
            ("group.consumer.max.heartbeat.interval.ms", &interval),
            ("group.consumer.session.timeout.ms", "180000"),
            ("group.consumer.max.session.timeout.ms", "180000"),
        ],
    );
    for topic in ["news", "other"] {
        broker.create_topic(topic, 2, &[]);
    }
    let settings = settings(&broker, Protocol::Kip848, "news-group", &["news"]);
    let landed = Arc::<Landed>::default();
    let first = Member::join(&settings, &landed);
    first.wait_held(2);
    let began = Instant::now();
    let second = Member::join(&settings, &landed);
    second.wait_held(1);
    first.wait_held(1);
    second.leave();
    first.wait_held(2);
    first.edge.subscribe(&["other".to_owned()]).expect("subscribed");
    let only = |topic: &str| {
        let held = first.shared.held.lock().unwrap();
        held.len() == 2 && held.keys().all(|partition| &*partition.topic == topic)
    };
    wait_until("the new topic", || only("other"));
    assert!(began.elapsed() < INTERVAL / 2, "heard of by heartbeats only: {:?}", began.elapsed());
    // Asked a few times more, the old topic does not come back.
    std::thread::sleep(Duration::from_secs(4));
    assert!(only("other"), "{:?}", first.shared.held.lock().unwrap());
    first.leave();
}

/// A topic grows while a member gives Kafka partitions back: librdkafka joins again at once, in the
/// midst of the revoke, and another member has them in the next generation. Nothing may be
/// committed for them any more, although the broker would take it.
fn a_topic_grows_in_a_revoke(protocol: Protocol) {
    let broker = Broker::shared_v4();
    let topic = format!("grows-in-a-revoke-{protocol:?}").to_lowercase();
    let group = format!("{topic}-group");
    broker.create_topic(&topic, 4, &[]);
    let wanted = settings(broker, protocol, &group, &[&topic]);
    let (shared, edge, lanes) = connect(&KafkaSettings { lanes: 1, ..wanted.clone() });
    edge.join().expect("joined");
    wait_until("the assignment", || shared.held.lock().unwrap().len() == 4);
    let held = shared.held.lock().unwrap().clone();
    let revokes = shared.hold_revoke(&lanes[0]);
    let other = Member::join(&wanted, &Arc::default());
    let revoke = revokes.recv_timeout(PATIENCE).expect("a revoke");
    drop(revokes);
    let (outcomes, told) = channel();
    let commit = |partition: &TopicPartition, metadata: &str| {
        let (partition, epoch) = (partition.clone(), held[partition]);
        let request =
            CommitRequest { partition, epoch, offset: Offset(0), metadata: metadata.to_owned() };
        let outcomes = outcomes.clone();
        let done = move |outcome: CommitOutcome| outcomes.send(outcome).expect("the test waits");
        edge.commit(vec![request], Arc::new(done));
        told.recv_timeout(PATIENCE).expect("an answer").result
    };
    for given in &revoke.partitions {
        assert_eq!(commit(given, "in time"), Ok(()), "what is given back may land yet");
    }
    broker.add_partitions(&topic, 5);
    let mut moved = None;
    wait_until("a new owner before the revoke is answered", || {
        let others = other.shared.held.lock().unwrap();
        moved = revoke.partitions.iter().find(|given| others.contains_key(given)).cloned();
        moved.is_some()
    });
    let moved = moved.expect("one of them");
    assert_eq!(commit(&moved, "late"), Err(CommitError::Stale));
    assert_eq!(broker.committed(&group, &topic, moved.partition).metadata, "in time");
    revoke.go_on();
    wait_until("all are held", || shared.held.lock().unwrap().len() + other.held() == 5);
    other.leave();
    edge.leave(PATIENCE).expect("left");
}

#[test]
fn a_topic_that_grows_in_a_revoke_lets_no_commit_through() {
    needs_servers!();
    a_topic_grows_in_a_revoke(Protocol::Cooperative);
    a_topic_grows_in_a_revoke(Protocol::Eager);
}

/// Rebalances pause everything inside the client; at the end of a Kafka partition its position
/// is then one too high. No record may be skipped by that (see `kafka::cursor`).
fn no_record_is_skipped_at_the_end(broker: &Broker, protocol: Protocol) {
    let topic = format!("tail-{protocol:?}").to_lowercase();
    let other = format!("{topic}-other");
    broker.create_topic(&topic, 4, &[]);
    broker.create_topic(&other, 1, &[]);
    let group = format!("{topic}-group");
    let landed = Arc::<Landed>::default();
    let member = Member::join(&settings(broker, protocol, &group, &[&topic]), &landed);
    member.wait_held(4);
    let mut bulk = Bulk::new(&topic, 4, 8);
    for round in 1..=12 {
        // A member that wants something else: a rebalance that moves nothing.
        let passer = Member::join(&settings(broker, protocol, &group, &[&other]), &Arc::default());
        broker.produce_many(&bulk);
        passer.wait_held(1);
        bulk = bulk.next();
        landed.expect(&[2 * round; 4]);
        std::thread::sleep(Duration::from_millis(100));
        passer.leave();
    }
    assert_eq!(member.held(), 4);
    member.leave();
}

#[test]
fn no_record_is_skipped_at_the_end_by_a_rebalance() {
    needs_servers!();
    let broker = Broker::shared_v4();
    no_record_is_skipped_at_the_end(broker, Protocol::Cooperative);
    no_record_is_skipped_at_the_end(broker, Protocol::Kip848);
}
