//! What a user insists on: to start at an offset of his own, to share a bucket, to leave a place
//! for another one while a batch is begun there.

use kafka_s3_sink::config::load_str;
use kafka_s3_sink::pipeline::{Metadata, Pin, decode_metadata, encode_metadata};
use kafka_s3_sink::record::{Layout, Offset};

use super::*;
use crate::recover::Recovered;
use crate::support::bucket::Object;
use crate::support::kafka::RawRecord;

/// Three batches of 100 have landed of each Kafka partition.
fn landed(topic: &str, partitions: i32) -> Option<(Case<'static>, SinkConfig, Bulk, Expected)> {
    let case = Case::shared(topic, partitions)?;
    let config = case.config().set("rotation.max_age", "1s").set("rotation.max_records", 100);
    let bulk = case.bulk(300 * partitions as u64);
    let expected = case.broker.produce_many(&bulk);
    case.run_to_end(&config);
    Some((case, config, bulk, expected))
}

/// The log begins in the middle of a batch, and the group is gone: everything would be doubled.
#[test]
fn a_start_in_the_middle_of_a_batch_doubles_nothing() {
    let Some((case, config, bulk, expected)) = landed("e2e-mid-batch", 2) else { return };
    case.broker.delete_group(&case.group());
    case.broker.delete_records(&case.topic, 0, 150);
    let start = config.clone().set("kafka.on_lost_offsets", "start");
    let mut sink = Sink::run(&start);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("up to offset 300"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.read(&expected).assert_exact();
    // As the message says.
    Recovered::of(&start, &["--apply"]).says(0, &["the end of the last"]);
    let more = case.broker.produce_many(&bulk.next());
    case.run_to_end(&start);
    case.assert_exact(&expected.and(more));
}

/// The bucket ends at 300, and Kafka has lost what came after: that is told.
#[test]
fn what_an_insisted_start_passes_over_is_told() {
    let Some((case, config, bulk, expected)) = landed("e2e-passed-over", 1) else { return };
    let more = case.broker.produce_many(&bulk.next());
    case.broker.delete_group(&case.group());
    case.broker.delete_records(&case.topic, 0, 420);
    let mut sink = Sink::run(&config.set("kafka.on_lost_offsets", "start"));
    let line = sink.wait_for_log("offsets are passed over", PATIENCE);
    assert!(line.contains("[300, 420)"), "{line}");
    sink.wait_for_metric("kafka_s3_sink_lost_records_total", 120.0, PATIENCE);
    case.wait_committed(&mut sink);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let tally = case.read(&expected.and(more));
    assert_eq!((tally.missing.count, tally.doubled.count, tally.problems.count), (120, 0, 0));
}

/// Only the one whose offset somebody set is asked about, and followed where nothing stands.
#[test]
fn an_offset_set_by_hand_is_followed_past_what_landed() {
    let Some((case, config, bulk, expected)) = landed("e2e-set-past", 2) else { return };
    let more = case.broker.produce_many(&bulk.next());
    case.broker.set_offset(&case.group(), &case.topic, 1, 450);
    case.run_to_end(&config.set("kafka.on_lost_offsets", "start"));
    let tally = case.read(&expected.and(more));
    assert_eq!((tally.missing.count, tally.doubled.count, tally.problems.count), (150, 0, 0));
    case.assert_committed();
}

/// Dead letters too stand under the prefix of their table.
#[test]
fn two_groups_with_a_prefix_each_share_a_bucket() {
    let Some(case) = Case::shared("e2e-two-groups", 1) else { return };
    let values: Vec<_> = ["[]", "{\"a\":1}", "no"].map(RawRecord::of).into();
    case.broker.produce_raw(&case.topic, &values);
    case.run_to_end(&case.config());
    let other = case.config().set("kafka.group_id", "e2e-two-groups-other");
    case.run_to_end(&other.set("layout.prefix", "second"));
    for prefix in ["raw", "second"] {
        let lines = |root: String| case.lines(&root).len();
        assert_eq!(lines(format!("{prefix}/{}/", case.topic)), 1, "{prefix}");
        assert_eq!(lines(format!("dead-letters/{prefix}/{}/", case.topic)), 2, "{prefix}");
    }
}

/// A topic of which only dead letters have landed is no first start either.
#[test]
fn dead_letters_alone_tell_lost_offsets_from_a_first_start() {
    let Some(case) = Case::shared("e2e-only-dead", 1) else { return };
    case.broker.produce_raw(&case.topic, &[RawRecord::of("no")]);
    case.run_to_end(&case.config());
    case.broker.delete_group(&case.group());
    let mut sink = Sink::run(&case.config().set("kafka.start", "latest"));
    wait_stopped(&mut sink, "lost_offsets");
}

/// A foreign object stands where the next batch begins, and the user moves on to another prefix.
#[test]
fn a_batch_whose_name_is_taken_is_given_up_for_another_prefix() {
    let Some((case, config, bulk, expected)) = landed("e2e-give-up", 1) else { return };
    let first = case.objects().remove(0).key;
    let key = first.replace(&format!("{:020}", 0), &format!("{:020}", 300));
    let second = Bulk { step_us: 0, ..bulk.next() };
    let foreign = Object { key, body: b"not ours".to_vec(), ..Default::default() };
    case.bucket.put(&foreign);
    let more = case.broker.produce_many(&second);
    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "name_taken");
    assert!(line.contains("recover --drop-pins"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);

    let elsewhere = config.set("layout.prefix", "elsewhere");
    let mut sink = Sink::run(&elsewhere);
    wait_stopped(&mut sink, "name_taken");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    Recovered::of(&elsewhere, &["--drop-pins"]).says(0, &["of which nothing was put", "[300, "]);
    Recovered::of(&elsewhere, &["--drop-pins", "--apply"]).says(0, &[]);
    case.run_to_end(&elsewhere);
    assert_eq!(case.bucket.get(&foreign.key).body, foreign.body);
    case.bucket.delete(&foreign.key);
    case.read(&expected).assert_exact();
    let table = format!("elsewhere/{}/", case.topic);
    let reading = Reading { table, ..Reading::of(&case.topic) };
    case.bucket.read(&reading, &more).assert_exact();
    case.assert_committed();
}

/// A batch that was begun for a bucket that is gone for good.
#[test]
fn a_batch_for_a_bucket_that_is_gone_is_given_up() {
    let Some((case, config, ..)) = landed("e2e-gone-bucket", 1) else { return };
    case.produce(50);
    let held = case.broker.committed(&case.group(), &case.topic, 0);
    let Metadata::Ours(mark, None) = decode_metadata(&held.metadata) else { panic!("{held:?}") };
    let settings = load_str("sink.toml", &config.text(), std::iter::empty()).expect("sound");
    let today = settings.topics.default.layout.clone();
    let layout = Layout { bucket: "e2e-no-such-bucket".into(), ..(*today).clone() };
    let (end, first) = (Offset(340), Offset(300));
    let pin = Pin { id: "old-1".into(), end, first, last: None, layout: layout.into() };
    let pinned = encode_metadata(&mark, Some(&pin));
    case.broker.restore_offset(&case.group(), &case.topic, 0, 300, &pinned);

    let mut sink = Sink::run(&config);
    let line = sink.wait_for_log("recover --drop-pins", PATIENCE);
    assert!(line.contains("e2e-no-such-bucket"), "{line}");
    sink.kill9();
    // A run with an end does not wait for ever.
    let mut sink = Sink::run_until_end(&config);
    let end = sink.wait(PATIENCE);
    assert_eq!(end.status.code(), Some(2), "{}", sink.log());
    let mut check = Sink::spawn(&config, &["check"]);
    assert_eq!(check.wait(PATIENCE).status.code(), Some(2), "{}", check.log());
    assert!(check.log().contains("recover --drop-pins"), "{}", check.log());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let recovered = Recovered::of(&config, &["--drop-pins", "--apply"]);
        if recovered.code == 0 {
            break;
        }
        // The killed member is missed after a while.
        assert!(
            recovered.text.contains("member") && Instant::now() < deadline,
            "{}",
            recovered.text
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    case.run_to_end(&config);
    assert_eq!(case.rows().len(), 350);
    case.assert_committed();
}
