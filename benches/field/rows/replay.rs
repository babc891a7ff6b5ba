//! A pinned batch that a killed process left behind: how long the next one takes for it, against
//! the time that such a batch takes where nothing happens.

use std::time::{Duration, Instant};

use super::Field;
use crate::landed;
use crate::ours::{self, Set};
use crate::report::Figure;
use crate::stage::{Shape, Topic};
use crate::support::sink::Sink;

const PATIENCE: Duration = Duration::from_secs(120);
/// The group forgets a killed member after this.
const SESSION: Duration = Duration::from_secs(6);

/// One Kafka partition with a little more than one batch.
pub(super) fn replay(field: &mut Field) -> Vec<Figure> {
    let mib: u64 = if field.scale.quick { 16 } else { 64 };
    let size = field.scale.size;
    let records = (mib << 20) * 7 / size as u64;
    let topic = field.stage.topic(Shape { partitions: 1, busy: 1, records, size });
    let set: [Set; 3] = [
        ("rotation.max_bytes", format!("{mib}MiB").into()),
        ("rotation.max_records", 100_000_000.into()),
        ("kafka.librdkafka", session_timeout()),
    ];
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..if field.scale.quick { 1 } else { 3 } {
        first.push(undisturbed(field, &topic, &set));
        again.push(after_a_kill(field, &topic, &set));
    }
    let ratios: Vec<_> = again.iter().zip(&first).map(|(again, first)| again / first).collect();
    let note = format!("a batch of {mib} MiB, from its beginning to its commit");
    vec![
        Figure::best("replay", "x the first time", ratios).at_most(2.0).note(note),
        Figure::best("the first time", "s", first),
        Figure::best("the replay", "s", again),
    ]
}

fn session_timeout() -> toml::Value {
    let mut table = toml::Table::new();
    table.insert("session.timeout.ms".into(), (SESSION.as_millis() as i64).into());
    table.into()
}

/// From the first record of the first batch to its commit, as the sink itself logs it.
fn undisturbed(field: &Field, topic: &Topic, set: &[Set]) -> f64 {
    let bucket = field.stage.bucket();
    let mut sink = Sink::run(&ours::config(&field.stage, &bucket, topic, set));
    let begun = seen(&mut sink, "begins:");
    let committed = seen(&mut sink, " committed");
    sink.kill9();
    landed::empty(&bucket);
    (committed - begun).as_secs_f64()
}

/// The store freezes once the process reads, so that its batch is pinned and cannot land; it is
/// killed, the store thaws, the group forgets it, and another takes over.
fn after_a_kill(field: &Field, topic: &Topic, set: &[Set]) -> f64 {
    let bucket = field.stage.bucket();
    let config = ours::config(&field.stage, &bucket, topic, set);
    let mut sink = Sink::run(&config);
    seen(&mut sink, "begins:");
    field.stage.minio.freeze();
    let pinned = wait_for_pin(&sink);
    sink.kill9();
    field.stage.minio.thaw();
    assert!(pinned, "no pin:\n{}", sink.log());
    std::thread::sleep(SESSION + Duration::from_secs(1));
    let mut sink = Sink::run(&config);
    let begun = seen(&mut sink, "replays a pinned batch");
    let committed = seen(&mut sink, " committed");
    sink.kill9();
    landed::empty(&bucket);
    (committed - begun).as_secs_f64()
}

fn wait_for_pin(sink: &Sink) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let metrics = sink.metrics();
        let pins = metrics.iter().find(|(key, _)| {
            key.starts_with("kafka_s3_sink_step_duration_seconds_count") && key.contains("\"pin\"")
        });
        if pins.is_some_and(|(_, count)| *count > 0.0) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// When a line of the log was seen.
fn seen(sink: &mut Sink, text: &str) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    while !sink.log().contains(text) {
        let ended = sink.ended();
        assert!(ended.is_none() && Instant::now() < deadline, "{text}: {ended:?}\n{}", sink.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    Instant::now()
}
