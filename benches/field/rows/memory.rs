//! Peak memory with a small budget and more open batches than it holds.

use std::time::{Duration, Instant};

use super::Field;
use crate::landed;
use crate::ours::{self, Set};
use crate::report::Figure;
use crate::stage::Topic;
use crate::support::sink::Sink;
use crate::support::workdir::WorkDir;

const BUDGET_MIB: f64 = 256.0;
const GOAL_MIB: f64 = BUDGET_MIB + 64.0;
/// `rotation.max_bytes` below.
const OBJECT: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// A hundred Kafka partitions with records for an object of 64 MiB each, uncompressed, which is 25
/// times the budget; then with a spool, if there is one.
pub(super) fn hundred(field: &mut Field) -> Vec<Figure> {
    let mut shape = field.wide(100, 100);
    if !field.scale.quick {
        shape.records = 100 * OBJECT.div_ceil(shape.size as u64);
    }
    let topic = field.stage.topic(shape);
    let plain: Set = ("layout.compression", "none".into());
    let mut figures = vec![peak(field, &topic, "without a spool", std::slice::from_ref(&plain))];
    let dir = WorkDir::new("spool");
    let spool: Set = ("memory.spool_dir", dir.path().display().to_string().into());
    let known = {
        let bucket = field.stage.bucket();
        let text = ours::config(&field.stage, &bucket, &topic, std::slice::from_ref(&spool)).text();
        kafka_s3_sink::config::load_str("bench", &text, std::iter::empty()).is_ok()
    };
    figures.push(if known {
        peak(field, &topic, "with a spool", &[spool, plain])
    } else {
        Figure::missing("peak memory with a spool", "this version knows no memory.spool_dir")
    });
    figures
}

/// A thousand Kafka partitions of which eight have records.
pub(super) fn busy(field: &mut Field) -> Vec<Figure> {
    let topic = field.stage.topic(field.wide(1000, 8));
    vec![peak(field, &topic, "8 of 1,000 Kafka partitions busy", &[])]
}

fn peak(field: &Field, topic: &Topic, name: &str, more: &[Set]) -> Figure {
    let mut set: Vec<Set> =
        vec![("memory.limit", "256MiB".into()), ("rotation.max_bytes", "64MiB".into())];
    set.extend_from_slice(more);
    let bucket = field.stage.bucket();
    let config = ours::config(&field.stage, &bucket, topic, &set);
    let started = Instant::now();
    // Not `--until-end`, which would end each batch as soon as its Kafka partition is read: all of
    // them stay open until the budget, or the stop, ends them.
    let mut sink = Sink::run(&config.set("shutdown.timeout", "2m"));
    let all = topic.records as f64;
    sink.wait_for_metric("kafka_s3_sink_consumed_records_total", all, PATIENCE);
    sink.sigterm();
    let end = sink.wait_success(PATIENCE);
    let took = started.elapsed().as_secs_f64();
    let landed = landed::by_metadata(&bucket);
    assert_eq!(landed.records, topic.records, "every record landed once");
    let largest = landed::objects(&bucket).iter().map(|object| object.size).max();
    landed::empty(&bucket);
    let note = format!(
        "{} objects, the largest {:.1} MiB; {:.0} MB stored in {took:.1} s",
        landed.objects,
        largest.unwrap_or(0) as f64 / (1 << 20) as f64,
        landed.stored as f64 / 1e6,
    );
    let peak = end.peak_rss_kib as f64 / 1024.0;
    Figure::once(&format!("peak memory {name}"), "MiB", peak).at_most(GOAL_MIB).note(note)
}
