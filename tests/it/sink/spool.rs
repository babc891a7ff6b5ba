//! A spool: many large objects in little memory, and a disk that is full, gone or none.

use super::*;
use crate::support::disk::SmallDisk;
use crate::support::workdir::WorkDir;

const LIMIT_KIB: u64 = 96 << 10;
/// See `memory`.
const SLACK_KIB: u64 = 8 << 10;
const PARTITIONS: i32 = 32;
/// 6 MiB a Kafka partition: one object of full size and a half of the next.
const RECORDS: u64 = 32 * 6000;
const FULL_SIZE: u64 = 4 << 20;

/// A topic of which the open objects are together larger than the memory, and nothing but memory
/// would end them early.
fn crowd(topic: &str, spool: &std::path::Path) -> Option<(Case<'static>, Expected, SinkConfig)> {
    let case = Case::shared(topic, PARTITIONS)?;
    let bulk = Bulk { size: 1000, step_us: 1000, ..case.bulk(RECORDS) };
    let expected = case.broker.produce_many(&bulk);
    let config = case
        .config()
        .set("memory.limit", "96MiB")
        .set("memory.spool_dir", spool.to_str().expect("text"))
        .set("records.max_bytes", "1MiB")
        .set("kafka.lanes", 2)
        .set("layout.compression", "none")
        .set("rotation.max_age", NEVER)
        .set("rotation.max_bytes", FULL_SIZE as i64);
    Some((case, expected, config))
}

/// Batches that memory ended.
fn ended_by_memory(sink: &Sink) -> f64 {
    let metrics = sink.metrics();
    let ended = metrics.iter().filter(|(name, _)| {
        name.starts_with("kafka_s3_sink_batches_total") && name.contains("\"memory\"")
    });
    ended.map(|(_, count)| count).sum()
}

#[test]
fn more_objects_than_memory_holds_reach_their_full_size_on_a_disk() {
    let dir = WorkDir::new("spool");
    let Some((case, expected, config)) = crowd("e2e-spool", dir.path()) else { return };
    let mut sink = Sink::run(&config);
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", RECORDS as f64, PATIENCE);
    let spooled = sink.metric("kafka_s3_sink_spool_bytes");
    let (peak, by_memory) = (sink.peak_rss_kib(), ended_by_memory(&sink));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0, "no file has a name");
    assert_eq!(sink.metric("kafka_s3_sink_spool_failures_total"), 0.0);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
    println!("{peak} KiB resident, {spooled} bytes spooled, {by_memory} ended by memory");
    assert!(spooled > f64::from(PARTITIONS) * 1e6, "{spooled} bytes");
    assert_eq!(by_memory, 0.0);
    assert!(peak < LIMIT_KIB + SLACK_KIB, "{peak} KiB resident of {LIMIT_KIB}");
    let objects = case.objects();
    let full = objects.iter().filter(|object| object.size >= FULL_SIZE).count();
    assert_eq!((full, objects.len()), (PARTITIONS as usize, 2 * PARTITIONS as usize));
}

#[test]
fn a_disk_that_is_full_ends_batches_early_and_loses_nothing() {
    let disk = SmallDisk::new(12 << 20);
    let Some((case, expected, config)) = crowd("e2e-spool-full", &disk.path()) else { return };
    let mut sink = Sink::run(&config);
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", RECORDS as f64, PATIENCE);
    let (peak, by_memory) = (sink.peak_rss_kib(), ended_by_memory(&sink));
    let failures = sink.metric("kafka_s3_sink_spool_failures_total");
    let line = sink.wait_for_log("the spool failed to", PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
    println!("{peak} KiB resident, {failures} failures, {by_memory} ended by memory");
    assert!(failures > 0.0 && by_memory > 0.0, "{failures} {by_memory}");
    assert!(line.contains("make room on the disk of memory.spool_dir"), "{line}");
    assert!(peak < LIMIT_KIB + SLACK_KIB, "{peak} KiB resident of {LIMIT_KIB}");
}

/// At the start somebody is there to mend it; later the sink makes do.
#[test]
fn a_folder_that_is_none_is_refused_at_the_start_and_missed_by_nobody_later() {
    let Some(case) = Case::shared("e2e-spool-gone", 2) else { return };
    let dir = WorkDir::new("spool");
    let folder = dir.path().join("spool");
    // Two batches of 2 MB, which want a file each.
    let config = case
        .config()
        .set("memory.spool_dir", folder.to_str().expect("text"))
        .set("layout.compression", "none")
        .set("rotation.max_age", "2s");
    let mut sink = Sink::run(&config);
    assert_eq!(sink.wait(PATIENCE).status.code(), Some(2), "{}", sink.log());
    let log = sink.log();
    assert!(log.contains("memory.spool_dir = ") && log.contains("make it a folder"), "{log}");
    let (code, out, _) = sink.ask(&["check", "--offline"]);
    assert!(code == Some(2) && out.contains("memory.spool_dir"), "{code:?} {out}");

    std::fs::create_dir(&folder).expect("a folder");
    let mut sink = Sink::run(&config);
    let first = case.produce(10_000);
    case.wait_committed(&mut sink);
    assert_eq!(sink.metric("kafka_s3_sink_spool_failures_total"), 0.0);
    std::fs::remove_dir(&folder).expect("an empty folder");
    let second = case.broker.produce_many(&case.bulk(10_000).next());
    case.wait_committed(&mut sink);
    assert!(sink.metric("kafka_s3_sink_spool_failures_total") > 0.0);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&first.and(second));
}
