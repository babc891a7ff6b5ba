//! The kinds of faults, how often each occurred, and the decks that they are dealt from.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::dice::Dice;

macro_rules! kinds {
    ($($kind:ident: $name:literal),+ $(,)?) => {
        /// Everything that goes wrong on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault { $($kind),+ }

        impl Fault {
            /// What people call it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }
        }
    };
}

kinds! {
    SinkKilled: "sink: SIGKILL, another life",
    SinkFrozen: "sink: SIGSTOP beyond its session, SIGCONT",
    SinkReplaced: "sink: frozen, its name taken by another",
    SinkStopped: "sink: SIGTERM, another life",
    SinkLeft: "sink: leaves the others",
    SinkJoined: "sink: joins the others",
    SinkReconfigured: "sink: another configuration",
    SpoolFull: "sink: the disk of its spool full",
    BrokerKilled: "broker: SIGKILL, started again",
    BrokerFrozen: "broker: SIGSTOP, SIGCONT",
    BrokerStopped: "broker: SIGTERM, started again",
    LeaderChanged: "broker: leaders changed",
    PartitionsAdded: "topic: Kafka partitions added",
    TransactionAborted: "topic: transactions aborted",
    RecordsCompacted: "topic: records compacted away",
    StoreAway: "store: away, and back",
    StoreFrozen: "store: SIGSTOP, SIGCONT",
    DiskFull: "store: disk full",
    ForeignObject: "store: foreign objects in the listing",
    KafkaCut: "network to Kafka: connections reset",
    KafkaHalfOpen: "network to Kafka: half-open",
    KafkaHeld: "network to Kafka: nothing passes for a while",
    KafkaSlow: "network to Kafka: slow",
    StoreCut: "network to the store: connections reset",
    StoreHalfOpen: "network to the store: half-open",
    StoreHeld: "network to the store: nothing passes for a while",
    StoreSlow: "network to the store: slow",
}

/// How often each kind occurred in one scenario.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<Fault, u64>>);

impl Counts {
    /// It occurred.
    pub(crate) fn saw(&self, fault: Fault, times: u64) {
        if times > 0 {
            *self.0.lock().expect("counts").entry(fault).or_default() += times;
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<Fault, u64> {
        self.0.lock().expect("counts").clone()
    }
}

/// Kinds in random order, each once before any comes again: what is in the deck occurs.
pub(crate) struct Deck {
    kinds: Vec<Fault>,
    left: Vec<Fault>,
    rounds: u64,
}

impl Deck {
    pub(crate) fn of(kinds: &[Fault]) -> Self {
        Self { kinds: kinds.to_vec(), left: Vec::new(), rounds: 0 }
    }

    /// The next one.
    pub(crate) fn deal(&mut self, dice: &mut Dice) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        let at = dice.below(self.left.len() as u64) as usize;
        let dealt = self.left.swap_remove(at);
        self.rounds += u64::from(self.left.is_empty());
        dealt
    }

    /// Whether each kind was dealt.
    pub(crate) fn went_round(&self) -> bool {
        self.rounds > 0
    }
}
