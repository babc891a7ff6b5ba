//! Files without a name: made, written and read.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A new file in the folder, for this user alone, of which no name is left.
pub(super) fn open_unlinked(folder: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    match options().custom_flags(libc::O_TMPFILE | libc::O_EXCL).open(folder) {
        // File systems and kernels that have no such files say so in many ways.
        Err(error) if has_no_nameless_files(&error) => {}
        opened => return opened,
    }
    named_and_unlinked(folder)
}

#[cfg(target_os = "linux")]
fn has_no_nameless_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// The same where a file needs a name, for a moment.
fn named_and_unlinked(folder: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // What a process of the same number left behind, killed in that moment, is in nobody's way.
    let path = folder.join(format!("spool-{}-{next}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let file = options().create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Writes all of them there.
pub(super) fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Reads so many bytes there, or fails.
pub(super) fn read_at(file: &File, at: u64, len: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_name_and_keeps_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for file in [open_unlinked(folder.path()), named_and_unlinked(folder.path())] {
            let file = file.unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            write_at(&file, 0, b"head").unwrap();
            write_at(&file, 4, b"tail").unwrap();
            assert_eq!(read_at(&file, 2, 4).unwrap(), "adta");
            let short = read_at(&file, 6, 4).unwrap_err();
            assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
