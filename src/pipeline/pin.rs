//! What stands in the offset metadata of every commit: the mark, and the pin of a batch.
//!
//! | metadata | meaning |
//! |---|---|
//! | mark | we set this offset; a new batch begins here |
//! | mark and pin | we set this offset; `[offset, end)` is a batch that was begun under `id` |
//! | anything else | somebody else set this offset |
//!
//! Fed by `flight`, read by `resolve`. The text is JSON so that a person can read it with
//! Kafka's own tools.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::layout::{CODE_VERSION, CompactLayout};
use crate::record::{Layout, Offset};

/// The version of this text. One version reads and finishes the pins of the one before.
const TEXT_VERSION: u16 = 1;

/// Says that this commit is ours, and of which topic and log it speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The offset that the commit was written for.
    #[serde(rename = "o")]
    pub offset: Offset,
    /// The topic id; empty if the broker tells none.
    #[serde(
        rename = "t",
        with = "shared",
        default = "nothing",
        skip_serializing_if = "str::is_empty"
    )]
    pub topic_id: Arc<str>,
    /// The cluster id; empty if the broker tells none.
    #[serde(
        rename = "c",
        with = "shared",
        default = "nothing",
        skip_serializing_if = "str::is_empty"
    )]
    pub cluster_id: Arc<str>,
    /// The leader epoch of the last record before the offset.
    #[serde(rename = "le", default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
    /// The hash of the layout in force.
    #[serde(rename = "h", with = "shared")]
    pub layout_hash: Arc<str>,
    /// Nothing of this Kafka partition has landed yet: the offset is where a first start began,
    /// when the topic had so many Kafka partitions.
    #[serde(rename = "fs", default, skip_serializing_if = "Option::is_none")]
    pub first_start: Option<i32>,
}

/// A batch that was begun: whoever reads this finishes exactly `[offset of the mark, end)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The pin's id, unique over all processes and times.
    pub id: Arc<str>,
    /// The first offset after the batch.
    pub end: Offset,
    /// The offset of the batch's first landing record.
    pub first: Offset,
    /// The batch's last record and the leader epoch it was read with.
    pub last: Option<(Offset, i32)>,
    /// How the batch is laid out.
    pub layout: Arc<Layout>,
}

/// What the offset metadata of a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Somebody else's, or none.
    Foreign,
    /// Ours, without or with a pin.
    Ours(Mark, Option<Pin>),
    /// Ours, of a version that this program does not know.
    Newer(u16),
    /// Ours by its beginning, but not to be read.
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(rename = "kafka-s3-sink")]
    version: u16,
    #[serde(flatten)]
    mark: Mark,
    #[serde(rename = "pin", default, skip_serializing_if = "Option::is_none")]
    pin: Option<PinText>,
}

#[derive(Serialize, Deserialize)]
struct PinText {
    #[serde(rename = "i", with = "shared")]
    id: Arc<str>,
    #[serde(rename = "e")]
    end: Offset,
    #[serde(rename = "f")]
    first: Offset,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    last: Option<(Offset, i32)>,
    #[serde(rename = "y")]
    layout: CompactLayout,
}

fn nothing() -> Arc<str> {
    Arc::from("")
}

/// Shared texts as plain strings.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// Only the versions, to tell a newer text from a damaged one.
#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "kafka-s3-sink")]
    version: u16,
    pin: Option<PinVersions>,
}

#[derive(Deserialize)]
struct PinVersions {
    y: LayoutVersion,
}

#[derive(Deserialize)]
struct LayoutVersion {
    v: u16,
}

/// The text of a mark, with a pin if there is one.
pub fn encode_metadata(mark: &Mark, pin: Option<&Pin>) -> String {
    let text = Text {
        version: TEXT_VERSION,
        mark: mark.clone(),
        pin: pin.map(|pin| PinText {
            id: pin.id.clone(),
            end: pin.end,
            first: pin.first,
            last: pin.last,
            layout: CompactLayout::from(&*pin.layout),
        }),
    };
    serde_json::to_string(&text).expect("mark and pin are plain data")
}

/// Reads what `encode_metadata` wrote, and says so where it did not write it.
pub fn decode_metadata(text: &str) -> Metadata {
    if !text.starts_with("{\"kafka-s3-sink\":") {
        return Metadata::Foreign;
    }
    if let Ok(versions) = serde_json::from_str::<Versions>(text) {
        let layout = versions.pin.map_or(0, |pin| pin.y.v);
        if versions.version > TEXT_VERSION || layout > CODE_VERSION {
            return Metadata::Newer(versions.version.max(layout));
        }
    }
    match serde_json::from_str::<Text>(text) {
        Ok(text) => decoded(text),
        Err(error) => Metadata::Damaged(error.to_string()),
    }
}

fn decoded(text: Text) -> Metadata {
    let base = text.mark.offset;
    let Some(pin) = text.pin else { return Metadata::Ours(text.mark, None) };
    if pin.first < base || pin.end <= pin.first {
        return Metadata::Damaged(format!(
            "the pinned range [{base}, {}) does not hold its first record {}",
            pin.end, pin.first
        ));
    }
    let pin = Pin {
        id: pin.id,
        end: pin.end,
        first: pin.first,
        last: pin.last,
        layout: Arc::new(pin.layout.into()),
    };
    Metadata::Ours(text.mark, Some(pin))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::tests::sample;
    use super::*;

    fn mark() -> Mark {
        Mark {
            offset: Offset(10),
            topic_id: "kmyx1AiiRn6bqvRF0JPLxA".into(),
            cluster_id: "".into(),
            leader_epoch: Some(3),
            layout_hash: "00ff".into(),
            first_start: None,
        }
    }

    fn pin() -> Pin {
        Pin {
            id: "a-1".into(),
            end: Offset(20),
            first: Offset(12),
            last: Some((Offset(19), 3)),
            layout: Arc::new(sample()),
        }
    }

    #[test]
    fn the_text_is_pinned_for_it_is_stored_in_brokers() {
        assert_eq!(
            encode_metadata(&mark(), Some(&pin())),
            "{\"kafka-s3-sink\":1,\"o\":10,\"t\":\"kmyx1AiiRn6bqvRF0JPLxA\",\"le\":3,\"h\":\"00ff\",\
             \"pin\":{\"i\":\"a-1\",\"e\":20,\"f\":12,\"l\":[19,3],\"y\":{\"v\":1,\"b\":\"lake\",\
             \"p\":\"raw\",\"d\":\"dead-letters\",\"k\":[\"dt\",\"hour\"],\"c\":\"gzip\",\
             \"t\":[946684800000,4102444800000],\"e\":\"none\",\"i\":\"dead_letter\",\"n\":\"skip\",\
             \"m\":16777216,\"s\":\"read_committed\"}}}"
        );
    }

    #[test]
    fn foreign_newer_and_damaged_texts_are_told_apart() {
        assert_eq!(decode_metadata(""), Metadata::Foreign);
        assert_eq!(decode_metadata("reset by hand"), Metadata::Foreign);
        let newer = encode_metadata(&mark(), None).replace("sink\":1", "sink\":2");
        assert_eq!(decode_metadata(&newer), Metadata::Newer(2));
        let newer = encode_metadata(&mark(), Some(&pin())).replace("\"v\":1", "\"v\":9");
        assert_eq!(decode_metadata(&newer), Metadata::Newer(9));
        let whole = encode_metadata(&mark(), Some(&pin()));
        assert!(matches!(decode_metadata(&whole[..whole.len() - 3]), Metadata::Damaged(_)));
        let crooked = whole.replace("\"e\":20", "\"e\":12");
        assert!(matches!(decode_metadata(&crooked), Metadata::Damaged(_)));
    }

    proptest! {
        #[test]
        fn marks_and_pins_survive_the_round_trip(
            base in 0i64..1 << 60, ahead in 0i64..1000, len in 1i64..1_000_000,
            epoch in proptest::option::of(any::<i32>()), pinned: bool,
            first_start in proptest::option::of(1..i32::MAX),
        ) {
            let mark = Mark {
                offset: Offset(base), leader_epoch: epoch, first_start, ..mark()
            };
            let first = Offset(base + ahead);
            let pin = pinned.then(|| Pin {
                end: Offset(first.0 + len), first, last: epoch.map(|e| (first, e)), ..pin()
            });
            let text = encode_metadata(&mark, pin.as_ref());
            prop_assert!(text.len() <= 4096);
            prop_assert_eq!(decode_metadata(&text), Metadata::Ours(mark, pin));
        }

        #[test]
        fn no_text_makes_the_reader_fall(text in ".{0,80}") {
            let _ = decode_metadata(&text);
            let _ = decode_metadata(&format!("{{\"kafka-s3-sink\":1,{text}"));
        }
    }
}
