//! Peak memory with a small budget and more open batches than it holds.

use super::Field;
use crate::landed;
use crate::ours::{self, Set};
use crate::report::Figure;
use crate::stage::Topic;
use crate::support::workdir::WorkDir;

const BUDGET_MIB: f64 = 256.0;
const GOAL_MIB: f64 = BUDGET_MIB + 64.0;

/// A hundred Kafka partitions, objects of up to 64 MiB; then with a spool, if there is one.
pub(super) fn hundred(field: &mut Field) -> Vec<Figure> {
    let topic = field.stage.topic(field.wide(100, 100));
    let mut figures = vec![peak(field, &topic, "without a spool", &[])];
    let dir = WorkDir::new("spool");
    let spool: Set = ("memory.spool_dir", dir.path().display().to_string().into());
    let known = {
        let bucket = field.stage.bucket();
        let text = ours::config(&field.stage, &bucket, &topic, std::slice::from_ref(&spool)).text();
        kafka_s3_sink::config::load_str("bench", &text, std::iter::empty()).is_ok()
    };
    figures.push(if known {
        peak(field, &topic, "with a spool", &[spool])
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
    let run = ours::run(&field.stage, topic, &set);
    let largest = landed::objects(&run.bucket).iter().map(|object| object.size).max();
    landed::empty(&run.bucket);
    let note = format!(
        "{} objects, the largest {:.1} MiB; {:.0} MB stored in {:.1} s",
        run.landed.objects,
        largest.unwrap_or(0) as f64 / (1 << 20) as f64,
        run.landed.stored as f64 / 1e6,
        run.cost.wall
    );
    let name = format!("peak memory {name}");
    Figure::once(&name, "MiB", run.cost.peak_mib).at_most(GOAL_MIB).note(note)
}
