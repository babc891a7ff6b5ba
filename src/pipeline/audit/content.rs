//! The bytes of an object against what it says of itself, and against Kafka's records.
//!
//! Fed by `cli` with the body as it comes; of an object one line is held at a time.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::super::decode::decode;
use super::compare::{Matcher, TargetLines};
use super::holdings::{Examples, Flaw, KnownBatch, KnownObject};
use crate::record::{Compression, Envelope, Layout, Offset, OffsetRange, TopicPartition};

/// No line of ours is longer: the largest record as a dead letter, with room for its headers.
const LONGEST_LINE: u64 = 128 << 20;
/// As many flaws of one object are told.
const FLAWS: usize = 5;

/// What reading every line of a Kafka partition found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// Objects that were read.
    pub objects: u64,
    /// Their lines.
    pub records: u64,
    /// The bytes of their lines.
    pub bytes: u64,
    /// Batches that were compared with Kafka's records.
    pub compared: u64,
    /// Batches that were not: Kafka has them no longer, or they are of another layout.
    pub not_compared: u64,
    /// What is wrong.
    pub flaws: Examples<Flaw>,
}

/// What an object is compared with.
#[derive(Clone, Copy, Default)]
pub struct Comparison<'e> {
    /// The layout, where it is that of the batch.
    pub layout: Option<&'e Layout>,
    /// The lines that it must have, where Kafka still has the records.
    pub lines: Option<&'e TargetLines>,
    /// Kafka may have fewer records by now than when the batch was written.
    pub compacted: bool,
}

/// What one object was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectContent {
    /// Its lines.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with it, the first few of it.
    pub flaws: Vec<String>,
}

/// Reads an object to its end. What goes wrong with the reading itself is told as a flaw too:
/// whoever feeds the bytes knows whether they all came.
pub fn check_content<R: BufRead>(
    body: R,
    batch: &KnownBatch,
    object: &KnownObject,
    with: Comparison<'_>,
) -> ObjectContent {
    let mut reading = Reading {
        from: &batch.facts.from,
        lands: batch.lands(),
        origin: origin_of(object, with.layout),
        usable: with.layout.filter(|_| object.name.path.is_some()).map(|it| it.usable_time),
        matcher: with.lines.map(Matcher::new),
        times: None,
        last: None,
        found: ObjectContent::default(),
    };
    let read = match object.name.compression {
        Compression::Gzip => reading.gzip(body),
        Compression::Zstd => reading.zstd(body),
        Compression::None => reading.lines(BufReader::new(body)),
    };
    if let Err(error) = read {
        reading.flaw(|| format!("it cannot be read to its end: {error}"));
    }
    reading.compare(object, with.compacted);
    reading.found
}

/// Where a line says where it comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OriginIn {
    Nowhere,
    Envelope,
    DeadLetter,
}

fn origin_of(object: &KnownObject, layout: Option<&Layout>) -> OriginIn {
    match (&object.name.path, layout) {
        (None, _) => OriginIn::DeadLetter,
        (Some(_), Some(layout)) if layout.envelope == Envelope::Fields => OriginIn::Envelope,
        (Some(_), _) => OriginIn::Nowhere,
    }
}

#[derive(Deserialize)]
struct Enveloped {
    #[serde(rename = "_kafka")]
    kafka: Origin,
}

#[derive(Deserialize)]
struct Origin {
    topic: String,
    partition: i32,
    offset: Offset,
    timestamp: Option<i64>,
}

struct Reading<'e> {
    from: &'e TopicPartition,
    lands: OffsetRange,
    origin: OriginIn,
    usable: Option<(i64, i64)>,
    matcher: Option<Matcher<'e>>,
    times: Option<(i64, i64)>,
    last: Option<Offset>,
    found: ObjectContent,
}

impl Reading<'_> {
    fn flaw(&mut self, text: impl FnOnce() -> String) {
        if self.found.flaws.len() < FLAWS {
            let text = text();
            if !self.found.flaws.contains(&text) {
                self.found.flaws.push(text);
            }
        }
    }

    fn gzip<R: BufRead>(&mut self, body: R) -> io::Result<()> {
        let mut decoder = flate2::bufread::GzDecoder::new(body);
        self.lines(BufReader::new(&mut decoder))?;
        self.must_end(decoder.into_inner(), "gzip member")
    }

    fn zstd<R: BufRead>(&mut self, body: R) -> io::Result<()> {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?.single_frame();
        self.lines(BufReader::new(&mut decoder))?;
        self.must_end(decoder.finish(), "zstd frame")
    }

    fn must_end(&mut self, mut rest: impl BufRead, what: &str) -> io::Result<()> {
        if !rest.fill_buf()?.is_empty() {
            self.flaw(|| format!("more follows its first {what}"));
        }
        Ok(())
    }

    fn lines<R: BufRead>(&mut self, mut text: R) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            (&mut text).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(());
            }
            self.found.records += 1;
            self.found.bytes += line.len() as u64;
            if self.line(&line).is_break() {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> ControlFlow<()> {
        let number = self.found.records;
        let Some(value) = line.strip_suffix(b"\n") else {
            self.flaw(|| format!("line {number} does not end"));
            return ControlFlow::Break(());
        };
        match decode(value, u32::MAX) {
            Ok(decoded) if decoded.len() == value.len() => {}
            Ok(_) => self.flaw(|| format!("line {number} has white space around it")),
            Err(reason) => {
                self.flaw(|| format!("line {number} is no JSON object: {}", reason.as_str()));
            }
        }
        self.check_origin(value, number);
        if let Some(matcher) = &mut self.matcher {
            matcher.take(line);
        }
        ControlFlow::Continue(())
    }

    fn check_origin(&mut self, value: &[u8], number: u64) {
        let origin = match self.origin {
            OriginIn::Nowhere => return,
            OriginIn::Envelope => serde_json::from_slice::<Enveloped>(value).map(|it| it.kafka),
            OriginIn::DeadLetter => serde_json::from_slice::<Origin>(value),
        };
        let Ok(origin) = origin else {
            return self.flaw(|| format!("line {number} does not say where it comes from"));
        };
        let (lands, at) = (self.lands, origin.offset);
        let is_ours = origin.topic == *self.from.topic && origin.partition == self.from.partition;
        if !is_ours || at < lands.base || at >= lands.end {
            let (topic, partition) = (&origin.topic, origin.partition);
            self.flaw(|| format!("line {number} is of {topic}[{partition}] at {at}"));
        }
        if self.last.is_some_and(|last| at <= last) {
            self.flaw(|| format!("line {number} is of offset {at}, again or out of order"));
        }
        self.last = Some(at);
        let usable = |time: &i64| self.usable.is_none_or(|(from, to)| (from..to).contains(time));
        if let Some(time) = origin.timestamp.filter(usable) {
            let (from, to) = self.times.unwrap_or((time, time));
            self.times = Some((from.min(time), to.max(time)));
        }
    }

    /// What is known at the end: counts, times, and how the lines fit Kafka's.
    fn compare(&mut self, object: &KnownObject, compacted: bool) {
        let ObjectContent { records, bytes, .. } = self.found;
        let said = object.facts;
        if (records, bytes) != (said.records, said.uncompressed) {
            self.flaw(|| {
                format!(
                    "it says that it holds {} records of {} bytes and holds {records} of {bytes}",
                    said.records, said.uncompressed
                )
            });
        }
        if self.origin != OriginIn::Nowhere && self.times != said.times {
            let span = |times: Option<(i64, i64)>| match times {
                Some((from, to)) => format!("{from} to {to} ms"),
                None => "unusable".to_owned(),
            };
            let (told, found) = (span(said.times), span(self.times));
            self.flaw(|| format!("it says that its times are {told}, and they are {found}"));
        }
        let Some(fit) = self.matcher.take().map(Matcher::finish) else { return };
        if let Some(first) = fit.first_missing {
            self.flaw(|| {
                format!(
                    "{} of Kafka's records are not in it as they must be, the first at offset \
                     {first}",
                    fit.missing
                )
            });
        }
        if fit.doubled > 0 {
            self.flaw(|| format!("{} lines stand in it again or out of order", fit.doubled));
        }
        if fit.unknown > 0 && !compacted {
            self.flaw(|| format!("{} lines are of no record that Kafka has", fit.unknown));
        }
    }
}
