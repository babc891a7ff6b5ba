//! SIGTERM and SIGINT, and what a second one does.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::DaemonError;

/// The exit code after a second signal.
const SECOND_SIGNAL_EXIT_CODE: i32 = 130;

/// SIGTERM and SIGINT.
pub(crate) struct Signals(Option<Both>);

struct Both {
    terminate: Signal,
    interrupt: Signal,
}

impl Both {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Signals {
    pub(crate) fn listen(runtime: &Runtime) -> Result<Self, DaemonError> {
        let _inside = runtime.enter();
        let listen =
            |kind| signal(kind).map_err(|error| DaemonError::Machine("no signal handler", error));
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self(Some(Both { terminate, interrupt: listen(SignalKind::interrupt())? })))
    }

    /// Waits for the next one and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        match &mut self.0 {
            Some(both) => both.next().await,
            None => std::future::pending().await,
        }
    }

    /// From now on a signal ends the process at once. Nothing is lost: the pins say where to go
    /// on.
    pub(super) fn exit_on_the_next(&mut self, runtime: &Runtime) {
        let Some(mut both) = self.0.take() else { return };
        runtime.spawn(async move {
            let name = both.next().await;
            tracing::warn!(signal = name, "second signal: exiting at once; nothing is lost");
            // SAFETY: it ends the process, without running anything of ours.
            unsafe { libc::_exit(SECOND_SIGNAL_EXIT_CODE) }
        });
    }
}
