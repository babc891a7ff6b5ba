//! A thousand Kafka partitions: what they cost when nothing comes, and how soon they are read.

use std::time::{Duration, Instant};

use super::Field;
use crate::cost::quantile;
use crate::ours;
use crate::report::Figure;
use crate::support::sink::{Sink, SinkConfig};

const MANY: i32 = 1000;
const PATIENCE: Duration = Duration::from_secs(120);
/// A scrape of a thousand Kafka partitions is work too.
const LOOK: Duration = Duration::from_millis(50);
/// What follows an assignment is over by then.
const SETTLE: Duration = Duration::from_secs(5);

/// Processor time of a member that has caught up.
pub(super) fn idle(field: &mut Field) -> Vec<Figure> {
    let topic = field.stage.topic(field.wide(MANY, MANY));
    let bucket = field.stage.bucket();
    let config = ours::config(&field.stage, &bucket, &topic, &[]);
    Sink::run_until_end(&config).wait_success(PATIENCE);
    let mut sink = Sink::run(&config);
    sink.wait_for_metric("kafka_s3_sink_assigned_kafka_partitions", MANY.into(), PATIENCE);
    wait_until_caught_up(&sink);
    std::thread::sleep(SETTLE);
    let span = Duration::from_secs(if field.scale.quick { 10 } else { 20 });
    let (before, started) = (sink.cpu(), Instant::now());
    std::thread::sleep(span);
    let used = (sink.cpu() - before).as_secs_f64() / started.elapsed().as_secs_f64();
    let resident = sink.rss_kib() as f64 / 1024.0;
    stop(sink);
    crate::landed::empty(&bucket);
    vec![
        Figure::once("processor time at rest", "% of a core", used * 100.0)
            .at_most(1.0)
            .note(format!("over {} s", span.as_secs())),
        Figure::once("resident at rest", "MiB", resident),
    ]
}

fn wait_until_caught_up(sink: &Sink) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = sink.metrics();
        let lags = metrics.iter().filter(|(key, _)| key.contains("_landed_lag_records{"));
        let lags: Vec<f64> = lags.map(|(_, lag)| *lag).collect();
        if lags.len() >= MANY as usize && lags.iter().all(|lag| *lag == 0.0) {
            return;
        }
        assert!(Instant::now() < deadline, "caught up: {} lags\n{}", lags.len(), sink.log());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// From the start of the process to its first record.
pub(super) fn start(field: &mut Field) -> Vec<Figure> {
    let topic = field.stage.topic(field.wide(MANY, MANY));
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..if field.scale.quick { 1 } else { 3 } {
        let bucket = field.stage.bucket();
        let config = ours::config(&field.stage, &bucket, &topic, &[]);
        first.push(time_to_first_record(&config));
        again.push(time_to_first_record(&config));
        crate::landed::empty(&bucket);
    }
    let figure = |name, samples: Vec<f64>| {
        let median = quantile(&samples, 0.5);
        let note = "seen at /metrics, so up to 0.75 s too long";
        Figure::of(name, "s", median, samples).at_most(3.0).note(note)
    };
    vec![
        figure("the first start of a group to its first record", first),
        figure("a later start to its first record", again),
    ]
}

fn time_to_first_record(config: &SinkConfig) -> f64 {
    let started = Instant::now();
    let sink = Sink::run(config);
    while sink.metric("kafka_s3_sink_consumed_records_total") == 0.0 {
        assert!(started.elapsed() < PATIENCE, "no record:\n{}", sink.log());
        std::thread::sleep(LOOK);
    }
    let took = started.elapsed().as_secs_f64();
    stop(sink);
    took
}

fn stop(mut sink: Sink) {
    sink.sigterm();
    sink.wait(PATIENCE);
}
