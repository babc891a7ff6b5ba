//! The handles, and the names of everything.

mod gauges;

use std::collections::BTreeMap;

use super::*;
use crate::record::{Epoch, Offset, TimestampMs, TopicPartition};
use crate::telemetry::{Condition, KafkaPartitionStatus, Stop};

const NOW: TimestampMs = TimestampMs(1_763_800_000_000);

fn ago(seconds: i64) -> Option<TimestampMs> {
    Some(TimestampMs(NOW.0 - seconds * 1000))
}

fn held(number: i32) -> KafkaPartitionStatus {
    KafkaPartitionStatus::new(TopicPartition::new("orders", number), Epoch(1), "consuming", NOW)
}

fn behind(number: i32) -> KafkaPartitionStatus {
    KafkaPartitionStatus {
        position: Some(Offset(90)),
        committed: Some(Offset(40)),
        end: Some(Offset(100)),
        last_read_time: ago(5),
        oldest_unlanded_time: ago(60),
        oldest_unlanded_read_at: ago(30),
        waiting_since: ago(45),
        max_age: Some(Duration::from_millis(1500)),
        ..held(number)
    }
}

fn stopped(number: i32) -> KafkaPartitionStatus {
    let stop = Stop { code: "lost_offsets", message: "run `recover`".into() };
    KafkaPartitionStatus { paused: true, stop: Some(stop), ..behind(number) }
}

/// Every metric with at least one series.
fn exercised() -> (Metrics, Status, LaneMetrics) {
    let metrics = Metrics::new();
    let orders = metrics.topic("orders");
    orders.consumed(3, 1500);
    orders.landed(2);
    orders.object_stored("max_bytes", 200, 1000);
    orders.batch_ended("max_bytes");
    orders.dead_letters("invalid_json", 1);
    orders.skipped("tombstone", 1);
    orders.lost("retention", 7);
    orders.compacted_lines(1);
    orders.unusable_timestamps(1);
    orders.replay();
    orders.adoption();
    Step::ALL.iter().for_each(|step| metrics.step_took(*step, Duration::from_millis(20)));
    metrics.retry("put", "retry");
    metrics.error("put", "configuration");
    metrics.rebalance(RebalanceKind::Assigned);
    metrics.committed();
    metrics.set_memory_budget(1 << 30);
    let status = Status::new();
    status.update(0, vec![behind(0), stopped(1)]);
    let lane = metrics.lane();
    (metrics, status, lane)
}

/// The value of each series, by its name and labels as written.
fn series(text: &str) -> BTreeMap<&str, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = samples.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(name, value)| (name, value.parse().unwrap())).collect()
}

fn value(text: &str, name: &str) -> f64 {
    let all = series(text);
    *all.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", all.keys()))
}

/// Name and type of each family as written.
fn families(text: &str) -> Vec<(&str, &str)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn every_name_is_defined_once_and_written_once() {
    let (_, mut defined) = Metrics::define(Definer::new());
    let mut scrape = Definer::new();
    snapshot::describe(&mut scrape, &Status::new(), NOW);
    defined.append(&mut scrape.names);
    defined.sort();
    let (metrics, status, _lane) = exercised();
    let text = metrics.render(&status);
    let mut written: Vec<_> = families(&text).into_iter().map(|(name, _)| name).collect();
    written.retain(|name| !name.starts_with("process_"));
    written.sort_unstable();
    assert_eq!(written, defined);
    defined.dedup();
    assert_eq!(written.len(), defined.len());
}

/// The rules of `promtool check metrics`, and ours about prefix and base units.
#[test]
fn names_follow_the_rules() {
    const NOT_BASE: &[&str] =
        &["ms", "millis", "milliseconds", "minutes", "kb", "mb", "kilobytes", "bits", "percent"];
    let (metrics, status, _lane) = exercised();
    let text = metrics.render(&status);
    for (name, kind) in families(&text) {
        assert!(name.starts_with("kafka_s3_sink_") || name.starts_with("process_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '3'), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        let reserved = ["_count", "_sum", "_bucket", "_info"];
        let info = name == "kafka_s3_sink_build_info";
        assert!(info || !reserved.iter().any(|end| name.ends_with(end)), "{name}");
        assert!(!name.split('_').any(|word| NOT_BASE.contains(&word)), "{name}");
        assert!(!name.split('_').any(|word| word == kind), "{name}");
        let help = format!("# HELP {name} ");
        let line = text.lines().find(|line| line.starts_with(&help)).unwrap();
        assert!(line.ends_with('.'), "{line}");
    }
    assert!(families(&text).contains(&("kafka_s3_sink_step_duration_seconds", "histogram")));
}

#[test]
fn no_label_but_the_few_that_are_allowed() {
    const ALLOWED: &[&str] = &[
        "topic",
        "partition",
        "reason",
        "operation",
        "class",
        "kind",
        "result",
        "step",
        "le",
        "condition",
        "version",
    ];
    let (metrics, status, _lane) = exercised();
    let text = metrics.render(&status);
    for name in series(&text).keys() {
        let Some((name, labels)) = name.trim_end_matches('}').split_once('{') else { continue };
        let labels: Vec<_> = labels.split(',').map(|l| l.split_once('=').unwrap().0).collect();
        assert!(labels.iter().all(|label| ALLOWED.contains(label)), "{name} {labels:?}");
        let of_partition = name.contains("_lag_")
            || name == "kafka_s3_sink_oldest_unlanded_age_seconds"
            || name == "kafka_s3_sink_landing_stalled_seconds"
            || name.ends_with("kafka_partition_stopped");
        assert_eq!(labels.contains(&"partition"), of_partition, "{name}");
    }
}

#[test]
fn what_is_counted_is_told() {
    let (metrics, status, _lane) = exercised();
    metrics.topic("orders").consumed(1, 500);
    metrics.topic("clicks").consumed(5, 50);
    let text = metrics.render(&status);
    let orders = |name: &str| value(&text, &format!("kafka_s3_sink_{name}{{topic=\"orders\"}}"));
    assert_eq!(orders("consumed_records_total"), 4.0);
    assert_eq!(orders("consumed_bytes_total"), 2000.0);
    assert_eq!(orders("landed_records_total"), 2.0);
    assert_eq!(orders("stored_bytes_total"), 200.0);
    assert_eq!(orders("uncompressed_bytes_total"), 1000.0);
    let because = |name: &str, reason: &str| {
        let labels = format!("{{reason=\"{reason}\",topic=\"orders\"}}");
        value(&text, &format!("kafka_s3_sink_{name}{labels}"))
    };
    assert_eq!(because("objects_total", "max_bytes"), 1.0);
    assert_eq!(because("lost_records_total", "retention"), 7.0);
    assert_eq!(value(&text, "kafka_s3_sink_consumed_records_total{topic=\"clicks\"}"), 5.0);
    assert_eq!(value(&text, "kafka_s3_sink_rebalances_total{kind=\"assigned\"}"), 1.0);
    assert_eq!(value(&text, "kafka_s3_sink_rebalances_total{kind=\"lost\"}"), 0.0);
    let put = "kafka_s3_sink_errors_total{class=\"configuration\",operation=\"put\"}";
    assert_eq!(value(&text, put), 1.0);
    assert!(value(&text, "kafka_s3_sink_last_commit_timestamp_seconds") > 1.7e9);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(value(&text, "kafka_s3_sink_memory_resident_bytes") > 1e6);
}

#[test]
fn latencies_fall_into_the_buckets_of_their_step() {
    let metrics = Metrics::new();
    metrics.step_took(Step::Claim, Duration::from_millis(20));
    metrics.step_took(Step::Claim, Duration::from_secs(200));
    let text = metrics.render(&Status::new());
    let bucket = |step: &str, le: &str| {
        let labels = format!("{{step=\"{step}\",le=\"{le}\"}}");
        value(&text, &format!("kafka_s3_sink_step_duration_seconds_bucket{labels}"))
    };
    assert_eq!(bucket("claim", "0.01"), 0.0);
    assert_eq!(bucket("claim", "0.025"), 1.0);
    assert_eq!(bucket("claim", "120"), 1.0);
    assert_eq!(bucket("claim", "300"), 2.0);
    assert_eq!(bucket("put", "+Inf"), 0.0);
}

#[test]
fn a_count_of_zero_makes_the_series_appear() {
    let metrics = Metrics::new();
    metrics.topic("orders").dead_letters("too_large", 0);
    let text = metrics.render(&Status::new());
    let name = "kafka_s3_sink_dead_letters_total{reason=\"too_large\",topic=\"orders\"}";
    assert_eq!(value(&text, name), 0.0);
}

#[test]
fn lanes_add_up_and_take_their_part_with_them() {
    let metrics = Metrics::new();
    let open = || value(&metrics.render(&Status::new()), "kafka_s3_sink_open_batches");
    let (mut first, mut second) = (metrics.lane(), metrics.lane());
    first.open_batches.set(3);
    second.open_batches.set(4);
    assert_eq!(open(), 7.0);
    first.open_batches.set(1);
    assert_eq!(open(), 5.0);
    drop(second);
    assert_eq!(open(), 1.0);
}
