//! What lives as long as a run: made by `run`, lent to its parts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::group::Held;
use super::signals::Signals;
use crate::config::Settings;
use crate::telemetry::{Metrics, Status};

/// What a run was asked for on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// End once everything that was there at the start is in S3 and committed.
    pub until_end: bool,
}

/// What lives as long as the run.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) runtime: Runtime,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Arc<Status>,
    pub(super) held: Held,
    /// How many files a spool may have.
    pub(super) spool_files: u64,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) began: Instant,
}

/// Waits for an answer; `None` if a signal came first.
pub(super) fn unless_signalled<T>(
    world: &World,
    signals: &mut Signals,
    answer: impl Future<Output = T>,
) -> Option<T> {
    world.runtime.block_on(async {
        tokio::select! {
            answer = answer => Some(answer),
            name = signals.next() => {
                tracing::info!(signal = name, "stopping; nothing was begun");
                None
            }
        }
    })
}
