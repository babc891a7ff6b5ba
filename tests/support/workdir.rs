//! Folders and ports of the servers that tests start.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};

use super::process;

/// A folder below `target/tmp` that goes with its owner. What a killed run left behind goes at
/// the next start, for the name carries the process id.
pub(crate) struct WorkDir(PathBuf);

const WORK_DIR_PREFIX: &str = "work-";

impl WorkDir {
    /// Makes an empty one.
    pub(crate) fn new(what: &str) -> Self {
        static SWEPT: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(|| {
            sweep();
            // SAFETY: the handler is a plain function that lives as long as the program.
            unsafe { libc::atexit(clean_up) };
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{WORK_DIR_PREFIX}{}-{what}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("work folder");
        LIVE.lock().expect("live folders").push(path.clone());
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Folders that are there.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Servers that tests share stand in statics, which are never dropped.
extern "C" fn clean_up() {
    process::kill_all();
    for path in LIVE.lock().map(|mut live| std::mem::take(&mut *live)).unwrap_or_default() {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Removes the folders of test processes that are no more.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(WORK_DIR_PREFIX));
        let pid = pid.and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A free port on the loopback interface, below the range that outgoing connections take theirs
/// from: a server that comes back must find its port free.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 18_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(101);
    (0..COUNT)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST)
        .map(|port| port as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
