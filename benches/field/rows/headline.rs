//! The headline: bare consumption and the sink in turn on one topic, by codec; and other sinks.

use std::io::{Read, Write};

use flate2::write::ZlibEncoder;

use super::Field;
use crate::cost::{Cost, least};
use crate::landed::{self, Landed};
use crate::report::Figure;
use crate::stage::Topic;
use crate::support::bucket::Bucket;
use crate::{bare, others, ours};

/// Bytes of lines that are compressed anew to compare sizes.
const SIZE_SAMPLE: u64 = 256 << 20;

/// Bare consumption and the sink in turn.
pub(super) struct Pairs {
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) bare: Vec<Cost>,
    pub(super) sink: Vec<Cost>,
    pub(super) landed: Landed,
}

/// Measures them so often.
pub(super) fn pairs(field: &Field, topic: &Topic, set: &[ours::Set], rounds: usize) -> Pairs {
    let stage = &field.stage;
    let bucket = stage.bucket();
    let config = ours::config(stage, &bucket, topic, set);
    let (bytes, records) = (topic.bytes, topic.records);
    let mut pairs =
        Pairs { bytes, records, bare: Vec::new(), sink: Vec::new(), landed: Landed::default() };
    for round in 0..rounds {
        let bare = bare::consume(topic, &config);
        let (sink, landed) = ours::cost(stage, topic, set);
        eprintln!("  {round}: bare {bare:.2?}\n     sink {sink:.2?}");
        pairs.bare.push(bare);
        pairs.sink.push(sink);
        pairs.landed = landed;
    }
    pairs
}

impl Pairs {
    /// The ratio of the best of both; samples are of each round.
    pub(super) fn ratio(&self, name: &str, of: fn(&Cost) -> f64) -> Figure {
        let each = self.sink.iter().zip(&self.bare).map(|(sink, bare)| of(sink) / of(bare));
        let best = |costs: &[Cost]| least(costs.iter().map(of));
        Figure::of(name, "x bare", best(&self.sink) / best(&self.bare), each.collect())
    }

    pub(super) fn cpu_ratio(&self) -> Figure {
        self.ratio("CPU", |cost| cost.cpu)
    }

    /// What is told without a goal.
    pub(super) fn plain(&self) -> Vec<Figure> {
        let per_gb = |costs: &[Cost]| costs.iter().map(|it| it.cpu_per_gb(self.bytes)).collect();
        let pace = |costs: &[Cost]| -> Vec<f64> {
            costs.iter().map(|cost| self.records as f64 / cost.wall).collect()
        };
        let (bare, sink) = (pace(&self.bare), pace(&self.sink));
        let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        let peak = self.sink.iter().map(|cost| cost.peak_mib).collect();
        let Landed { objects, stored, .. } = self.landed;
        vec![
            Figure::best("CPU of bare consumption", "s/GB", per_gb(&self.bare)),
            Figure::best("CPU of the sink", "s/GB", per_gb(&self.sink)),
            Figure::of("bare consumption", "records/s", most(&bare), bare),
            Figure::of("the sink", "records/s", most(&sink), sink),
            Figure::worst("peak memory", "MiB", peak),
            Figure::once("stored", "MB", stored as f64 / 1e6).note(format!("{objects} objects")),
        ]
    }
}

pub(super) fn gzip(field: &mut Field) -> Vec<Figure> {
    let topic = field.headline();
    let set = [("layout.compression", "gzip".into())];
    let pairs = pairs(field, &topic, &set, field.scale.rounds);
    let mut figures = vec![
        pairs.cpu_ratio().at_most(2.5),
        pairs.ratio("wall time", |cost| cost.wall).at_most(2.2),
        size(field, &topic, &set).at_most(1.12),
    ];
    figures.extend(pairs.plain());
    figures
}

pub(super) fn none(field: &mut Field) -> Vec<Figure> {
    codec(field, &[("layout.compression", "none".into())], 1.6)
}

pub(super) fn zstd(field: &mut Field) -> Vec<Figure> {
    let level = ("layout.compression_level", 1.into());
    codec(field, &[("layout.compression", "zstd".into()), level], 3.0)
}

fn codec(field: &mut Field, set: &[ours::Set], goal: f64) -> Vec<Figure> {
    let topic = field.headline();
    let pairs = pairs(field, &topic, set, field.scale.rounds);
    let mut figures = vec![pairs.cpu_ratio().at_most(goal)];
    figures.push(pairs.ratio("wall time", |cost| cost.wall));
    figures.extend(pairs.plain());
    figures
}

/// How large the gzip objects are beside what zlib makes of the same lines.
fn size(field: &Field, topic: &Topic, set: &[ours::Set]) -> Figure {
    let run = ours::run(&field.stage, topic, set);
    let (mut ours, mut theirs, mut lines) = (0, 0, 0);
    for object in landed::objects(&run.bucket) {
        if lines < SIZE_SAMPLE {
            let (read, made) = by_zlib(&run.bucket, &object.key);
            lines += read;
            ours += object.size;
            theirs += made;
        }
    }
    landed::empty(&run.bucket);
    Figure::once("size of objects", "x zlib level 6", ours as f64 / theirs as f64).note(format!(
        "{:.0} MB of lines, {:.1} MB by zlib; ours {:.2} times smaller than the lines",
        lines as f64 / 1e6,
        theirs as f64 / 1e6,
        lines as f64 / ours as f64
    ))
}

/// The bytes of an object's lines, and what zlib-rs at level 6 makes of them.
fn by_zlib(bucket: &Bucket, key: &str) -> (u64, u64) {
    let mut lines = Vec::new();
    let stored = bucket.get(key).body;
    let read = flate2::read::GzDecoder::new(stored.as_slice()).read_to_end(&mut lines);
    read.unwrap_or_else(|error| panic!("{key}: {error}"));
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&lines).expect("a Vec takes everything");
    (lines.len() as u64, encoder.finish().expect("a Vec takes everything").len() as u64)
}

pub(super) fn others(field: &mut Field) -> Vec<Figure> {
    let topic = field.headline();
    let mut figures = Vec::new();
    for (name, command) in field.others.clone() {
        let (cost, landed, bucket) = others::run(&field.stage, &topic, &command);
        landed::empty(&bucket);
        let of = |what: &str| format!("{name}: {what}");
        let count = (landed.records as f64 - topic.records as f64).abs();
        figures.extend([
            Figure::once(&of("CPU"), "s/GB", cost.cpu_per_gb(topic.bytes)),
            Figure::once(&of("pace"), "records/s", topic.records as f64 / cost.wall),
            Figure::once(&of("peak memory"), "MiB", cost.peak_mib),
            Figure::once(&of("stored"), "MB", landed.stored as f64 / 1e6)
                .note(format!("{} objects", landed.objects)),
            Figure::once(&of("records too few or too many"), "", count).at_most(0.0),
        ]);
    }
    figures
}
