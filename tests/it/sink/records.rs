//! What becomes of records of every shape: lines, dead letters, envelopes, odd names, sizes and
//! times.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::support::kafka::RawRecord;

/// A record with a timestamp of 2026 unless it has one.
fn at(mut record: RawRecord) -> RawRecord {
    record.timestamp_ms = record.timestamp_ms.or(Some(1_795_210_200_000));
    record
}

fn raw(value: &[u8]) -> RawRecord {
    at(RawRecord::of(value))
}

/// The `_kafka` members of the table, in order of their offsets.
fn origins(case: &Case<'_>) -> Vec<Value> {
    let mut origins: Vec<Value> = case.rows().iter().map(|row| row["_kafka"].clone()).collect();
    origins.sort_by_key(|origin| origin["offset"].as_i64());
    origins
}

fn offsets(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["offset"].as_i64().expect("an offset")).collect()
}

#[test]
fn what_is_no_json_object_is_a_dead_letter_with_every_byte() {
    let Some(case) = Case::shared("e2e-dead", 1) else { return };
    let wrong: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{\"a\":\"\xff\xfe\"}", "not_utf8"),
        (b"{\"a\":1", "not_json"),
        (b"{\"a\":1} {\"b\":2}", "not_json"),
        (b"[1,2]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"\"text\"", "not_an_object"),
    ];
    let mut records: Vec<RawRecord> = wrong.iter().map(|(value, _)| raw(value)).collect();
    records[0].key = Some(b"\xff".to_vec());
    records[1].key = Some(b"text".to_vec());
    records[2].headers = vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)];
    records.push(at(RawRecord::default()));
    records.push(raw(b"{\n\t\"good\" :\r\n 1}\n"));
    records.push(raw(&[b"{\"large\":\"".as_slice(), &[b'x'; 70_000], b"\"}"].concat()));
    case.broker.produce_raw(&case.topic, &records);
    let config = case.config().set("records.max_bytes", "64KiB");
    case.run_to_end(&config.set("records.on_tombstone", "dead_letter"));

    case.read(&Expected::default()).assert_exact();
    case.assert_committed();
    assert_eq!(case.rows(), [serde_json::json!({"good": 1})]);
    let mut dead = case.dead_letters();
    dead.sort_by_key(|letter| letter["offset"].as_i64());
    assert_eq!(offsets(&dead), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    for (letter, (value, reason)) in dead.iter().zip(wrong) {
        assert_eq!(
            (&letter["reason"], &letter["value"]),
            (&reason.into(), &STANDARD.encode(value).into())
        );
        assert_eq!(letter["topic"], "e2e-dead");
    }
    assert_eq!((&dead[8]["reason"], &dead[8]["value"]), (&"tombstone".into(), &Value::Null));
    assert_eq!(dead[9]["reason"], "too_large");
    assert_eq!((&dead[0]["key_base64"], &dead[1]["key"]), (&"/w==".into(), &"text".into()));
    assert_eq!(dead[3]["key"], Value::Null);
    let headers = serde_json::json!([{"key": "h", "value": "1"}, {"key": "h", "value": null}]);
    assert_eq!(dead[2]["headers"], headers);
}

#[test]
fn invalid_records_stop_or_are_skipped_as_configured() {
    let Some(case) = Case::shared("e2e-invalid", 2) else { return };
    let good = |partition, value: &str| RawRecord { partition, ..raw(value.as_bytes()) };
    case.broker.produce_raw(
        &case.topic,
        &[good(0, r#"{"n":0}"#), good(0, "no"), good(0, r#"{"n":2}"#), good(1, r#"{"n":3}"#)],
    );
    let config = case.config().set("records.on_invalid", "stop").set("rotation.max_age", "1s");
    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "invalid_record");
    assert!(line.contains("offset 1"), "{line}");
    case.wait_until(&mut sink, "what came before to land", || case.committed(0).0 == Some(1));
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let mut to_the_end = Sink::run_until_end(&config);
    assert_eq!(to_the_end.wait(PATIENCE).status.code(), Some(4), "one has stopped");
    assert_eq!(case.rows().len(), 2);

    let mut sink = Sink::run_until_end(&config.set("records.on_invalid", "skip"));
    sink.wait_success(PATIENCE);
    assert!(sink.log().contains("skipped"), "{}", sink.log());
    let mut numbers: Vec<_> = case.rows().iter().map(|row| row["n"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(0), Some(2), Some(3)]);
    case.assert_committed();
}

#[test]
fn the_envelope_keeps_keys_headers_and_offsets() {
    let Some(case) = Case::shared("e2e-fields", 1) else { return };
    let mut records: Vec<RawRecord> = (0..500).map(|_| raw(b"{\"a\":[1.50]}")).collect();
    records[1].key = Some(b"k1".to_vec());
    records[2] = raw(b"{}");
    records[2].headers = vec![("trace".into(), Some(b"x".to_vec()))];
    records[3] = raw(br#"{"_kafka":1}"#);
    case.broker.produce_raw(&case.topic, &records);
    case.run_to_end(
        &case.config().set("records.envelope", "fields").set("rotation.max_records", 100),
    );
    case.read(&Expected::default()).assert_exact();
    case.assert_committed();
    let origins = origins(&case);
    assert_eq!(offsets(&origins), (0..500).filter(|offset| *offset != 3).collect::<Vec<_>>());
    assert_eq!((&origins[0]["key"], &origins[1]["key"]), (&Value::Null, &"k1".into()));
    assert_eq!(origins[0]["timestamp"], 1_795_210_200_000_i64);
    assert_eq!(origins[2]["headers"][0]["key"], "trace");
    assert_eq!(case.dead_letters()[0]["reason"], "envelope_conflict");
    let first = case.bucket.list("raw/").remove(0).key;
    let lines = case.bucket.lines(&first);
    assert!(lines[0].starts_with(r#"{"a":[1.50],"_kafka":{"#), "the value's bytes: {}", lines[0]);
}

#[test]
fn absurd_times_stand_in_one_known_place() {
    let Some(case) = Case::shared("e2e-times", 1) else { return };
    let year_9999 = 253_370_764_800_000;
    // Not 0, which the producer takes for "now".
    let times = [-1, 1, 86_400_000, 946_684_799_999, 946_684_800_000, 4_102_444_800_000, year_9999];
    let record = |ms: &i64| RawRecord { timestamp_ms: Some(*ms), ..RawRecord::of("{\"a\":1}") };
    let records: Vec<RawRecord> = times.iter().map(record).collect();
    case.broker.produce_raw(&case.topic, &records);
    let mut sink = Sink::run(&case.config().set("rotation.max_age", "1s"));
    case.wait_committed(&mut sink);
    sink.wait_for_metric("kafka_s3_sink_unusable_timestamps_total", 6.0, PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let tally = case.read(&Expected::default());
    let paths: Vec<_> = tally.by_hive_path.into_iter().collect();
    let expected = [("dt=1970-01-01/hour=00", 6), ("dt=2000-01-01/hour=00", 1)];
    assert_eq!(paths, expected.map(|(path, count)| (path.to_owned(), count)));
    case.assert_committed();
}

#[test]
fn records_of_one_and_ten_mebibytes() {
    let Some(case) = Case::shared("e2e-large", 1) else { return };
    case.broker.configure_topic(&case.topic, &[("max.message.bytes", "33554432")]);
    let large = |size: usize| {
        // Text that does not compress to nothing.
        let text: String =
            (0..size / 8).map(|n| format!("{:08x}", (n * 2_654_435_761) & 0xffff_ffff)).collect();
        raw(format!("{{\"text\":\"{text}\"}}").as_bytes())
    };
    let sizes = [1 << 20, 10 << 20, 15 << 20, 17 << 20, 1 << 20];
    case.broker.produce_raw(&case.topic, &sizes.map(large));
    case.run_to_end(&case.config().set("memory.limit", "256MiB").set("records.envelope", "fields"));
    case.read(&Expected::default()).assert_exact();
    case.assert_committed();
    assert_eq!(offsets(&origins(&case)), [0, 1, 2, 4]);
    assert_eq!(offsets(&case.dead_letters()), [3]);
}

#[test]
fn odd_names_of_topics_and_fields() {
    // MinIO keeps names as file names: 255 bytes for the last part of a key.
    let long = format!("E2E.{}-odd_Name", "x".repeat(211));
    assert_eq!(long.len() + "-0-00000000000000000000.json.gz".len(), 255);
    let Some(minio) = Minio::shared() else { return };
    let broker = Broker::shared_v4();
    broker.create_topic(&long, 1, &[]);
    let case = Case { topic: long.clone(), ..Case::at(broker, minio, "e2e-odd", 1) };
    let values = ["EU", "eu", "a/b:c%d", "  ", "Zürich ☃", "..", "", "a\u{0}b"];
    let mut records: Vec<RawRecord> = values
        .iter()
        .map(|value| raw(serde_json::json!({"Region_1": value}).to_string().as_bytes()))
        .collect();
    for odd in [r#"{}"#, r#"{"Region_1":null}"#, r#"{"Region_1":{"a":1}}"#, r#"{"Region_1":-7.5}"#]
    {
        records.push(raw(odd.as_bytes()));
    }
    broker.produce_raw(&long, &records);
    let partition_by = vec!["field:Region_1".to_owned(), "dt".to_owned()];
    case.run_to_end(
        &case.config().set("layout.partition_by", partition_by).set("records.envelope", "fields"),
    );
    case.read(&Expected::default()).assert_exact();
    case.assert_committed();
    assert_eq!(offsets(&origins(&case)), (0..12).collect::<Vec<_>>());
    let paths = case.read(&Expected::default()).by_hive_path;
    for path in paths.keys() {
        let level = path.strip_suffix("/dt=2026-11-20").expect(path);
        let value = level.strip_prefix("region_1=").expect(path);
        let clean = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        assert!(!value.is_empty() && value.chars().all(clean), "{path}");
    }
    assert!(paths["region_1=eu/dt=2026-11-20"] == 2, "one path for EU and eu: {paths:?}");
}

#[test]
fn each_topic_may_differ() {
    let Some(case) = Case::shared("e2e.differs", 2) else { return };
    let other = "e2e-plain";
    case.broker.create_topic(other, 2, &[]);
    let config = case
        .config()
        .set("kafka.topics", vec![case.topic.clone(), other.to_owned()])
        .set("topic.\"e2e.differs\".records.envelope", "fields")
        .set("topic.\"e2e.differs\".layout.compression", "zstd")
        .set("topic.\"e2e.differs\".layout.partition_by", vec!["dt".to_owned()])
        .set("topic.\"e2e.differs\".rotation.max_records", 100);
    let expected = case.produce(2000);
    let plain = case.broker.produce_many(&Bulk::new(other, 2, 2000));
    case.run_to_end(&config);
    let tally = case.assert_exact(&expected);
    assert_eq!(tally.objects, 20);
    assert_eq!(tally.by_hive_path.into_keys().collect::<Vec<_>>(), ["dt=2026-11-20"]);
    assert!(case.objects().iter().all(|object| object.key.ends_with(".json.zst")));
    assert!(case.rows().iter().all(|row| row["_kafka"]["topic"] == "e2e.differs"));
    let tally = case.bucket.read(&Reading::of(other), &plain);
    tally.assert_exact();
    assert_eq!((tally.records, tally.objects), (2000, 2));
}
