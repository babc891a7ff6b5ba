//! What HEAD told in earlier runs: a file for each root, in the order of its keys, so that it is
//! read and written beside the listing and never held in memory.
//!
//! An entry counts as long as key, tag (with the time of the put) and size are the same. The file is
//! a convenience: where it cannot be read or written the audit takes longer, and says so once.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::pipeline::short_hash;
use crate::s3::ListedObject;

const LEVEL: i32 = 3;
/// What the first line says, so that an older or newer shape is not misread.
const HEADER: &str = "kafka-s3-sink audit 2";

/// Where the files are.
#[derive(Clone, Debug)]
pub(in crate::cli) struct CacheDir(PathBuf);

impl CacheDir {
    /// This folder, else the user's own for such things; `None` where there is neither.
    pub(in crate::cli) fn find(wanted: Option<PathBuf>) -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let own = || {
            let base = named("XDG_CACHE_HOME").map(PathBuf::from);
            let base =
                base.or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".cache")));
            base.map(|base| base.join("kafka-s3-sink"))
        };
        wanted.or_else(own).map(Self)
    }

    fn file(&self, store: &str, bucket: &str, prefix: &str) -> PathBuf {
        let place = format!("{store}\n{bucket}\n{prefix}");
        self.0.join(format!("audit-{}.zst", short_hash(place.as_bytes())))
    }
}

/// The entries of the last run and of this one.
#[derive(Default)]
pub(super) struct Cache {
    old: Option<Old>,
    new: Option<New>,
    keep_rest: bool,
}

struct Old {
    lines: io::Lines<Box<dyn BufRead + Send>>,
    ahead: Option<Entry>,
}

struct New {
    out: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    temporary: PathBuf,
    file: PathBuf,
}

struct Entry {
    key: String,
    tag: String,
    size: u64,
    text: String,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, '\t');
        let mut next = || parts.next().map(str::to_owned);
        let (key, tag, size, text) = (next()?, next()?, next()?, next()?);
        Some(Self { key, tag, size: size.parse().ok()?, text })
    }
}

impl Cache {
    /// Opens the file of a root. With `keep_rest` entries that are not asked for stay, for only a
    /// part of the root is looked at.
    pub(super) fn open(
        dir: Option<&CacheDir>,
        (store, bucket, prefix): (&str, &str, &str),
        keep_rest: bool,
    ) -> Self {
        let Some(dir) = dir else { return Self::default() };
        let file = dir.file(store, bucket, prefix);
        let new = New::create(&dir.0, file.clone());
        if let Err(error) = &new {
            eprintln!("nothing is kept for the next run: {}: {error}", dir.0.display());
        }
        Self { old: Old::open(&file).ok(), new: new.ok(), keep_rest }
    }

    /// What was kept of this object. Objects must be asked for in the order of their keys.
    pub(super) fn find(&mut self, object: &ListedObject) -> Option<String> {
        let old = self.old.as_mut()?;
        loop {
            let entry = old.next()?;
            if entry.key > object.key {
                old.ahead = Some(entry);
                return None;
            }
            if entry.key == object.key {
                let same = entry.tag == object.tag && entry.size == object.size;
                return same.then_some(entry.text);
            }
            if self.keep_rest {
                write(&mut self.new, &entry.key, &entry.tag, entry.size, &entry.text);
            }
        }
    }

    /// Keeps this, for the next run.
    pub(super) fn keep(&mut self, object: &ListedObject, text: &str) {
        let ListedObject { key, tag, size } = object;
        write(&mut self.new, key, tag, *size, text);
    }

    /// Puts the new file in the place of the old one.
    pub(super) fn finish(mut self) {
        if self.keep_rest
            && let Some(old) = &mut self.old
        {
            while let Some(Entry { key, tag, size, text }) = old.next() {
                write(&mut self.new, &key, &tag, size, &text);
            }
        }
        if let Some(new) = self.new.take()
            && let Err(error) = new.publish()
        {
            eprintln!("nothing is kept for the next run: {error}");
        }
    }
}

fn write(new: &mut Option<New>, key: &str, tag: &str, size: u64, text: &str) {
    if key.contains(['\t', '\n']) || tag.contains(['\t', '\n']) {
        return;
    }
    if let Some(open) = new
        && let Err(error) = writeln!(open.out, "{key}\t{tag}\t{size}\t{text}")
    {
        eprintln!("nothing is kept for the next run: {error}");
        *new = None;
    }
}

impl Old {
    fn open(file: &Path) -> io::Result<Self> {
        let decoder = zstd::stream::read::Decoder::new(File::open(file)?)?;
        let reader: Box<dyn BufRead + Send> = Box::new(BufReader::new(decoder));
        let mut lines = reader.lines();
        match lines.next() {
            Some(Ok(line)) if line == HEADER => Ok(Self { lines, ahead: None }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The next entry; a file that ends in the middle just ends.
    fn next(&mut self) -> Option<Entry> {
        self.ahead.take().or_else(|| Entry::read(&self.lines.next()?.ok()?))
    }
}

impl New {
    fn create(dir: &Path, file: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
        let out = BufWriter::new(File::create(&temporary)?);
        let mut out = zstd::stream::write::Encoder::new(out, LEVEL)?;
        writeln!(out, "{HEADER}")?;
        Ok(Self { out, temporary, file })
    }

    fn publish(self) -> io::Result<()> {
        self.out.finish()?.flush()?;
        fs::rename(&self.temporary, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, tag: &str) -> ListedObject {
        ListedObject { key: key.into(), tag: tag.into(), size: 7 }
    }

    fn open(dir: &CacheDir, keep_rest: bool) -> Cache {
        Cache::open(Some(dir), ("store", "lake", "raw/t/"), keep_rest)
    }

    /// Which of these keys are known.
    fn known(cache: &mut Cache, keys: &[&str]) -> Vec<String> {
        keys.iter().filter_map(|key| cache.find(&object(key, "x"))).collect()
    }

    #[test]
    fn what_was_kept_is_found_as_long_as_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = CacheDir(folder.path().join("new"));
        let mut first = open(&dir, false);
        assert_eq!(known(&mut first, &["a"]), [""; 0]);
        for key in ["a", "b", "c", "tab\there", "d"] {
            first.keep(&object(key, "x"), key);
        }
        first.finish();

        let mut second = open(&dir, false);
        assert_eq!(second.find(&object("a", "other")), None, "its bytes changed");
        assert_eq!(known(&mut second, &["a1", "c", "d", "e"]), ["c", "d"]);
        second.keep(&object("c", "x"), "c");
        second.finish();

        let mut part = open(&dir, true);
        part.keep(&object("b", "x"), "b");
        part.finish();
        assert_eq!(known(&mut open(&dir, false), &["b", "c"]), ["b", "c"]);
    }

    #[test]
    fn a_file_that_is_cut_or_strange_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let dir = CacheDir(folder.path().to_owned());
        let mut cache = open(&dir, false);
        (0..2000).for_each(|n| cache.keep(&object(&format!("{n:06}"), "x"), "text"));
        cache.finish();
        let file = dir.file("store", "lake", "raw/t/");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let mut cut = open(&dir, false);
        assert_eq!(cut.find(&object("001999", "x")), None);
        fs::write(&file, b"something else").unwrap();
        assert_eq!(open(&dir, false).find(&object("000001", "x")), None);
        assert_eq!(Cache::default().find(&object("a", "x")), None);
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_only_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let mut cache = open(&CacheDir(file.join("below")), false);
        cache.keep(&object("a", "x"), "a");
        cache.finish();
    }
}
