//! Which lane owns a Kafka partition, and which one should move because one lane has too much to do.
//!
//! The group thread asks where an assigned one goes, the lanes tell what they did, and `watch` asks at
//! intervals whether one should move. A move is a revoke and an assignment within the process: the old
//! lane lets go (a young batch is dropped, an older one lands), the new one begins at the committed
//! offset. So it is done rarely, and only where it helps much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kafka::LaneMove;
use crate::record::{Epoch, Offset, TopicPartition};

/// A lane that uses less of a core than this has room.
const BUSY: f64 = 0.6;
/// The least that a move must take from the busiest lane, as a part of a core.
const WORTH: f64 = 0.1;
/// So many looks in a row must want the same.
const LOOKS: u32 = 2;
/// So many looks pass after a move before the next: what moved is read again, and disturbs.
const REST: u32 = 6;

/// What a lane has done since it began.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneLoad {
    /// The time its thread has used of a core.
    pub(super) cpu: Duration,
    /// The positions of those of its Kafka partitions that read.
    pub(super) positions: Vec<(TopicPartition, Epoch, Offset)>,
}

/// Shared by the group thread, the lanes and the watch.
#[derive(Clone)]
pub(super) struct Spread(Arc<Mutex<State>>);

struct State {
    of: HashMap<TopicPartition, usize>,
    loads: Vec<LaneLoad>,
}

impl Spread {
    pub(super) fn new(lanes: usize) -> Self {
        let state = State { of: HashMap::new(), loads: vec![LaneLoad::default(); lanes.max(1)] };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lane of a Kafka partition. One without a lane gets the one that has the fewest of its
    /// topic, and of these the fewest of all.
    pub(super) fn lane_of(&self, partition: &TopicPartition) -> usize {
        let mut state = self.lock();
        if let Some(lane) = state.of.get(partition) {
            return *lane;
        }
        let mut counts = vec![(0u32, 0u32); state.loads.len()];
        for (other, lane) in &state.of {
            counts[*lane].0 += u32::from(other.topic == partition.topic);
            counts[*lane].1 += 1;
        }
        let lanes = counts.iter().enumerate().min_by_key(|(_, count)| **count);
        let lane = lanes.map_or(0, |(lane, _)| lane);
        state.of.insert(partition.clone(), lane);
        lane
    }

    /// These are held no more.
    pub(super) fn forget<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        let mut state = self.lock();
        for partition in partitions {
            state.of.remove(partition);
        }
    }

    /// A Kafka partition belongs to another lane from now on.
    pub(super) fn moved(&self, partition: &TopicPartition, lane: usize) {
        self.lock().of.insert(partition.clone(), lane);
    }

    /// A lane tells what it has done.
    pub(super) fn tell(&self, lane: usize, load: LaneLoad) {
        self.lock().loads[lane] = load;
    }

    fn loads(&self) -> Vec<LaneLoad> {
        self.lock().loads.clone()
    }
}

/// Looks at the lanes at intervals.
pub(super) struct Balance {
    spread: Spread,
    before: Vec<LaneLoad>,
    wanted: Option<(LaneMove, u32)>,
    rest: u32,
}

impl Balance {
    pub(super) fn new(spread: Spread) -> Self {
        Self { spread, before: Vec::new(), wanted: None, rest: 0 }
    }

    /// The move to make now, if one is worth it; `since` is the time since the last look.
    pub(super) fn look(&mut self, since: Duration) -> Option<LaneMove> {
        let now = self.spread.loads();
        let before = std::mem::replace(&mut self.before, now);
        self.rest = self.rest.saturating_sub(1);
        if before.len() != self.before.len() || self.rest > 0 {
            return None;
        }
        let Some(best) = plan(&before, &self.before, since) else {
            self.wanted = None;
            return None;
        };
        let looks = match self.wanted.take() {
            // Which one is best may change from look to look; where from and where to must not.
            Some((last, looks)) if (last.from, last.to) == (best.from, best.to) => looks + 1,
            _ => 1,
        };
        if looks < LOOKS {
            self.wanted = Some((best, looks));
            return None;
        }
        self.rest = REST;
        Some(best)
    }
}

/// The move that brings the busiest lane down most, if it is worth it.
fn plan(before: &[LaneLoad], now: &[LaneLoad], since: Duration) -> Option<LaneMove> {
    let used = |lane: usize| {
        let cpu = now[lane].cpu.saturating_sub(before[lane].cpu);
        cpu.as_secs_f64() / since.as_secs_f64().max(0.001)
    };
    let used: Vec<f64> = (0..now.len()).map(used).collect();
    let by_use = |a: &usize, b: &usize| used[*a].total_cmp(&used[*b]);
    let (from, to) = ((0..now.len()).max_by(by_use)?, (0..now.len()).min_by(by_use)?);
    if used[from] < BUSY {
        return None;
    }
    let rates = rates(&before[from], &now[from]);
    let all: f64 = rates.iter().map(|(_, _, rate)| rate).sum();
    let best = rates
        .into_iter()
        .map(|(partition, epoch, rate)| {
            let takes = used[from] * rate / all.max(1.0);
            let larger = (used[from] - takes).max(used[to] + takes);
            (used[from] - larger, partition, epoch)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (gain, partition, epoch) = best;
    (gain >= WORTH).then(|| LaneMove { partition: partition.clone(), epoch, from, to })
}

/// Offsets that each Kafka partition of a lane went on by.
fn rates<'a>(before: &LaneLoad, now: &'a LaneLoad) -> Vec<(&'a TopicPartition, Epoch, f64)> {
    let known: HashMap<_, _> =
        before.positions.iter().map(|(at, epoch, next)| ((at, epoch), next.0)).collect();
    let went = |(at, epoch, next): &'a (TopicPartition, Epoch, Offset)| {
        let from = known.get(&(at, epoch))?;
        Some((at, *epoch, (next.0 - from).max(0) as f64))
    };
    now.positions.iter().filter_map(went).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn load(cpu_ms: u64, positions: &[(i32, i64)]) -> LaneLoad {
        let position = |(number, next): &(i32, i64)| (at(*number), Epoch(1), Offset(*next));
        let positions = positions.iter().map(position).collect();
        LaneLoad { cpu: Duration::from_millis(cpu_ms), positions }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn moves(before: &[LaneLoad], now: &[LaneLoad]) -> Option<(i32, usize, usize)> {
        plan(before, now, SECOND).map(|it| (it.partition.partition, it.from, it.to))
    }

    #[test]
    fn what_evens_the_lanes_best_moves() {
        let before = [load(0, &[(0, 0), (2, 0), (4, 0)]), load(0, &[(1, 0)])];
        let now = [load(900, &[(0, 600), (2, 400), (4, 100)]), load(100, &[(1, 100)])];
        assert_eq!(moves(&before, &now), Some((2, 0, 1)));
    }

    #[test]
    fn one_large_one_stays_where_it_is() {
        let before = [load(0, &[(0, 0), (2, 0)]), load(0, &[(1, 0)])];
        let now = [load(950, &[(0, 900), (2, 10)]), load(50, &[(1, 10)])];
        assert_eq!(moves(&before, &now), None);
    }

    #[test]
    fn lanes_with_room_are_left_alone() {
        let before = [load(0, &[(0, 0), (2, 0)]), load(0, &[])];
        let now = [load(500, &[(0, 500), (2, 500)]), load(0, &[])];
        assert_eq!(moves(&before, &now), None);
        assert_eq!(moves(&before[..1], &now[..1]), None);
    }

    #[test]
    fn a_new_assignment_has_no_rate_yet() {
        let before = [load(0, &[]), load(0, &[])];
        let now = [load(900, &[(0, 5_000), (2, 5_000)]), load(0, &[])];
        assert_eq!(moves(&before, &now), None);
    }

    #[test]
    fn it_takes_two_looks_and_then_a_rest() {
        let spread = Spread::new(2);
        let mut balance = Balance::new(spread.clone());
        let mut moved = Vec::new();
        for look in 0..12i64 {
            let next = look * 500;
            spread.tell(0, load(look as u64 * 900, &[(0, next), (2, next)]));
            moved.extend(balance.look(SECOND).map(|_| look));
        }
        assert_eq!(moved, [2, 9]);
    }

    #[test]
    fn what_is_assigned_is_shared_evenly_whatever_its_numbers() {
        let spread = Spread::new(2);
        let lanes: Vec<_> = [0, 2, 4, 6].map(|number| spread.lane_of(&at(number))).into();
        assert_eq!(lanes.iter().filter(|lane| **lane == 0).count(), 2);
        assert_eq!(spread.lane_of(&at(0)), lanes[0], "it stays");
        spread.moved(&at(0), 1 - lanes[0]);
        assert_eq!(spread.lane_of(&at(0)), 1 - lanes[0]);
        spread.forget([at(0), at(2), at(4), at(6)].iter());
        assert_eq!(spread.lane_of(&TopicPartition::new("u", 0)), 0);
    }
}
