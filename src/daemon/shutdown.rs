//! The orderly way out: land, commit, leave, within a deadline.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use super::news::News;
use super::world::World;
use crate::kafka::KafkaEdge;

/// Leaving the group gets at least this long, for a member that just goes makes the others wait.
const LEAVE_AT_LEAST: Duration = Duration::from_secs(3);

/// Lands what was read, and leaves the group. Whether all of it was done within the deadline.
pub(super) fn shut_down(
    world: &World,
    edge: &KafkaEdge,
    lanes: &[LaneHandle],
    mut news: UnboundedReceiver<News>,
    timeout: Duration,
) -> bool {
    let deadline = Instant::now() + timeout;
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
