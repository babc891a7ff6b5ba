//! The settings of the test brokers: everything small, quick and on the loopback interface.

use std::io::Read;
use std::path::Path;

use base64::Engine;

type Settings = Vec<(&'static str, String)>;

/// After this ZooKeeper forgets a broker that died.
pub(super) const ZOOKEEPER_SESSION_MS: u64 = 3000;

/// Writes settings as a Java properties file; a later one of the same name wins.
pub(super) fn write(path: &Path, settings: &Settings, extra: &[(&str, String)]) {
    let mut text: String = settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    text.extend(extra.iter().map(|(key, value)| format!("{key}={value}\n")));
    std::fs::write(path, text).expect("properties file");
}

/// A new cluster id: 16 random bytes as Kafka prints them.
pub(crate) fn cluster_id() -> String {
    let mut bytes = [0; 16];
    let mut random = std::fs::File::open("/dev/urandom").expect("/dev/urandom");
    random.read_exact(&mut bytes).expect("/dev/urandom");
    // A leading dash would read as an option of the storage tool.
    bytes[0] &= 0x7f;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Kafka 4: one node that is broker and controller.
pub(super) fn kraft(dir: &Path, port: u16, controller_port: u16) -> Settings {
    let mut settings = common(dir);
    settings.extend([
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        (
            "listeners",
            format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
        ),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("group.consumer.session.timeout.ms", "6000".to_owned()),
        ("group.consumer.min.session.timeout.ms", "1000".to_owned()),
        ("group.consumer.heartbeat.interval.ms", "500".to_owned()),
        ("group.consumer.min.heartbeat.interval.ms", "100".to_owned()),
        ("share.coordinator.state.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
    ]);
    settings
}

/// Kafka 3 that finds its controller in ZooKeeper.
pub(super) fn zookeeper_broker(dir: &Path, port: u16, zookeeper_port: u16) -> Settings {
    let mut settings = common(dir);
    settings.extend([
        ("broker.id", "1".to_owned()),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("zookeeper.connect", format!("127.0.0.1:{zookeeper_port}")),
        ("zookeeper.connection.timeout.ms", "60000".to_owned()),
        // A killed broker is forgotten soon, so that it can come back soon.
        ("zookeeper.session.timeout.ms", ZOOKEEPER_SESSION_MS.to_string()),
    ]);
    settings
}

/// ZooKeeper itself.
pub(super) fn zookeeper(dir: &Path, port: u16) -> Settings {
    vec![
        ("dataDir", dir.join("zookeeper").display().to_string()),
        ("clientPort", port.to_string()),
        ("clientPortAddress", "127.0.0.1".to_owned()),
        ("admin.enableServer", "false".to_owned()),
        ("tickTime", "500".to_owned()),
        ("maxClientCnxns", "0".to_owned()),
    ]
}

fn common(dir: &Path) -> Settings {
    const SAME: &[(&str, &str)] = &[
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("auto.create.topics.enable", "false"),
        ("delete.topic.enable", "true"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        ("message.max.bytes", "33554432"),
        ("replica.fetch.max.bytes", "33554432"),
        ("socket.request.max.bytes", "104857600"),
        ("log.initial.task.delay.ms", "500"),
        ("log.retention.check.interval.ms", "500"),
        ("log.segment.delete.delay.ms", "1000"),
        // Records carry event times of their own, past, future and absurd.
        ("log.retention.ms", "-1"),
        ("log.message.timestamp.before.max.ms", "9223372036854775807"),
        ("log.message.timestamp.after.max.ms", "9223372036854775807"),
        ("log.cleaner.backoff.ms", "500"),
        ("log.cleaner.dedupe.buffer.size", "8388608"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("controlled.shutdown.max.retries", "1"),
    ];
    let mut settings: Settings =
        SAME.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    settings.push(("log.dirs", dir.join("data").display().to_string()));
    settings
}
