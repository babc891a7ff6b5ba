//! `kafka-s3-sink recover`, the real binary against real servers: offsets are lost in every way
//! there is, a sink in mid-flight included, and afterwards every record is counted.

use std::time::{Duration, Instant};

use crate::sink::{Case, PATIENCE, librdkafka, wait_stopped};
use crate::support::bucket::Listed;
use crate::support::kafka::{Broker, Bulk, Expected};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::WorkDir;

/// What `recover` printed, and its exit code.
pub(crate) struct Recovered {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Recovered {
    pub(crate) fn of(config: &SinkConfig, args: &[&str]) -> Self {
        let cache = WorkDir::new("recover-cache");
        let cache = ["--cache", cache.path().to_str().expect("a path")];
        let args: Vec<&str> = ["recover"].iter().chain(args).chain(&cache).copied().collect();
        let mut sink = Sink::spawn(config, &args);
        let end = sink.wait(PATIENCE);
        Self { code: end.status.code().expect("an exit code"), text: sink.log() }
    }

    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "no {word:?} in:\n{}", self.text);
        }
    }
}

/// A topic of which three batches a Kafka partition have landed.
fn landed(topic: &str) -> Option<(Case<'static>, SinkConfig, Bulk, Expected)> {
    let case = Case::shared(topic, 2)?;
    let config = case.config().set("rotation.max_age", "1s").set("rotation.max_records", 100);
    let bulk = case.bulk(600);
    let expected = case.broker.produce_many(&bulk);
    case.run_to_end(&config);
    Some((case, config, bulk, expected))
}

/// More records, a run with other limits, and the count.
fn goes_on(
    case: &Case<'_>,
    config: &SinkConfig,
    bulk: &Bulk,
    expected: Expected,
    before: &[Listed],
) {
    let more = case.broker.produce_many(&bulk.next());
    case.run_to_end(&config.clone().set("rotation.max_records", 77));
    case.assert_exact(&expected.and(more));
    let after = case.objects();
    assert!(before.iter().all(|object| after.contains(object)), "nothing was put again");
}

/// A sink that was killed while it put the objects of a batch.
pub(crate) struct CutOff {
    pub(crate) case: Case<'static>,
    pub(crate) config: SinkConfig,
    bulk: Bulk,
    expected: Expected,
    _minio: Minio,
}

/// Freezes the store when some of the batch's 150 objects are there, and kills the sink.
pub(crate) fn cut_off(topic: &str) -> Option<CutOff> {
    let minio = Minio::start()?;
    let broker = Broker::shared_v4();
    broker.create_topic(topic, 1, &[]);
    let case = Case::at(broker, &minio, topic, 1);
    let bulk = Bulk { step_us: 180_000_000, size: 300, ..Bulk::new(topic, 1, 3000) };
    let expected = broker.produce_many(&bulk);
    let config = case
        .config()
        .set("layout.max_open_hive_partitions", 200)
        .set("rotation.max_age", "1s")
        .set("s3.max_concurrent_uploads", 1);
    let mut sink = Sink::run(&config);
    let deadline = Instant::now() + PATIENCE;
    while case.objects().len() < 3 {
        assert!(Instant::now() < deadline && sink.ended().is_none(), "{}", sink.log());
    }
    minio.freeze();
    sink.kill9();
    minio.thaw();
    std::thread::sleep(Duration::from_millis(300));
    let there = case.objects().len();
    assert!((3..150).contains(&there), "{there} objects: the batch was not cut off");
    let (offset, mark) = case.committed(0);
    assert!(offset == Some(0) && mark.get("pin").is_some(), "{mark}");
    Some(CutOff { case, config, bulk, expected, _minio: minio })
}

#[test]
fn a_deleted_group_goes_on_where_the_bucket_ends() {
    let Some((case, config, bulk, expected)) = landed("recover-deleted") else { return };
    case.broker.delete_group(&case.group());
    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("`kafka-s3-sink recover`") && line.contains("--apply"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);

    let before = case.objects();
    let shown = Recovered::of(&config, &[]);
    let texts = ["[0] none -> 300: the end of the last batch", "[1] none -> 300", "add --apply"];
    shown.says(0, &texts);
    assert_eq!(case.committed(0).0, None, "nothing is committed without --apply");
    let applied = Recovered::of(&config, &["--apply"]);
    applied.says(0, &["[1] none -> 300", "2 Kafka partitions moved"]);
    assert_eq!(case.committed(1).0, Some(300));
    Recovered::of(&config, &["--apply"]).says(0, &["[0] stands at 300", "as it must be"]);
    goes_on(&case, &config, &bulk, expected, &before);
}

#[test]
fn a_group_that_is_deleted_with_a_batch_in_flight_finishes_it() {
    let Some(CutOff { case, config, bulk, expected, _minio }) = cut_off("recover-flight") else {
        return;
    };
    let pin = case.committed(0).1["pin"]["i"].clone();
    case.broker.delete_group(&case.group());
    let before = case.objects();
    let shown = Recovered::of(&config, &[]);
    shown.says(0, &["[0] none -> 0, pinned to 3000", "it is finished as it was begun"]);
    Recovered::of(&config, &["--apply"]).says(0, &["1 Kafka partition moved"]);
    let (offset, mark) = case.committed(0);
    assert_eq!((offset, &mark["pin"]["i"], &mark["pin"]["e"]), (Some(0), &pin, &3000.into()));
    goes_on(&case, &config, &bulk, expected, &before);
}

#[test]
fn a_group_killed_again_and_again_loses_its_offsets_each_time() {
    let Some(case) = Case::shared("recover-chaos", 3) else { return };
    let bulk = Bulk { rate: Some(1500), ..case.bulk(12_000) };
    let base =
        case.config().set("rotation.max_age", "1s").set(&librdkafka("session.timeout.ms"), 1500);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| case.broker.produce_many(&bulk));
        let mut pinned = 0;
        for life in 0..6 {
            let config = base.clone().set("rotation.max_records", [37, 150, 11, 400, 90, 23][life]);
            let mut sink = Sink::run(&config);
            sink.wait_for_log(" kafka_partition=", PATIENCE);
            std::thread::sleep(Duration::from_millis(700 + 137 * life as u64));
            assert!(sink.ended().is_none(), "{}", sink.log());
            sink.kill9();
            assert!(!sink.log().contains("stopped"), "{}", sink.log());
            case.broker.delete_group(&case.group());
            let applied = Recovered::of(&config, &["--apply"]);
            assert_eq!(applied.code, 0, "{}", applied.text);
            pinned += applied.text.matches(", pinned to ").count();
        }
        let expected = producer.join().expect("produced");
        case.run_to_end(&base);
        case.assert_exact(&expected);
        eprintln!("{pinned} batches were finished from their objects");
    });
}

#[test]
fn another_group_goes_on_where_the_old_one_ended() {
    let Some(CutOff { case, config, bulk, expected, _minio }) = cut_off("recover-renamed") else {
        return;
    };
    let renamed = config.set("kafka.group_id", "recover-renamed-new");
    let before = case.objects();
    let applied = Recovered::of(&renamed, &["--apply"]);
    applied.says(0, &["were written by another group", "pinned to 3000", "moved"]);
    let more = case.broker.produce_many(&bulk.next());
    case.run_to_end(&renamed);
    let tally = case.read(&expected.and(more));
    assert_eq!((tally.missing.count, tally.doubled.count, tally.unexpected.count), (0, 0, 0));
    // The batch that one group began and another finished says so.
    assert_eq!((tally.records, tally.problems.count), (6000, 1), "{tally:?}");
    assert!(tally.problems.examples[0].contains("its objects disagree"), "{tally:?}");
    let held = case.broker.committed("recover-renamed-new", &case.topic, 0);
    assert_eq!(held.offset, Some(6000));
    let after = case.objects();
    assert!(before.iter().all(|object| after.contains(object)));
}

#[test]
fn an_offset_set_by_hand_goes_back_to_where_the_bucket_ends() {
    let Some((case, config, bulk, expected)) = landed("recover-by-hand") else { return };
    let before = case.objects();
    for offset in [0, 150, 290] {
        case.broker.set_offset(&case.group(), &case.topic, 1, offset);
        let applied = Recovered::of(&config, &["--apply"]);
        let moved = format!("[1] {offset} (set by somebody else) -> 300");
        applied.says(0, &["[0] stands at 300", &moved, "1 Kafka partition moved"]);
    }
    goes_on(&case, &config, &bulk, expected, &before);
}

/// With a member in the group nothing is committed.
fn refuses_members(case: &Case<'_>, config: &SinkConfig) {
    case.broker.delete_group(&case.group());
    let mut sink = Sink::run(config);
    wait_stopped(&mut sink, "lost_offsets");
    let refused = Recovered::of(config, &["--apply"]);
    refused.says(1, &["error: the group", "has members", "stop every sink of it first"]);
    assert_eq!(case.committed(0).0, None);
    sink.kill9();
    // One that was killed counts until its session has passed.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let applied = Recovered::of(config, &["--apply"]);
        if applied.code == 0 {
            break;
        }
        applied.says(1, &["has members"]);
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn a_group_with_members_is_left_alone() {
    let Some((case, config, bulk, expected)) = landed("recover-members") else { return };
    let before = case.objects();
    refuses_members(&case, &config);
    goes_on(&case, &config, &bulk, expected, &before);
}

#[test]
fn a_group_with_members_is_left_alone_with_kip_848() {
    let Some((case, _, bulk, expected)) = landed("recover-members-848") else { return };
    let before = case.objects();
    let config = case.config_848().set("rotation.max_age", "1s");
    refuses_members(&case, &config);
    goes_on(&case, &config, &bulk, expected, &before);
}

/// One Kafka partition with an offset beside one without would look like an old and a new one.
#[test]
fn all_positions_are_committed_or_none() {
    let Some((case, config, ..)) = landed("recover-all") else { return };
    let name = format!("-1-{:020}.", 100);
    let gone = case.objects().into_iter().filter(|it| it.key.contains(&name));
    gone.for_each(|it| case.bucket.delete(&it.key));
    case.broker.delete_group(&case.group());
    // The hole is larger than a batch of such a run.
    let pair = config.set("rotation.max_records", 50);
    let refused = Recovered::of(&pair, &["--apply"]);
    refused.says(6, &["FAIL", "nothing was committed", "--apply-rest"]);
    assert_eq!((case.committed(0).0, case.committed(1).0), (None, None));
    Recovered::of(&pair, &["--apply", "--apply-rest"]).says(6, &["FAIL"]);
    assert_eq!((case.committed(0).0, case.committed(1).0), (Some(300), None));
}

#[test]
fn a_topic_that_was_made_again_is_not_taken_for_the_old_one() {
    let Some((case, config, bulk, expected)) = landed("recover-again") else { return };
    case.broker.delete_topic(&case.topic);
    case.broker.create_topic(&case.topic, 2, &[]);
    let fewer = Recovered::of(&config, &["--apply"]);
    fewer.says(6, &["FAIL", "the bucket holds offsets up to 300", "made again"]);
    case.broker.produce_many(&Bulk { count: 1000, ..bulk.next() });
    let more = Recovered::of(&config, &["--apply"]);
    more.says(6, &["FAIL", "the record that Kafka has at offset 200", "another layout.prefix"]);
    assert_eq!(case.committed(0).0, None);
    case.read(&expected).assert_exact();
}

#[test]
fn metadata_that_is_damaged_is_replaced_and_of_a_newer_version_is_not() {
    let Some((case, config, bulk, expected)) = landed("recover-damaged") else { return };
    let before = case.objects();
    let mark = case.broker.committed(&case.group(), &case.topic, 0).metadata;
    let newer = mark.replacen("\"kafka-s3-sink\":1", "\"kafka-s3-sink\":7", 1);
    for (metadata, code) in [(&mark[..mark.len() - 4], "damaged_pin"), (&*newer, "newer_pin")] {
        case.broker.restore_offset(&case.group(), &case.topic, 0, 300, metadata);
        let mut sink = Sink::run(&config);
        let line = wait_stopped(&mut sink, code);
        assert!(line.contains("recover`"), "{line}");
        sink.sigterm();
        sink.wait_success(PATIENCE);
        let recovered = Recovered::of(&config, &["--apply"]);
        match code {
            "damaged_pin" => recovered.says(0, &["[0] 300 (damaged) -> 300", "moved"]),
            _ => recovered.says(6, &["[0]", "newer kafka-s3-sink", "Run that version"]),
        }
    }
    // As it said: that version goes on.
    case.broker.restore_offset(&case.group(), &case.topic, 0, 300, &mark);
    goes_on(&case, &config, &bulk, expected, &before);
}

#[test]
fn what_is_missing_is_filled_or_refused_and_passed_only_if_the_user_says_so() {
    let Some((case, config, bulk, expected)) = landed("recover-hole") else { return };
    let remove = |partition: i32, first: i64| {
        let name = format!("-{partition}-{first:020}.");
        let keys = case.objects().into_iter().filter(|it| it.key.contains(&name));
        keys.for_each(|it| case.bucket.delete(&it.key));
    };
    remove(0, 100);
    remove(1, 0);
    remove(1, 100);
    let end = case.objects();
    case.broker.delete_group(&case.group());
    let shown = Recovered::of(&config, &[]);
    let filled = "[0] none -> 100, pinned to 200: the bucket lacks [100, 200) from offset 100 on";
    // What is before the oldest object has expired, as far as anybody can tell.
    shown.says(0, &[filled, "[1] none -> 300: the end of the last batch"]);
    Recovered::of(&config, &["--apply"]).says(0, &["2 Kafka partitions moved"]);
    case.run_to_end(&config.clone().set("rotation.max_records", 1000));
    let after = case.objects();
    assert!(end.iter().all(|object| after.contains(object)));
    let tally = case.read(&expected);
    assert_eq!((tally.missing.count, tally.doubled.count), (200, 0), "{tally:?}");

    // Two holes: a run that filled the first would read on into what stands before the second.
    case.broker.produce_many(&bulk.next());
    case.run_to_end(&config);
    remove(0, 100);
    remove(0, 300);
    case.broker.delete_group(&case.group());
    let refused = Recovered::of(&config, &["--apply", "--apply-rest"]);
    let texts = ["[1] none -> 600", "FAIL", "the bucket lacks [100, 200)", "; [300, 400)"];
    refused.says(6, &texts);
    assert_eq!((case.committed(0).0, case.committed(1).0), (None, Some(600)));
    let passed = Recovered::of(&config, &["--apply", "--pass-missing"]);
    passed.says(0, &["[0] none -> 600", "passes what is missing", "[1] stands at 600"]);
    case.run_to_end(&config);
    case.assert_committed();
}
