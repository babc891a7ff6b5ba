//! What is measured, row by row, and the goals. A row that fails is told and fails the command;
//! the others go on.

mod headline;
mod latency;
mod memory;
mod rebalance;
mod replay;
mod resting;
mod spread;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use crate::args::{Plan, Scale, fail};
use crate::report::{self, Figure};
use crate::stage::{Shape, Stage, Topic};

/// What a row works with.
pub(crate) struct Field {
    pub(crate) stage: Stage,
    pub(crate) scale: Scale,
    pub(crate) others: Vec<(String, String)>,
}

impl Field {
    /// The topic of the headline.
    pub(crate) fn headline(&mut self) -> Topic {
        let Scale { partitions, records, size, .. } = self.scale;
        self.stage.topic(Shape { partitions, busy: partitions, records, size })
    }

    /// As many records, over so many Kafka partitions, of which some get them.
    pub(crate) fn wide(&self, partitions: i32, busy: i32) -> Shape {
        Shape { partitions, busy, records: self.scale.records, size: self.scale.size }
    }
}

type Measure = fn(&mut Field) -> Vec<Figure>;

/// A name, what it says, and how it is measured.
const ROWS: &[(&str, &str, Measure)] = &[
    ("gzip", "gzip against bare consumption: CPU, wall time, size of objects", headline::gzip),
    ("none", "no compression against bare consumption", headline::none),
    ("zstd", "zstd level 1 against bare consumption", headline::zstd),
    ("partitions", "CPU per GB from 1 to 1,000 Kafka partitions", spread::partitions),
    ("memory", "peak memory, 256 MiB, 100 Kafka partitions", memory::hundred),
    ("busy", "peak memory, 256 MiB, 8 busy Kafka partitions of 1,000", memory::busy),
    ("idle", "processor time with 1,000 Kafka partitions and no records", resting::idle),
    ("cooperative", "pauses when a member joins and leaves", rebalance::cooperative),
    ("kip848", "the same with group_protocol = \"consumer\"", rebalance::consumer),
    ("latency", "from a record's timestamp to its object in a listing", latency::latency),
    ("start", "from process start to the first record, 1,000 partitions", resting::start),
    ("replay", "a pinned batch after a kill against its first time", replay::replay),
    ("sizes", "a curve over record sizes", spread::sizes),
    ("codecs", "a curve over further codecs and levels", spread::codecs),
    ("others", "other sinks on the same topic, as --other names them", headline::others),
];

/// Measures what the plan says.
pub(crate) fn run(plan: &Plan) -> ExitCode {
    let chosen = choose(plan);
    if plan.list {
        chosen.iter().for_each(|(name, what, _)| println!("{name:<14} {what}"));
        return ExitCode::SUCCESS;
    }
    let (stage, scale) = (Stage::set(), plan.scale);
    let mut field = Field { stage, scale, others: plan.others.clone() };
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for (name, _, measure) in chosen {
        let started = Instant::now();
        match std::panic::catch_unwind(AssertUnwindSafe(|| measure(&mut field))) {
            Ok(found) => figures.extend(
                found.into_iter().map(|figure| Figure { row: (*name).to_owned(), ..figure }),
            ),
            Err(_) => failed.push(*name),
        }
        eprintln!("{name}: {:.0} s", started.elapsed().as_secs_f64());
    }
    report::print(&figures);
    if let Some(path) = &plan.json {
        report::write(path, &figures);
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("FAILED: {}", failed.join(", "));
    ExitCode::FAILURE
}

fn choose(plan: &Plan) -> Vec<&'static (&'static str, &'static str, Measure)> {
    let unknown = plan.rows.iter().find(|row| ROWS.iter().all(|(name, ..)| name != row));
    if let Some(row) = unknown {
        fail(&format!("no row {row:?}; --list names them"));
    }
    let wanted = |name: &str| plan.rows.is_empty() || plan.rows.iter().any(|row| row == name);
    ROWS.iter().filter(|(name, ..)| wanted(name)).collect()
}
