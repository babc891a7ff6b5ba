//! What is done to the servers and to the network before them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;

use crate::cluster::Kind;
use crate::dice::Dice;
use crate::faults::Fault;
use crate::proxy::{Passage, Proxy};
use crate::stage::{Actor, Stage, between};

/// A topic that grows while it is used.
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: AtomicI32,
    pub(crate) litters: AtomicU64,
}

/// Who leads each Kafka partition of each topic.
type Leaders = BTreeMap<(String, i32), i32>;

/// A topic has at most so many Kafka partitions.
const MOST_PARTITIONS: i32 = 12;

/// Kills, freezes and stops brokers, one at a time; adds Kafka partitions.
pub(crate) struct Brokers<'a> {
    pub(crate) stage: &'a Stage<'a>,
    pub(crate) topics: &'a [&'a Topic],
}

impl Actor for Brokers<'_> {
    fn strike(&mut self, fault: Fault, dice: &mut Dice) {
        let number = dice.below(self.stage.cluster.len() as u64) as usize;
        match fault {
            Fault::BrokerKilled | Fault::BrokerStopped => self.end(fault, number, dice),
            Fault::BrokerFrozen => {
                let time = between(dice, 2000, 6000);
                self.stage.strike(fault, &format!("broker {number} for {time:?}"));
                let before = self.leaders();
                let broker = self.stage.cluster.broker(number);
                broker.freeze();
                self.stage.sleep(time);
                // Led by others only while it is seen to be away.
                let during = self.leaders_but(number);
                broker.thaw();
                drop(broker);
                self.count_changes(&before, &during);
            }
            Fault::PartitionsAdded => self.add_partitions(dice),
            other => unreachable!("{other:?} is not for brokers"),
        }
    }
}

impl Brokers<'_> {
    fn end(&self, fault: Fault, number: usize, dice: &mut Dice) {
        self.stage.strike(fault, &format!("broker {number}"));
        let before = self.leaders();
        let mut broker = self.stage.cluster.broker(number);
        if fault == Fault::BrokerKilled {
            broker.kill()
        } else {
            broker.stop()
        }
        self.stage.sleep(between(dice, 500, 3000));
        let during = self.leaders_but(number);
        broker.start_again();
        self.stage.tell(&format!("broker {number} is back"));
        drop(broker);
        self.count_changes(&before, &during);
    }

    fn add_partitions(&self, dice: &mut Dice) {
        let topic = dice.pick(self.topics);
        let total = topic.partitions.load(Ordering::Relaxed) + 1 + dice.below(2) as i32;
        if total > MOST_PARTITIONS {
            return;
        }
        let number = dice.below(self.stage.cluster.len() as u64) as usize;
        self.stage.cluster.broker(number).add_partitions(&topic.name, total);
        self.stage.strike(Fault::PartitionsAdded, &format!("{} has {total}", topic.name));
        topic.partitions.store(total, Ordering::Relaxed);
    }

    fn leaders(&self) -> Leaders {
        self.leaders_but(usize::MAX)
    }

    /// Who leads what, as a broker other than this one knows; nothing where there is no other.
    fn leaders_but(&self, number: usize) -> Leaders {
        let cluster = self.stage.cluster;
        if cluster.kind() != Kind::Three {
            return Leaders::new();
        }
        let client: BaseConsumer = cluster.client_config().create().expect("client");
        let Ok(metadata) = client.fetch_metadata(None, Duration::from_secs(10)) else {
            self.stage.tell(&format!("no metadata without broker {number}"));
            return Leaders::new();
        };
        let of_topic = |topic: &MetadataTopic| {
            let name = topic.name().to_owned();
            let leaders = topic.partitions().iter().map(|found| (found.id(), found.leader()));
            leaders.map(|(id, leader)| ((name.clone(), id), leader)).collect::<Vec<_>>()
        };
        metadata.topics().iter().flat_map(of_topic).collect()
    }

    fn count_changes(&self, before: &Leaders, during: &Leaders) {
        let changed = |(at, leader): &(&_, &i32)| during.get(*at).is_some_and(|now| now != *leader);
        let moved = before.iter().filter(changed).count();
        self.stage.counts.saw(Fault::LeaderChanged, moved as u64);
    }
}

/// Kills, freezes and fills the store, and litters it.
pub(crate) struct Stores<'a> {
    pub(crate) stage: &'a Stage<'a>,
    pub(crate) topics: &'a [&'a Topic],
}

impl Actor for Stores<'_> {
    fn strike(&mut self, fault: Fault, dice: &mut Dice) {
        let (stage, depot) = (self.stage, self.stage.depot);
        let time = between(dice, 1000, 5000);
        stage.strike(fault, &format!("for {time:?}"));
        match fault {
            Fault::StoreAway => depot.go_away(stage, time),
            Fault::StoreFrozen => depot.freeze(stage, time),
            Fault::DiskFull => depot.fill(stage, time),
            Fault::SpoolFull => depot.fill_spool(stage, time),
            Fault::ForeignObject => {
                let topic = dice.pick(self.topics);
                let number = topic.litters.fetch_add(1, Ordering::Relaxed);
                depot.litter(&topic.name, &topic.name, number);
            }
            other => unreachable!("{other:?} is not for the store"),
        }
        stage.tell(&format!("{}: over", fault.name()));
    }
}

/// What is done to one network, by the names that it has there.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    cut: Fault,
    half_open: Fault,
    held: Fault,
    slow: Fault,
}

impl Wire {
    pub(crate) const KAFKA: Self = Self {
        cut: Fault::KafkaCut,
        half_open: Fault::KafkaHalfOpen,
        held: Fault::KafkaHeld,
        slow: Fault::KafkaSlow,
    };
    pub(crate) const STORE: Self = Self {
        cut: Fault::StoreCut,
        half_open: Fault::StoreHalfOpen,
        held: Fault::StoreHeld,
        slow: Fault::StoreSlow,
    };

    pub(crate) const fn kinds(self) -> [Fault; 4] {
        [self.cut, self.half_open, self.held, self.slow]
    }
}

/// Cuts, holds and slows the connections of the sinks to Kafka or to the store.
pub(crate) struct Wires<'a> {
    pub(crate) stage: &'a Stage<'a>,
    pub(crate) wire: Wire,
    pub(crate) proxies: &'a [Proxy],
}

impl Actor for Wires<'_> {
    fn strike(&mut self, fault: Fault, dice: &mut Dice) {
        // One of them, or all.
        let one = dice.below(self.proxies.len() as u64) as usize;
        let chosen = if dice.one_in(2) { self.proxies } else { &self.proxies[one..=one] };
        let open: usize = chosen.iter().map(Proxy::open).sum();
        if fault == self.wire.cut || fault == self.wire.half_open {
            let blow = if fault == self.wire.cut { Proxy::cut } else { Proxy::half_open };
            chosen.iter().for_each(blow);
            // Where there is no connection, nothing happened.
            if open > 0 {
                self.stage.strike(fault, &format!("{open} connections"));
            }
            return;
        }
        let (time, by) = (between(dice, 1000, 6000), between(dice, 20, 300));
        let passage = if fault == self.wire.held { Passage::Held } else { Passage::Slow(by) };
        self.stage.strike(fault, &format!("{open} connections, {passage:?} for {time:?}"));
        chosen.iter().for_each(|proxy| proxy.set(passage));
        self.stage.sleep(time);
        chosen.iter().for_each(|proxy| proxy.set(Passage::Free));
    }
}
