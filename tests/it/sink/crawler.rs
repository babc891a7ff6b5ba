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

/// An object as a crawler sees it.
#[derive(Clone, Debug)]
struct Seen {
    key: String,
    body: Vec<u8>,
    /// Its first line.
    first: String,
    /// The names of its columns.
    columns: BTreeSet<String>,
}

impl Seen {
    fn of(key: &str, body: &[u8], lines: &[String]) -> Self {
        let mut columns = BTreeSet::new();
        for line in lines {
            let line: Value = serde_json::from_str(line).expect("a line is one JSON value");
            columns.extend(line.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
        let first = lines.first().cloned().unwrap_or_default();
        Self { key: key.to_owned(), body: body[..2].to_owned(), first, columns }
    }

    /// The folders between the table and the object, as `key=value`, and its name.
    fn place(&self, table: &str) -> Option<(Vec<(&str, &str)>, &str)> {
        let mut parts: Vec<&str> = self.key.strip_prefix(table)?.split('/').collect();
        let name = parts.pop()?;
        let pairs: Option<Vec<_>> = parts.into_iter().map(|part| part.split_once('=')).collect();
        Some((pairs?, name))
    }

    /// What of it alone keeps it out of the table.
    fn flaw(&self, table: &str, topic: &str) -> Option<&'static str> {
        let Some((hive, name)) = self.place(table) else {
            return Some("a folder that is no key=value");
        };
        let keys: Vec<_> = hive.iter().map(|(key, _)| *key).collect();
        [
            (keys != ["dt", "hour"], "other keys, another order or another level"),
            (!name.ends_with(".json.gz"), "another format or compression by its name"),
            (self.body != [0x1f, 0x8b], "another compression"),
            (!name.starts_with(topic), "another topic's"),
            // The classifier takes an array of the whole file for one object.
            (!self.first.starts_with('{'), "no object in its first line"),
            (self.first.len() >= SAMPLE, "a first line longer than what is sampled"),
        ]
        .into_iter()
        .find_map(|(is_wrong, what)| is_wrong.then_some(what))
    }
}

/// Why a crawler would not make one table of these, if so.
fn flaw(topic: &str, objects: &[Seen]) -> Option<String> {
    let table = format!("raw/{topic}/");
    let mut folders = BTreeMap::<Vec<(&str, &str)>, BTreeSet<&str>>::new();
    for object in objects {
        if let Some(what) = object.flaw(&table, topic) {
            return Some(format!("{}: {what}", object.key));
        }
        let (hive, _) = object.place(&table).expect("no flaw");
        folders.entry(hive).or_default().extend(object.columns.iter().map(String::as_str));
    }
    let all: BTreeSet<_> = folders.values().flatten().collect();
    let unlike = folders.iter().find(|(_, own)| own.len() as f64 / all.len() as f64 <= ALIKE);
    unlike.map(|(folder, _)| format!("{folder:?}: a schema unlike the others"))
}

fn assert_one_table(case: &Case<'_>, topic: &str) {
    let table = format!("raw/{topic}/");
    let level = 1 + table.trim_end_matches('/').split('/').count();
    assert_eq!(level, TABLE_LEVEL);
    let stack = include_str!("../../../deploy/cloudformation/pipeline.yaml");
    assert!(stack.contains(&format!(r#""TableLevelConfiguration":{TABLE_LEVEL}}}"#)));
    assert!(stack.contains("- Path: !Sub s3://${Bucket}/${LayoutPrefix}/${Topic}/\n"));

    let seen = |listed: &Listed| {
        let body = case.bucket.get(&listed.key).body;
        Seen::of(&listed.key, &body, &case.bucket.lines(&listed.key))
    };
    let objects: Vec<_> = case.bucket.list(&table).iter().map(seen).collect();
    assert_eq!(flaw(topic, &objects), None);
    let hours: BTreeSet<_> =
        objects.iter().filter_map(|object| object.key.rsplit_once('/')).map(|it| it.0).collect();
    assert!(hours.len() > 24, "hours of two days: {}", hours.len());
    let unusable = format!("{table}dt=1970-01-01/hour=00");
    assert!(hours.contains(&*unusable), "a place of the same form");
}

/// The control: layouts that make a crawler skip folders, or make other tables, are told.
#[test]
fn a_layout_that_a_crawler_would_not_make_one_table_of_is_told() {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const LINE: &str = r#"{"a":1,"b":2,"c":3}"#;
    let object = |key: &str, body: &[u8], line: &str| {
        Seen::of(&format!("raw/t/{key}"), body, &[line.to_owned()])
    };
    let good: Vec<_> = (0..24)
        .map(|hour| object(&format!("dt=2026-11-22/hour={hour:02}/t-0-1.json.gz"), GZIP, LINE))
        .collect();
    assert_eq!(flaw("t", &good), None);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(SAMPLE));
    for (key, body, line, wanted) in [
        ("dt=2026-11-22/t-0-1.json.gz", GZIP, LINE, "another level"),
        ("hour=16/dt=2026-11-22/t-0-1.json.gz", GZIP, LINE, "another order"),
        ("day=2026-11-22/hour=16/t-0-1.json.gz", GZIP, LINE, "other keys"),
        ("dt=2026-11-22/hour=16/part=0/t-0-1.json.gz", GZIP, LINE, "another level"),
        ("2026-11-22/16/t-0-1.json.gz", GZIP, LINE, "no key=value"),
        ("dt=2026-11-22/hour=16/t-0-1.json.zst", GZIP, LINE, "compression by its name"),
        ("dt=2026-11-22/hour=16/t-0-1.json.gz", b"{\"", LINE, "another compression"),
        ("dt=2026-11-22/hour=16/u-0-1.json.gz", GZIP, LINE, "another topic's"),
        ("dt=2026-11-22/hour=16/t-0-1.json.gz", GZIP, r#"[{"a":1}]"#, "no object"),
        ("dt=2026-11-22/hour=16/t-0-1.json.gz", GZIP, &*long, "longer than"),
        ("dt=2026-11-23/hour=16/t-0-1.json.gz", GZIP, r#"{"a":1}"#, "unlike the others"),
    ] {
        let objects = [&good[..], &[object(key, body, line)]].concat();
        let told = flaw("t", &objects).unwrap_or_else(|| panic!("{key} is let through"));
        assert!(told.contains(wanted), "{key}: {told}");
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
