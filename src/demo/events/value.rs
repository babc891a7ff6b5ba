//! The values: events of a shop, of one schema, and values that are none.

use memchr::memmem;

use super::random::Random;
use super::text::{push_cents, push_hex, push_iso, push_number, push_signed, user_id};

/// From here on an event has all of its fields.
const FULL_SIZE: usize = 400;

/// What stands before the number in every value, sound or not.
const MARKER: &[u8] = br#""sequence":"#;

const TYPES: &[&str] = &["order", "order", "click", "click", "click", "view", "refund", "search"];
const PLACES: &[&[&str; 2]] = &[
    &["DE", "EUR"],
    &["FR", "EUR"],
    &["NL", "EUR"],
    &["GB", "GBP"],
    &["US", "USD"],
    &["JP", "JPY"],
    &["SE", "SEK"],
    &["BR", "BRL"],
    &["CH", "CHF"],
    &["IN", "INR"],
];
const NAMES: &[&str] = &[
    "Zoë Müller",
    "André Lefèvre",
    "佐藤 花子",
    "Olena Шевченко",
    "José Ñíguez",
    "Søren Ångström",
    "Priya शर्मा",
    "Mary O'Neill",
    "Łukasz Żak",
    "Ανδρέας",
];
const SHELVES: &[&str] = &["books", "garden", "music", "toys", "shoes", "tea", "lamps", "bikes"];
const SYSTEMS: &[&str] = &["ios", "android", "web", "kiosk"];

/// Words of the note, as they stand in a JSON string: some with escapes, some beyond ASCII.
const WORDS: &[&str] = &[
    "please",
    "leave",
    "the",
    "parcel",
    "with",
    "my",
    "son",
    "gift",
    "wrapped",
    "before",
    "noon",
    "ring",
    "twice",
    "größe",
    "naïve",
    "東京",
    "🚀",
    "café",
    r#"\"ok\""#,
    "and",
    "or",
    "any",
    "colour",
    "but",
    "blue",
    "thank",
    "you",
    r"a\nb",
    r"c:\\d",
    r"x\ty",
    r"\u00e9",
    "1/2",
    "price",
    "invoice",
    "to",
    "company",
    "fragile",
    "handle",
    "care",
    "second",
    "floor",
    "left",
    "door",
    "code",
];

/// What is known of an event before its value is written.
pub(super) struct Draft {
    pub(super) sequence: u64,
    pub(super) timestamp_ms: i64,
    pub(super) user: u64,
    pub(super) size: usize,
}

/// A JSON object of about the size that is asked for.
pub(super) fn sound(draft: &Draft, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::with_capacity(draft.size.max(256) + 32);
    head(&mut out, draft, random);
    let place = random.pick(PLACES);
    if draft.size >= FULL_SIZE {
        details(&mut out, draft, place, random);
    }
    out.extend_from_slice(br#","country":""#);
    out.extend_from_slice(place[0].as_bytes());
    out.extend_from_slice(br#"","currency":""#);
    out.extend_from_slice(place[1].as_bytes());
    out.extend_from_slice(br#"","amount":"#);
    push_cents(&mut out, random.below(50_000) + 99);
    if draft.size >= FULL_SIZE {
        note(&mut out, draft.size, random);
    }
    out.push(b'}');
    out
}

fn head(out: &mut Vec<u8>, draft: &Draft, random: &mut Random) {
    out.extend_from_slice(br#"{"id":""#);
    push_hex(out, random.next());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(MARKER);
    push_number(out, draft.sequence);
    out.extend_from_slice(br#","type":""#);
    out.extend_from_slice(random.pick(TYPES).as_bytes());
    out.extend_from_slice(br#"","event_time":""#);
    push_iso(out, draft.timestamp_ms);
    out.extend_from_slice(br#"","event_time_ms":"#);
    push_signed(out, draft.timestamp_ms);
}

fn details(out: &mut Vec<u8>, draft: &Draft, place: &[&str; 2], random: &mut Random) {
    out.extend_from_slice(br#","user":{"id":""#);
    out.extend_from_slice(&user_id(draft.user));
    out.extend_from_slice(br#"","name":""#);
    out.extend_from_slice(random.pick(NAMES).as_bytes());
    out.extend_from_slice(br#"","device":{"system":""#);
    out.extend_from_slice(random.pick(SYSTEMS).as_bytes());
    out.extend_from_slice(br#"","version":"#);
    push_number(out, 3 + random.below(5));
    out.extend_from_slice(br#"}},"url":"https://shop.example/"#);
    out.extend(place[0].bytes().map(|byte| byte.to_ascii_lowercase()));
    out.push(b'/');
    out.extend_from_slice(random.pick(SHELVES).as_bytes());
    out.extend_from_slice(b"?article=");
    push_number(out, random.below(100_000));
    out.extend_from_slice(br#"","items":["#);
    for item in 0..=random.below(2) {
        out.extend_from_slice(if item == 0 { br#"{"sku":"A-"# } else { br#",{"sku":"B-"# });
        push_number(out, 10_000 + random.below(90_000));
        out.extend_from_slice(br#"","quantity":"#);
        push_number(out, 1 + random.below(4));
        out.extend_from_slice(br#","price":"#);
        push_cents(out, random.below(20_000) + 49);
        out.push(b'}');
    }
    out.push(b']');
}

/// Fills up to the wanted size with words.
fn note(out: &mut Vec<u8>, size: usize, random: &mut Random) {
    out.extend_from_slice(br#","note":""#);
    let mut first = true;
    while out.len() + 8 < size {
        if !std::mem::take(&mut first) {
            out.push(b' ');
        }
        out.extend_from_slice(random.pick(WORDS).as_bytes());
    }
    out.push(b'"');
}

/// A value that is no JSON object, each in one of the ways that are seen in real topics.
pub(super) fn invalid(draft: &Draft, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let way = random.below(4);
    match way {
        0 => head(&mut out, draft, random),
        1 => out.extend_from_slice(br#"[{"sequence":"#),
        2 => out.extend_from_slice(br#"no JSON at all, but "sequence":"#),
        _ => out.extend_from_slice(b"{\"name\":\"Z\xEF\xFE\",\"sequence\":"),
    }
    if way > 0 {
        push_number(&mut out, draft.sequence);
        out.extend_from_slice(if way == 1 { b"}]" } else { b" }" });
    }
    out
}

/// The sequence number in a value of ours, sound or not, or in a line that holds one.
pub fn sequence_of(value: &[u8]) -> Option<u64> {
    let digits = &value[memmem::find(value, MARKER)? + MARKER.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
