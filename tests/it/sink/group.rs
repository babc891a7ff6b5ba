//! Who reads what: both group protocols, static members, and topics and Kafka partitions that
//! come later.

use super::*;
use crate::support::kafka::Version;

fn lands(case: &Case<'_>, config: &SinkConfig) {
    let expected = case.produce(5000);
    case.run_to_end(&config.clone().set("rotation.max_records", 300));
    case.assert_exact(&expected);
}

#[test]
fn kip_848_to_the_end() {
    let Some(case) = Case::shared("e2e-848", 4) else { return };
    lands(&case, &case.config_848());
}

#[test]
fn eager_to_the_end() {
    let Some(case) = Case::shared("e2e-eager", 4) else { return };
    lands(&case, &case.config().set("kafka.assignor", "eager"));
}

#[test]
fn two_that_share_the_work_to_the_end() {
    let Some(case) = Case::shared("e2e-pair", 6) else { return };
    let expected = case.produce(12_000);
    let config = case.config().set("rotation.max_records", 300);
    let mut sinks = [Sink::run_until_end(&config), Sink::run_until_end(&config)];
    for sink in &mut sinks {
        sink.wait_success(PATIENCE);
    }
    case.assert_exact(&expected);
}

#[test]
fn the_end_is_not_reached_while_a_dead_member_holds_the_rest() {
    let Some(case) = Case::shared("e2e-dead-member", 3) else { return };
    let mut dies = Sink::run(&case.config_848());
    dies.wait_for_log("begins", PATIENCE);
    dies.kill9();
    // With KIP-848 the group gives the next one nothing until it misses the dead one.
    let expected = case.produce(900);
    case.run_to_end(&case.config_848());
    case.assert_exact(&expected);
}

#[test]
fn a_static_member_that_restarts_moves_nothing() {
    let Some(case) = Case::shared("e2e-static", 4) else { return };
    let bulk = case.bulk(2000);
    let mut expected = case.broker.produce_many(&bulk);
    let base = case.config().set(&librdkafka("session.timeout.ms"), 30_000);
    let mut other = Sink::run(&base.clone().set("kafka.group_instance_id", "other"));
    other.wait_ready(PATIENCE);
    let config = base.set("kafka.group_instance_id", "one");
    let mut one = Sink::run(&config);
    one.wait_for_log("assigned", PATIENCE);
    other.wait_for_log("revoking", PATIENCE);
    one.wait_ready(PATIENCE);
    one.sigterm();
    one.wait_success(PATIENCE);
    let started = Instant::now();
    let mut one = Sink::run(&config);
    one.wait_for_log(" kafka_partition=", PATIENCE);
    assert!(started.elapsed() < Duration::from_secs(20), "it got its own back at once");
    expected = expected.and(case.broker.produce_many(&bulk.next()));
    case.wait_committed(&mut one);
    assert_eq!(other.log().matches("revoking").count(), 1, "{}", other.log());
    // The name is taken: the newer one has it, the older one says so and ends.
    let mut twin = Sink::run(&config);
    let end = one.wait(PATIENCE);
    assert_eq!(end.status.code(), Some(1), "{}", one.log());
    assert!(one.log().contains("kafka.group_instance_id"), "{}", one.log());
    expected = expected.and(case.broker.produce_many(&bulk.next().next()));
    case.wait_committed(&mut twin);
    for sink in [&mut twin, &mut other] {
        sink.sigterm();
        sink.wait_success(PATIENCE);
    }
    case.assert_exact(&expected);
}

#[test]
fn kafka_partitions_that_come_later_are_read_from_their_beginning() {
    let Some(case) = Case::shared("e2e-more", 2) else { return };
    let bulk = case.bulk(400);
    case.broker.produce_many(&bulk);
    let config = case.config().set("rotation.max_age", "1s").set("kafka.start", "latest");
    let mut sink = Sink::run(&config);
    sink.wait_ready(PATIENCE);
    case.wait_committed(&mut sink);
    assert_eq!(case.objects(), [], "what was there before the first start is not wanted");
    let mut expected = case.broker.produce_many(&bulk.next());
    case.broker.add_partitions(&case.topic, 4);
    let more = Bulk { partitions: 4, first_sequence: 1000, ..case.bulk(800) };
    expected = expected.and(case.broker.produce_many(&more));
    let case = Case { partitions: 4, ..case };
    case.wait_committed(&mut sink);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
}

#[test]
fn topics_that_come_to_match_are_picked_up() {
    let Some(case) = Case::shared("e2e-later.a", 2) else { return };
    let config = case.config().set("kafka.topics", vec!["^e2e-later\\..*".to_owned()]);
    let mut sink = Sink::run(&config.set("rotation.max_age", "1s"));
    sink.wait_ready(PATIENCE);
    let expected = case.produce(400);
    case.broker.create_topic("e2e-later.b", 2, &[]);
    let others = case.broker.produce_many(&Bulk::new("e2e-later.b", 2, 300));
    let group = case.group();
    let landed = |number| case.broker.committed(&group, "e2e-later.b", number).offset == Some(150);
    case.wait_until(&mut sink, "the new topic to land", || landed(0) && landed(1));
    case.wait_committed(&mut sink);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.bucket.read(&Reading::of("e2e-later.b"), &others).assert_exact();
    case.assert_exact(&expected);
}

#[test]
fn a_topic_that_does_not_exist_yet_is_waited_for() {
    let Some(minio) = Minio::shared() else { return };
    let case = Case::at(Broker::shared_v4(), minio, "e2e-not-yet", 2);
    let mut missing = Sink::run_until_end(&case.config());
    let end = missing.wait(PATIENCE);
    assert_eq!(end.status.code(), Some(2));
    assert!(missing.log().contains("there is no topic e2e-not-yet"), "{}", missing.log());

    let mut sink = Sink::run(&case.config().set("rotation.max_age", "1s"));
    let line = sink.wait_for_log("e2e-not-yet", PATIENCE);
    assert!(line.contains("ERROR") || line.contains("WARN"), "{line}");
    // The brokers are there, and it is the topic that is not.
    let told = |sink: &Sink| {
        let (_, body) = readiness(sink);
        let conditions = body["conditions"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| conditions.iter().find(|each| each["condition"] == name).cloned();
        let (group, brokers) = (of("group_answered")?, of("broker_reachable")?);
        let reason = group["reason"].as_str()?;
        let named = reason.contains("e2e-not-yet") && reason.contains("create the topic");
        (named && brokers["ok"] == true).then_some(())
    };
    let until = Instant::now() + PATIENCE;
    while told(&sink).is_none() {
        assert!(sink.ended().is_none() && Instant::now() < until, "{}", sink.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    case.broker.create_topic(&case.topic, 2, &[]);
    let expected = case.produce(500);
    case.wait_committed(&mut sink);
    sink.wait_ready(PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
}

/// Their facts are asked for together, with and without offsets of the group.
#[test]
fn many_quiet_topics_begin_and_land() {
    let Some(case) = Case::shared("e2e-quiet.0", 1) else { return };
    for number in 1..40 {
        case.broker.create_topic(&format!("e2e-quiet.{number}"), 1, &[]);
    }
    let config = case
        .config()
        .set("kafka.topics", vec!["^e2e-quiet\\..*".to_owned()])
        .set("rotation.max_age", "1s");
    let bulk = case.bulk(100);
    for produced in [&bulk, &bulk.next()] {
        let mut sink = Sink::run(&config);
        sink.wait_for_metric("kafka_s3_sink_assigned_kafka_partitions", 40.0, PATIENCE);
        case.broker.produce_many(produced);
        case.wait_committed(&mut sink);
        sink.sigterm();
        sink.wait_success(PATIENCE);
    }
    case.assert_exact(&bulk.expected().and(bulk.next().expected()));
}

#[test]
fn an_expression_that_matches_nothing_is_at_its_end() {
    let Some(case) = Case::shared("e2e-nothing", 1) else { return };
    let config = case.config().set("kafka.topics", vec!["^e2e-no-such-.*".to_owned()]);
    let mut sink = Sink::run_until_end(&config);
    sink.wait_success(PATIENCE);
    assert!(sink.log().contains("no topic matches kafka.topics"), "{}", sink.log());
}

/// The broker matches expressions in KIP-848, and gives out what the client alone would leave.
#[test]
fn expressions_match_none_of_kafkas_own_topics() {
    let Some(minio) = Minio::shared() else { return };
    // Of its own, for this expression matches everything.
    let broker = Broker::start(Version::V4);
    for (topic, protocol) in [("e2e-own-classic", "classic"), ("e2e-own-consumer", "consumer")] {
        broker.create_topic(topic, 2, &[]);
        let case = Case::at(&broker, minio, topic, 2);
        let expected = case.produce(300);
        let config = SinkConfig::new(&broker, &case.bucket, topic)
            .set("kafka.topics", vec!["^.*".to_owned()])
            .set("kafka.group_protocol", protocol)
            .set("layout.dead_letter_prefix", "dead");
        let mut sink = Sink::run(&config.clone().set("rotation.max_age", "1s"));
        case.wait_committed(&mut sink);
        let log = sink.log();
        assert!(!log.contains("__consumer_offsets"), "{log}");
        sink.sigterm();
        sink.wait_success(PATIENCE);
        assert_eq!(broker.committed(&case.group(), "__consumer_offsets", 0).offset, None);
        assert!(case.bucket.list("").iter().all(|object| !object.key.contains("__consumer")));
        // And a run with an end finds it.
        let mut job = Sink::run_until_end(&config);
        job.wait_success(PATIENCE);
        let total = job.wait_for_log("this run has landed", PATIENCE);
        assert!(total.contains("objects=") && total.contains("seconds="), "{total}");
        case.read(&expected).assert_exact();
    }
}

/// Brokers that are too old look like a coordinator that is away, for ever.
#[test]
fn a_group_protocol_that_the_brokers_do_not_know() {
    let Some(minio) = Minio::shared() else { return };
    let broker = Broker::shared_v3();
    broker.create_topic("e2e-too-old", 1, &[]);
    let case = Case::at(broker, minio, "e2e-too-old", 1);
    let config = case.config_848();
    let mut sink = Sink::run(&config);
    let line = sink.wait_for_log("do not know this protocol", PATIENCE);
    assert!(line.contains("ERROR") && line.contains("class configuration"), "{line}");
    let until = Instant::now() + PATIENCE;
    while !wait_not_ready(&mut sink, "group_answered").contains("\"classic\"") {
        assert!(Instant::now() < until, "{}", sink.log());
    }
    sink.sigterm();
    sink.wait_success(PATIENCE);
    for args in [&["run", "--until-end"][..], &["check"]] {
        let mut sink = Sink::spawn(&config, args);
        assert_eq!(sink.wait(PATIENCE).status.code(), Some(2), "{}", sink.log());
        for words in ["do not know this protocol", "\"classic\"", "Kafka 4.0"] {
            assert!(sink.log().contains(words), "{words}: {}", sink.log());
        }
    }
}
