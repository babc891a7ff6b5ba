//! One story on real servers, told to a real Prometheus: each alert fires when its cause is there,
//! and clears when it is gone. In its midst, when everything that is counted has happened once, the
//! scrape is compared with the reference and the dashboard is asked.

use std::sync::atomic::{AtomicBool, Ordering};

use super::stage::{ODD, ORDERS, STOPS, Stage};
use super::{alerts, dashboard, folder, reference};
use crate::sink::PATIENCE;
use crate::support::disk::{SmallDisk, fill};
use crate::support::kafka::{Broker, Bulk, Expected};
use crate::support::prometheus::promtool;
use crate::support::sink::Sink;

const DOWN: &str = "KafkaS3SinkDown";
const DEAD_LETTERS: &str = "KafkaS3SinkDeadLetters";
const STORM: &str = "KafkaS3SinkRebalanceStorm";
const STOPPED: &str = "KafkaS3SinkKafkaPartitionStopped";
const LOST: &str = "KafkaS3SinkRecordsLost";
const SPOOL: &str = "KafkaS3SinkSpoolFails";
/// What a store that is away brings about.
const OUTAGE: [&str; 5] = [
    "KafkaS3SinkNotReady",
    "KafkaS3SinkRetries",
    "KafkaS3SinkNothingLands",
    "KafkaS3SinkLandedLag",
    "KafkaS3SinkMemoryNearBudget",
];

/// Records of now.
fn orders(count: u64, first_sequence: u64) -> Bulk {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first_ms = now.expect("a clock").as_millis() as i64;
    Bulk { size: 1000, first_ms, step_us: 0, first_sequence, ..Bulk::new(ORDERS, 4, count) }
}

/// A hundred records a second until it is done, behind the first so many of each Kafka partition.
fn trickle(broker: &Broker, first_sequence: u64, done: &AtomicBool) -> Expected {
    let (mut next, mut expected) = (first_sequence, Expected::default());
    while !done.load(Ordering::Relaxed) {
        let bulk = Bulk { rate: Some(100), ..orders(100, next) };
        expected = expected.and(broker.produce_many(&bulk));
        next += 25;
    }
    expected
}

#[test]
fn each_alert_fires_and_clears_on_a_real_prometheus() {
    let Some(stage) = Stage::set() else { return };
    let done = AtomicBool::new(false);
    stage.wait_firing(&mut None, &[DOWN]);
    let mut sink = Some(Sink::run(&stage.scraped()));
    sink.as_mut().expect("runs").wait_ready(PATIENCE);
    // What comes in one burst later has the first sequence numbers.
    let broker = stage.case.broker;
    let expected = std::thread::scope(|scope| {
        let trickle = scope.spawn(|| trickle(broker, 20_000, &done));
        // However it ends, the producer does too.
        let told =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&stage, &mut sink)));
        done.store(true, Ordering::Relaxed);
        let produced = trickle.join().expect("produced");
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(produced)
    });
    let mut last = sink.take().expect("runs");
    stage.case.wait_committed(&mut last);
    sink = Some(last);
    stage.wait_peace(&mut sink);
    let shipped = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(stage.fired(), shipped, "all have fired, and all have cleared");
    stop(&mut sink);
    stage.case.assert_exact(&expected);
}

/// What goes wrong, one after the other; returns what it has produced.
fn story(stage: &Stage, sink: &mut Option<Sink>) -> Expected {
    stage.wait_peace(sink);
    // A value that is no JSON, and a tombstone.
    stage.produce_raw(ODD, &[Some("{\"is\": 1}"), Some("no"), None]);
    stage.wait_firing(sink, &[DEAD_LETTERS]);
    let burst = the_store_goes_away(stage, sink);
    members_come_and_go(stage, sink);
    a_kafka_partition_stops(stage, sink);
    offsets_are_lost(stage, sink);
    burst.and(the_spool_s_disk_is_full(stage, sink))
}

/// With more records than memory holds.
fn the_store_goes_away(stage: &Stage, sink: &mut Option<Sink>) -> Expected {
    stage.minio.stop();
    let burst = stage.case.broker.produce_many(&orders(60_000, 0));
    stage.wait_firing(sink, &OUTAGE);
    keda_would_scale(stage, sink);
    stage.minio.start_again();
    stage.wait_clear(sink, &OUTAGE);
    burst
}

/// By what waits in Kafka for the pods of the release, and by no other's.
fn keda_would_scale(stage: &Stage, sink: &mut Option<Sink>) {
    let query = crate::kubernetes::keda_query();
    let all = "sum(kafka_s3_sink_consumed_lag_records)";
    stage.wait_found(sink, &format!("({query} > 0) == {all}"));
    let others = query.replace("lake-sink-", "another-sink-");
    assert_ne!(others, query);
    assert_eq!(stage.prometheus.query(&others).expect("an answer").len(), 0);
}

fn members_come_and_go(stage: &Stage, sink: &mut Option<Sink>) {
    for _ in 0..20 {
        if stage.prometheus.firing().contains(STORM) {
            break;
        }
        let mut member = Sink::run(&stage.config());
        member.wait_for_log("assigned", PATIENCE);
        member.sigterm();
        member.wait_success(PATIENCE);
    }
    stage.wait_firing(sink, &[STORM]);
}

fn a_kafka_partition_stops(stage: &Stage, sink: &mut Option<Sink>) {
    stage.produce_raw(STOPS, &[Some("no")]);
    stage.wait_firing(sink, &[STOPPED]);
    // What waits there shows, and is not called nothing by the age of what is in hand.
    let of_topic = format!("{{topic=\"{STOPS}\"}}");
    let found = |query: String| stage.prometheus.query(&query).expect("an answer").len();
    // The scrape that has it may be the next one.
    stage.wait_found(sink, &format!("kafka_s3_sink_landing_stalled_seconds{of_topic} > 0"));
    assert_eq!(found(format!("kafka_s3_sink_oldest_unlanded_age_seconds{of_topic}")), 0);
    // All that is counted has happened once, and this is to be seen.
    scrapes_are_as_the_reference_says(sink.as_ref().expect("runs"));
    the_dashboard_is_answered(stage);
}

fn scrapes_are_as_the_reference_says(sink: &Sink) {
    let (status, text) = sink.get("/metrics").expect("a scrape");
    assert_eq!(status, 200);
    assert_eq!(reference::scraped(&text), reference::documented());
    let (code, said) = promtool(&folder(), &["check", "metrics"], &text);
    assert_eq!((code, said.as_str()), (0, ""));
}

fn the_dashboard_is_answered(stage: &Stage) {
    for (title, expression) in dashboard::expressions() {
        let found = stage.prometheus.query(&expression);
        let found = found.unwrap_or_else(|error| panic!("{title}: {expression}: {error}"));
        assert!(!found.is_empty(), "{title}: nothing for {expression}");
    }
    for (name, series, label) in dashboard::variables() {
        let found = stage.prometheus.query(&series).expect("an answer");
        assert!(found.iter().any(|each| each["metric"][&label].is_string()), "{name}: {series}");
    }
    assert!(stage.prometheus.query("sum(").is_err(), "a wrong one is seen");
}

/// Kafka deletes what waits in the Kafka partition that has stopped, while nobody reads. The next
/// run does not stop there.
fn offsets_are_lost(stage: &Stage, sink: &mut Option<Sink>) {
    stop(sink);
    stage.produce_raw(STOPS, &[Some("{\"is\": 2}"), Some("{\"is\": 3}")]);
    stage.case.broker.delete_records(STOPS, 0, 2);
    stage.wait_firing(&mut None, &[DOWN]);
    *sink = Some(Sink::run(&stage.scraped()));
    stage.wait_firing(sink, &[LOST]);
    stage.wait_clear(sink, &[LOST, STOPPED, DOWN]);
}

/// Until there is room on it again.
fn the_spool_s_disk_is_full(stage: &Stage, sink: &mut Option<Sink>) -> Expected {
    stop(sink);
    let disk = SmallDisk::new(64 << 20);
    let ballast = fill(&disk.path());
    let folder = disk.path().to_str().expect("text").to_owned();
    *sink = Some(Sink::run(&stage.scraped().set("memory.spool_dir", folder)));
    let burst = stage.case.broker.produce_many(&orders(16_000, 15_000));
    stage.wait_firing(sink, &[SPOOL]);
    drop(ballast);
    stage.wait_clear(sink, &[SPOOL, DOWN]);
    // Before its disk goes.
    stop(sink);
    *sink = Some(Sink::run(&stage.scraped()));
    burst
}

fn stop(sink: &mut Option<Sink>) {
    let mut sink = sink.take().expect("runs");
    sink.sigterm();
    sink.wait_success(PATIENCE);
}
