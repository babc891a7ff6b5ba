//! The spool: files in `memory.spool_dir` that nobody else sees.
//!
//! Each is unlinked as soon as it is made, so that nothing is left of it whatever happens to the
//! process, and is never synced, for Kafka is the durable copy. The pipeline writes to them, in
//! the lane's own thread and mostly no further than the page cache; uploads read from them.
//! Whatever fails, the bytes stay in memory, and batches end early when that runs short.

mod file;
mod room;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::file::{open_unlinked, read_at, write_at};
use self::room::Room;
use crate::record::{Spool, SpoolFile};
use crate::telemetry::{Limiter, SpoolMetrics, SpoolOperation};

/// What an object may hold in memory before it gets a file, and what is gathered before each write
/// to it. Writing takes 0.32 s of CPU a GiB so (ext4, 16 files in turn); 16 times as much takes 0.26.
const HEAD: usize = 64 << 10;
/// How long a spool that lost bytes is not written to.
const MISTRUST: Duration = Duration::from_secs(600);
/// How often one kind of trouble is told of.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A spool in a folder.
#[derive(Debug)]
pub(super) struct FileSpool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Files at most: beyond them lie the descriptors that connections need.
    most: u64,
    files: AtomicU64,
    room: Room,
    lost_bytes_at: Mutex<Option<Instant>>,
    metrics: SpoolMetrics,
    told: Limiter<SpoolOperation>,
}

impl FileSpool {
    /// A spool of so many files at most.
    pub(super) fn new(folder: &Path, most: u64, metrics: SpoolMetrics) -> Self {
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            most,
            files: AtomicU64::new(0),
            room: Room::default(),
            lost_bytes_at: Mutex::default(),
            metrics,
            told: Limiter::new(TELL_EVERY),
        }))
    }
}

/// Whether a spool can be had in this folder; if not, what is to be mended.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    match open_unlinked(folder) {
        Ok(_) => Ok(()),
        // That it is full passes, and a run goes on without it meanwhile.
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::QuotaExceeded) => Ok(()),
        Err(error) => Err(format!(
            "memory.spool_dir = \"{}\": no file can be made there: {error}; make it a folder that \
             the user of this process may write to, on a disk of this machine, or take the key \
             out to hold batches in memory alone",
            folder.display()
        )),
    }
}

impl Spool for FileSpool {
    fn head(&self) -> usize {
        HEAD
    }

    fn open(&self) -> Option<Arc<dyn SpoolFile>> {
        let inner = &self.0;
        match inner.open() {
            Ok(file) => Some(Arc::new(file)),
            Err(error) => {
                inner.failed(SpoolOperation::Open, &error);
                None
            }
        }
    }
}

impl Inner {
    fn open(self: &Arc<Self>) -> io::Result<Spooled> {
        if self.is_mistrusted() {
            return Err(io::Error::other(
                "bytes were lost there; it is tried again in some minutes",
            ));
        }
        // Counted before the file is there, so that lanes together do not pass the limit.
        let mut spooled = Spooled::reserve(Arc::clone(self))?;
        let file = open_unlinked(&self.folder)?;
        self.room.look(&file)?;
        spooled.file = Some(file);
        Ok(spooled)
    }

    fn is_mistrusted(&self) -> bool {
        let since = *self.lost_bytes_at.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < MISTRUST)
    }

    fn mistrust(&self) {
        let mut since = self.lost_bytes_at.lock().unwrap_or_else(PoisonError::into_inner);
        *since = Some(Instant::now());
    }

    fn failed(&self, operation: SpoolOperation, error: &io::Error) {
        self.metrics.failed(operation);
        let Some(suppressed) = self.told.admit(operation) else { return };
        let (folder, files) = (self.folder.display(), self.files.load(Ordering::Relaxed));
        let what = operation.as_str();
        if operation == SpoolOperation::Read {
            tracing::error!(
                %folder, suppressed, %error,
                "the spool lost bytes: their records are read again from Kafka, and nothing new \
                 goes there for some minutes; check the disk of memory.spool_dir"
            );
        } else {
            tracing::warn!(
                %folder, files, suppressed, %error,
                "the spool failed to {what} a file: bytes stay in memory, and batches end early \
                 when that is short; make room on the disk of memory.spool_dir or mend it, or \
                 raise the limit of open files"
            );
        }
    }
}

/// One file, and its place among them all.
#[derive(Debug)]
struct Spooled {
    file: Option<std::fs::File>,
    end: AtomicU64,
    spool: Arc<Inner>,
}

impl Spooled {
    /// A place for one more file.
    fn reserve(spool: Arc<Inner>) -> io::Result<Self> {
        let place = Self { file: None, end: AtomicU64::new(0), spool };
        let spool = &place.spool;
        spool.metrics.files(1);
        if spool.files.fetch_add(1, Ordering::Relaxed) >= spool.most {
            return Err(io::Error::other(format!("{} files are open already", spool.most)));
        }
        Ok(place)
    }

    fn file(&self) -> io::Result<&std::fs::File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn lost(&self, error: &io::Error) {
        self.spool.mistrust();
        self.spool.failed(SpoolOperation::Read, error);
    }
}

impl SpoolFile for Spooled {
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        let file = self.file()?;
        let written =
            self.spool.room.take(file, bytes.len()).and_then(|()| write_at(file, at, bytes));
        match &written {
            Ok(()) => {
                let before = self.end.fetch_max(end, Ordering::Relaxed);
                self.spool.metrics.bytes(end.saturating_sub(before) as i64);
            }
            Err(error) => self.spool.failed(SpoolOperation::Write, error),
        }
        written
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
        let read = self.file().and_then(|file| read_at(file, at, len));
        read.inspect_err(|error| self.lost(error))
    }

    fn damaged(&self) {
        self.lost(&io::Error::other("what was read is not what was written"));
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.files.fetch_sub(1, Ordering::Relaxed);
        self.spool.metrics.files(-1);
        self.spool.metrics.bytes(-(self.end.load(Ordering::Relaxed) as i64));
    }
}

#[cfg(test)]
mod tests;
