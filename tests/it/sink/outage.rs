//! Servers that go away in the middle of the work, and come back.

use super::*;
use crate::support::kafka::Version;

fn busy(config: &SinkConfig) -> SinkConfig {
    config.clone().set("rotation.max_age", "1s").set("rotation.max_records", 200)
}

#[test]
fn a_store_that_is_away_for_a_while_costs_nothing_but_time() {
    let Some(minio) = Minio::start() else { return };
    let broker = Broker::shared_v4();
    broker.create_topic("e2e-store-away", 4, &[]);
    let case = Case::at(broker, &minio, "e2e-store-away", 4);
    let bulk = Bulk { rate: Some(1000), ..case.bulk(20_000) };
    let mut sink = Sink::run(&busy(&case.config()));
    sink.wait_ready(PATIENCE);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| broker.produce_many(&bulk));
        sink.wait_for_metric("kafka_s3_sink_landed_records_total", 1000.0, PATIENCE);
        minio.stop();
        wait_not_ready(&mut sink, "store_reachable");
        assert_eq!(sink.get("/livez").expect("an answer").0, 200, "alive all the same");
        std::thread::sleep(Duration::from_secs(12));
        minio.start_again();
        let expected = producer.join().expect("produced");
        case.wait_committed(&mut sink);
        sink.wait_ready(PATIENCE);
        assert!(sink.metric("kafka_s3_sink_retries_total") > 0.0);
        // Frozen, with requests on their way.
        minio.freeze();
        let more = broker.produce_many(&Bulk { count: 2000, ..bulk.next() });
        std::thread::sleep(Duration::from_secs(3));
        minio.thaw();
        case.wait_committed(&mut sink);
        sink.sigterm();
        sink.wait_success(PATIENCE);
        case.assert_exact(&expected.and(more));
    });
}

/// A broker of its own, a busy sink that has landed something, and what was produced.
fn begun(
    version: Version,
    topic: &str,
    more: &[(&str, &str)],
) -> Option<(Broker, Sink, Bulk, Expected)> {
    let minio = Minio::shared()?;
    let broker = Broker::start(version);
    broker.create_topic(topic, 4, &[]);
    let config = Case::at(&broker, minio, topic, 4).config();
    let config = config.set(&librdkafka("reconnect.backoff.max.ms"), 1000);
    let set =
        |config: SinkConfig, (key, value): &(&str, &str)| config.set(&librdkafka(key), *value);
    let config = busy(&more.iter().fold(config, set));
    let bulk = Bulk { size: 300, ..Bulk::new(topic, 4, 6000) };
    let first = broker.produce_many(&bulk);
    let mut sink = Sink::run(&config);
    sink.wait_for_metric("kafka_s3_sink_landed_records_total", 500.0, PATIENCE);
    Some((broker, sink, bulk, first))
}

/// The same case again, in the bucket that `begun` made.
fn begun_case<'a>(broker: &'a Broker, topic: &str) -> Case<'a> {
    let bucket = Bucket::of(Minio::shared().expect("it runs"), topic);
    Case { bucket, broker, topic: topic.into(), partitions: 4 }
}

/// The broker dies and comes back, then freezes for longer than the session.
fn broker_away(version: Version, topic: &str) {
    let Some((mut broker, mut sink, bulk, first)) = begun(version, topic, &[]) else { return };
    broker.kill();
    wait_not_ready(&mut sink, "broker_reachable");
    broker.start_again();
    let second = broker.produce_many(&bulk.next());
    let case = begun_case(&broker, topic);
    case.wait_committed(&mut sink);
    sink.wait_ready(PATIENCE);
    broker.freeze();
    std::thread::sleep(Duration::from_secs(6));
    broker.thaw();
    let third = broker.produce_many(&bulk.next().next());
    case.wait_committed(&mut sink);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&first.and(second).and(third));
}

#[test]
fn a_broker_of_kafka_4_that_dies_and_comes_back() {
    broker_away(Version::V4, "e2e-broker-away");
}

#[test]
fn a_broker_of_kafka_3_that_dies_and_comes_back() {
    broker_away(Version::V3, "e2e-broker-away-3");
}

/// A broker of Kafka 3 that starts names no broker until a controller has told it who is there, and
/// librdkafka believes that: it forgets all that it knew. Here there is no controller until the sink
/// has noticed. librdkafka's own way back is a race that it mostly wins; here it has none.
#[test]
fn a_client_that_was_told_of_no_brokers_finds_them_again() {
    let topic = "e2e-no-brokers";
    let none = [("metadata.recovery.strategy", "none")];
    let Some((mut broker, mut sink, bulk, first)) = begun(Version::V3, topic, &none) else {
        return;
    };
    broker.kill();
    wait_not_ready(&mut sink, "broker_reachable");
    assert!(!sink.log().contains(LOST), "a broker that is away is not forgotten");
    broker.start_without_controller();
    sink.wait_for_log(LOST, PATIENCE);
    // Reached again, it still names none for a while.
    std::thread::sleep(Duration::from_secs(3));
    broker.free_controller();
    let second = broker.produce_many(&bulk.next());
    let case = begun_case(&broker, topic);
    case.wait_committed(&mut sink);
    sink.wait_ready(PATIENCE);
    sink.wait_for_log("the Kafka client knows its brokers again", PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&first.and(second));
}

const LOST: &str = "the bootstrap servers are asked again";
