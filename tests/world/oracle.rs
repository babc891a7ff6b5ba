//! The store, and the judge who sees every object as it comes.
//!
//! The promise, looked at after every put and every commit: no record stands twice, each stands
//! where its layout puts it, and all landing records below a committed offset are there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use kafka_s3_sink::pipeline::{dead_letter_key, layout_hash, object_key};
use kafka_s3_sink::record::{
    BucketEnd, Compression, HiveKey, Layout, ObjectMetadata, Offset, PutOutcome, PutRequest,
    TopicPartition,
};

use crate::topic::{Entry, HOUR_MS, Kind, Log};

struct Stored {
    metadata: ObjectMetadata,
    size: u64,
    uids: Vec<u64>,
}

/// The object that holds its batch's first record.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) at: TopicPartition,
    pub(crate) key: String,
    /// Where the batch begins, and of how many objects it is.
    pub(crate) base: Offset,
    pub(crate) objects: i64,
}

/// A record that was produced.
struct Known {
    at: TopicPartition,
    entry: Rc<Entry>,
    copies: u32,
    /// Kafka deleted it before it had landed: it may be missing, never double.
    may_be_missing: bool,
}

#[derive(Default)]
pub(crate) struct Oracle {
    objects: BTreeMap<String, Stored>,
    layouts: HashMap<String, Arc<Layout>>,
    records: HashMap<u64, Known>,
    /// Up to where the records below a commit were found.
    checked: BTreeMap<TopicPartition, i64>,
}

/// What went wrong.
pub(crate) type Verdict = Result<(), String>;

impl Oracle {
    pub(crate) fn know_layout(&mut self, layout: &Arc<Layout>) {
        self.layouts.insert(layout_hash(layout), Arc::clone(layout));
    }

    pub(crate) fn know_record(&mut self, at: &TopicPartition, entry: &Rc<Entry>) {
        let (at, entry) = (at.clone(), Rc::clone(entry));
        let known = Known { at, copies: 0, may_be_missing: false, entry };
        self.records.insert(known.entry.uid, known);
    }

    /// Kafka deleted these.
    pub(crate) fn deleted(&mut self, entries: &[Rc<Entry>]) {
        for entry in entries {
            if let Some(known) = self.records.get_mut(&entry.uid) {
                known.may_be_missing |= known.copies == 0;
            }
        }
    }

    pub(crate) fn head(&self, key: &str) -> Option<(ObjectMetadata, u64)> {
        self.objects.get(key).map(|stored| (stored.metadata.clone(), stored.size))
    }

    /// Whether any key begins with `prefix` and holds `part`.
    pub(crate) fn has_any(&self, prefix: &str, part: &str) -> bool {
        let below = self.objects.range(prefix.to_owned()..).map(|(key, _)| key);
        below.take_while(|key| key.starts_with(prefix)).any(|key| key.contains(part))
    }

    /// The claims of all batches.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        let claim = |(key, stored): (&String, &Stored)| {
            let number = |name: &str| stored.metadata[name].parse::<i64>().expect("a number");
            let of = &self.records[&stored.uids[0]];
            (of.entry.offset == number("first")).then(|| Claim {
                at: of.at.clone(),
                key: key.clone(),
                base: Offset(number("base")),
                objects: number("objects"),
            })
        };
        self.objects.iter().filter_map(claim)
    }

    /// A rule of the bucket removes an object.
    pub(crate) fn remove(&mut self, key: &str) {
        for uid in self.objects.remove(key).expect("an object").uids {
            self.count(uid, |copies| copies - 1);
        }
    }

    /// Up to where the bucket holds a Kafka partition, whose keys hold `part`.
    pub(crate) fn bucket_end(&self, roots: &[&str], part: &str) -> BucketEnd {
        let of = |(key, stored): (&String, &Stored)| {
            let mine = roots.iter().any(|root| key.starts_with(root)) && key.contains(part);
            mine.then(|| Offset(stored.metadata["end"].parse().expect("an offset")))
        };
        self.objects.iter().filter_map(of).max().map_or(BucketEnd::Nothing, BucketEnd::At)
    }

    /// The Kafka partition begins anew, or its offset is not ours.
    pub(crate) fn forget(&mut self, at: &TopicPartition) {
        self.checked.remove(at);
    }

    /// Executes a put of these bytes, and judges what it did.
    pub(crate) fn put(&mut self, request: &PutRequest, bytes: &[u8]) -> Result<PutOutcome, String> {
        let key = request.address.key.to_string();
        if request.if_none_match && self.objects.contains_key(&key) {
            return Ok(PutOutcome::Taken);
        }
        let hash = &request.metadata["layout"];
        let layout = self.layouts.get(hash).ok_or_else(|| format!("{key}: layout {hash}"))?;
        let layout = Arc::clone(layout);
        let text = decoded(layout.compression, bytes)?;
        let mut uids = Vec::new();
        for line in text.lines() {
            uids.push(self.judge_line(&key, &layout, &request.metadata, line)?);
        }
        if uids.is_empty() {
            return Err(format!("{key}: an empty object"));
        }
        if request.metadata["records"] != uids.len().to_string() {
            return Err(format!("{key}: its metadata counts another number of records"));
        }
        let stored = Stored { metadata: request.metadata.clone(), size: bytes.len() as u64, uids };
        let before = self.objects.insert(key.clone(), stored);
        for uid in before.iter().flat_map(|stored| &stored.uids) {
            self.count(*uid, |copies| copies - 1);
        }
        let uids = self.objects[&key].uids.clone();
        for uid in uids {
            if self.count(uid, |copies| copies + 1) > 1 {
                let known = &self.records[&uid];
                let (at, offset) = (&known.at, known.entry.offset);
                return Err(format!("{at} offset {offset} stands twice, the second in {key}"));
            }
        }
        Ok(PutOutcome::Stored)
    }

    fn count(&mut self, uid: u64, change: impl Fn(u32) -> u32) -> u32 {
        let known = self.records.get_mut(&uid).expect("a known record");
        known.copies = change(known.copies);
        known.copies
    }

    /// Which record a line is, if it may stand there.
    fn judge_line(
        &self,
        key: &str,
        layout: &Layout,
        metadata: &ObjectMetadata,
        line: &str,
    ) -> Result<u64, String> {
        let value: serde_json::Value =
            serde_json::from_str(line).map_err(|error| format!("{key}: {error} in {line}"))?;
        let dead = value.get("reason").is_some();
        let uid = if dead { dead_letter_uid(&value) } else { value["u"].as_u64() };
        let uid = uid.ok_or_else(|| format!("{key}: a strange line {line}"))?;
        let known = self.records.get(&uid).ok_or_else(|| format!("{key}: unknown {line}"))?;
        let Known { at, entry, .. } = known;
        let kind = if dead { Kind::DeadLetter } else { Kind::Line };
        if entry.kind() != kind {
            return Err(format!("{key}: a record of another kind: {line}"));
        }
        let first = metadata["first"].parse().map(Offset).map_err(|_| "first".to_owned())?;
        let wanted = if dead {
            dead_letter_key(layout, at, first)
        } else {
            object_key(layout, at, &path(layout, entry, &value), first)
        };
        let range = |name: &str| metadata[name].parse::<i64>().unwrap_or(-1);
        let inside = (range("base")..range("end")).contains(&entry.offset);
        if wanted != key || !inside || entry.offset < first.0 {
            return Err(format!("{at} offset {}: stands in {key}, not in {wanted}", entry.offset));
        }
        Ok(uid)
    }

    /// The group's offset moved: all landing records below it must be there.
    pub(crate) fn committed(&mut self, at: &TopicPartition, offset: i64, log: &Log) -> Verdict {
        let checked = self.checked.entry(at.clone()).or_default();
        if offset <= *checked {
            return Ok(());
        }
        let from = log.entries.partition_point(|entry| entry.offset < *checked);
        *checked = offset;
        for entry in log.entries[from..].iter().take_while(|entry| entry.offset < offset) {
            self.judge_landed(entry)?;
        }
        Ok(())
    }

    fn judge_landed(&self, entry: &Entry) -> Verdict {
        let known = &self.records[&entry.uid];
        let missing = known.copies == 0 && entry.kind() != Kind::Skipped;
        if missing && !known.may_be_missing {
            let (at, offset) = (&known.at, entry.offset);
            return Err(format!("{at} offset {offset} is committed and stands nowhere"));
        }
        Ok(())
    }

    /// Everything, once more, at the end. What stopped rightly need not have landed.
    pub(crate) fn final_verdict(&self, stopped: &BTreeSet<TopicPartition>) -> Verdict {
        let mut twice = BTreeSet::new();
        for known in self.records.values() {
            if !stopped.contains(&known.at) {
                self.judge_landed(&known.entry)?;
            }
            if known.copies > 1 {
                twice.insert(known.entry.uid);
            }
        }
        if twice.is_empty() { Ok(()) } else { Err(format!("double: {twice:?}")) }
    }
}

/// The Hive path, computed anew from the record and not by the code under test.
fn path(layout: &Layout, entry: &Entry, value: &serde_json::Value) -> String {
    let hours = entry.timestamp / HOUR_MS;
    let parts = layout.partition_by.iter().map(|key| match key {
        HiveKey::Dt => format!("dt={}", day(hours / 24)),
        HiveKey::Hour => format!("hour={:02}", hours % 24),
        HiveKey::Field { name, key } => {
            format!("{key}={}", value[name].as_str().unwrap_or_default().to_lowercase())
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A day since 1970 as a date (H. Hinnant, <https://howardhinnant.github.io/date_algorithms.html>).
fn day(days: i64) -> String {
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    format!("{:04}-{m:02}-{d:02}", yoe + era * 400 + i64::from(m <= 2))
}

fn dead_letter_uid(letter: &serde_json::Value) -> Option<u64> {
    use base64::Engine;
    let value = letter["value"].as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix("bad ")?.parse().ok()
}

fn decoded(compression: Compression, bytes: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    match compression {
        Compression::Gzip => flate2::read::GzDecoder::new(bytes)
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?,
        Compression::Zstd => zstd::stream::read::Decoder::new(bytes)
            .and_then(|mut decoder| decoder.read_to_string(&mut text))
            .map_err(|error| error.to_string())?,
        Compression::None => {
            text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
            text.len()
        }
    };
    Ok(text)
}
