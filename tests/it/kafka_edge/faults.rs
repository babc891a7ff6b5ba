//! Brokers that vanish or freeze, logs that are cut, commits that hang.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kafka_s3_sink::config::KafkaSettings;
use kafka_s3_sink::kafka::{FetchEvent, LaneConsumer};
use kafka_s3_sink::record::{CommitError, CommitRequest, Epoch, Offset, TopicPartition};

use super::member::{Landed, Member, PATIENCE, Protocol, connect, settings, wait_until};
use crate::needs_servers;
use crate::support::kafka::{Broker, Bulk, Version};

const PROTOCOLS: [Protocol; 3] = [Protocol::Cooperative, Protocol::Eager, Protocol::Kip848];

fn with(mut settings: KafkaSettings, properties: &[(&str, &str)]) -> KafkaSettings {
    for (key, value) in properties {
        settings.librdkafka.insert((*key).to_owned(), (*value).to_owned().into());
    }
    settings
}

/// Polls a lane until `until` says so of what it saw.
fn poll_until(what: &str, lane: &mut LaneConsumer, mut until: impl FnMut(FetchEvent<'_>) -> bool) {
    let mut so = false;
    wait_until(what, || {
        lane.poll(Duration::from_millis(20), &mut |event| so |= until(event));
        so
    });
}

/// Retention overtakes a running fetcher, which librdkafka then gives up; it is started again at
/// the new start, and its neighbour misses nothing.
fn retention_overtakes(protocol: Protocol) {
    let broker = Broker::shared_v4();
    let topic = format!("overtaken-{protocol:?}").to_lowercase();
    broker.create_topic(&topic, 2, &[]);
    let bulk = Bulk::new(&topic, 2, 20);
    broker.produce_many(&bulk);
    let wanted = settings(broker, protocol, &format!("{topic}-group"), &[&topic]);
    let (shared, edge, mut lanes) = connect(&KafkaSettings { lanes: 1, ..wanted });
    edge.join().expect("joined");
    wait_until("the assignment", || shared.held.lock().unwrap().len() == 2);
    let held = shared.held.lock().unwrap().clone();
    let (old, other) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1));
    let lane = &mut lanes[0];
    broker.delete_records(&topic, 0, 5);
    let starts: Vec<_> = held.iter().map(|(p, epoch)| (p.clone(), *epoch, Offset(0))).collect();
    lane.start(&starts);
    let mut others = Vec::new();
    let mut note = |partition: &TopicPartition, offset: Offset| {
        if *partition == other {
            others.push(offset.0);
        }
    };
    poll_until("out of range", lane, |event| match event {
        FetchEvent::OutOfRange { partition, offset, epoch, .. } => {
            assert_eq!((partition, offset, epoch), (&old, Offset(0), held[&old]));
            true
        }
        FetchEvent::Record { partition, record, .. } => {
            note(partition, record.offset);
            false
        }
        _ => false,
    });
    lane.start(&[(old.clone(), held[&old], Offset(5))]);
    let mut offsets = Vec::new();
    broker.produce_many(&bulk.next());
    poll_until("the rest", lane, |event| {
        if let FetchEvent::Record { partition, record, .. } = event {
            note(partition, record.offset);
            if *partition == old {
                offsets.push(record.offset.0);
            }
        }
        offsets.len() == 15
    });
    assert_eq!(offsets, (5..20).collect::<Vec<_>>());
    let deadline = Instant::now() + PATIENCE;
    while others.len() < 20 && Instant::now() < deadline {
        lane.poll(Duration::from_millis(20), &mut |event| {
            if let FetchEvent::Record { partition, record, .. } = event
                && *partition == other
            {
                others.push(record.offset.0);
            }
        });
    }
    assert_eq!(others, (0..20).collect::<Vec<_>>());
    assert_eq!(*shared.fatal.lock().unwrap(), Vec::<String>::new());
    lane.stop(&[old, other]);
}

#[test]
fn retention_overtakes_a_reader_which_goes_on() {
    needs_servers!();
    PROTOCOLS.into_iter().for_each(retention_overtakes);
}

/// A broker that is killed and comes back, and one that freezes beyond the session: the members
/// go on by themselves, and every record lands once.
#[test]
fn a_broker_that_dies_or_freezes_costs_only_time() {
    needs_servers!();
    let mut broker = Broker::start(Version::V4);
    for protocol in PROTOCOLS {
        let topic = format!("dying-{protocol:?}").to_lowercase();
        broker.create_topic(&topic, 4, &[]);
        let wanted = settings(&broker, protocol, &format!("{topic}-group"), &[&topic]);
        let landed = Arc::<Landed>::default();
        let member = Member::join(&wanted, &landed);
        member.wait_held(4);
        let bulk = Bulk::new(&topic, 4, 4_000);
        broker.produce_many(&bulk);
        landed.expect(&[1_000; 4]);
        broker.kill();
        std::thread::sleep(Duration::from_secs(2));
        broker.start_again();
        let told = &member.shared.brokers;
        wait_until("down and up again", || told.lock().unwrap().ends_with(&[false, true]));
        broker.produce_many(&bulk.next());
        landed.expect(&[2_000; 4]);
        broker.freeze();
        std::thread::sleep(Duration::from_secs(9));
        broker.thaw();
        broker.produce_many(&bulk.next().next());
        landed.expect(&[3_000; 4]);
        assert!(member.shared.hard_stops.lock().unwrap().is_empty());
        member.leave();
    }
}

/// A commit hangs in a frozen broker, and the Kafka partitions are to be given back: the process
/// stops rather than let the commit slip out later, and the member goes silent.
#[test]
fn a_commit_that_hangs_stops_the_process() {
    needs_servers!();
    let broker = Broker::start(Version::V4);
    for protocol in PROTOCOLS {
        let topic = format!("hanging-{protocol:?}").to_lowercase();
        broker.create_topic(&topic, 1, &[]);
        let wanted = settings(&broker, protocol, &format!("{topic}-group"), &[&topic]);
        // The wait is two thirds of this, four seconds.
        let wanted = with(wanted, &[("max.poll.interval.ms", "6000")]);
        let member = Member::join(&wanted, &Arc::default());
        member.wait_held(1);
        let partition = TopicPartition::new(&*topic, 0);
        let epoch = member.edge.fence().current(&partition).expect("assigned");
        broker.freeze();
        let (sender, answers) = channel();
        let request =
            CommitRequest { partition, epoch, offset: Offset(0), metadata: String::new() };
        member.edge.commit(
            vec![request],
            Arc::new(move |outcome| {
                let _ = sender.send(outcome);
            }),
        );
        std::thread::sleep(Duration::from_millis(500));
        let started = Instant::now();
        member.edge.leave(PATIENCE).expect("the group thread ended");
        let stops = member.shared.hard_stops.lock().unwrap().clone();
        assert_eq!(stops.len(), 1, "{stops:?}");
        assert!(stops[0].contains(&format!("{topic}[0]")), "{stops:?}");
        assert!(started.elapsed() >= Duration::from_secs(3));
        assert_eq!(answers.try_recv().ok(), None, "the commit is still on its way");
        broker.thaw();
        let partition = TopicPartition::new(&*topic, 0);
        assert_eq!(member.edge.fence().current(&partition), None);
        // In a real process this was the end. librdkafka spins when a client is torn down that
        // never left its group, so this one is kept until the tests are over.
        std::mem::forget(member.edge.clone());
        member.end();
    }
}

#[test]
fn a_wrong_address_is_told() {
    needs_servers!();
    let broker = Broker::shared_v4();
    let mut wanted = settings(broker, Protocol::Cooperative, "lost-group", &["lost"]);
    wanted.bootstrap_servers = format!("127.0.0.1:{}", crate::support::workdir::free_port());
    let member = Member::join(&wanted, &Arc::default());
    wait_until("all brokers down", || *member.shared.brokers.lock().unwrap() == [false]);
    assert!(member.edge.topics().is_err());
    let started = Instant::now();
    member.leave();
    assert!(started.elapsed() < Duration::from_secs(10), "leaving must not hang");
}

#[test]
fn a_missing_topic_is_told_and_found_later() {
    needs_servers!();
    let broker = Broker::shared_v4();
    for protocol in [Protocol::Cooperative, Protocol::Kip848] {
        let topic = format!("missing-{protocol:?}").to_lowercase();
        let wanted = settings(broker, protocol, &format!("{topic}-group"), &[&topic]);
        let landed = Arc::<Landed>::default();
        let member = Member::join(&wanted, &landed);
        if protocol == Protocol::Cooperative {
            wait_until("the problem", || {
                member.shared.problems.lock().unwrap().iter().any(|p| p.contains(&topic))
            });
        }
        broker.create_topic(&topic, 1, &[]);
        broker.produce_many(&Bulk::new(&topic, 1, 100));
        landed.expect(&[100]);
        member.leave();
    }
}

/// A commit without an assignment never leaves the process.
#[test]
fn a_commit_without_an_assignment_is_stale() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic("unassigned", 1, &[]);
    let wanted = settings(broker, Protocol::Cooperative, "unassigned-group", &["unassigned"]);
    let (_, edge, _lanes) = connect(&wanted);
    let (sender, answers) = channel();
    let partition = TopicPartition::new("unassigned", 0);
    let request =
        CommitRequest { partition, epoch: Epoch(1), offset: Offset(5), metadata: String::new() };
    edge.commit(vec![request], Arc::new(move |outcome| sender.send(outcome).unwrap()));
    let outcome = answers.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(outcome.result, Err(CommitError::Stale));
    assert_eq!(broker.committed("unassigned-group", "unassigned", 0).offset, None);
}
