//! The folder of one scenario: what happened when, and the log of every life of every sink. It goes
//! when all went well, and stays for whoever wants to know why it did not.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// See the module.
pub(crate) struct Diary {
    folder: PathBuf,
    events: Mutex<File>,
}

impl Diary {
    /// A new one, in place of one of the same name.
    pub(crate) fn open(scenario: &str, seed: u64) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{scenario}-{seed}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the diary's folder");
        let events = File::create(folder.join("events.log")).expect("the diary");
        Self { folder, events: Mutex::new(events) }
    }

    /// Notes what happens, with the time since the beginning and that of the clock, which logs have.
    pub(crate) fn tell(&self, at: Duration, what: &str) {
        let clock = jiff::Timestamp::now().strftime("%H:%M:%S%.3f");
        let line = format!("{clock} {:>8.3} {what}\n", at.as_secs_f64());
        let _ = self.events.lock().expect("the diary").write_all(line.as_bytes());
    }

    /// Keeps a text beside it.
    pub(crate) fn keep(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("a file of the diary");
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Nobody will want it.
    pub(crate) fn burn(self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
