//! Signals, and the orderly way out: land, commit, leave, within a deadline.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use super::driver::LaneInput;
use super::error::DaemonError;
use super::inbox::LaneHandle;
use super::news::News;
use super::run::World;
use crate::kafka::KafkaEdge;

/// The exit code after a second signal.
const SECOND_SIGNAL_EXIT_CODE: i32 = 130;
/// Leaving the group gets at least this long, for a member that just goes makes the others wait.
const LEAVE_AT_LEAST: Duration = Duration::from_secs(3);

/// SIGTERM and SIGINT.
pub(super) struct Signals(Option<Both>);

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
    pub(super) fn listen(runtime: &Runtime) -> Result<Self, DaemonError> {
        let _inside = runtime.enter();
        let listen =
            |kind| signal(kind).map_err(|error| DaemonError::Machine("no signal handler", error));
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self(Some(Both { terminate, interrupt: listen(SignalKind::interrupt())? })))
    }

    /// Waits for the next one and names it.
    pub(super) async fn next(&mut self) -> &'static str {
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

/// Lands what was read, and leaves the group. Whether all of it was done within the deadline.
pub(super) fn shut_down(
    world: &World,
    edge: &KafkaEdge,
    lanes: &[LaneHandle],
    mut news: UnboundedReceiver<News>,
) -> bool {
    let deadline = Instant::now() + world.settings.shutdown.timeout;
    let left = || deadline.saturating_duration_since(Instant::now());
    for lane in lanes {
        lane.send(LaneInput::Shutdown);
    }
    let drained = world.runtime.block_on(async {
        tokio::time::timeout(left(), all_drained(lanes.len(), &mut news)).await.is_ok()
    });
    if !drained {
        tracing::error!(
            "shutdown.timeout passed before everything had landed; the next run goes on from the \
             pins, nothing is lost"
        );
    }
    match edge.leave(left().max(LEAVE_AT_LEAST)) {
        Ok(()) => tracing::info!("left the group"),
        Err(error) => tracing::warn!("the group was not left in time: {error}"),
    }
    drained
}

async fn all_drained(lanes: usize, news: &mut UnboundedReceiver<News>) {
    let mut drained = 0;
    while drained < lanes {
        match news.recv().await {
            Some(News::Drained) => drained += 1,
            Some(_) => {}
            None => return,
        }
    }
}
