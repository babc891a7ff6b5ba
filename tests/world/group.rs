//! The group coordinator: who is a member, who owns what, and the offsets with their metadata.
//!
//! What it checks on a commit is what Kafka checks: the member and its generation, never the
//! owner.

use std::collections::BTreeMap;

use kafka_s3_sink::record::{CommitError, CommitRequest, Committed, TopicPartition};

/// A member that is silent for this long is expired.
pub(crate) const SESSION_MS: u64 = 6_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Everything is given back at every rebalance.
    Eager,
    /// Only what must move is; one generation for the group.
    Cooperative,
    /// KIP-848: an epoch for each member, no barrier.
    Consumer,
}

/// The coordinator's view of a member.
#[derive(Debug)]
struct Seat {
    last_seen: u64,
    generation: i32,
    /// Eager: it has given everything back in this rebalance.
    rejoined: bool,
    /// It joined again before it had given back what it was asked for.
    ahead: bool,
}

/// What a member hears with a heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat {
    pub(crate) generation: i32,
    pub(crate) revoke: Vec<TopicPartition>,
    pub(crate) assign: Vec<TopicPartition>,
}

pub(crate) struct Coordinator {
    protocol: Protocol,
    seats: BTreeMap<u64, Seat>,
    next_id: u64,
    generation: i32,
    preparing: bool,
    target: BTreeMap<TopicPartition, u64>,
    owners: BTreeMap<TopicPartition, u64>,
    pub(crate) offsets: BTreeMap<TopicPartition, Committed>,
    /// What `roll_back` can bring back.
    older: BTreeMap<TopicPartition, Vec<Committed>>,
    /// Which member stands for an instance id.
    instances: BTreeMap<u64, u64>,
    /// Off in worlds where only the store's fence stands: every commit is taken.
    pub(crate) fences: bool,
}

impl Coordinator {
    pub(crate) fn new(protocol: Protocol, fences: bool) -> Self {
        Self {
            protocol,
            seats: BTreeMap::new(),
            next_id: 1,
            generation: 1,
            preparing: false,
            target: BTreeMap::new(),
            owners: BTreeMap::new(),
            offsets: BTreeMap::new(),
            older: BTreeMap::new(),
            instances: BTreeMap::new(),
            fences,
        }
    }

    /// A new member; its id and generation, and whether it took the place of another. One of the
    /// same instance id does so without a rebalance (KIP-345): what that had is its own.
    pub(crate) fn join(
        &mut self,
        now: u64,
        all: &[TopicPartition],
        instance: Option<u64>,
    ) -> ((u64, i32), bool) {
        let id = self.next_id;
        self.next_id += 1;
        let seat =
            Seat { last_seen: now, generation: self.generation, rejoined: true, ahead: false };
        let old = instance.and_then(|instance| self.instances.insert(instance, id));
        let old = old.filter(|old| self.seats.remove(old).is_some());
        self.seats.insert(id, seat);
        match old {
            Some(old) => {
                self.owners.retain(|_, owner| *owner != old);
                let mine = self.target.values_mut().filter(|owner| **owner == old);
                mine.for_each(|owner| *owner = id);
                self.complete();
            }
            None => self.rebalance(all),
        }
        ((id, self.generation), old.is_some())
    }

    pub(crate) fn is_eager(&self) -> bool {
        self.protocol == Protocol::Eager
    }

    /// Whether a commit's generation says who had a Kafka partition.
    pub(crate) fn counts_generations(&self) -> bool {
        self.protocol != Protocol::Consumer
    }

    /// Whether another member stands for this one's instance id.
    pub(crate) fn is_taken_over(&self, instance: u64, id: u64) -> bool {
        self.instances.get(&instance).is_some_and(|now| *now != id && self.seats.contains_key(now))
    }

    /// Nobody is left.
    pub(crate) fn dissolve(&mut self) {
        self.seats.clear();
        self.owners.clear();
        self.target.clear();
        self.preparing = false;
    }

    pub(crate) fn leave(&mut self, id: u64, all: &[TopicPartition]) {
        if self.seats.remove(&id).is_some() {
            self.owners.retain(|_, owner| *owner != id);
            self.rebalance(all);
        }
    }

    /// Members that were silent for too long are gone; how many.
    pub(crate) fn expire(&mut self, now: u64, all: &[TopicPartition]) -> usize {
        let gone: Vec<u64> = self
            .seats
            .iter()
            .filter(|(_, seat)| now.saturating_sub(seat.last_seen) > SESSION_MS)
            .map(|(id, _)| *id)
            .collect();
        gone.iter().for_each(|id| self.leave(*id, all));
        gone.len()
    }

    /// New Kafka partitions, or members that came and went.
    pub(crate) fn rebalance(&mut self, all: &[TopicPartition]) {
        let ids: Vec<u64> = self.seats.keys().copied().collect();
        self.target.clear();
        for (index, at) in all.iter().enumerate().filter(|_| !ids.is_empty()) {
            // Sticky, as far as the shares stay even.
            let fair = all.len().div_ceil(ids.len());
            let holds = |id: u64| self.target.values().filter(|owner| **owner == id).count();
            let kept = self.owners.get(at).copied();
            let kept = kept.filter(|id| self.seats.contains_key(id) && holds(*id) < fair);
            let least = ids.iter().copied().min_by_key(|id| (holds(*id), (*id + index as u64) % 7));
            if let Some(id) = kept.or(least) {
                self.target.insert(at.clone(), id);
            }
        }
        match self.protocol {
            Protocol::Eager => {
                self.preparing = true;
                for (id, seat) in &mut self.seats {
                    seat.rejoined = !self.owners.values().any(|owner| owner == id);
                }
                self.complete();
            }
            Protocol::Cooperative | Protocol::Consumer => self.generation += 1,
        }
    }

    /// Eager: a new generation once everybody has given back what it had.
    fn complete(&mut self) {
        if self.preparing && self.seats.values().all(|seat| seat.rejoined) {
            self.preparing = false;
            self.generation += 1;
        }
    }

    /// `None`: the member is unknown. One that is in its rebalance callback is given nothing.
    pub(crate) fn heartbeat(&mut self, id: u64, now: u64, busy: bool) -> Option<Heartbeat> {
        let seat = self.seats.get_mut(&id)?;
        seat.last_seen = now;
        let of = |map: &BTreeMap<TopicPartition, u64>| -> Vec<TopicPartition> {
            map.iter().filter(|(_, owner)| **owner == id).map(|(at, _)| at.clone()).collect()
        };
        let owned = of(&self.owners);
        if self.preparing || busy {
            let generation = seat.generation;
            return Some(Heartbeat { generation, revoke: owned, assign: Vec::new() });
        }
        let target = of(&self.target);
        let revoke: Vec<_> = owned.into_iter().filter(|at| !target.contains(at)).collect();
        let free = |at: &TopicPartition| !self.owners.contains_key(at);
        let assign: Vec<_> = target.into_iter().filter(free).collect();
        if revoke.is_empty() {
            (seat.generation, seat.ahead) = (self.generation, false);
            self.owners.extend(assign.iter().map(|at| (at.clone(), id)));
        }
        let generation = seat.generation;
        let assign = if revoke.is_empty() { assign } else { Vec::new() };
        Some(Heartbeat { generation, revoke, assign })
    }

    /// The member joins again, as if it held these no more: from now on it is in the generation
    /// that all are in.
    pub(crate) fn joined_again(&mut self, id: u64, partitions: &[TopicPartition]) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.ahead = true;
        }
        self.given_back(id, partitions);
    }

    /// The member holds these no more.
    pub(crate) fn given_back(&mut self, id: u64, partitions: &[TopicPartition]) {
        for at in partitions {
            if self.owners.get(at) == Some(&id) {
                self.owners.remove(at);
            }
        }
        let left = self.owners.values().any(|owner| *owner == id);
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.rejoined = !left;
            self.complete();
        }
    }

    /// Who has a Kafka partition, as far as the group knows.
    pub(crate) fn owner(&self, at: &TopicPartition) -> Option<u64> {
        self.owners.get(at).copied()
    }

    /// Takes commits or refuses them.
    pub(crate) fn commit(
        &mut self,
        id: u64,
        generation: i32,
        requests: &[CommitRequest],
    ) -> Result<(), CommitError> {
        if self.fences {
            let Some(seat) = self.seats.get(&id) else {
                return Err(CommitError::Fenced("UNKNOWN_MEMBER_ID".into()));
            };
            let now = if seat.ahead { self.generation } else { seat.generation };
            if now != generation {
                return Err(CommitError::Retry("ILLEGAL_GENERATION".into()));
            }
        }
        for request in requests {
            let metadata = request.metadata.clone();
            let committed = Committed { offset: Some(request.offset), metadata };
            if let Some(old) = self.offsets.insert(request.partition.clone(), committed) {
                self.older.entry(request.partition.clone()).or_default().push(old);
            }
        }
        Ok(())
    }

    /// An unclean election of the offsets topic: the last `count` commits never happened.
    pub(crate) fn roll_back(&mut self, at: &TopicPartition, count: usize) -> bool {
        let Some(older) = self.older.get_mut(at) else { return false };
        older.truncate((older.len() + 1).saturating_sub(count.max(1)));
        older.pop().is_some_and(|old| self.offsets.insert(at.clone(), old).is_some())
    }

    /// The broker was away: nobody's session ran meanwhile.
    pub(crate) fn forgive(&mut self, now: u64) {
        self.seats.values_mut().for_each(|seat| seat.last_seen = now);
    }
}
