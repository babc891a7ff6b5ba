//! The scenarios: which servers, which topics, which groups, and what is done to them.

use crate::cluster;
use crate::depot;
use crate::faults::Fault;

/// How a topic is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Records and nothing else.
    Plain,
    /// Transactions, a third of which are aborted.
    Transactions,
    /// Few keys, and compaction as fast as it can be had.
    Compacted,
}

/// How a group shares its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Classic, cooperative-sticky.
    Cooperative,
    /// The same with static members.
    Static,
    /// Classic, range and roundrobin.
    Eager,
    /// KIP-848.
    Consumer,
}

/// A topic with a group of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) topic: Use,
    pub(crate) protocol: Protocol,
    /// Sinks at most.
    pub(crate) sinks: usize,
    /// Kafka partitions in the beginning.
    pub(crate) partitions: i32,
    /// Records a second.
    pub(crate) rate: u64,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kafka: cluster::Kind,
    pub(crate) store: depot::Kind,
    /// Whether brokers are stopped in good order too, which takes its time.
    pub(crate) stops_brokers: bool,
    pub(crate) tenants: &'static [Tenant],
}

const fn plain(name: &'static str, protocol: Protocol, sinks: usize) -> Tenant {
    Tenant { name, topic: Use::Plain, protocol, sinks, partitions: 6, rate: 1500 }
}

/// Those that want the same servers stand next to each other.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "zookeeper",
        kafka: cluster::Kind::ZooKeeper,
        store: depot::Kind::Minio,
        stops_brokers: false,
        tenants: &[plain("coop", Protocol::Cooperative, 3)],
    },
    Scenario {
        name: "consumer",
        kafka: cluster::Kind::One,
        store: depot::Kind::Minio,
        stops_brokers: true,
        tenants: &[plain("kip848", Protocol::Consumer, 4)],
    },
    Scenario {
        name: "classic",
        kafka: cluster::Kind::One,
        store: depot::Kind::Minio,
        stops_brokers: false,
        tenants: &[
            Tenant { rate: 1000, ..plain("eager", Protocol::Eager, 2) },
            Tenant { rate: 1000, ..plain("static", Protocol::Static, 2) },
        ],
    },
    Scenario {
        name: "forgetful",
        kafka: cluster::Kind::One,
        store: depot::Kind::Forgetful,
        stops_brokers: false,
        tenants: &[
            Tenant { rate: 1000, ..plain("coop", Protocol::Cooperative, 2) },
            Tenant { rate: 1000, ..plain("kip848", Protocol::Consumer, 2) },
        ],
    },
    Scenario {
        name: "gaps",
        kafka: cluster::Kind::One,
        store: depot::Kind::Minio,
        stops_brokers: false,
        tenants: &[
            Tenant {
                topic: Use::Transactions,
                partitions: 4,
                rate: 1000,
                ..plain("txn", Protocol::Cooperative, 2)
            },
            Tenant {
                topic: Use::Compacted,
                partitions: 3,
                rate: 800,
                ..plain("compacted", Protocol::Consumer, 2)
            },
        ],
    },
    Scenario {
        name: "three",
        kafka: cluster::Kind::Three,
        store: depot::Kind::Minio,
        stops_brokers: true,
        tenants: &[
            Tenant { rate: 800, ..plain("coop", Protocol::Cooperative, 2) },
            Tenant { rate: 800, ..plain("kip848", Protocol::Consumer, 2) },
        ],
    },
];

impl Scenario {
    /// What is done to the brokers.
    pub(crate) fn broker_faults(&self) -> &'static [Fault] {
        const ALL: &[Fault] = &[
            Fault::BrokerKilled,
            Fault::BrokerFrozen,
            Fault::PartitionsAdded,
            Fault::BrokerStopped,
        ];
        if self.stops_brokers { ALL } else { &ALL[..3] }
    }

    /// What is done to the store, and to the disk on which sinks spool.
    pub(crate) fn store_faults(&self) -> &'static [Fault] {
        const ALL: &[Fault] = &[
            Fault::StoreAway,
            Fault::DiskFull,
            Fault::SpoolFull,
            Fault::ForeignObject,
            Fault::StoreFrozen,
        ];
        match self.store {
            depot::Kind::Minio => ALL,
            // It lives in this process, which does not stop itself.
            depot::Kind::Forgetful => &ALL[..4],
        }
    }

    /// Whether a topic is used like this.
    pub(crate) fn has(&self, way: Use) -> bool {
        self.tenants.iter().any(|tenant| tenant.topic == way)
    }

    fn has_static_members(&self) -> bool {
        self.tenants.iter().any(|tenant| tenant.protocol == Protocol::Static)
    }

    /// All that must occur in it.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![
            Fault::SinkKilled,
            Fault::SinkFrozen,
            Fault::SinkStopped,
            Fault::SinkLeft,
            Fault::SinkJoined,
            Fault::SinkReconfigured,
        ];
        faults.extend(self.broker_faults());
        faults.extend(self.store_faults());
        faults.extend(crate::servers::Wire::KAFKA.kinds());
        faults.extend(crate::servers::Wire::STORE.kinds());
        for (holds, fault) in [
            (self.kafka == cluster::Kind::Three, Fault::LeaderChanged),
            (self.has_static_members(), Fault::SinkReplaced),
            (self.has(Use::Transactions), Fault::TransactionAborted),
            (self.has(Use::Compacted), Fault::RecordsCompacted),
        ] {
            if holds {
                faults.push(fault);
            }
        }
        faults
    }
}
