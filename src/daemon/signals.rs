//! SIGTERM and SIGINT, and what a second one does; SIGHUP.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::DaemonError;

/// The exit code after a second signal.
const SECOND_SIGNAL_EXIT_CODE: i32 = 130;

/// The signals that the daemon hears. Of SIGHUP one is kept until somebody wants to hear of it, and
/// none ends the process.
pub(crate) struct Signals {
    ends: Option<Both>,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// An end, by the signal of that name.
    End(&'static str),
    /// To read the configuration again.
    Reload,
}

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
        let interrupt = listen(SignalKind::interrupt())?;
        let ends = Some(Both { terminate, interrupt });
        Ok(Self { ends, hangup: listen(SignalKind::hangup())? })
    }

    /// Waits for the next one that asks for an end, and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        end_of(&mut self.ends).await
    }

    /// Waits for the next one.
    pub(super) async fn any(&mut self) -> Asked {
        let Self { ends, hangup } = self;
        tokio::select! {
            name = end_of(ends) => Asked::End(name),
            _ = hangup.recv() => Asked::Reload,
        }
    }

    /// From now on a signal ends the process at once. Nothing is lost: the pins say where to go
    /// on.
    pub(super) fn exit_on_the_next(&mut self, runtime: &Runtime) {
        let Some(mut both) = self.ends.take() else { return };
        runtime.spawn(async move {
            let name = both.next().await;
            tracing::warn!(signal = name, "second signal: exiting at once; nothing is lost");
            // SAFETY: it ends the process, without running anything of ours.
            unsafe { libc::_exit(SECOND_SIGNAL_EXIT_CODE) }
        });
    }
}

async fn end_of(ends: &mut Option<Both>) -> &'static str {
    match ends {
        Some(both) => both.next().await,
        None => std::future::pending().await,
    }
}
