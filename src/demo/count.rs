//! Counts what landed: every line of every object, by the sequence number in it.
//!
//! Fed by the folder that `store` keeps, and by the numbers that `events` gave out. It shares no
//! code with the writer, so that it cannot make the writer's mistakes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use base64::Engine as _;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::DemoError;
use super::events::sequence_of;
use super::tree::files;

/// What ought to be there.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The sequence numbers that were produced.
    pub sequences: Range<u64>,
    /// Those of them that need not land: tombstones where they are skipped.
    pub absent: HashSet<u64>,
}

/// What is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Objects of the table.
    pub objects: u64,
    /// Their bytes, as stored.
    pub stored_bytes: u64,
    /// Lines in them.
    pub records: u64,
    /// Objects of dead letters.
    pub dead_letter_objects: u64,
    /// Lines in them.
    pub dead_letters: u64,
    /// Expected numbers that stand nowhere.
    pub missing: u64,
    /// Lines whose record stands in an earlier line too.
    pub doubled: u64,
    /// Lines without a number, or with one that was never given out.
    pub strange: u64,
}

impl Census {
    /// Whether every record stands exactly once, and nothing else.
    pub const fn is_exact(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.strange == 0
    }
}

/// Counts a topic: `records` is the folder of its table, `dead_letters` that of its dead letters;
/// either may be missing.
pub fn count(
    records: &Path,
    dead_letters: &Path,
    expected: &Expected,
) -> Result<Census, DemoError> {
    let mut census = Census::default();
    let mut marks = Marks::new(expected.sequences.clone());
    for (path, bytes) in files(records)? {
        census.objects += 1;
        census.stored_bytes += bytes;
        each_line(&records.join(path), |line| {
            census.records += 1;
            marks.mark(sequence_of(line), &mut census);
        })?;
    }
    let mut places = HashSet::new();
    for (path, _) in files(dead_letters)? {
        census.dead_letter_objects += 1;
        each_line(&dead_letters.join(path), |line| {
            census.dead_letters += 1;
            marks.mark_dead_letter(line, &mut places, &mut census);
        })?;
    }
    let absent = expected.absent.iter().filter(|it| marks.is_free(**it)).count() as u64;
    census.missing = marks.free() - absent;
    Ok(census)
}

/// One bit a sequence number.
struct Marks {
    sequences: Range<u64>,
    bits: Vec<u64>,
}

/// What of a dead letter is looked at.
#[derive(Deserialize)]
struct DeadLetter {
    topic: String,
    partition: i32,
    offset: i64,
    value: Option<String>,
}

impl Marks {
    fn new(sequences: Range<u64>) -> Self {
        let words = (sequences.end - sequences.start).div_ceil(64) as usize;
        Self { sequences, bits: vec![0; words] }
    }

    fn mark(&mut self, sequence: Option<u64>, census: &mut Census) {
        let Some(sequence) = sequence.filter(|it| self.sequences.contains(it)) else {
            census.strange += 1;
            return;
        };
        let (word, bit) = self.place(sequence);
        census.doubled += u64::from(self.bits[word] & bit != 0);
        self.bits[word] |= bit;
    }

    /// Dead letters of tombstones have no number, so their place in Kafka tells them apart.
    fn mark_dead_letter(
        &mut self,
        line: &[u8],
        places: &mut HashSet<(String, i32, i64)>,
        census: &mut Census,
    ) {
        let Ok(letter) = serde_json::from_slice::<DeadLetter>(line) else {
            census.strange += 1;
            return;
        };
        if !places.insert((letter.topic, letter.partition, letter.offset)) {
            census.doubled += 1;
            return;
        }
        if let Some(value) = letter.value {
            let value = base64::engine::general_purpose::STANDARD.decode(value).ok();
            self.mark(value.and_then(|value| sequence_of(&value)), census);
        }
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let at = sequence - self.sequences.start;
        ((at / 64) as usize, 1 << (at % 64))
    }

    fn is_free(&self, sequence: u64) -> bool {
        let (word, bit) = self.place(sequence);
        self.sequences.contains(&sequence) && self.bits[word] & bit == 0
    }

    fn free(&self) -> u64 {
        let marked: u64 = self.bits.iter().map(|word| u64::from(word.count_ones())).sum();
        self.sequences.end - self.sequences.start - marked
    }
}

/// Visits every line of an object, unpacked as its name says.
fn each_line(path: &Path, mut visit: impl FnMut(&[u8])) -> Result<(), DemoError> {
    let failed = |error| DemoError::files(path, error);
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let reader: Box<dyn Read> = match path.extension().and_then(|it| it.to_str()) {
        Some("gz") => Box::new(MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::with_buffer(file).map_err(failed)?),
        _ => Box::new(file),
    };
    let mut reader = BufReader::with_capacity(256 << 10, reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        visit(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(())
}

/// The command that shows a table's rows by Hive partition; `hive_keys` in the order of the path,
/// `extension` as the objects have it (`json.gz`).
pub fn duckdb_line(records: &Path, hive_keys: &[&str], extension: &str) -> String {
    let levels = "*/".repeat(hive_keys.len());
    let glob = format!("{}/{levels}*.{extension}", records.display()).replace('\'', "''");
    let columns = hive_keys.iter().map(|key| format!("{key}, ")).collect::<String>();
    let sql = format!(
        "SELECT {columns}count(*) AS records FROM read_json('{glob}', hive_partitioning=true, \
         hive_types_autocast=false) GROUP BY ALL ORDER BY ALL"
    );
    let mut line = String::from("duckdb -c \"");
    for letter in sql.chars() {
        if matches!(letter, '"' | '$' | '`' | '\\') {
            line.push('\\');
        }
        line.push(letter);
    }
    line + "\""
}

#[cfg(test)]
mod tests;
