//! `kafka-s3-sink audit`, the real binary against real servers: good buckets, and buckets that were
//! tampered with.

mod million;
mod odd;
mod scope;

use serde_json::Value;

use crate::sink::{Case, PATIENCE};
use crate::support::bucket::Object;
use crate::support::kafka::{Bulk, RawRecord, Transactions};
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::free_port;

/// What an audit printed, and its exit code.
struct Audited {
    code: i32,
    text: String,
}

impl Audited {
    fn of(config: &SinkConfig, args: &[&str]) -> Self {
        let cached = args.contains(&"--cache");
        let no_cache = if cached { None } else { Some("--no-cache") };
        let args: Vec<&str> =
            ["audit"].into_iter().chain(args.iter().copied()).chain(no_cache).collect();
        let mut sink = Sink::spawn(config, &args);
        let end = sink.wait(PATIENCE);
        Self { code: end.status.code().expect("an exit code"), text: sink.log() }
    }

    /// The report as machines read it; it must end with this code.
    #[track_caller]
    fn json(config: &SinkConfig, args: &[&str], code: i32) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        let audited = Self::of(config, &args);
        assert_eq!(audited.code, code, "{}", audited.text);
        serde_json::from_str(&audited.text)
            .unwrap_or_else(|error| panic!("{error}: {}", audited.text))
    }

    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "no {word:?} in:\n{}", self.text);
        }
    }
}

/// The report on one Kafka partition.
fn partition(report: &Value, number: usize) -> &Value {
    &report["topics"][0]["kafka_partitions"][number]
}

/// `[base, end)` of each of a list.
fn spans(list: &Value) -> Vec<(i64, i64)> {
    let list = list.as_array().expect("a list");
    list.iter().map(|it| (it["base"].as_i64().unwrap(), it["end"].as_i64().unwrap())).collect()
}

/// A topic that has landed in batches of 100, most of them in two Hive partitions.
fn landed(topic: &str, partitions: i32, records: u64) -> Option<(Case<'static>, SinkConfig)> {
    landed_in(topic, partitions, records, 100)
}

fn landed_in(
    topic: &str,
    partitions: i32,
    records: u64,
    each: i64,
) -> Option<(Case<'static>, SinkConfig)> {
    let case = Case::shared(topic, partitions)?;
    let bulk = case.bulk(records);
    case.broker.produce_many(&Bulk { step_us: 25_000_000, ..bulk });
    let config = case.config().set("rotation.max_records", each);
    case.run_to_end(&config);
    Some((case, config))
}

fn key_of(case: &Case<'_>, partition: i32, first: i64) -> String {
    let name = format!("-{partition}-{first:020}.");
    let found = case.objects().into_iter().find(|object| object.key.contains(&name));
    found.unwrap_or_else(|| panic!("no object {name}")).key
}

#[test]
fn a_good_bucket_is_whole() {
    let Some((case, config)) = landed("audit-good", 2, 2000) else { return };
    case.broker.produce_raw(&case.topic, &["[1]", "not json", "{}"].map(RawRecord::of));
    case.run_to_end(&config);
    let report = Audited::json(&config, &[], 0);
    assert_eq!((&report["health"], &report["mode"]), (&"well".into(), &"metadata".into()));
    let objects = case.objects().len() as u64;
    assert_eq!(report["objects"]["looked_at"].as_u64(), Some(objects));
    let mut records = 0;
    for number in 0..2 {
        let it = partition(&report, number);
        let end = case.broker.log_bounds(&case.topic, number as i32).1;
        assert_eq!(spans(&it["covered"]), [(0, end)], "{it}");
        assert_eq!(
            (&it["group"]["state"], &it["group"]["committed"]),
            (&"mark".into(), &end.into())
        );
        assert!(it["gaps"] == serde_json::json!([]) && it["incomplete"] == serde_json::json!([]));
        records += it["records"].as_u64().unwrap();
    }
    assert_eq!(records, 2003);

    let deep = Audited::json(&config, &["--deep"], 0);
    let content = |number| &partition(&deep, number)["content"];
    let sum = |name: &str| (0..2).map(|it| content(it)[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("records"), sum("objects")), (2003, objects));
    assert_eq!(sum("not_compared"), 0);
    assert!(sum("compared") >= 20);

    let text = Audited::of(&config, &["--deep"]);
    text.says(0, &["audit-good  s3://audit-good/raw/audit-good/", "all is there, once", "[0, 100"]);
    assert!(!text.text.contains('\u{1b}'), "no colours in a file");
}

#[test]
fn every_shape_of_line_is_compared_with_kafka() {
    let shapes: [&[(&str, &str)]; 3] = [
        &[("layout.compression", "zstd"), ("records.envelope", "fields")],
        &[("layout.compression", "none"), ("records.on_tombstone", "dead_letter")],
        &[("records.on_invalid", "skip")],
    ];
    for (index, settings) in shapes.iter().enumerate() {
        let Some(case) = Case::shared(&format!("audit-shape-{index}"), 1) else { return };
        let odd =
            [Some("{ \"a\" :\n1}"), None, Some("[]"), Some("{\"k\":\"\\u00e9\"}"), Some("{}")];
        let record = |value: Option<&str>| RawRecord {
            value: value.map(|text| text.as_bytes().to_vec()),
            ..RawRecord::of("")
        };
        case.broker.produce_raw(&case.topic, &odd.map(record));
        case.produce(300);
        let config =
            settings.iter().fold(case.config(), |config, (key, value)| config.set(key, *value));
        // In the last one the path begins with a field, so that the listing is not in order of time.
        let paths = ["dt", "hour", "field:action"].map(str::to_owned);
        let paths =
            if index == 2 { vec![paths[2].clone(), paths[0].clone()] } else { paths[..2].into() };
        let config = config.set("layout.partition_by", paths);
        case.run_to_end(&config.clone().set("rotation.max_records", 50));
        let report = Audited::json(&config, &["--deep"], 0);
        let it = partition(&report, 0);
        assert_eq!(spans(&it["covered"]), [(0, 305)], "{it}");
        assert_eq!(it["content"]["not_compared"], 0, "{it}");
        assert_eq!(it["content"]["records"], it["records"]);
    }
}

#[test]
fn a_removed_object_is_missing() {
    let Some((case, config)) = landed("audit-removed", 1, 2000) else { return };
    // Of 144 records an hour each batch stands in two hours, or nearly each.
    let of = |first: i64| {
        let name = format!("-0-{first:020}.");
        case.objects().into_iter().filter(|it| it.key.contains(&name)).map(|it| it.key).collect()
    };
    let (parts, whole): (Vec<String>, Vec<String>) = (of(200), of(300));
    assert_eq!(parts.len(), 2);
    case.bucket.delete(&parts[1]);
    whole.iter().chain(&of(1900)).for_each(|key: &String| case.bucket.delete(key));

    let report = Audited::json(&config, &[], 6);
    let it = partition(&report, 0);
    assert_eq!(it["health"], "bad");
    assert_eq!(spans(&it["incomplete"]), [(200, 300)]);
    let part = &it["incomplete"][0];
    assert_eq!(
        (&part["kind"], &part["seen"], &part["wanted"]),
        (&"missing".into(), &1.into(), &2.into())
    );
    assert_eq!(spans(&it["gaps"]), [(300, 400), (1900, 2000)]);
    assert!(it["gaps"].as_array().unwrap().iter().all(|gap| gap["kind"] == "missing"), "{it}");
    assert_eq!(it["gaps"][0]["lands_at"], 300);
    assert_eq!(spans(&it["covered"]), [(0, 200), (400, 1900)]);
    let text = Audited::of(&config, &[]);
    text.says(
        6,
        &["BAD", "missing: [300, 400)", "missing: the batch [200, 300)", "1 of its 2 objects"],
    );
}

#[test]
fn copies_and_overlaps_stand_twice() {
    let Some((case, config)) = landed("audit-twice", 1, 1000) else { return };
    let key = key_of(&case, 0, 300);
    let original = case.bucket.get(&key);
    let renamed = key.replace(&format!("{:020}", 300), &format!("{:020}", 350));
    case.bucket.put(&Object { key: renamed.clone(), ..original.clone() });
    let report = Audited::json(&config, &[], 6);
    let flaw = &report["topics"][0]["contradictory"]["examples"][0];
    assert_eq!(flaw["key"], *renamed);
    assert!(flaw["reason"].as_str().unwrap().contains("It is a copy"), "{flaw}");

    // With metadata to match it is another batch of the same records.
    let mut other = Object { key: renamed.clone(), ..original };
    for (name, value) in [("first", "350"), ("base", "350"), ("pin", "other"), ("objects", "1")] {
        other.metadata.insert(name.into(), value.into());
    }
    other.metadata.insert("records".into(), "50".into());
    case.bucket.put(&other);
    let report = Audited::json(&config, &[], 6);
    let doubled = &partition(&report, 0)["doubled"];
    assert_eq!(doubled["count"], 1, "{doubled}");
    // Of the two the one that was seen last.
    let named = doubled["examples"][0]["key"].as_str().unwrap();
    assert!(named.ends_with("300.json.gz") || named == renamed, "{doubled}");
    case.bucket.delete(&renamed);
    Audited::json(&config, &[], 0);
}

#[test]
fn foreign_objects_are_named() {
    let Some((case, config)) = landed("audit-foreign", 1, 500) else { return };
    let put = |key: &str| {
        case.bucket.put(&Object { key: key.into(), body: b"x".into(), ..Default::default() });
    };
    put("raw/audit-foreign/_SUCCESS");
    put("raw/audit-foreign/dt=2026-11-20/.hidden");
    let report = Audited::json(&config, &[], 0);
    assert_eq!(report["topics"][0]["hidden"], 2);
    let ours = key_of(&case, 0, 0).replace(&format!("{:020}", 0), &format!("{:020}", 7777));
    let odd = "raw/audit-foreign/a b+c%20\u{e9}\u{1}.csv";
    put(odd);
    put(&ours);
    let report = Audited::json(&config, &[], 6);
    let foreign = &report["topics"][0]["foreign"];
    assert_eq!(foreign["count"], 2, "{foreign}");
    let keys: Vec<_> = (0..2).map(|it| foreign["examples"][it]["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&odd) && keys.contains(&&*ours), "{keys:?}");
    let text = foreign.to_string();
    assert!(
        text.contains("not written by kafka-s3-sink") && text.contains("none that this sink gives")
    );
}

#[test]
fn changed_bytes_are_found_by_a_deep_look() {
    let Some((case, config)) = landed("audit-deep", 1, 1000) else { return };
    let key = key_of(&case, 0, 300);
    let good = case.bucket.get(&key);
    let text = crate::support::bucket::Object::clone(&good);
    let lines: String = case.bucket.lines(&key).iter().map(|line| format!("{line}\n")).collect();
    let changed = lines.replacen("\"sequence\":310,", "\"sequence\":999,", 1);
    assert_ne!(changed, lines);
    let cases: [(Vec<u8>, &str); 5] = [
        (good.body[..good.body.len() - 20].to_vec(), "cannot be read to its end"),
        ([&good.body[..], &gzip("{}\n")].concat(), "more follows its first gzip member"),
        (gzip(&changed), "are of no record that Kafka has"),
        (gzip(&lines.replacen('{', "[", 1)), "is no JSON object"),
        (gzip(lines.split_once('\n').unwrap().1), "the first at offset 300"),
    ];
    for (body, words) in cases {
        case.bucket.put(&Object { body, ..text.clone() });
        Audited::json(&config, &[], 0);
        let report = Audited::json(&config, &["--deep"], 6);
        let flaws = partition(&report, 0)["content"]["flaws"].clone();
        assert!(flaws.to_string().contains(words), "{words}: {flaws}");
        assert!(flaws.to_string().contains(&*key), "{flaws}");
    }
    case.bucket.put(&good);
    let report = Audited::json(&config, &["--deep"], 0);
    assert_eq!(partition(&report, 0)["content"]["flaws"]["count"], 0);
}

#[test]
fn offsets_without_records_are_no_gaps() {
    let Some(case) = Case::shared("audit-transactions", 1) else { return };
    let transactions = Transactions::new(case.broker, "audit-transactions");
    let config = case.config().set("rotation.max_records", 20);
    let mut bulk = case.bulk(50);
    for commits in [true, false, true, false] {
        transactions.begin();
        transactions.send(&bulk);
        if commits {
            transactions.commit()
        } else {
            transactions.abort()
        }
        bulk = bulk.next();
        case.run_to_end(&config);
    }
    let end = case.broker.log_bounds(&case.topic, 0).1;
    let report = Audited::json(&config, &["--deep"], 0);
    let it = partition(&report, 0);
    assert_eq!(report["health"], "well", "{it}");
    assert_eq!(spans(&it["covered"]), [(0, end)], "{it}");
    let of = |name: &str| it["covered"][0][name].as_u64().unwrap();
    let quiet = of("without_record") + of("not_landed");
    assert_eq!((quiet, of("skipped")), (end as u64 - 100, 0), "{it}");
    assert_eq!(it["records"], 100);
}

#[test]
fn the_bucket_is_looked_at_even_if_kafka_is_away() {
    let Some((case, config)) = landed("audit-away", 1, 500) else { return };
    let away = config.set("kafka.bootstrap_servers", format!("127.0.0.1:{}", free_port()));
    let report = Audited::json(&away, &[], 5);
    assert_eq!(spans(&partition(&report, 0)["covered"]), [(0, 500)]);
    assert!(report["kafka_error"].is_string());
    // Of two hours, so that a part of the batch is left.
    case.bucket.delete(&key_of(&case, 0, 200));
    Audited::of(&away, &[]).says(6, &["missing: the batch [200, 300)", "Kafka was not asked"]);

    let no_store = away.set("s3.endpoint", format!("http://127.0.0.1:{}", free_port()));
    Audited::of(&no_store, &["--topic", "audit-away"]).says(5, &["error:", "s3.endpoint"]);
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}
