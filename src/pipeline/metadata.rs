//! What an object says of itself, and what a taken name means.
//!
//! Fed by `batch` (writing), by `flight` and by `audit` (reading what HEAD found).
//!
//! | the name is taken by | verdict |
//! |---|---|
//! | our pin, as many records and objects as ours or more | done: this batch put it before |
//! | our pin, fewer | stop: two things share a name |
//! | another pin, on the claim, same group, layout and first record | adopt that batch |
//! | anything else | stop: nothing is overwritten, nothing taken for done |

use std::sync::Arc;

use crate::record::{Defect, ObjectMetadata, Offset, OffsetRange, TimestampMs, TopicPartition};

const WRITER: &str = concat!("kafka-s3-sink/", env!("CARGO_PKG_VERSION"));
const NOT_OURS: &str = "it was not written by kafka-s3-sink";

/// What identifies a batch's first landing record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, where it has one.
    pub timestamp: Option<TimestampMs>,
    /// The hash of its raw value; empty where a replay no longer finds the record.
    pub hash: String,
}

/// What all objects of a batch say alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// The Kafka partition.
    pub from: TopicPartition,
    /// The offsets that the batch stands for.
    pub range: OffsetRange,
    /// Its first landing record.
    pub first: FirstRecord,
    /// The id of its pin.
    pub pin_id: Arc<str>,
    /// The hash of the group that wrote it.
    pub group_hash: Arc<str>,
    /// The hash of its layout.
    pub layout_hash: Arc<str>,
    /// How many objects it has.
    pub objects: usize,
}

/// What one object adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its lines.
    pub records: u64,
    /// Their bytes, line breaks included.
    pub uncompressed: u64,
    /// The smallest and the largest usable timestamp.
    pub times: Option<(i64, i64)>,
}

/// The metadata of one object; S3 takes 2 KB, this is a third of it.
pub(super) fn object_metadata(batch: &BatchFacts, object: &ObjectFacts) -> ObjectMetadata {
    let mut entries = vec![
        ("topic", batch.from.topic.to_string()),
        ("partition", batch.from.partition.to_string()),
        ("base", batch.range.base.to_string()),
        ("first", batch.first.offset.to_string()),
        ("end", batch.range.end.to_string()),
        ("pin", batch.pin_id.to_string()),
        ("group", batch.group_hash.to_string()),
        ("layout", batch.layout_hash.to_string()),
        ("first-hash", batch.first.hash.clone()),
        ("first-timestamp", timestamp_text(batch.first.timestamp)),
        ("objects", batch.objects.to_string()),
        ("records", object.records.to_string()),
        ("bytes", object.uncompressed.to_string()),
        ("writer", WRITER.to_owned()),
    ];
    if let Some((from, to)) = object.times {
        entries.push(("min-timestamp", from.to_string()));
        entries.push(("max-timestamp", to.to_string()));
    }
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn timestamp_text(at: Option<TimestampMs>) -> String {
    at.map_or_else(|| "none".to_owned(), |at| at.0.to_string())
}

/// Reads what `object_metadata` wrote, and says what is wrong where something else did.
pub(super) fn read_metadata(
    found: &ObjectMetadata,
) -> Result<(BatchFacts, ObjectFacts), &'static str> {
    let text = |name: &str| found.get(name).map(String::as_str);
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    if text("pin").is_none_or(str::is_empty) {
        return Err(NOT_OURS);
    }
    let timestamp = match text("first-timestamp") {
        Some("none") => Some(None),
        _ => number("first-timestamp").map(|at| Some(TimestampMs(at))),
    };
    let read = || {
        let partition = number("partition").and_then(|it| i32::try_from(it).ok())?;
        let offset = |name| number(name).filter(|it| *it >= 0).map(Offset);
        let batch = BatchFacts {
            from: TopicPartition::new(text("topic")?, partition),
            range: OffsetRange { base: offset("base")?, end: offset("end")? },
            first: FirstRecord {
                offset: offset("first")?,
                timestamp: timestamp?,
                hash: text("first-hash")?.to_owned(),
            },
            pin_id: text("pin")?.into(),
            group_hash: text("group")?.into(),
            layout_hash: text("layout")?.into(),
            objects: number("objects")?.try_into().ok()?,
        };
        let object = ObjectFacts {
            records: number("records")?.try_into().ok()?,
            uncompressed: number("bytes")?.try_into().ok()?,
            times: number("min-timestamp").zip(number("max-timestamp")),
        };
        Some((batch, object))
    };
    let (batch, object) = read().ok_or("its metadata lacks what this sink writes")?;
    let span = OffsetRange { base: batch.first.offset, end: batch.range.end };
    let holds = batch.range.base <= span.base && !span.is_empty() && batch.objects > 0;
    if !holds || object.records == 0 || object.records > span.len() {
        return Err("its metadata contradicts itself");
    }
    Ok((batch, object))
}

/// What to do about a taken name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this batch's object: done.
    Done,
    /// Another member won this record: its batch ends at `end` and goes by `pin_id`.
    Adopt { end: Offset, pin_id: Arc<str> },
    /// An object of ours that cannot be this batch's: stop, with this explanation.
    Stop(String),
    /// Nobody of ours wrote it: stop.
    Foreign,
}

/// Reads what HEAD found under a name that this batch wants.
pub(super) fn judge(
    batch: &BatchFacts,
    object: &ObjectFacts,
    is_claim: bool,
    found: &ObjectMetadata,
) -> Verdict {
    let text = |name: &str| found.get(name).map_or("", String::as_str);
    if text("pin").is_empty() {
        return Verdict::Foreign;
    }
    if text("pin") == &*batch.pin_id {
        return judge_own(batch, object, found);
    }
    for (name, mine, what) in [
        (
            "group",
            &*batch.group_hash,
            "another consumer group wrote it, and two of them need a layout.prefix each",
        ),
        (
            "layout",
            &*batch.layout_hash,
            "it was written with another layout, so the group's offset stands before that one",
        ),
    ] {
        if text(name) != mine {
            return Verdict::Stop(what.to_owned());
        }
    }
    if text("first") != batch.first.offset.to_string()
        || text("first-hash") != batch.first.hash
        || text("first-timestamp") != timestamp_text(batch.first.timestamp)
    {
        let what = "its first record is another one than Kafka has at this offset: the topic was \
                    deleted and made again, or its log was truncated";
        return Verdict::Stop(what.to_owned());
    }
    if !is_claim && !Defect::AdoptFromAny.is_in() {
        let what = "another batch wrote it although this batch owns its first record";
        return Verdict::Stop(what.to_owned());
    }
    match text("end").parse().map(Offset) {
        Ok(end) if end > batch.first.offset => {
            Verdict::Adopt { end, pin_id: Arc::from(text("pin")) }
        }
        _ => Verdict::Stop(format!(
            "its end {:?} is not an offset after its first record",
            text("end")
        )),
    }
}

fn judge_own(batch: &BatchFacts, object: &ObjectFacts, found: &ObjectMetadata) -> Verdict {
    let count = |name: &str| found.get(name).and_then(|text| text.parse::<u64>().ok());
    let (records, objects) = (count("records"), count("objects"));
    // Retention may have taken records since, so the object may well have more than we do.
    if records >= Some(object.records) && objects >= Some(batch.objects as u64) {
        return Verdict::Done;
    }
    Verdict::Stop(format!(
        "it carries our pin with {records:?} records of {objects:?} objects where this batch has \
         {} of {}",
        object.records, batch.objects
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn batch() -> BatchFacts {
        BatchFacts {
            from: TopicPartition::new("t", 1),
            range: OffsetRange { base: Offset(5), end: Offset(20) },
            first: FirstRecord {
                offset: Offset(7),
                timestamp: Some(TimestampMs(1)),
                hash: "aa".into(),
            },
            pin_id: "me-1".into(),
            group_hash: "g".into(),
            layout_hash: "l".into(),
            objects: 2,
        }
    }

    const OBJECT: ObjectFacts = ObjectFacts { records: 10, uncompressed: 99, times: Some((1, 2)) };

    fn judged(change: impl Fn(&mut BatchFacts, &mut ObjectFacts), is_claim: bool) -> Verdict {
        let (mut theirs, mut object) = (batch(), OBJECT);
        change(&mut theirs, &mut object);
        judge(&batch(), &OBJECT, is_claim, &object_metadata(&theirs, &object))
    }

    fn stops(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Stop(_) | Verdict::Foreign)
    }

    #[test]
    fn our_own_object_is_done_with_as_many_records_or_more() {
        assert_eq!(judged(|_, _| {}, true), Verdict::Done);
        assert_eq!(judged(|_, o| o.records = 11, false), Verdict::Done);
        assert!(stops(&judged(|_, o| o.records = 9, true)));
        assert!(stops(&judged(|b, _| b.objects = 1, true)));
    }

    #[test]
    fn a_claim_that_another_member_won_is_adopted() {
        let other = |b: &mut BatchFacts| {
            b.pin_id = "you-9".into();
            b.range = OffsetRange { base: Offset(6), end: Offset(12) };
        };
        let adopted = Verdict::Adopt { end: Offset(12), pin_id: "you-9".into() };
        assert_eq!(judged(|b, _| other(b), true), adopted);
        assert!(stops(&judged(|b, _| other(b), false)), "not the claim");
        for change in [
            (|b: &mut BatchFacts| b.group_hash = "h".into()) as fn(&mut BatchFacts),
            |b| b.layout_hash = "m".into(),
            |b| b.first.hash = "bb".into(),
            |b| b.first.timestamp = None,
            |b| b.first.offset = Offset(8),
            |b| b.range.end = Offset(7),
        ] {
            let verdict = judged(
                |b, _| {
                    other(b);
                    change(b);
                },
                true,
            );
            assert!(stops(&verdict), "{verdict:?}");
        }
    }

    #[test]
    fn a_foreign_object_stops() {
        let foreign = judge(&batch(), &OBJECT, true, &ObjectMetadata::new());
        assert_eq!(foreign, Verdict::Foreign);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            base in 0i64..1 << 40, ahead in 0i64..1000, len in 1i64..1 << 20, objects in 1usize..99,
            timestamp in proptest::option::of(any::<i64>()), gone: bool,
            times in proptest::option::of((any::<i64>(), any::<i64>())), bytes in 0u64..1 << 40,
        ) {
            let mut facts = batch();
            facts.range = OffsetRange { base: Offset(base), end: Offset(base + ahead + len) };
            facts.first.offset = Offset(base + ahead);
            facts.first.timestamp = timestamp.map(TimestampMs);
            facts.objects = objects;
            if gone {
                facts.first.hash.clear();
            }
            let object = ObjectFacts { records: len as u64, uncompressed: bytes, times };
            let read = read_metadata(&object_metadata(&facts, &object));
            prop_assert_eq!(read, Ok((facts, object)));
        }

        #[test]
        fn no_metadata_makes_the_reader_fall(
            values in proptest::collection::vec("[0-9-]{0,4}|none|x", 16),
        ) {
            let names = object_metadata(&batch(), &OBJECT).into_keys();
            let _ = read_metadata(&names.zip(values).collect());
        }
    }

    #[test]
    fn metadata_that_cannot_be_is_refused() {
        assert_eq!(read_metadata(&ObjectMetadata::new()), Err(NOT_OURS));
        let refused = |name: &str, value: &str| {
            let mut metadata = object_metadata(&batch(), &OBJECT);
            metadata.insert(name.into(), value.into());
            read_metadata(&metadata).unwrap_err()
        };
        for (name, value) in [("end", "7"), ("first", "4"), ("records", "14"), ("records", "0")] {
            assert_eq!(refused(name, value), "its metadata contradicts itself", "{name}={value}");
        }
        for (name, value) in [("base", "-1"), ("partition", "x"), ("objects", ""), ("bytes", "-2")]
        {
            assert!(refused(name, value).contains("lacks"), "{name}={value}");
        }
    }

    #[test]
    fn metadata_stays_within_what_s3_takes() {
        let mut large = batch();
        large.from = TopicPartition::new("t".repeat(249), i32::MAX);
        large.range = OffsetRange { base: Offset(i64::MAX), end: Offset(i64::MAX) };
        large.first.hash = "f".repeat(32);
        let size: usize = object_metadata(&large, &OBJECT)
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        assert!(size < 2048, "{size}");
    }
}
