//! One budget for the process, looked at by its resident size and not by its own counter.

use super::*;
use crate::support::kafka::RawRecord;

const LIMIT_KIB: u64 = 192 << 10;

#[test]
fn batches_beyond_the_budget_are_flushed_and_the_resident_size_stays_below_it() {
    let Some(case) = Case::shared("e2e-memory", 8) else { return };
    // Plain text of more than the limit, and batches that nothing but memory would end.
    let expected = case.broker.produce_many(&Bulk { size: 1000, ..case.bulk(400_000) });
    let config = case
        .config()
        .set("memory.limit", "192MiB")
        .set("layout.compression", "none")
        .set("rotation.max_age", "20s")
        .set("rotation.max_bytes", "4GiB");
    let mut sink = Sink::run(&config);
    case.wait_committed(&mut sink);
    let peak = sink.peak_rss_kib();
    let metrics = sink.metrics();
    let flushed: f64 = metrics
        .iter()
        .filter(|(name, _)| name.contains("batches_total") && name.contains("\"memory\""))
        .map(|(_, count)| count)
        .sum();
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
    assert!(flushed > 0.0, "{metrics:?}");
    assert!(peak < LIMIT_KIB, "{peak} KiB resident of {LIMIT_KIB}");
}

/// What a limit may be passed by: less than the text of an unoptimised build, which is resident
/// too, is larger than that of a release.
const SLACK_KIB: u64 = 8 << 10;

impl Case<'_> {
    /// Reads to the ends and returns the resident peak in KiB; that of an ended process would
    /// count what it was forked from.
    fn peak_of_a_run(&self, config: &SinkConfig) -> u64 {
        let mut sink = Sink::run(config);
        self.wait_committed(&mut sink);
        let peak = sink.peak_rss_kib();
        sink.sigterm();
        sink.wait_success(PATIENCE);
        peak
    }
}

/// Reads a topic of such records to its end and returns the resident peak.
fn peak_kib(name: &str, count: u64, size: usize, settings: &[(&str, toml::Value)]) -> Option<u64> {
    let minio = Minio::shared()?;
    let broker = Broker::shared_v4();
    broker.create_topic(name, 4, &[("max.message.bytes", "33554432")]);
    let case = Case::at(broker, minio, name, 4);
    let bulk = Bulk { size, compression: "none", ..case.bulk(count) };
    let expected = case.broker.produce_many(&bulk);
    let config = case.config().set("layout.compression", "none").set("rotation.max_age", "20s");
    let config =
        settings.iter().fold(config, |config, (key, value)| config.set(key, value.clone()));
    let peak = case.peak_of_a_run(&config);
    case.assert_exact(&expected);
    Some(peak)
}

#[test]
fn records_of_the_largest_size_keep_to_the_least_limit_for_them() {
    let settings = [
        ("memory.limit", "96MiB".into()),
        ("records.max_bytes", "8MiB".into()),
        ("kafka.lanes", 2.into()),
    ];
    let Some(peak) = peak_kib("e2e-memory-large", 24, 8 << 20, &settings) else { return };
    assert!(peak < (96 << 10) + SLACK_KIB, "{peak} KiB resident");
}

#[test]
fn small_records_keep_to_the_least_limit_of_all() {
    let settings = [
        ("memory.limit", "64MiB".into()),
        ("records.max_bytes", "1MiB".into()),
        ("kafka.lanes", 2.into()),
    ];
    let Some(peak) = peak_kib("e2e-memory-least", 100_000, 1000, &settings) else { return };
    assert!(peak < (64 << 10) + SLACK_KIB, "{peak} KiB resident");
}

/// What is larger than `records.max_bytes` becomes a dead letter, in base64: it may pass the
/// limit by what one such record takes, not by what all of them do.
#[test]
fn records_beyond_the_largest_size_pass_the_limit_by_one_of_them() {
    let Some(minio) = Minio::shared() else { return };
    let broker = Broker::shared_v4();
    broker.create_topic("e2e-memory-beyond", 2, &[("max.message.bytes", "33554432")]);
    let case = Case::at(broker, minio, "e2e-memory-beyond", 2);
    let value = format!("{{\"x\":\"{}\"}}", "y".repeat(16 << 20));
    for number in 0..6 {
        let record = RawRecord { partition: number % 2, ..RawRecord::of(value.as_str()) };
        case.broker.produce_raw(&case.topic, &[record]);
    }
    let config = case
        .config()
        .set("layout.compression", "none")
        .set("memory.limit", "96MiB")
        .set("records.max_bytes", "4MiB")
        .set("kafka.lanes", 1);
    let peak = case.peak_of_a_run(&config);
    case.assert_committed();
    let one = 4 * (16 << 10);
    assert!(peak < (96 << 10) + one, "{peak} KiB resident");
}
