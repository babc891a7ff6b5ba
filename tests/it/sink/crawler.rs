//! The conditions under which a Glue crawler makes one table of a topic, checked over what the sink
//! really wrote: a crawler's verdict itself cannot be had without an AWS account.
//!
//! The conditions are those that AWS documents ("How does a crawler determine when to create
//! partitions?", "Creating a single schema for each Amazon S3 include path", "Specifying the table
//! location and partitioning level"), with the include paths and the table level of
//! `deploy/cloudformation/pipeline.yaml`.

use std::collections::BTreeSet;

use super::*;
use crate::support::kafka::RawRecord;

/// In the stack's crawler: the bucket is level 1, `raw` 2, the topic 3.
const TABLE_LEVEL: usize = 3;
/// Folders whose schemas are less alike may become tables of their own.
const ALIKE: f64 = 0.7;
/// Until it has seen more, a crawler judges a file by its first megabyte.
const SAMPLE: usize = 1 << 20;

/// What of a key follows the bucket's name, taken apart.
struct Place<'a> {
    /// The folders between the table and the object, as `key=value`.
    hive: Vec<(&'a str, &'a str)>,
    name: &'a str,
}

fn place<'a>(table: &str, key: &'a str) -> Place<'a> {
    let mut parts: Vec<&str> =
        key.strip_prefix(table).expect("below the table").split('/').collect();
    let name = parts.pop().expect("a name");
    let pair = |part: &'a str| part.split_once('=').unwrap_or_else(|| panic!("{key}: {part}"));
    Place { hive: parts.into_iter().map(pair).collect(), name }
}

/// The names of a folder's columns, over all its objects.
fn columns(case: &Case<'_>, keys: &[&str]) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    for line in keys.iter().flat_map(|key| case.bucket.lines(key)) {
        let line: Value = serde_json::from_str(&line).expect("a line is one JSON value");
        columns.extend(line.as_object().expect("and an object").keys().cloned());
    }
    columns
}

fn assert_one_table(case: &Case<'_>, topic: &str) {
    let table = format!("raw/{topic}/");
    let level = 1 + table.trim_end_matches('/').split('/').count();
    assert_eq!(level, TABLE_LEVEL);
    let stack = include_str!("../../../deploy/cloudformation/pipeline.yaml");
    assert!(stack.contains(&format!(r#""TableLevelConfiguration":{TABLE_LEVEL}}}"#)));
    assert!(stack.contains("- Path: !Sub s3://${Bucket}/${LayoutPrefix}/${Topic}/\n"));

    let objects = case.bucket.list(&table);
    assert!(objects.len() > 20, "{}", objects.len());
    let mut folders = BTreeMap::<Vec<(&str, &str)>, Vec<&str>>::new();
    for object in &objects {
        let place = place(&table, &object.key);
        // The same keys in the same order, and nothing at any other level.
        let keys: Vec<_> = place.hive.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["dt", "hour"], "{}", object.key);
        // One format and one compression, which crawlers know.
        assert!(place.name.ends_with(".json.gz"), "{}", object.key);
        assert!(place.name.starts_with(topic), "another topic's: {}", object.key);
        let body = case.bucket.get(&object.key).body;
        assert_eq!(body[..2], [0x1f, 0x8b], "{}", object.key);
        folders.entry(place.hive).or_default().push(&object.key);
    }
    assert!(folders.len() > 24, "hours of two days: {}", folders.len());
    let unusable = [("dt", "1970-01-01"), ("hour", "00")];
    assert!(folders.contains_key(unusable.as_slice()), "a place of the same form");

    let all: BTreeSet<_> = folders.values().flat_map(|keys| columns(case, keys)).collect();
    for (folder, keys) in &folders {
        let alike = columns(case, keys).len() as f64 / all.len() as f64;
        assert!(alike > ALIKE, "{folder:?}: {alike}");
        // Not an array of the whole file, which the classifier takes for one object.
        let first = &case.bucket.lines(keys[0])[0];
        assert!(first.starts_with('{') && first.len() < SAMPLE);
    }
}

#[test]
fn a_crawler_finds_what_it_needs_for_one_table_a_topic() {
    let Some(case) = Case::shared("e2e-crawled", 3) else { return };
    // One topic's name begins like the other's: an include path must not reach both.
    let other = "e2e-crawled.v2";
    case.broker.create_topic(other, 3, &[]);
    for topic in [&*case.topic, other] {
        // 26 hours, at 500 records a Kafka partition.
        let step_us = 26 * 3_600_000_000 / 500;
        let bulk = Bulk { size: 300, step_us, ..Bulk::new(topic, 3, 1500) };
        case.broker.produce_many(&bulk);
        let mut like_the_others = Vec::new();
        bulk.write_value(0, 500, &mut like_the_others);
        let mut odd = [RawRecord::of(b"no JSON"), RawRecord::of(like_the_others)];
        odd[0].timestamp_ms = Some(1_795_210_200_000);
        odd[1].timestamp_ms = Some(-1);
        case.broker.produce_raw(topic, &odd);
    }
    let topics = vec![case.topic.clone(), other.to_owned()];
    case.run_to_end(&case.config().set("kafka.topics", topics));

    for topic in [&*case.topic, other] {
        assert_one_table(&case, topic);
    }
    // Athena ignores a crawler's exclusions, so nothing else may lie below a table: no dead letter,
    // no probe, no state.
    let elsewhere = |key: &str| !key.starts_with("raw/");
    let all = case.bucket.list("");
    assert!(all.iter().any(|it| elsewhere(&it.key)), "dead letters stand somewhere");
    for object in all.iter().filter(|it| elsewhere(&it.key)) {
        assert!(object.key.starts_with("dead-letters/raw/"), "{}", object.key);
    }
}
