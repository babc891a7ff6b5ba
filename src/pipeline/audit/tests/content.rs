//! Objects as a run makes them, and objects that were changed since.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::super::encode::Encoder;
use super::super::super::layout::tests::sample;
use super::super::super::metadata::{ObjectFacts, tests::batch};
use super::super::*;
use crate::record::{
    Compression, Envelope, Layout, NoHeaders, Offset, OffsetRange, Record, TimestampMs,
    TopicPartition,
};

const AT: i64 = 1_795_305_600_000;

fn at() -> TopicPartition {
    TopicPartition::new("t", 1)
}

/// Records of one hour, as the batch reads them.
fn expected(layout: &Arc<Layout>, values: &[&str]) -> Expected {
    let mut expected = Expected::new(layout, &at());
    for (offset, value) in (0..).zip(values) {
        expected.take(&Record {
            offset: Offset(100 + offset),
            timestamp: Some(TimestampMs(AT + offset)),
            key: None,
            value: Some(value.as_bytes()),
            headers: &NoHeaders,
            leader_epoch: None,
        });
    }
    expected
}

fn stored(compression: Compression, text: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(compression, None, None);
    encoder.write(text);
    encoder.finish().joined().expect("in memory")
}

/// A batch with one object that says so of itself.
fn says(compression: Compression, dead: bool, records: u64, bytes: u64) -> KnownBatch {
    let mut facts = batch();
    facts.range = OffsetRange { base: Offset(100), end: Offset(200) };
    (facts.first.offset, facts.objects) = (Offset(100), 1);
    let times = Some((AT, AT + records as i64 - 1));
    let name = ObjectName {
        partition: 1,
        first: Offset(100),
        compression,
        path: (!dead).then(|| "dt=2026-11-22/hour=00".into()),
    };
    let facts_of_object = ObjectFacts { records, uncompressed: bytes, times };
    let objects = vec![KnownObject { name, facts: facts_of_object }];
    KnownBatch { facts, seen: 1, records, shortened: false, objects }
}

/// Bytes that come in small pieces, as from a network.
struct Pieces<'b>(&'b [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let some = into.len().min(7).min(self.0.len());
        into[..some].copy_from_slice(&self.0[..some]);
        self.0 = &self.0[some..];
        Ok(some)
    }
}

fn flaws(body: &[u8], known: &KnownBatch, with: Comparison<'_>) -> Vec<String> {
    check_content(BufReader::new(Pieces(body)), known, &known.objects[0], with).flaws
}

const TEXT: &str = "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n";
const VALUES: [&str; 3] = ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"];

/// Flaws of a gzip object of this text that says it is the whole one.
fn flaws_of(text: &str) -> Vec<String> {
    let layout = Arc::new(sample());
    let expected = expected(&layout, &VALUES);
    let lines = expected.lines().values().next();
    let with = Comparison { layout: Some(&layout), lines, compacted: false };
    flaws(&stored(Compression::Gzip, text.as_bytes()), &says(Compression::Gzip, false, 3, 24), with)
}

#[track_caller]
fn has(flaws: &[String], words: &str) {
    assert!(flaws.iter().any(|flaw| flaw.contains(words)), "no {words:?} in {flaws:?}");
}

#[test]
fn what_a_run_writes_has_no_flaw() {
    let layout = Arc::new(sample());
    let expected = expected(&layout, &VALUES);
    let lines = expected.lines().values().next();
    assert_eq!(lines.map(|it| (it.len(), it.first())), Some((3, Some(Offset(100)))));
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let body = stored(compression, TEXT.as_bytes());
        let with = Comparison { layout: Some(&layout), lines, compacted: false };
        assert_eq!(flaws(&body, &says(compression, false, 3, 24), with), [""; 0]);
    }
}

#[test]
fn every_flaw_of_the_bytes_is_told() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let known = says(compression, false, 3, 24);
        let body = stored(compression, TEXT.as_bytes());
        let none = Comparison::default();
        has(&flaws(&body[..body.len() - 3], &known, none), "cannot be read to its end");
        let twice = [&body[..], &body[..]].concat();
        has(&flaws(&twice, &known, none), "more follows its first");
        has(&flaws(&[&body[..], b"x"].concat(), &known, none), "more follows its first");
        has(&flaws(b"not compressed at all", &known, none), "cannot be read to its end");
        has(&flaws(b"", &known, none), "");
        let mut changed = body.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 0x20;
        assert!(!flaws(&changed, &known, none).is_empty(), "{compression:?}");
    }
}

#[test]
fn every_flaw_of_a_line_is_told() {
    for (text, words) in [
        ("{\"n\":0}\n{\"n\":1}\n{\"n\":2}", "line 3 does not end"),
        ("{\"n\":0}\n[\"n\",1]\n{\"n\":2}\n", "line 2 is no JSON object: not_an_object"),
        ("{\"n\":0}\n{\"n\":1\n{\"n\":2}\n", "line 2 is no JSON object: not_json"),
        ("{\"n\":0}\n {\"n\":1}\n{\"n\":2}\n", "line 2 has white space around it"),
        ("{\"n\":0}\r\n{\"n\":1}\n{\"n\":2}\n", "line 1 has white space around it"),
        ("{\"n\":0}\n\n{\"n\":2}\n", "line 2 is no JSON object: empty"),
        (
            "{\"n\":0}\n{\"n\":2}\n",
            "1 of Kafka's records are not in it as they must be, the first at offset 101",
        ),
        ("{\"n\":0}\n{\"n\":1}\n{\"n\":1}\n{\"n\":2}\n", "1 lines stand in it again"),
        ("{\"n\":0}\n{\"n\":1}\n{\"n\":3}\n", "1 lines are of no record that Kafka has"),
        ("{\"n\":0}\n{\"n\":1}\n", "it holds 3 records of 24 bytes and holds 2 of 16"),
    ] {
        has(&flaws_of(text), words);
    }
}

#[test]
fn a_compacted_topic_may_have_fewer_records_than_the_object() {
    let layout = Arc::new(sample());
    let expected = expected(&layout, &["{\"n\":0}", "{\"n\":2}"]);
    let lines = expected.lines().values().next();
    let body = stored(Compression::Gzip, TEXT.as_bytes());
    let known = says(Compression::Gzip, false, 3, 24);
    let with = |compacted| Comparison { layout: Some(&layout), lines, compacted };
    assert_eq!(flaws(&body, &known, with(true)), [""; 0]);
    has(&flaws(&body, &known, with(false)), "of no record that Kafka has");
}

#[test]
fn envelopes_and_dead_letters_say_where_they_come_from() {
    let layout = Layout { envelope: Envelope::Fields, ..sample() };
    let line = |partition: i32, offset: i64, at: i64| {
        format!(
            "{{\"n\":1,\"_kafka\":{{\"topic\":\"t\",\"partition\":{partition},\"offset\":{offset},\
             \"timestamp\":{at},\"key\":null,\"headers\":[]}}}}\n"
        )
    };
    let of = |lines: &[String]| {
        let text = lines.concat();
        let known = says(Compression::None, false, lines.len() as u64, text.len() as u64);
        let with = Comparison { layout: Some(&layout), ..Default::default() };
        flaws(text.as_bytes(), &known, with)
    };
    assert_eq!(of(&[line(1, 100, AT), line(1, 105, AT + 1)]), [""; 0]);
    has(&of(&[line(1, 100, AT), line(2, 105, AT + 1)]), "line 2 is of t[2] at 105");
    has(&of(&[line(1, 100, AT), line(1, 200, AT + 1)]), "line 2 is of t[1] at 200");
    has(&of(&[line(1, 105, AT), line(1, 105, AT + 1)]), "again or out of order");
    has(&of(&[line(1, 105, AT), line(1, 106, AT)]), "times are");
    has(&of(&["{}\n".to_owned()]), "does not say where it comes from");

    let dead = "{\"topic\":\"t\",\"partition\":1,\"offset\":103,\"timestamp\":7,\"key\":null,\
                \"headers\":[],\"value\":\"AA==\",\"reason\":\"not_json\"}\n";
    let mut known = says(Compression::None, true, 1, dead.len() as u64);
    known.objects[0].facts.times = Some((7, 7));
    assert_eq!(flaws(dead.as_bytes(), &known, Comparison::default()), [""; 0]);
    known.objects[0].facts.times = None;
    has(&flaws(dead.as_bytes(), &known, Comparison::default()), "times are");
}

proptest! {
    #[test]
    fn a_changed_byte_does_not_pass(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let layout = Arc::new(sample());
        let expected = expected(&layout, &VALUES);
        let lines = expected.lines().values().next();
        let mut text = TEXT.as_bytes().to_vec();
        text[place.index(TEXT.len())] ^= 1 << bit;
        let with = Comparison { layout: Some(&layout), lines, compacted: false };
        let known = says(Compression::None, false, 3, 24);
        prop_assert!(!flaws(&text, &known, with).is_empty());
    }

    #[test]
    fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let known = says(compression, false, 3, 24);
            prop_assert!(!flaws(&bytes, &known, Comparison::default()).is_empty());
        }
    }
}
