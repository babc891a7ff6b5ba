//! What a scrape reads off the status.

use super::*;

/// The gauges of a scrape at `NOW`.
fn at_now(partitions: Vec<KafkaPartitionStatus>) -> String {
    let status = Status::new();
    status.update(0, partitions);
    let mut define = Definer::new();
    snapshot::describe(&mut define, &status, NOW);
    TextEncoder::new().encode_to_string(&define.registry.gather()).unwrap()
}

fn gauge(text: &str, name: &str, number: i32) -> Option<f64> {
    let name = format!("kafka_s3_sink_{name}{{partition=\"{number}\",topic=\"orders\"}}");
    series(text).get(name.as_str()).copied()
}

#[test]
fn lags_are_told_in_records_and_in_seconds() {
    let text = at_now(vec![behind(0)]);
    assert_eq!(gauge(&text, "consumed_lag_records", 0), Some(10.0));
    assert_eq!(gauge(&text, "landed_lag_records", 0), Some(60.0));
    assert_eq!(gauge(&text, "consumed_lag_seconds", 0), Some(5.0));
    assert_eq!(gauge(&text, "landed_lag_seconds", 0), Some(60.0));
    assert_eq!(gauge(&text, "oldest_unlanded_age_seconds", 0), Some(30.0));
    assert_eq!(gauge(&text, "landing_stalled_seconds", 0), Some(45.0));
    assert_eq!(value(&text, "kafka_s3_sink_max_age_seconds{topic=\"orders\"}"), 1.5);
}

/// Nothing of what it had read is held any more, and its records wait in Kafka all the same.
#[test]
fn a_stopped_one_is_not_told_as_caught_up() {
    let let_go = KafkaPartitionStatus {
        oldest_unlanded_read_at: None,
        oldest_unlanded_time: None,
        ..stopped(0)
    };
    let text = at_now(vec![let_go]);
    for name in ["oldest_unlanded_age_seconds", "landed_lag_seconds"] {
        assert_eq!(gauge(&text, name, 0), None, "{name}");
    }
    assert_eq!(gauge(&text, "landing_stalled_seconds", 0), Some(45.0));
    assert_eq!(gauge(&text, "landed_lag_records", 0), Some(60.0));
}

#[test]
fn who_has_caught_up_lags_by_nothing_however_old_the_last_record_is() {
    let end = Some(Offset(100));
    let caught_up = KafkaPartitionStatus {
        position: end,
        committed: end,
        oldest_unlanded_read_at: None,
        waiting_since: None,
        ..behind(0)
    };
    let text = at_now(vec![caught_up]);
    for name in ["consumed_lag_records", "landed_lag_records"] {
        assert_eq!(gauge(&text, name, 0), Some(0.0), "{name}");
    }
    for name in ["consumed_lag_seconds", "landed_lag_seconds", "oldest_unlanded_age_seconds"] {
        assert_eq!(gauge(&text, name, 0), Some(0.0), "{name}");
    }
    assert_eq!(gauge(&text, "landing_stalled_seconds", 0), Some(0.0));
}

#[test]
fn a_lag_that_is_not_known_is_not_told_as_nothing() {
    let text = at_now(vec![held(0)]);
    assert_eq!(gauge(&text, "consumed_lag_records", 0), None);
    assert_eq!(gauge(&text, "landed_lag_seconds", 0), None);
    let timeless = KafkaPartitionStatus { last_read_time: None, ..behind(0) };
    let text = at_now(vec![timeless]);
    assert_eq!(gauge(&text, "consumed_lag_records", 0), Some(10.0));
    assert_eq!(gauge(&text, "consumed_lag_seconds", 0), None);
}

#[test]
fn a_timestamp_from_the_future_is_no_lag() {
    let text = at_now(vec![KafkaPartitionStatus { last_read_time: ago(-3600), ..behind(0) }]);
    assert_eq!(gauge(&text, "consumed_lag_seconds", 0), Some(0.0));
}

#[test]
fn what_is_revoked_has_no_series_any_more() {
    let metrics = Metrics::new();
    let status = Status::new();
    status.update(0, vec![behind(0), stopped(1)]);
    let before = metrics.render(&status);
    assert_eq!(gauge(&before, "landed_lag_records", 1), Some(60.0));
    assert_eq!(value(&before, "kafka_s3_sink_assigned_kafka_partitions"), 2.0);
    status.update(0, vec![behind(0)]);
    let after = metrics.render(&status);
    assert_eq!(gauge(&after, "landed_lag_records", 0), Some(60.0));
    assert!(!after.contains("partition=\"1\""), "{after}");
    assert_eq!(value(&after, "kafka_s3_sink_assigned_kafka_partitions"), 1.0);
}

#[test]
fn a_stop_is_told_with_its_reason_and_counted() {
    let text = at_now(vec![behind(0), stopped(1)]);
    let name = "kafka_s3_sink_kafka_partition_stopped\
                {partition=\"1\",reason=\"lost_offsets\",topic=\"orders\"}";
    assert_eq!(value(&text, name), 1.0);
    assert_eq!(value(&text, "kafka_s3_sink_stopped_kafka_partitions"), 1.0);
    assert_eq!(value(&text, "kafka_s3_sink_paused_kafka_partitions"), 1.0);
}

#[test]
fn readiness_is_told_as_a_whole_and_by_condition() {
    let metrics = Metrics::new();
    let status = Status::new();
    let broker = "kafka_s3_sink_ready_condition{condition=\"broker_reachable\"}";
    let text = metrics.render(&status);
    assert_eq!((value(&text, "kafka_s3_sink_ready"), value(&text, broker)), (0.0, 0.0));
    status.met(Condition::BrokerReachable);
    status.met(Condition::GroupAnswered);
    status.met(Condition::StoreReachable);
    let text = metrics.render(&status);
    assert_eq!((value(&text, "kafka_s3_sink_ready"), value(&text, broker)), (1.0, 1.0));
}
