//! How long a record takes from its own timestamp until a listing of the bucket shows it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kafka_s3_sink::demo::events::sequence_of;

use super::Field;
use crate::cost::{quantile, start_again};
use crate::fill::{self, now_ms};
use crate::ours;
use crate::report::Figure;
use crate::stage::{Topic, fresh};
use crate::support::bucket::Bucket;
use crate::support::sink::Sink;
use crate::support::workdir::WorkDir;

const RATE: u64 = 10_000;
const PARTITIONS: i32 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two listings.
const LOOK: Duration = Duration::from_millis(5);
/// After so long without a new object, all are there.
const QUIET: Duration = Duration::from_secs(4);

/// Records come at their own time; each object counts from the first listing that has it.
pub(super) fn latency(field: &mut Field) -> Vec<Figure> {
    let records = RATE * if field.scale.quick { 10 } else { 30 };
    let name = fresh("latency");
    field.stage.broker.create_topic(&name, PARTITIONS, &[]);
    let topic = Topic { name, partitions: PARTITIONS, records, bytes: 0 };
    let bucket = field.stage.bucket();
    let config = ours::config(&field.stage, &bucket, &topic, &[("rotation.max_age", "1s".into())]);
    let mut sink = Sink::run(&config);
    sink.wait_ready(PATIENCE);
    let (dir, start_ms) = (WorkDir::new("live"), now_ms() + 1000);
    let task = fill::Task {
        bootstrap: field.stage.broker.bootstrap(),
        topic: topic.name.clone(),
        partitions: PARTITIONS,
        records,
        size: field.scale.size,
        start_ms,
        step_us: 1_000_000 / RATE as i64,
        live: true,
        row: 1,
    };
    let task = serde_json::to_string(&task).expect("JSON");
    let mut producer = start_again(fill::COMMAND, &task, &dir);
    let (seen, listings) = watch(&bucket, || producer.ended().is_some());
    let late = producer.wait(PATIENCE).is_some_and(|end| !end.status.success());
    assert!(!late, "{}", producer.tail());
    let latencies =
        latencies(&bucket, &seen, |sequence| start_ms + (sequence * 1000 / RATE) as i64);
    sink.sigterm();
    sink.wait(PATIENCE);
    crate::landed::empty(&bucket);
    assert_eq!(latencies.len() as u64, records, "every record landed once");
    let note = format!("{} objects, a listing every {listings:.0} ms", seen.len());
    let figure = |name, share| Figure::once(name, "s", quantile(&latencies, share));
    vec![
        figure("p99 from timestamp to listed", 0.99).at_most(1.5).note(note),
        figure("p50", 0.5),
        figure("the slowest record", 1.0),
    ]
}

/// When each object was first listed, and how far apart listings were.
fn watch(bucket: &Bucket, mut is_over: impl FnMut() -> bool) -> (HashMap<String, i64>, f64) {
    let mut seen = HashMap::new();
    let (started, mut looks, mut last_new) = (Instant::now(), 0, Instant::now());
    loop {
        let listed = bucket.list("raw/");
        let now = now_ms();
        looks += 1;
        for object in listed {
            seen.entry(object.key).or_insert_with(|| {
                last_new = Instant::now();
                now
            });
        }
        if is_over() && last_new.elapsed() > QUIET {
            return (seen, started.elapsed().as_secs_f64() * 1000.0 / f64::from(looks));
        }
        std::thread::sleep(LOOK);
    }
}

/// One for each line of each object, in seconds.
fn latencies(
    bucket: &Bucket,
    seen: &HashMap<String, i64>,
    timestamp_ms: impl Fn(u64) -> i64,
) -> Vec<f64> {
    let mut found = Vec::new();
    for (key, seen_ms) in seen {
        for line in bucket.lines(key) {
            let sequence = sequence_of(line.as_bytes()).expect("a sample event");
            found.push((seen_ms - timestamp_ms(sequence)) as f64 / 1000.0);
        }
    }
    found
}
