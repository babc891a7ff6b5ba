//! Kafka as a scenario sees it: one broker or three, each with a proxy that the sinks go through.
//! Producers and the oracle go straight to the brokers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::proxy::Proxy;
use crate::support::kafka::{Broker, Version, cluster_id};
use crate::support::workdir::free_port;

/// Which Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 3.9 with ZooKeeper.
    ZooKeeper,
    /// 4.2, one node.
    One,
    /// 4.2, three nodes, each record on all of them.
    Three,
}

/// See the module.
pub(crate) struct Cluster {
    kind: Kind,
    brokers: Vec<Mutex<Broker>>,
    proxies: Vec<Proxy>,
    bootstrap: String,
}

/// Where one node listens: for clients, for the proxy, and as a controller.
struct Ports {
    client: u16,
    behind: u16,
    proxy: u16,
    controller: u16,
}

impl Cluster {
    /// Starts it.
    pub(crate) fn start(kind: Kind) -> Self {
        let count = if kind == Kind::Three { 3 } else { 1 };
        let new = || Ports {
            client: free_port(),
            behind: free_port(),
            proxy: free_port(),
            controller: free_port(),
        };
        let ports: Vec<Ports> = (0..count).map(|_| new()).collect();
        let id = cluster_id();
        // At once: none of three answers before another is there.
        let version = if kind == Kind::ZooKeeper { Version::V3 } else { Version::V4 };
        let start = |node: usize| {
            let settings = settings(kind, &ports, node);
            let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, &**value)).collect();
            Broker::start_at(version, ports[node].client, &id, &settings)
        };
        let brokers: Vec<Broker> = std::thread::scope(|scope| {
            let start = &start;
            let started: Vec<_> = (0..count).map(|node| scope.spawn(move || start(node))).collect();
            started.into_iter().map(|broker| broker.join().expect("a broker")).collect()
        });
        let bootstraps: Vec<String> = brokers.iter().map(Broker::bootstrap).collect();
        Self {
            kind,
            brokers: brokers.into_iter().map(Mutex::new).collect(),
            proxies: ports.iter().map(|ports| Proxy::start(ports.proxy, ports.behind)).collect(),
            bootstrap: bootstraps.join(","),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// How many brokers there are.
    pub(crate) fn len(&self) -> usize {
        self.brokers.len()
    }

    /// One of them, for whoever does something to it.
    pub(crate) fn broker(&self, number: usize) -> MutexGuard<'_, Broker> {
        self.brokers[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proxies before them.
    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Where sinks begin: at the proxies.
    pub(crate) fn faulty_bootstrap(&self) -> String {
        let addresses = self.proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port()));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The configuration of a client that no proxy stands before, quiet about brokers that go away.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("reconnect.backoff.max.ms", "1000");
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }
}

/// What the brokers of chaos have that others have not.
fn settings(kind: Kind, ports: &[Ports], node: usize) -> Vec<(&'static str, String)> {
    let own = &ports[node];
    let (client, behind, proxy) = (own.client, own.behind, own.proxy);
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{client},FAULTY://127.0.0.1:{behind}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,FAULTY:PLAINTEXT".to_owned();
    if kind != Kind::ZooKeeper {
        listeners += &format!(",CONTROLLER://127.0.0.1:{}", own.controller);
        protocols += ",CONTROLLER:PLAINTEXT";
    }
    let mut settings = vec![
        ("listeners", listeners),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{client},FAULTY://127.0.0.1:{proxy}"),
        ),
        ("listener.security.protocol.map", protocols),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
    ];
    if kind != Kind::ZooKeeper {
        let voters = ports
            .iter()
            .enumerate()
            .map(|(number, ports)| format!("{}@127.0.0.1:{}", number + 1, ports.controller));
        settings.extend([
            ("node.id", (node + 1).to_string()),
            ("controller.quorum.voters", voters.collect::<Vec<_>>().join(",")),
            ("group.consumer.session.timeout.ms", "4000".to_owned()),
        ]);
    }
    if kind == Kind::Three {
        const REPLICATED: &[(&str, &str)] = &[
            ("default.replication.factor", "3"),
            ("min.insync.replicas", "2"),
            ("offsets.topic.replication.factor", "3"),
            ("transaction.state.log.replication.factor", "3"),
            ("transaction.state.log.min.isr", "2"),
            ("share.coordinator.state.topic.replication.factor", "3"),
            ("share.coordinator.state.topic.min.isr", "2"),
            // A dead broker is noticed soon, and leads again soon after it is back.
            ("broker.session.timeout.ms", "3000"),
            ("broker.heartbeat.interval.ms", "500"),
            ("replica.lag.time.max.ms", "4000"),
            ("leader.imbalance.check.interval.seconds", "3"),
            ("controlled.shutdown.max.retries", "3"),
        ];
        settings.extend(REPLICATED.iter().map(|(key, value)| (*key, (*value).to_owned())));
    }
    settings
}
