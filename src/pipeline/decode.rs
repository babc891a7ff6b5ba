//! From a record's value to the line it becomes, or the reason why it becomes none.
//!
//! Fed by `partition`, feeds `route` and `batch`. A value is validated, never re-serialised.

use std::borrow::Cow;

use memchr::{memchr2, memmem};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::{self, Object};

/// The member that the envelope adds.
pub(super) const ENVELOPE_MEMBER: &str = "_kafka";

/// Why a value is not a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InvalidReason {
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// It is not JSON.
    NotJson,
    /// It is JSON, but a scalar or an array.
    NotAnObject,
    /// It has no byte, or only white space.
    Empty,
    /// It is larger than `records.max_bytes`.
    TooLarge,
    /// It has a member `_kafka` of its own where the envelope would add one.
    EnvelopeConflict,
    /// It is a tombstone that the policy sends to the dead letters.
    Tombstone,
}

impl InvalidReason {
    /// Each of them.
    pub const ALL: [Self; 7] = [
        Self::NotUtf8,
        Self::NotJson,
        Self::NotAnObject,
        Self::Empty,
        Self::TooLarge,
        Self::EnvelopeConflict,
        Self::Tombstone,
    ];

    /// The spelling in metrics, logs and dead letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::EnvelopeConflict => "envelope_conflict",
            Self::Tombstone => "tombstone",
        }
    }
}

/// Checks that `value` is one JSON object and takes raw line breaks out of it.
///
/// In valid JSON a raw newline or carriage return stands only between tokens, where it means
/// nothing, so it can be left out without looking at the tokens.
pub(super) fn decode(value: &[u8], max_bytes: u32) -> Result<Cow<'_, [u8]>, InvalidReason> {
    if value.len() > max_bytes as usize {
        return Err(InvalidReason::TooLarge);
    }
    let (text, may_break) = match json::object(value) {
        Some(Object { range, has_controls }) => (&value[range], has_controls),
        None => (slow_object(value)?, true),
    };
    let breaks = may_break && memchr2(b'\n', b'\r', text).is_some();
    Ok(if breaks { Cow::Owned(without_line_breaks(text)) } else { Cow::Borrowed(text) })
}

/// The object in `value`, or why there is none.
fn slow_object(value: &[u8]) -> Result<&[u8], InvalidReason> {
    let raw: &RawValue = serde_json::from_slice(value).map_err(|_| why_invalid(value))?;
    let text = raw.get().as_bytes();
    if text.first() == Some(&b'{') { Ok(text) } else { Err(InvalidReason::NotAnObject) }
}

fn why_invalid(value: &[u8]) -> InvalidReason {
    if value.iter().all(u8::is_ascii_whitespace) {
        InvalidReason::Empty
    } else if std::str::from_utf8(value).is_err() {
        InvalidReason::NotUtf8
    } else {
        InvalidReason::NotJson
    }
}

fn without_line_breaks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect()
}

/// Whether the object has a top-level member `_kafka`, however it is escaped.
pub(super) fn has_envelope_member(line: &[u8]) -> bool {
    let suspicious = memmem::find(line, ENVELOPE_MEMBER.as_bytes()).is_some()
        || memmem::find(line, b"\\u").is_some();
    suspicious && top_level_members(line, |name| name == ENVELOPE_MEMBER)
}

/// A member's name as bytes: one that is half of a surrogate pair (`"\ud800"`) is JSON, but no
/// text, and must not keep us from the others.
pub(super) struct Name<'de>(pub(super) Cow<'de, [u8]>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(bytes.to_vec())))
            }
        }
        parser.deserialize_bytes(Bytes)
    }
}

/// Whether `wanted` holds for a name of a top-level member of the object.
pub(super) fn top_level_members(line: &[u8], wanted: impl Fn(&str) -> bool) -> bool {
    struct Names<F>(F);
    impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Names<F> {
        type Value = bool;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut found = false;
            while let Some(Name(name)) = map.next_key()? {
                found |= std::str::from_utf8(&name).is_ok_and(&self.0);
                map.next_value::<IgnoredAny>()?;
            }
            Ok(found)
        }
    }
    let mut parser = serde_json::Deserializer::from_slice(line);
    serde::Deserializer::deserialize_map(&mut parser, Names(wanted)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(value: &str) -> String {
        String::from_utf8(decode(value.as_bytes(), 1 << 20).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn the_bytes_stay_as_they_are() {
        let odd = r#"{"b":1.50,"a":1e400,"a":"\u00e9\ud800","z":[ 1 , 2 ]}"#;
        assert_eq!(line(odd), odd);
        assert_eq!(line(&format!("  {odd}\n")), odd);
    }

    #[test]
    fn line_breaks_between_tokens_are_removed() {
        assert_eq!(line("{\n  \"a\": 1,\r\n\"b\":\"x\\ny\"\n}"), r#"{  "a": 1,"b":"x\ny"}"#);
    }

    #[test]
    fn what_is_not_an_object_says_why() {
        let reason = |value: &[u8]| decode(value, 64).unwrap_err();
        assert_eq!(reason(b""), InvalidReason::Empty);
        assert_eq!(reason(b" \n"), InvalidReason::Empty);
        assert_eq!(reason(b"{\"a\":\"\xff\"}"), InvalidReason::NotUtf8);
        assert_eq!(reason(b"{\"a\":1"), InvalidReason::NotJson);
        assert_eq!(reason(b"{\"a\":\"x\ny\"}"), InvalidReason::NotJson);
        assert_eq!(reason(b"{} {}"), InvalidReason::NotJson);
        assert_eq!(reason(b"\xef\xbb\xbf{}"), InvalidReason::NotJson);
        assert_eq!(reason(b"[1]"), InvalidReason::NotAnObject);
        assert_eq!(reason(b"null"), InvalidReason::NotAnObject);
        assert_eq!(reason(&[b' '; 65]), InvalidReason::TooLarge);
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(line(&deep), deep);
    }

    #[test]
    fn a_name_that_is_no_text_hides_no_other() {
        let odd = br#"{"\ud800":1,"\udc00x":{},"_kafka":2}"#;
        assert!(decode(odd, 64).is_ok() && has_envelope_member(odd));
        assert!(!has_envelope_member(br#"{"\ud800":1,"a":2}"#));
    }

    #[test]
    fn an_envelope_member_is_seen_at_the_top_level_only() {
        assert!(has_envelope_member(br#"{"a":1,"_kafka":{}}"#));
        assert!(has_envelope_member(br#"{"\u005fkafka":1}"#));
        assert!(!has_envelope_member(br#"{"a":{"_kafka":1},"b":"_kafka"}"#));
    }

    proptest! {
        #[test]
        fn a_line_never_holds_a_line_break_and_means_the_same(
            members in proptest::collection::btree_map("[a-z\\n\"é]{0,6}", ".*", 0..6),
        ) {
            let value = serde_json::to_string_pretty(&members).unwrap();
            let decoded = decode(value.as_bytes(), 1 << 20).unwrap();
            prop_assert!(memchr2(b'\n', b'\r', &decoded).is_none());
            let back: std::collections::BTreeMap<String, String> =
                serde_json::from_slice(&decoded).unwrap();
            prop_assert_eq!(back, members);
        }

        #[test]
        fn any_bytes_are_a_line_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(line) = decode(&bytes, 64) {
                prop_assert!(serde_json::from_slice::<serde_json::Map<_, _>>(&line).is_ok());
            }
        }
    }
}
