//! What HEAD found, read and judged by itself; and its short form, which is kept between runs.

use serde::{Deserialize, Serialize};

use super::super::metadata::{BatchFacts, FirstRecord, ObjectFacts, read_metadata};
use super::holdings::Said;
use super::name::Roots;
use crate::record::{ObjectMetadata, Offset, OffsetRange, TimestampMs, TopicPartition};

/// Reads the metadata of an object.
pub fn said_by(metadata: &ObjectMetadata) -> Result<Said, &'static str> {
    read_metadata(metadata)
}

/// The short form. Objects of other topics have none.
#[derive(Serialize, Deserialize)]
struct Short(i32, i64, i64, i64, Box<str>, Box<str>, Box<str>, Rest);

/// The second half of it.
#[derive(Serialize, Deserialize)]
struct Rest(String, Option<TimestampMs>, usize, u64, u64, Option<(i64, i64)>);

/// One line of text, without line breaks and tabs.
pub fn short_form((batch, object): &Said) -> String {
    let short = Short(
        batch.from.partition,
        batch.range.base.0,
        batch.first.offset.0,
        batch.range.end.0,
        (&*batch.pin_id).into(),
        (&*batch.group_hash).into(),
        (&*batch.layout_hash).into(),
        Rest(
            batch.first.hash.clone(),
            batch.first.timestamp,
            batch.objects,
            object.records,
            object.uncompressed,
            object.times,
        ),
    );
    serde_json::to_string(&short).expect("plain data")
}

/// Reads a short form; `None` if it is none.
pub fn of_short_form(roots: &Roots, text: &str) -> Option<Said> {
    let Short(partition, base, first, end, pin, group, layout, rest) =
        serde_json::from_str(text).ok()?;
    let Rest(hash, timestamp, objects, records, uncompressed, times) = rest;
    let batch = BatchFacts {
        from: TopicPartition::new(roots.topic().clone(), partition),
        range: OffsetRange { base: Offset(base), end: Offset(end) },
        first: FirstRecord { offset: Offset(first), timestamp, hash },
        pin_id: pin.into(),
        group_hash: group.into(),
        layout_hash: layout.into(),
        objects,
    };
    Some((batch, ObjectFacts { records, uncompressed, times }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::super::layout::tests::sample;
    use super::super::super::metadata::tests::batch;
    use super::*;

    proptest! {
        #[test]
        fn the_short_form_says_the_same(
            base in 0i64..1 << 50, times in proptest::option::of((any::<i64>(), any::<i64>())),
            pin in "\\PC{1,20}", records in 1u64..1 << 40, timestamp in any::<i64>(),
        ) {
            let roots = Roots::of(&Arc::new(sample()), "t");
            let mut facts = batch();
            facts.range.base = Offset(base);
            facts.pin_id = pin.into();
            facts.first.timestamp = Some(TimestampMs(timestamp));
            let said = (facts, ObjectFacts { records, uncompressed: 7, times });
            let text = short_form(&said);
            prop_assert!(!text.contains(['\n', '\t']));
            prop_assert_eq!(of_short_form(&roots, &text), Some(said));
        }

        #[test]
        fn no_text_makes_the_reader_fall(text in "[\\[\\]0-9,\"-]{0,60}") {
            let _ = of_short_form(&Roots::of(&Arc::new(sample()), "t"), &text);
        }
    }
}
