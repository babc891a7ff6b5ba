//! Nothing goes wrong here: to the end, by age, with every compression and on both Kafkas.

use super::*;

/// Runs to the end twice; the second run has nothing to do.
fn lands_once(case: &Case<'_>, config: &SinkConfig) -> Tally {
    let expected = case.produce(20_000);
    case.run_to_end(config);
    let tally = case.assert_exact(&expected);
    assert_eq!((tally.dead_letters, tally.by_hive_path.len()), (0, 2));
    let before = case.objects();
    case.run_to_end(config);
    assert_eq!(case.objects(), before, "a second run lands nothing");
    case.assert_committed();
    tally
}

#[test]
fn gzip_to_the_end_in_kafka_4() {
    let Some(case) = Case::shared("e2e-gzip", 6) else { return };
    let tally = lands_once(&case, &case.config().set("rotation.max_records", 700));
    let batches = 6 * 20_000u64.div_ceil(6).div_ceil(700);
    assert!((batches..=batches + 6).contains(&tally.objects), "{}", tally.objects);
    let first = "raw/e2e-gzip/dt=2026-11-20/hour=21/e2e-gzip-0-00000000000000000000.json.gz";
    let object = case.bucket.get(first);
    for (name, value) in [("base", "0"), ("first", "0"), ("end", "700"), ("records", "700")] {
        assert_eq!(object.metadata[name], value, "{name}");
    }
    let table = case.bucket.query("raw/e2e-gzip");
    assert_eq!((table.rows, table.distinct), (20_000, 20_000));
    assert_eq!(table.by_hive_partition, tally.by_hive_path);
}

#[test]
fn zstd_to_the_end() {
    let Some(case) = Case::shared("e2e-zstd", 4) else { return };
    lands_once(&case, &case.config().set("layout.compression", "zstd"));
    assert!(case.objects().iter().all(|object| object.key.ends_with(".json.zst")));
}

#[test]
fn plain_text_to_the_end() {
    let Some(case) = Case::shared("e2e-none", 4) else { return };
    let config = case.config().set("layout.compression", "none");
    // The largest object of a batch ends it, as it is stored.
    let tally = lands_once(&case, &config.set("rotation.max_bytes", "200KiB"));
    assert!(case.objects().iter().all(|object| object.key.ends_with(".json")));
    let largest = case.objects().iter().map(|object| object.size).max();
    assert!(largest < Some(220 << 10) && largest > Some(150 << 10), "{largest:?}");
    assert_eq!(tally.stored_bytes, tally.bytes);
}

#[test]
fn kafka_3_with_zookeeper_to_the_end() {
    let Some(minio) = Minio::shared() else { return };
    let broker = Broker::shared_v3();
    broker.create_topic("e2e-v3", 4, &[]);
    let case = Case::at(broker, minio, "e2e-v3", 4);
    lands_once(&case, &case.config().set("rotation.max_records", 1000));
}

#[test]
fn an_empty_topic_is_at_its_end() {
    let Some(case) = Case::shared("e2e-empty", 3) else { return };
    case.run_to_end(&case.config());
    assert_eq!(case.objects(), []);
    case.assert_committed();
}

#[test]
fn the_last_records_of_a_quiet_topic_land_by_age() {
    let Some(case) = Case::shared("e2e-quiet", 3) else { return };
    let mut sink = Sink::run(&case.config().set("rotation.max_age", "1s"));
    sink.wait_ready(PATIENCE);
    let bulk = case.bulk(900);
    let first = case.broker.produce_many(&bulk);
    case.wait_committed(&mut sink);
    case.assert_exact(&first);
    let second = case.broker.produce_many(&bulk.next());
    case.wait_committed(&mut sink);
    let tally = case.assert_exact(&first.and(second));
    assert!(sink.metric("kafka_s3_sink_objects_total") >= tally.objects as f64);
    let by_age = sink.metrics().into_iter().filter(|(name, _)| name.contains("max_age"));
    assert!(by_age.map(|(_, count)| count).sum::<f64>() > 0.0);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    assert_eq!(case.objects().len() as u64, tally.objects, "nothing was left to flush");
}

#[test]
fn the_endpoints_tell_what_goes_on() {
    let Some(case) = Case::shared("e2e-http", 2) else { return };
    case.produce(1000);
    let mut sink = Sink::run(&case.config().set("rotation.max_age", "1s"));
    sink.wait_ready(PATIENCE);
    case.wait_committed(&mut sink);
    assert_eq!(sink.get("/livez").expect("an answer").0, 200);
    let (ready, body) = readiness(&sink);
    assert!(ready, "{body}");
    sink.wait_for_metric("kafka_s3_sink_landed_records_total", 1000.0, PATIENCE);
    sink.wait_for_metric("kafka_s3_sink_assigned_kafka_partitions", 2.0, PATIENCE);
    let metric = |name: &str| sink.metric(&format!("kafka_s3_sink_{name}"));
    assert_eq!(metric("consumed_records_total"), 1000.0);
    assert_eq!(metric("landed_lag_records"), 0.0);
    assert_eq!((metric("ready"), metric("stopped_kafka_partitions")), (1.0, 0.0));
    assert!(metric("memory_resident_bytes") > 1e6);
    let (_, status) = sink.get("/status").expect("an answer");
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let partition = &status["kafka_partitions"][0];
    for field in ["position", "committed", "end"] {
        assert_eq!(partition[field], 500, "{field} of {partition}");
    }
    assert_eq!((sink.get("/elsewhere").expect("an answer").0), 404);
}
