//! How much of the disk is left to others: the spool is not alone on it, and a broker or a log
//! beside it may not take a full disk as calmly.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// This part of the disk stays free,
const KEPT_FREE: u64 = 20;
/// but not more of it than this.
const KEPT_AT_MOST: u64 = 1 << 30;
/// How much is written between two looks.
const LOOK_EVERY: u64 = 8 << 20;

/// Looks at the disk now and then.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes written since the last look.
    since: AtomicU64,
}

impl Room {
    /// Asks for room for so many bytes.
    pub(super) fn take(&self, file: &File, bytes: usize) -> io::Result<()> {
        if self.since.fetch_add(bytes as u64, Ordering::Relaxed) < LOOK_EVERY {
            return Ok(());
        }
        self.since.store(0, Ordering::Relaxed);
        self.look(file)
    }

    /// Looks whether there is room on the file's disk.
    pub(super) fn look(&self, file: &File) -> io::Result<()> {
        let Some((size, free)) = disk_of(file) else { return Ok(()) };
        if free > (size / KEPT_FREE).min(KEPT_AT_MOST) {
            return Ok(());
        }
        let text = "the disk is nearly full, and the last of it is left to others";
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }
}

/// The size of a file's disk, and how much is free for us; nothing where that is unknown.
fn disk_of(file: &File) -> Option<(u64, u64)> {
    // SAFETY: zero is a value of each of its fields, which are numbers.
    let mut disk: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open as long as the file is borrowed, and `disk` is written alone.
    let failed = unsafe { libc::fstatvfs(file.as_raw_fd(), &raw mut disk) } != 0;
    let (block, size) = (disk.f_frsize, disk.f_blocks);
    // Some file systems of clusters do not say how large they are.
    (!failed && size > 0).then(|| (size * block, disk.f_bavail * block))
}
