//! What changes with Kafka partitions, record sizes and codecs: one goal, and curves.

use super::Field;
use super::headline::pairs;
use crate::cost::{least, most};
use crate::ours::Set;
use crate::report::Figure;
use crate::stage::Shape;

const PARTITIONS: [i32; 4] = [1, 8, 100, 1000];
const SIZES: [usize; 4] = [100, 500, 2_000, 100_000];
/// More would only take longer.
const MOST_RECORDS: u64 = 3_000_000;

/// The headline's records, spread over ever more Kafka partitions.
pub(super) fn partitions(field: &mut Field) -> Vec<Figure> {
    let (mut figures, mut ours) = (Vec::new(), Vec::new());
    for partitions in PARTITIONS {
        let topic = field.stage.topic(field.wide(partitions, partitions));
        let pairs = pairs(field, &topic, &[], field.scale.curve_rounds);
        let named = |mut figure: Figure| {
            figure.name = format!("{partitions} Kafka partitions: {}", figure.name);
            figure
        };
        ours.push(least(pairs.sink.iter().map(|cost| cost.cpu_per_gb(pairs.bytes))));
        figures.push(named(pairs.cpu_ratio()));
        figures.extend(pairs.plain().into_iter().map(named));
    }
    let apart = most(ours.iter().copied()) / least(ours.iter().copied());
    let goal =
        Figure::of("CPU per GB, the dearest to the cheapest", "x", apart, ours).at_most(1.25);
    figures.insert(0, goal.note("samples: s/GB at 1, 8, 100 and 1,000 Kafka partitions"));
    figures
}

/// Records of ever larger sizes.
pub(super) fn sizes(field: &mut Field) -> Vec<Figure> {
    let mut figures = Vec::new();
    for size in SIZES {
        let records = (field.scale.curve_bytes / size as u64).min(MOST_RECORDS);
        let (partitions, rounds) = (field.scale.partitions, field.scale.curve_rounds);
        let topic = field.stage.topic(Shape { partitions, busy: partitions, records, size });
        let pairs = pairs(field, &topic, &[], rounds);
        figures.extend([pairs.cpu_ratio()].into_iter().chain(pairs.plain()).map(|mut figure| {
            figure.name = format!("{size} bytes: {}", figure.name);
            figure
        }));
    }
    figures
}

/// Codecs and levels that the headline has not.
pub(super) fn codecs(field: &mut Field) -> Vec<Figure> {
    let topic = field.headline();
    let mut figures = Vec::new();
    for (codec, level) in [("gzip", 3), ("gzip", 6), ("zstd", 3)] {
        let set: [Set; 2] =
            [("layout.compression", codec.into()), ("layout.compression_level", level.into())];
        let pairs = pairs(field, &topic, &set, field.scale.curve_rounds);
        figures.extend([pairs.cpu_ratio()].into_iter().chain(pairs.plain()).map(|mut figure| {
            figure.name = format!("{codec} level {level}: {}", figure.name);
            figure
        }));
    }
    figures
}
