//! The ways out: one signal, two signals, and a deadline that passes.

use std::os::unix::process::ExitStatusExt;

use super::*;

#[test]
fn sigterm_lands_what_was_read_and_leaves_the_group() {
    let Some(case) = Case::shared("e2e-term", 4) else { return };
    let expected = case.produce(8000);
    let config = case.config().set("rotation.max_age", NEVER);
    let mut sink = Sink::run(&config);
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", 8000.0, PATIENCE);
    assert_eq!(case.objects(), [], "nothing is due yet");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    assert!(sink.log().contains("left the group"));
    case.assert_exact(&expected);
    // A member that had only gone silent would hold the next one up until its session ends.
    let started = Instant::now();
    let slow = config.set(&librdkafka("session.timeout.ms"), 60_000);
    case.run_to_end(&slow);
    assert!(started.elapsed() < Duration::from_secs(45));
}

/// A sink that cannot land, for its store hangs; and the signal that it got.
fn stuck<'a>(case: &Case<'_>, minio: &'a Minio, config: &SinkConfig) -> (Sink, Thaw<'a>) {
    let mut sink = Sink::run(config);
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", 2000.0, PATIENCE);
    minio.freeze();
    sink.sigterm();
    sink.wait_for_log("stopping", PATIENCE);
    assert_eq!(case.partitions, 2);
    (sink, Thaw(minio))
}

/// Lets the store go on, however the test ends.
struct Thaw<'a>(&'a Minio);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

#[test]
fn a_second_signal_or_the_deadline_ends_it_and_the_next_run_finishes() {
    let Some(minio) = Minio::start() else { return };
    let broker = Broker::shared_v4();
    broker.create_topic("e2e-twice", 2, &[]);
    let case = Case::at(broker, &minio, "e2e-twice", 2);
    let config = case.config().set("rotation.max_age", NEVER);
    let bulk = case.bulk(2000);
    let mut expected = case.broker.produce_many(&bulk);
    let (mut sink, thaw) = stuck(&case, &minio, &config);
    sink.sigterm();
    let end = sink.wait(Duration::from_secs(20));
    assert_eq!(end.status.code(), Some(130), "{}", sink.log());
    drop(thaw);
    case.run_to_end(&config);
    case.assert_exact(&expected);

    expected = expected.and(case.broker.produce_many(&bulk.next()));
    let (mut sink, thaw) = stuck(&case, &minio, &config.clone().set("shutdown.timeout", "2s"));
    let end = sink.wait(Duration::from_secs(30));
    assert_eq!(end.status.code(), Some(3), "{}", sink.log());
    drop(thaw);

    case.run_to_end(&config);
    case.assert_exact(&expected);
}

#[test]
fn sigint_is_as_good_as_sigterm() {
    let Some(case) = Case::shared("e2e-int", 2) else { return };
    let expected = case.produce(1000);
    let mut sink = Sink::run(&case.config().set("rotation.max_age", NEVER));
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", 1000.0, PATIENCE);
    // SAFETY: kill has no memory effects, and the child is not reaped yet.
    unsafe { libc::kill(sink.pid() as i32, libc::SIGINT) };
    let end = sink.wait(PATIENCE);
    assert_eq!((end.status.code(), end.status.signal()), (Some(0), None));
    case.assert_exact(&expected);
}
