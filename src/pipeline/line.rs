//! How a line reads: the value alone, the value with the envelope, or a dead letter.
//!
//! Fed by `batch` with decoded values, feeds `encode`. Pure functions of record and layout.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::decode::{ENVELOPE_MEMBER, InvalidReason};
use crate::record::{Envelope, HeaderSource, Record, TopicPartition};

/// The line of a value in two pieces, with the envelope if the layout has one: first what is
/// returned, the value's own bytes, then what is appended to `out`.
pub(super) fn write_line<'v>(
    out: &mut Vec<u8>,
    envelope: Envelope,
    value: &'v [u8],
    from: &TopicPartition,
    record: &Record<'_>,
) -> &'v [u8] {
    let head = match envelope {
        Envelope::None => value,
        Envelope::Fields => value.strip_suffix(b"}").unwrap_or(value),
    };
    if envelope == Envelope::Fields {
        if !head[1..].iter().all(u8::is_ascii_whitespace) {
            out.push(b',');
        }
        out.extend_from_slice(b"\"");
        out.extend_from_slice(ENVELOPE_MEMBER.as_bytes());
        out.extend_from_slice(b"\":");
        write_json(out, &Origin { from, record, rejected: None });
        out.push(b'}');
    }
    out.push(b'\n');
    head
}

/// Appends the record as a dead letter: where it came from, why, and its bytes in base64.
pub(super) fn write_dead_letter(
    out: &mut Vec<u8>,
    from: &TopicPartition,
    record: &Record<'_>,
    reason: InvalidReason,
) {
    // Grown step by step, a large one would be there twice for a while.
    out.reserve(record.value.map_or(0, <[u8]>::len) / 3 * 4 + (1 << 10));
    write_json(out, &Origin { from, record, rejected: Some(reason) });
    out.push(b'\n');
}

fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // A Vec never fails to take bytes, and these types have no failing serialisation.
    serde_json::to_writer(out, value).expect("writing JSON to memory");
}

/// Where a record came from; with `rejected` also its value.
struct Origin<'a> {
    from: &'a TopicPartition,
    record: &'a Record<'a>,
    rejected: Option<InvalidReason>,
}

impl Serialize for Origin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", &*self.from.topic)?;
        map.serialize_entry("partition", &self.from.partition)?;
        map.serialize_entry("offset", &self.record.offset)?;
        map.serialize_entry("timestamp", &self.record.timestamp)?;
        serialize_bytes(&mut map, "key", "key_base64", self.record.key)?;
        map.serialize_entry("headers", &Headers(self.record.headers))?;
        if let Some(reason) = self.rejected {
            map.serialize_entry("value", &self.record.value.map(Base64))?;
            map.serialize_entry("reason", reason.as_str())?;
        }
        map.end()
    }
}

/// Bytes in base64, written as they are made: a large value is not there once more.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Text under `name`, other bytes in base64 under `base64_name`; null stays null.
fn serialize_bytes<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    base64_name: &'static str,
    bytes: Option<&[u8]>,
) -> Result<(), M::Error> {
    match bytes.map(std::str::from_utf8) {
        None => map.serialize_entry(name, &None::<()>),
        Some(Ok(text)) => map.serialize_entry(name, text),
        Some(Err(_)) => map.serialize_entry(base64_name, &Base64(bytes.unwrap_or(b""))),
    }
}

/// A list and no map, for a record may carry one name twice.
struct Headers<'a>(&'a dyn HeaderSource);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut failed = None;
        self.0.for_each(&mut |name, value| {
            if failed.is_none() {
                failed = list.serialize_element(&Header { name, value }).err();
            }
        });
        failed.map_or_else(|| list.end(), Err)
    }
}

struct Header<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &String::from_utf8_lossy(self.name))?;
        serialize_bytes(&mut map, "value", "value_base64", self.value)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{Offset, TimestampMs};

    fn with_record<T>(use_it: impl FnOnce(&TopicPartition, &Record<'_>) -> T) -> T {
        let headers = vec![(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None::<Vec<u8>>)];
        let record = Record {
            offset: Offset(7),
            timestamp: Some(TimestampMs(1_700_000_000_000)),
            key: Some(b"\xff"),
            value: Some(b"\x00"),
            headers: &headers,
            leader_epoch: None,
        };
        use_it(&TopicPartition::new("t", 3), &record)
    }

    fn enveloped(value: &str) -> String {
        let mut tail = Vec::new();
        with_record(|from, record| {
            let head = write_line(&mut tail, Envelope::Fields, value.as_bytes(), from, record);
            String::from_utf8([head, &tail].concat()).unwrap()
        })
    }

    #[test]
    fn the_envelope_goes_before_the_closing_brace() {
        let line = enveloped(r#"{"a":1.50}"#);
        assert!(line.starts_with(r#"{"a":1.50,"_kafka":{"#), "{line}");
        assert!(line.ends_with("}}\n"), "{line}");
        let back: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            back["_kafka"],
            json!({"topic": "t", "partition": 3, "offset": 7, "timestamp": 1_700_000_000_000i64,
                   "key_base64": "/w==",
                   "headers": [{"key": "h", "value": "1"}, {"key": "h", "value": null}]})
        );
    }

    #[test]
    fn an_empty_object_takes_the_envelope_without_a_comma() {
        for empty in ["{}", "{ }"] {
            let back: Value = serde_json::from_str(&enveloped(empty)).unwrap();
            assert_eq!(back.as_object().unwrap().len(), 1);
        }
    }

    #[test]
    fn a_dead_letter_keeps_every_byte() {
        let mut out = Vec::new();
        with_record(|from, record| {
            write_dead_letter(&mut out, from, record, InvalidReason::NotJson);
        });
        let back: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(back["value"], "AA==");
        assert_eq!(back["reason"], "not_json");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
