//! What depends on whether somebody watches: colours, and a line that says how far it is.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const ON_TERMINAL: Duration = Duration::from_millis(250);
const IN_LOG: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(50);

/// Colours only on a terminal whose owner did not ask for none (<https://no-color.org>).
pub(super) fn wants_colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !unwanted
}

/// A line on standard error: one that moves on a terminal, one now and then in a log.
pub(super) struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows what `line` says until it is dropped.
    pub(super) fn show(line: impl Fn() -> String + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let run = move || {
            let on_terminal = stderr().is_terminal();
            let every = if on_terminal { ON_TERMINAL } else { IN_LOG };
            let (mut passed, mut any) = (Duration::ZERO, false);
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                passed += TICK;
                if passed >= every {
                    (passed, any) = (Duration::ZERO, true);
                    // Nobody may be listening; that is no reason to stop.
                    let _ = match on_terminal {
                        true => write!(stderr(), "\r\x1b[K{}", line()),
                        false => writeln!(stderr(), "{}", line()),
                    };
                }
            }
            if on_terminal && any {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        };
        // Without a thread there is no progress to be seen, and nothing else is amiss.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(run).ok();
        Self { stop, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
