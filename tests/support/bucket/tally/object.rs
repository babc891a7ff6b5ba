//! One object: its lines against its metadata, its name and its Hive path.

use serde::Deserialize;

use super::super::{Object, decode};
use super::Reading;

/// What one object holds.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) key: String,
    pub(super) is_dead_letters: bool,
    pub(super) hive_path: String,
    pub(super) stored_bytes: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// Kafka partition and sequence number of every line that carries them.
    pub(super) ids: Vec<(i32, u64)>,
    pub(super) partition: i32,
    pub(super) base: i64,
    pub(super) first: i64,
    pub(super) end: i64,
    pub(super) objects_in_batch: u64,
    /// What all objects of a batch say alike.
    pub(super) batch: Vec<String>,
    pub(super) problems: Vec<String>,
    /// The smallest and the largest event time of the lines.
    event_ms: Option<(i64, i64)>,
}

/// A line of the table, as far as the oracle knows it; `serde_json` checks the rest for syntax.
#[derive(Deserialize)]
struct Line {
    partition: Option<i32>,
    sequence: Option<u64>,
    event_ms: Option<i64>,
}

/// Metadata that all objects of a batch have in common. The base is not among them: a member that
/// adopts a batch may have begun it at another offset of the same gap.
const BATCH_FIELDS: [&str; 8] =
    ["topic", "partition", "first", "end", "pin", "group", "layout", "objects"];

pub(super) fn check_object(reading: &Reading, object: &Object) -> Checked {
    let mut checked = Checked {
        key: object.key.clone(),
        is_dead_letters: object.key.starts_with(&reading.dead_letters),
        stored_bytes: object.body.len() as u64,
        ..Checked::default()
    };
    checked.read_metadata(reading, object);
    match decode::text(&object.key, &object.body) {
        Ok(text) => checked.read_lines(&text),
        Err(problem) => checked.problems.push(problem),
    }
    checked.compare_metadata(object);
    checked.check_key(reading);
    checked.check_hive_path();
    checked.check_headers(object);
    checked
}

impl Checked {
    fn require(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds && self.problems.len() < 5 {
            self.problems.push(problem());
        }
    }

    fn read_metadata(&mut self, reading: &Reading, object: &Object) {
        let text = |name: &str| object.metadata.get(name).cloned().unwrap_or_default();
        self.batch = BATCH_FIELDS.map(text).into();
        let absent = BATCH_FIELDS.iter().filter(|name| text(name).is_empty()).count();
        self.require(absent == 0, || format!("metadata lacks fields: {:?}", object.metadata));
        self.require(text("topic") == reading.topic, || "is of another topic".to_owned());
        self.partition = text("partition").parse().unwrap_or(-1);
        [self.base, self.first, self.end] =
            ["base", "first", "end"].map(|name| text(name).parse().unwrap_or(-1));
        self.objects_in_batch = text("objects").parse().unwrap_or(0);
        let ordered = 0 <= self.base && self.base <= self.first && self.first < self.end;
        self.require(ordered, || format!("says {:?}", object.metadata));
    }

    fn read_lines(&mut self, text: &[u8]) {
        self.bytes = text.len() as u64;
        self.require(text.last() == Some(&b'\n'), || "does not end with a newline".to_owned());
        self.require(memchr::memchr(b'\r', text).is_none(), || "has a raw CR".to_owned());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.records += 1;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match serde_json::from_slice::<Line>(line) {
                Ok(found) if line.starts_with(b"{") => self.take_line(&found),
                Ok(_) => self.problems.push(format!("line {}: no JSON object", self.records)),
                Err(error) => self.require(false, || format!("line: {error}")),
            }
        }
    }

    fn take_line(&mut self, line: &Line) {
        if self.is_dead_letters {
            return;
        }
        if let (Some(partition), Some(sequence)) = (line.partition, line.sequence) {
            self.ids.push((partition, sequence));
            let same = partition == self.partition;
            self.require(same, || format!("holds {partition}/{sequence} of another partition"));
        }
        if let Some(ms) = line.event_ms {
            let (from, to) = self.event_ms.unwrap_or((ms, ms));
            self.event_ms = Some((from.min(ms), to.max(ms)));
        }
    }

    fn compare_metadata(&mut self, object: &Object) {
        for (name, found) in [("records", self.records), ("bytes", self.bytes)] {
            let said = object.metadata.get(name).and_then(|text| text.parse().ok());
            self.require(said == Some(found), || format!("{name}: says {said:?}, holds {found}"));
        }
        let span = (self.end - self.first).max(0) as u64;
        let records = self.records;
        self.require(records <= span, || format!("{records} records of {span} offsets"));
    }

    fn check_key(&mut self, reading: &Reading) {
        let root = if self.is_dead_letters { &reading.dead_letters } else { &reading.table };
        let below = self.key.strip_prefix(root).unwrap_or_default();
        let (path, name) = below.rsplit_once('/').unwrap_or(("", below));
        self.hive_path = path.to_owned();
        let wanted = format!("{}-{}-{:020}.json", reading.topic, self.partition, self.first);
        let fits = name.starts_with(&wanted);
        self.require(fits, || format!("its name does not begin with {wanted}"));
    }

    /// Every line belongs where the path says, in UTC.
    fn check_hive_path(&mut self) {
        let Some((from, to)) = self.event_ms else { return };
        // Where several tables are read at once, their names come first.
        let hive_path = self.hive_path.find("dt=").map_or("", |at| &self.hive_path[at..]);
        if self.is_dead_letters || hive_path.is_empty() {
            return;
        }
        let path_of = |ms: i64| {
            let hourly = hive_path.contains("/hour=");
            let format = if hourly { "dt=%Y-%m-%d/hour=%H" } else { "dt=%Y-%m-%d" };
            jiff::Timestamp::from_millisecond(ms).map(|at| at.strftime(format).to_string())
        };
        let fits = [from, to].into_iter().all(|ms| {
            // Unusable times have a place of their own, which other tests look at.
            path_of(ms).is_ok_and(|path| hive_path.starts_with(&path))
        });
        self.require(fits, || format!("holds records of {from} to {to}"));
    }

    fn check_headers(&mut self, object: &Object) {
        let wanted = match object.key.rsplit_once('.') {
            Some((_, "gz")) => "application/gzip",
            Some((_, "zst")) => "application/zstd",
            _ => "application/x-ndjson",
        };
        let found = object.content_type.as_deref();
        self.require(found == Some(wanted), || format!("content type {found:?}"));
        // MinIO answers an absent encoding with an empty one.
        let encoding = object.content_encoding.as_deref().unwrap_or_default();
        self.require(encoding.is_empty(), || format!("content encoding {encoding:?}"));
    }
}
