use std::collections::HashSet;

use serde_json::Value;

use super::*;

fn shape() -> EventShape {
    EventShape { start_ms: 1_795_000_000_000, ..EventShape::default() }
}

fn take(seed: u64, shape: EventShape, count: usize) -> Vec<SampleEvent> {
    Events::new(seed, shape).take(count).collect()
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_gives_others() {
    assert_eq!(take(7, shape(), 500), take(7, shape(), 500));
    assert_ne!(take(7, shape(), 500), take(8, shape(), 500));
}

#[test]
fn sound_values_are_objects_of_one_schema_and_of_about_the_size() {
    for size in [500, 2_000, 100_000] {
        for event in take(1, EventShape { size, ..shape() }, 200) {
            let value = event.value.unwrap();
            assert!(value.len().abs_diff(size) <= 64, "{} for {size}", value.len());
            let json: Value = serde_json::from_slice(&value).unwrap();
            assert_eq!(json["sequence"], event.sequence);
            assert_eq!(json["event_time_ms"], event.timestamp_ms);
            let iso: jiff::Timestamp = json["event_time"].as_str().unwrap().parse().unwrap();
            assert_eq!(iso.as_millisecond(), event.timestamp_ms);
            assert_eq!(json["user"]["id"].as_str().unwrap().as_bytes(), event.key.unwrap());
            assert!(json["amount"].as_f64().unwrap() > 0.0);
            assert!(!json["items"].as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn small_values_keep_to_a_smaller_schema() {
    for event in take(2, EventShape { size: 100, ..shape() }, 200) {
        let value = event.value.unwrap();
        assert!(value.len() < 220, "{}", value.len());
        let json: Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(json["sequence"], event.sequence);
        assert!(json.get("note").is_none());
    }
}

#[test]
fn every_value_tells_its_number() {
    let shape = EventShape { invalid_share: 0.3, first_sequence: 1_000, ..shape() };
    for (place, event) in take(3, shape, 2_000).into_iter().enumerate() {
        assert_eq!(event.sequence, 1_000 + place as u64);
        let value = event.value.unwrap();
        assert_eq!(sequence_of(&value), Some(event.sequence));
        let is_object = serde_json::from_slice::<serde_json::Map<String, Value>>(&value).is_ok();
        assert_eq!(is_object, event.kind == SampleKind::Sound, "{}", value.escape_ascii());
    }
}

#[test]
fn no_number_is_read_where_there_is_none() {
    assert_eq!(sequence_of(b"{}"), None);
    assert_eq!(sequence_of(br#"{"sequence":"#), None);
    assert_eq!(sequence_of(br#"{"sequence":"7"}"#), None);
    assert_eq!(sequence_of(br#"{"sequence":99999999999999999999999}"#), None);
}

#[test]
fn shares_are_kept() {
    let shape =
        EventShape { late_share: 0.1, tombstone_share: 0.05, invalid_share: 0.02, ..shape() };
    let events = take(4, shape.clone(), 20_000);
    let count = |kind| events.iter().filter(|event| event.kind == kind).count();
    assert!(count(SampleKind::Tombstone).abs_diff(1_000) < 150);
    assert!(count(SampleKind::Invalid).abs_diff(380) < 100);
    let due = |event: &SampleEvent| shape.start_ms + event.sequence as i64;
    let late = events.iter().filter(|event| event.timestamp_ms < due(event)).count();
    assert!(late.abs_diff(2_000) < 200, "{late}");
    for event in &events {
        assert!((0..=shape.late_by_ms).contains(&(due(event) - event.timestamp_ms)));
        assert_eq!(event.value.is_none(), event.kind == SampleKind::Tombstone);
    }
}

#[test]
fn time_moves_on_by_steps_below_a_millisecond_too() {
    let events = take(5, EventShape { step_us: 250, ..shape() }, 9);
    let times: Vec<_> = events.iter().map(|event| event.timestamp_ms - shape().start_ms).collect();
    assert_eq!(times, [0, 0, 0, 0, 1, 1, 1, 1, 2]);
}

#[test]
fn keys_are_as_many_as_asked_for_and_may_be_null() {
    let keys: HashSet<_> = Events::new(6, EventShape { key_cardinality: 50, ..shape() })
        .take(5_000)
        .map(|event| event.key)
        .collect();
    assert_eq!(keys.len(), 50);
    assert!(
        take(6, EventShape { key_cardinality: 0, ..shape() }, 50)
            .iter()
            .all(|event| event.key.is_none())
    );
}

#[test]
fn headers_are_there_and_some_are_null() {
    let events = take(7, shape(), 1_000);
    assert!(events.iter().all(|event| event.headers[0].0 == "content-type"));
    let null = events.iter().filter(|event| event.headers.iter().any(|(_, value)| value.is_none()));
    assert!((30..120).contains(&null.count()));
}
