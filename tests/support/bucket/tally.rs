//! The oracle: reads every object, counts every record, and checks what objects say of themselves.

mod object;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::kafka::Expected;
use super::{Bucket, Listed};
use object::{Checked, check_object};

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The topic.
    pub(crate) topic: String,
    /// The root of the topic's table, with its slash.
    pub(crate) table: String,
    /// The root of the topic's dead letters, with its slash.
    pub(crate) dead_letters: String,
}

impl Reading {
    /// The topic below the prefixes that are the defaults of `SinkConfig`.
    pub(crate) fn of(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            table: format!("raw/{topic}/"),
            dead_letters: format!("dead-letters/raw/{topic}/"),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Objects of the table.
    pub(crate) objects: u64,
    /// Lines in them.
    pub(crate) records: u64,
    /// Objects of dead letters.
    pub(crate) dead_letter_objects: u64,
    /// Lines in those.
    pub(crate) dead_letters: u64,
    /// Stored bytes of all objects.
    pub(crate) stored_bytes: u64,
    /// Bytes of all lines.
    pub(crate) bytes: u64,
    /// Records by Hive path.
    pub(crate) by_hive_path: BTreeMap<String, u64>,
    /// Expected records that are not there, with a few examples.
    pub(crate) missing: Findings,
    /// Records that are there more than once.
    pub(crate) doubled: Findings,
    /// Records that nobody expects.
    pub(crate) unexpected: Findings,
    /// Everything else that is wrong.
    pub(crate) problems: Findings,
}

/// A count with its first few examples.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How many.
    pub(crate) count: u64,
    /// Some of them.
    pub(crate) examples: Vec<String>,
}

impl Findings {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < 10 {
            self.examples.push(example());
        }
    }
}

impl Tally {
    /// Panics unless every expected record is there once, nothing else is, and nothing is wrong.
    pub(crate) fn assert_exact(&self) {
        if let Some(flaws) = self.flaws() {
            panic!("{flaws}");
        }
    }

    /// What is wrong, with examples.
    pub(crate) fn flaws(&self) -> Option<String> {
        let mut report = String::new();
        for (what, findings) in [
            ("missing", &self.missing),
            ("doubled", &self.doubled),
            ("unexpected", &self.unexpected),
            ("problems", &self.problems),
        ] {
            if findings.count > 0 {
                let examples = findings.examples.join("\n    ");
                let _ = write!(report, "\n  {} {what}:\n    {examples}", findings.count);
            }
        }
        let (records, objects) = (self.records, self.objects);
        (!report.is_empty()).then(|| format!("{records} records in {objects} objects:{report}"))
    }
}

/// Which sequence numbers of one Kafka partition were seen.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Marks a number; says whether it was marked before.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let before = self.0[word] & bit != 0;
        self.0[word] |= bit;
        before
    }

    fn unmark(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        let Some(found) = self.0.get_mut(word) else { return false };
        let before = *found & bit != 0;
        *found &= !bit;
        before
    }

    fn rest(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 != 0);
        let numbered = self.0.iter().enumerate();
        numbered.flat_map(move |(at, word)| bits(*word).map(move |bit| at as u64 * 64 + bit))
    }
}

#[derive(Default)]
struct Count {
    tally: Tally,
    seen: BTreeMap<i32, Seen>,
    batches: HashMap<(i32, i64), Vec<Checked>>,
}

/// What `Bucket::read` does.
pub(super) fn read(bucket: &Bucket, reading: &Reading, expected: &Expected) -> Tally {
    let mut listed = bucket.list(&reading.table);
    listed.extend(bucket.list(&reading.dead_letters));
    let count = Mutex::new(Count::default());
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| read_objects(bucket, reading, &listed, &next, &count));
        }
    });
    let mut count = count.into_inner().expect("no reader failed");
    count.check_batches();
    count.compare(expected);
    count.tally
}

fn read_objects(
    bucket: &Bucket,
    reading: &Reading,
    listed: &[Listed],
    next: &AtomicUsize,
    count: &Mutex<Count>,
) {
    while let Some(listed) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
        let object = bucket.get(&listed.key);
        let checked = check_object(reading, &object);
        count.lock().expect("no reader failed").take(checked);
    }
}

impl Count {
    fn take(&mut self, mut object: Checked) {
        let tally = &mut self.tally;
        tally.stored_bytes += object.stored_bytes;
        tally.bytes += object.bytes;
        if object.is_dead_letters {
            tally.dead_letter_objects += 1;
            tally.dead_letters += object.records;
        } else {
            tally.objects += 1;
            tally.records += object.records;
            *tally.by_hive_path.entry(object.hive_path.clone()).or_default() += object.records;
        }
        for problem in &object.problems {
            tally.problems.add(|| format!("{}: {problem}", object.key));
        }
        for (partition, sequence) in std::mem::take(&mut object.ids) {
            if self.seen.entry(partition).or_default().mark(sequence) {
                tally.doubled.add(|| format!("{partition}/{sequence} in {}", object.key));
            }
        }
        self.batches.entry((object.partition, object.first)).or_default().push(object);
    }

    /// Objects of one batch say the same of it and are all there; batches do not overlap.
    fn check_batches(&mut self) {
        let problems = &mut self.tally.problems;
        let mut ranges = Vec::new();
        for ((partition, first), objects) in &self.batches {
            let one = &objects[0];
            if objects.iter().any(|other| other.batch != one.batch) {
                problems.add(|| format!("batch {partition}/{first}: its objects disagree"));
            }
            if objects.len() as u64 != one.objects_in_batch {
                let wanted = one.objects_in_batch;
                let found = objects.len();
                problems.add(|| format!("batch {partition}/{first}: {found} objects of {wanted}"));
            }
            ranges.push((*partition, one.first, one.end));
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if pair[0].0 == pair[1].0 && pair[1].1 < pair[0].2 {
                problems.add(|| format!("batches overlap: {:?} and {:?}", pair[0], pair[1]));
            }
        }
    }

    fn compare(&mut self, expected: &Expected) {
        for (partition, ranges) in &expected.sequences {
            let seen = self.seen.entry(*partition).or_default();
            for sequence in ranges.iter().cloned().flatten() {
                if !seen.unmark(sequence) {
                    self.tally.missing.add(|| format!("{partition}/{sequence}"));
                }
            }
        }
        for (partition, ranges) in &expected.allowed {
            let seen = self.seen.entry(*partition).or_default();
            for sequence in ranges.iter().cloned().flatten() {
                seen.unmark(sequence);
            }
        }
        for (partition, seen) in &self.seen {
            for sequence in seen.rest() {
                self.tally.unexpected.add(|| format!("{partition}/{sequence}"));
            }
        }
    }
}
