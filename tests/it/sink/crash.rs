//! SIGKILL at moments that nobody chose, each time with other limits, and processes that freeze
//! while others take their work over.

use super::*;

/// What differs from one life to the next. A batch that was begun is finished as it was begun.
const LIVES: [&[(&str, &str)]; 6] = [
    &[("rotation.max_age", "1s")],
    &[("layout.compression", "zstd")],
    &[("layout.prefix", "raw2"), ("rotation.max_age", "1s")],
    &[("layout.compression", "none"), ("records.envelope", "fields")],
    &[("layout.partition_by", "dt"), ("layout.prefix", "raw3")],
    &[("rotation.max_age", "2s"), ("layout.compression_level", "1")],
];
const RECORDS_AT_MOST: [i64; 5] = [37, 150, 1000, 5, 400];

fn config_of(base: &SinkConfig, life: usize) -> SinkConfig {
    let limit = RECORDS_AT_MOST[life % RECORDS_AT_MOST.len()];
    let config = base.clone().set("rotation.max_records", limit);
    LIVES[life % LIVES.len()].iter().fold(config, |config, (key, value)| match *key {
        "layout.partition_by" => config.set(key, vec![(*value).to_owned()]),
        "layout.compression_level" => config.set(key, 1),
        _ => config.set(key, *value),
    })
}

/// A moment that differs from run to run.
fn some_time(at_most: Duration) -> Duration {
    let nanos = std::time::UNIX_EPOCH.elapsed().expect("a clock").subsec_nanos();
    at_most.mul_f64(f64::from(nanos % 1_000_003) / 1_000_003.0)
}

/// Everything below any of the prefixes that the lives use.
fn all_tables(topic: &str) -> Reading {
    Reading { table: "raw".to_owned(), ..Reading::of(topic) }
}

/// Kills the sink again and again while records come in; all are there once in the end.
fn killed(case: &Case<'_>, base: &SinkConfig, bulk: &Bulk, kills: usize) {
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| case.broker.produce_many(bulk));
        let (mut replays, mut life) = (0, 0);
        while life < kills || !producer.is_finished() {
            let mut sink = Sink::run(&config_of(base, life));
            // It begins, or replays what was pinned.
            sink.wait_for_log(" kafka_partition=", PATIENCE);
            std::thread::sleep(some_time(Duration::from_millis(1500)));
            assert!(sink.ended().is_none(), "{}", sink.log());
            sink.kill9();
            assert!(!sink.log().contains("stopped"), "{}", sink.log());
            replays += sink.log().matches("replays a pinned batch").count();
            life += 1;
        }
        // Few kills may well miss every batch.
        assert!(replays > 0 || kills < 10, "no batch was ever cut off in {life} lives");
        let expected = producer.join().expect("produced");
        // The rest in large batches: what is left may be most of it.
        case.run_to_end(&config_of(base, life).set("rotation.max_records", 1000));
        case.bucket.read(&all_tables(&case.topic), &expected).assert_exact();
        case.assert_committed();
    });
}

#[test]
fn sigkill_with_other_settings_each_time() {
    let Some(case) = Case::shared("e2e-kill", 4) else { return };
    let bulk = Bulk { rate: Some(1500), ..case.bulk(30_000) };
    // A static member takes its place up at once, so more lives fit in.
    killed(&case, &case.config().set("kafka.group_instance_id", "one"), &bulk, 10);
}

#[test]
fn sigkill_of_a_member_that_the_group_must_miss_first() {
    let Some(case) = Case::shared("e2e-kill-dynamic", 3) else { return };
    let bulk = Bulk { rate: Some(1500), ..case.bulk(20_000) };
    killed(&case, &case.config().set(&librdkafka("session.timeout.ms"), 1500), &bulk, 4);
}

#[test]
fn sigkill_with_kip_848() {
    let Some(case) = Case::shared("e2e-kill-848", 3) else { return };
    let bulk = Bulk { rate: Some(1500), ..case.bulk(20_000) };
    killed(&case, &case.config_848(), &bulk, 3);
}

/// Freezes two sinks in turn, beyond their session, while the other one works.
fn frozen(case: &Case<'_>, config: &SinkConfig, freeze: Duration) {
    let bulk = Bulk { rate: Some(1500), ..case.bulk(30_000) };
    let config = config.clone().set("rotation.max_age", "1s").set("rotation.max_records", 150);
    let mut sinks = [Sink::run(&config), Sink::run(&config)];
    sinks.iter_mut().for_each(|sink| sink.wait_ready(PATIENCE));
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| case.broker.produce_many(&bulk));
        for victim in [0, 1] {
            std::thread::sleep(some_time(Duration::from_secs(1)) + Duration::from_secs(1));
            sinks[victim].sigstop();
            std::thread::sleep(freeze);
            sinks[victim].sigcont();
        }
        let expected = producer.join().expect("produced");
        case.wait_committed(&mut sinks[1]);
        for sink in &mut sinks {
            sink.sigterm();
            sink.wait_success(PATIENCE);
            assert!(!sink.log().contains("stopped"), "{}", sink.log());
        }
        case.assert_exact(&expected);
    });
}

#[test]
fn a_frozen_sink_wakes_up_while_another_works() {
    let Some(case) = Case::shared("e2e-freeze", 4) else { return };
    frozen(&case, &case.config(), Duration::from_secs(6));
}

#[test]
fn a_frozen_sink_wakes_up_while_another_works_with_kip_848() {
    let Some(case) = Case::shared("e2e-freeze-848", 4) else { return };
    frozen(&case, &case.config_848(), Duration::from_secs(9));
}
