//! The part of `--until-end` that this member does not hold: another member may have it, or one
//! that died and that the group has not missed yet (with KIP-848 a new member holds nothing until
//! then). So the end is the group's, not this member's alone, within a bounded time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::goal::Goals;
use super::group::Held;
use crate::kafka::{KafkaEdge, KafkaError, all};
use crate::record::{Committed, Offset, TopicPartition};

/// Longer than the session of a member that died, as brokers set it (45 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the group is asked where it stands.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Waits for what others hold; a new one as soon as this member has work again.
#[derive(Default)]
pub(super) struct Elsewhere {
    since: Option<Instant>,
    asked: Option<Instant>,
}

impl Elsewhere {
    /// Whether the group has committed all other goals, or was waited for long enough.
    pub(super) async fn is_settled(
        &mut self,
        edge: &KafkaEdge,
        goals: &Goals,
        held: &Held,
    ) -> bool {
        let open = goals.open(|partition| held.lock().held.contains_key(partition));
        if open.is_empty() {
            return true;
        }
        let now = Instant::now();
        if self.asked.is_some_and(|at| now.duration_since(at) < ASK_EVERY) {
            return false;
        }
        self.asked = Some(now);
        let edge = edge.clone();
        let answer = tokio::task::spawn_blocking(move || behind(&edge, open)).await;
        let behind = match answer {
            Ok(Ok(behind)) => behind,
            Ok(Err(error)) => {
                tracing::warn!("where the group stands cannot be asked: {error}");
                return false;
            }
            Err(_) => return false,
        };
        behind.is_empty() || self.out_of_patience(now, behind.len())
    }

    fn out_of_patience(&mut self, now: Instant, count: usize) -> bool {
        let Some(since) = self.since else {
            self.since = Some(now);
            tracing::info!(count, "waiting for Kafka partitions that other members hold");
            return false;
        };
        let over = now.duration_since(since) >= PATIENCE;
        if over {
            tracing::warn!(
                count,
                "other members hold Kafka partitions that are not at their end yet; they land them"
            );
        }
        over
    }
}

/// Those whose goal the group has not committed. Blocks.
fn behind(
    edge: &KafkaEdge,
    goals: BTreeMap<TopicPartition, Offset>,
) -> Result<Vec<TopicPartition>, KafkaError> {
    let partitions: Vec<_> = goals.keys().cloned().collect();
    let committed = all(edge.committed(&partitions)?)?;
    let rest = goals.into_iter().filter(|(at, goal)| !is_reached(committed.get(at), *goal));
    Ok(rest.map(|(at, _)| at).collect())
}

fn is_reached(committed: Option<&Committed>, goal: Offset) -> bool {
    committed.and_then(|committed| committed.offset).is_some_and(|offset| offset >= goal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_by_a_commit_at_it_and_by_none_before() {
        let committed = |offset| Committed { offset, metadata: String::new() };
        let (five, none) = (committed(Some(Offset(5))), committed(None));
        assert!(is_reached(Some(&five), Offset(5)) && is_reached(Some(&five), Offset(4)));
        assert!(!is_reached(Some(&five), Offset(6)) && !is_reached(Some(&none), Offset(0)));
        assert!(!is_reached(None, Offset(0)));
    }

    #[test]
    fn others_are_waited_for_but_not_for_ever() {
        let (mut elsewhere, start) = (Elsewhere::default(), Instant::now());
        assert!(!elsewhere.out_of_patience(start, 1));
        assert!(!elsewhere.out_of_patience(start + PATIENCE / 2, 1));
        assert!(elsewhere.out_of_patience(start + PATIENCE, 1));
    }
}
