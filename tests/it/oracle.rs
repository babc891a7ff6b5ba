//! The oracle itself: what the sink would write is found exact, and every flaw is found.

use std::collections::BTreeMap;
use std::io::Write;

use crate::support::bucket::{Bucket, Object, Reading, Tally};
use crate::support::kafka::Bulk;
use crate::support::minio::Minio;

/// Objects of 1,000 records of Kafka partition 0, as the sink lays them out.
fn objects(bulk: &Bulk) -> Vec<Object> {
    let mut by_hour: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for sequence in 0..bulk.count {
        let at = jiff::Timestamp::from_millisecond(bulk.timestamp_ms(sequence)).expect("a time");
        let path = at.strftime("dt=%Y-%m-%d/hour=%H").to_string();
        by_hour.entry(path).or_default().push(sequence);
    }
    let count = by_hour.len();
    by_hour.iter().map(|(path, sequences)| object(bulk, path, sequences, count)).collect()
}

fn object(bulk: &Bulk, path: &str, sequences: &[u64], objects: usize) -> Object {
    let (mut text, mut line) = (Vec::new(), Vec::new());
    for sequence in sequences {
        bulk.write_value(0, *sequence, &mut line);
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    let topic = &bulk.topic;
    let metadata = [
        ("topic", topic.clone()),
        ("partition", "0".to_owned()),
        ("base", "0".to_owned()),
        ("first", "0".to_owned()),
        ("end", bulk.count.to_string()),
        ("pin", "me-1".to_owned()),
        ("group", "g".to_owned()),
        ("layout", "l".to_owned()),
        ("objects", objects.to_string()),
        ("records", sequences.len().to_string()),
        ("bytes", text.len().to_string()),
    ];
    Object {
        key: format!("raw/{topic}/{path}/{topic}-0-{:020}.json.gz", 0),
        body: gzip(&text),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value)).into(),
        content_type: Some("application/gzip".to_owned()),
        content_encoding: None,
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// A bucket with those objects after a change, read by the oracle.
fn read_changed(minio: &Minio, name: &str, change: impl Fn(&mut Vec<Object>)) -> Tally {
    let bucket = Bucket::create(minio, name);
    let bulk = Bulk { step_us: 5_000_000, ..Bulk::new("orders", 1, 1000) };
    let mut objects = objects(&bulk);
    assert_eq!(objects.len(), 2, "half an hour, then the next");
    change(&mut objects);
    objects.iter().for_each(|object| bucket.put(object));
    bucket.read(&Reading::of("orders"), &bulk.expected())
}

#[test]
fn what_the_sink_would_write_is_exact() {
    let Some(minio) = Minio::shared() else { return };
    let tally = read_changed(minio, "oracle-exact", |_| ());
    tally.assert_exact();
    assert_eq!((tally.records, tally.objects, tally.dead_letters), (1000, 2, 0));
    let hours: Vec<_> = tally.by_hive_path.iter().map(|(path, n)| (path.as_str(), *n)).collect();
    assert_eq!(hours, [("dt=2026-11-20/hour=21", 360), ("dt=2026-11-20/hour=22", 640)]);
}

#[test]
fn duckdb_sees_the_same_table() {
    let Some(minio) = Minio::shared() else { return };
    let tally = read_changed(minio, "oracle-duckdb", |_| ());
    let table = Bucket::of(minio, "oracle-duckdb").query("raw/orders");
    assert_eq!((table.rows, table.distinct), (1000, 1000));
    assert_eq!(table.by_hive_partition, tally.by_hive_path);
    assert_eq!(table.by_kafka_partition, BTreeMap::from([("0".to_owned(), 1000)]));
    assert!(table.hive_key_types.values().all(|kind| kind == "VARCHAR"), "{table:?}");
}

#[test]
fn a_missing_object_is_found() {
    let Some(minio) = Minio::shared() else { return };
    let tally = read_changed(minio, "oracle-missing", |objects| drop(objects.pop()));
    assert_eq!((tally.missing.count, tally.doubled.count), (640, 0));
    assert_eq!(tally.missing.examples[0], "0/360");
    assert!(tally.problems.examples[0].contains("1 objects of 2"), "{tally:?}");
}

#[test]
fn a_doubled_object_is_found() {
    let Some(minio) = Minio::shared() else { return };
    let tally = read_changed(minio, "oracle-doubled", |objects| {
        let mut copy = objects[0].clone();
        copy.key = copy.key.replace("00.json.gz", "07.json.gz");
        copy.metadata.insert("first".to_owned(), "7".to_owned());
        objects.push(copy);
    });
    assert_eq!((tally.missing.count, tally.doubled.count), (0, 360));
    assert!(tally.problems.examples.iter().any(|problem| problem.contains("overlap")));
}

#[test]
fn every_flaw_of_an_object_is_found() {
    let Some(minio) = Minio::shared() else { return };
    type Flaw = (&'static str, &'static str, fn(&mut Object));
    let flaws: [Flaw; 8] = [
        ("members", "follow its first gzip member", |object| {
            object.body.extend(gzip(b"{}\n"));
        }),
        ("truncated", "gzip:", |object| {
            object.body.pop();
        }),
        ("scalar", "no JSON object", |object| object.body = gzip(b"[1,2,3]\n")),
        ("counts", "records: says", |object| {
            object.metadata.insert("records".to_owned(), "1".to_owned());
        }),
        ("hour", "holds records of", |object| {
            object.key = object.key.replace("hour=21", "hour=20");
        }),
        ("name", "its name does not begin", |object| {
            object.metadata.insert("first".to_owned(), "3".to_owned());
        }),
        ("encoding", "content encoding", |object| {
            object.content_encoding = Some("gzip".to_owned());
        }),
        ("carriage", "raw CR", |object| object.body = gzip(b"{\r}\n")),
    ];
    for (name, wanted, flaw) in flaws {
        let tally = read_changed(minio, &format!("oracle-{name}"), |objects| flaw(&mut objects[0]));
        let found = tally.problems.examples.iter().any(|problem| problem.contains(wanted));
        assert!(found, "{name}: {tally:?}");
    }
}
