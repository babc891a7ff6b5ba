//! Offsets that are not where the objects are: set back on purpose, deleted, set by hand, or of
//! another group on the same prefix.

use super::*;

/// Lands records in batches of 100, and returns what must be found and the offsets as they stood
/// when about a third had landed.
fn landed(case: &Case<'_>, config: &SinkConfig) -> (Expected, Vec<String>) {
    let bulk = case.bulk(1200);
    let first = case.broker.produce_many(&bulk);
    let config = config.clone().set("rotation.max_records", 100);
    case.run_to_end(&config);
    let marks = (0..case.partitions)
        .map(|number| case.broker.committed(&case.group(), &case.topic, number).metadata)
        .collect();
    let second = case.broker.produce_many(&Bulk { count: 2400, ..bulk.next() });
    case.run_to_end(&config);
    (first.and(second), marks)
}

#[test]
fn batches_behind_a_mark_that_was_set_back_are_adopted() {
    let Some(case) = Case::shared("e2e-adopt", 4) else { return };
    let config = case.config().set("rotation.max_age", "1s");
    let (expected, marks) = landed(&case, &config);
    let before = case.objects();
    case.assert_exact(&expected);
    for (number, mark) in marks.iter().enumerate() {
        case.broker.restore_offset(&case.group(), &case.topic, number as i32, 300, mark);
    }
    // Other limits, so that no batch would end where it did.
    let mut sink = Sink::run_until_end(&config.set("rotation.max_records", 70));
    sink.wait_success(PATIENCE);
    assert_eq!(sink.log().matches("adopts a batch").count(), 4 * 6, "{}", sink.log());
    assert_eq!(case.objects(), before, "nothing was put");
    case.assert_exact(&expected);
}

#[test]
fn the_head_of_a_chain_that_was_removed_is_put_again() {
    let Some(case) = Case::shared("e2e-adopt-gone", 2) else { return };
    let (expected, marks) = landed(&case, &case.config());
    for (number, mark) in marks.iter().enumerate() {
        case.broker.restore_offset(&case.group(), &case.topic, number as i32, 600, mark);
        let name = format!("-{number}-{:020}.", 700);
        let gone = case.objects().into_iter().find(|object| object.key.contains(&name));
        case.bucket.delete(&gone.expect("its object").key);
    }
    case.run_to_end(&case.config().set("rotation.max_records", 100));
    case.assert_exact(&expected);
}

#[test]
fn a_deleted_group_stops_the_sink_whatever_the_settings_say() {
    let Some(case) = Case::shared("e2e-lost", 2) else { return };
    let config = case.config().set("rotation.max_age", "1s");
    let (expected, _) = landed(&case, &config);
    case.broker.delete_group(&case.group());
    let before = case.objects();

    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("kafka.on_lost_offsets = \"start\""), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    assert_eq!((case.objects(), case.committed(0).0), (before.clone(), None));

    let start = config.set("kafka.on_lost_offsets", "start").set("rotation.max_records", 33);
    let mut sink = Sink::run(&start);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("up to offset 1800") && line.contains("recover"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    assert_eq!(case.objects(), before);
    case.read(&expected).assert_exact();
}

#[test]
fn an_offset_set_by_hand_stops_the_sink() {
    let Some(case) = Case::shared("e2e-by-hand", 2) else { return };
    let (expected, _) = landed(&case, &case.config());
    case.broker.set_offset(&case.group(), &case.topic, 1, 5);
    let mut sink = Sink::run(&case.config());
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("e2e-by-hand[1]") && line.contains("offset 5"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.read(&expected).assert_exact();
}

#[test]
fn another_group_on_the_same_prefix_overwrites_nothing() {
    let Some(case) = Case::shared("e2e-second", 2) else { return };
    let (expected, _) = landed(&case, &case.config());
    let before = case.objects();
    let other = case.config().set("kafka.group_id", "e2e-second-other");
    let mut sink = Sink::run(&other);
    wait_stopped(&mut sink, "lost_offsets");
    drop(sink);
    let insists = other.set("kafka.on_lost_offsets", "start").set("rotation.max_age", "1s");
    let mut sink = Sink::run(&insists);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("layout.prefix"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    assert_eq!(case.objects(), before);
    case.assert_exact(&expected);
}

#[test]
fn an_object_of_somebody_else_is_never_overwritten() {
    let Some(case) = Case::shared("e2e-foreign", 1) else { return };
    let bulk = case.bulk(200);
    let first = case.broker.produce_many(&bulk);
    case.run_to_end(&case.config());
    let second = case.broker.produce_many(&bulk.next());
    let mine = case.objects()[0].key.clone();
    let foreign = crate::support::bucket::Object {
        // Half an hour past nine, and 200 records an hour.
        key: mine
            .replace(&format!("{:020}", 0), &format!("{:020}", 200))
            .replace("hour=21", "hour=22"),
        body: b"not ours".to_vec(),
        ..Default::default()
    };
    case.bucket.put(&foreign);
    let mut sink = Sink::run_until_end(&case.config());
    assert_eq!(sink.wait(PATIENCE).status.code(), Some(4));
    let log = sink.log();
    assert!(log.contains("name_taken") && log.contains("not written by kafka-s3-sink"), "{log}");
    assert_eq!(case.bucket.get(&foreign.key).body, foreign.body);
    // As the message says: move it away and restart.
    case.bucket.delete(&foreign.key);
    case.run_to_end(&case.config());
    case.assert_exact(&first.and(second));
}
