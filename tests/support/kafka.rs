//! Real Apache Kafka brokers: 4.2 with KRaft, and 3.9 with its ZooKeeper, one node each.

mod admin;
mod config;
mod produce;
mod raw;
mod zookeeper;

use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::process::Process;
use super::tools;
use super::workdir::{WorkDir, free_port};
pub(crate) use admin::GroupOffset;
pub(crate) use config::cluster_id;
pub(crate) use produce::{Bulk, Expected};
pub(crate) use raw::{RawRecord, Transactions};

/// Which Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 4.2.0 with KRaft.
    V4,
    /// 3.9.1 with ZooKeeper.
    V3,
}

impl Version {
    /// Its number.
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::V4 => "4.2.0",
            Self::V3 => "3.9.1",
        }
    }
}

const START_TIMEOUT: Duration = Duration::from_secs(120);

/// One broker with a folder of its own. Dropping it kills it by process id.
pub(crate) struct Broker {
    version: Version,
    bootstrap: String,
    broker: Option<Process>,
    killed: Option<Instant>,
    zookeeper: Option<Process>,
    full_size: bool,
    // After the processes, so that they are dead before their folder goes.
    dir: WorkDir,
}

impl Broker {
    /// Starts a broker with the settings of `config`.
    pub(crate) fn start(version: Version) -> Self {
        Self::start_with(version, &[])
    }

    /// The same with further broker settings, which win; `{port}` and `{second_port}` (the
    /// controller's, or ZooKeeper's) are filled in.
    pub(crate) fn start_with(version: Version, extra: &[(&str, &str)]) -> Self {
        Self::start_at(version, free_port(), &config::cluster_id(), extra)
    }

    /// A 4.2 broker with the heap, the collector and the compilers that Kafka's own script gives it,
    /// for what is measured.
    pub(crate) fn start_full_size(extra: &[(&str, &str)]) -> Self {
        let mut this = Self::set_up(Version::V4, free_port(), extra);
        this.full_size = true;
        this.start_for_the_first_time(&config::cluster_id())
    }

    /// The same on a port that is known before, and with the id of its cluster. A node of several
    /// waits for the others, so they are started at once.
    pub(crate) fn start_at(
        version: Version,
        port: u16,
        cluster_id: &str,
        extra: &[(&str, &str)],
    ) -> Self {
        Self::set_up(version, port, extra).start_for_the_first_time(cluster_id)
    }

    /// Its folder with its settings; nothing runs.
    fn set_up(version: Version, port: u16, extra: &[(&str, &str)]) -> Self {
        let this = Self::elsewhere(version, format!("127.0.0.1:{port}"), WorkDir::new("kafka"));
        let second_port = free_port();
        let settings = match version {
            Version::V4 => config::kraft(this.dir.path(), port, second_port),
            Version::V3 => config::zookeeper_broker(this.dir.path(), port, second_port),
        };
        let ports = |text: &str| {
            let text = text.replace("{port}", &port.to_string());
            text.replace("{second_port}", &second_port.to_string())
        };
        let extra: Vec<_> = extra.iter().map(|(key, value)| (*key, ports(value))).collect();
        config::write(&this.dir.path().join("server.properties"), &settings, &extra);
        if version == Version::V3 {
            let settings = config::zookeeper(this.dir.path(), second_port);
            config::write(&this.dir.path().join("zookeeper.properties"), &settings, &[]);
        }
        this
    }

    /// Starts one from files that somebody else has put into its folder: `server.properties`, and
    /// `zookeeper.properties`.
    pub(crate) fn start_from(
        version: Version,
        dir: WorkDir,
        bootstrap: String,
        cluster_id: &str,
    ) -> Self {
        Self::elsewhere(version, bootstrap, dir).start_for_the_first_time(cluster_id)
    }

    /// One, or several, that somebody else runs; nothing can be done to its process.
    pub(crate) fn elsewhere(version: Version, bootstrap: String, dir: WorkDir) -> Self {
        let (broker, killed, zookeeper) = (None, None, None);
        Self { version, bootstrap, broker, killed, zookeeper, full_size: false, dir }
    }

    fn start_for_the_first_time(mut self, cluster_id: &str) -> Self {
        match self.version {
            Version::V4 => self.format_storage(cluster_id),
            Version::V3 => self.start_zookeeper(),
        }
        self.start_again();
        self
    }

    /// The one 4.2 broker that tests share which do not harm it; it ends with the test process.
    pub(crate) fn shared_v4() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Version::V4))
    }

    /// The one 3.9 broker that tests share which do not harm it.
    pub(crate) fn shared_v3() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Version::V3))
    }

    /// `host:port`, or several.
    pub(crate) fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    /// The broker's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// All that it has printed, over all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("broker.log")).unwrap_or_default()
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.broker.take().expect("the broker runs").stop();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        drop(self.broker.take().expect("the broker runs"));
        self.killed = Some(Instant::now());
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub(crate) fn freeze(&self) {
        self.running().signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.running().signal(libc::SIGCONT);
    }

    /// Starts it on the data and the port that it had, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let bootstrap = self.bootstrap();
        self.launch(|| answers(&bootstrap));
    }

    fn launch(&mut self, ready: impl FnMut() -> bool) {
        assert!(self.broker.is_none(), "the broker runs already");
        self.outlive_zookeeper_session();
        let mut command = if self.full_size {
            self.java(&["-Xms1g", "-Xmx1g", "-XX:+UseG1GC"], "kafka.Kafka")
        } else {
            self.small_java("-Xmx640m", "kafka.Kafka")
        };
        command.arg("server.properties");
        let log = self.dir.path().join("broker.log");
        let mut broker = Process::start("Kafka", command, &log);
        broker.wait_ready(START_TIMEOUT, ready);
        self.broker = Some(broker);
    }

    fn running(&self) -> &Process {
        self.broker.as_ref().expect("the broker runs")
    }

    /// A killed broker of Kafka 3 is still registered until its session with ZooKeeper ends, and
    /// its successor would give up on that.
    fn outlive_zookeeper_session(&mut self) {
        let Some(killed) = self.killed.take() else { return };
        if self.zookeeper.is_some() {
            let free = Duration::from_millis(config::ZOOKEEPER_SESSION_MS) + Duration::from_secs(1);
            std::thread::sleep(free.saturating_sub(killed.elapsed()));
        }
    }

    fn format_storage(&self, cluster_id: &str) {
        let mut command = self.small_java("-Xmx128m", "kafka.tools.StorageTool");
        command.args(["format", "-t", cluster_id, "-c", "server.properties"]);
        let log = self.dir.path().join("format.log");
        let mut format = Process::start("StorageTool", command, &log);
        let end = format.wait(START_TIMEOUT);
        let done = end.is_some_and(|end| end.status.success());
        assert!(done, "kafka.tools.StorageTool: {end:?}\n{}", format.tail());
    }

    fn zookeeper_port(&self) -> u16 {
        let settings = std::fs::read_to_string(self.dir.path().join("zookeeper.properties"));
        let settings = settings.expect("zookeeper.properties");
        let port = settings.lines().find_map(|line| line.strip_prefix("clientPort="));
        port.and_then(|port| port.parse().ok()).expect("its port")
    }

    fn start_zookeeper(&mut self) {
        let port = self.zookeeper_port();
        let class = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let mut command = self.small_java("-Xmx192m", class);
        command.arg("zookeeper.properties");
        let log = self.dir.path().join("zookeeper.log");
        let mut zookeeper = Process::start("ZooKeeper", command, &log);
        zookeeper.wait_ready(START_TIMEOUT, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        self.zookeeper = Some(zookeeper);
    }

    /// A JVM that starts soon and stays small.
    fn small_java(&self, heap: &str, class: &str) -> Command {
        // The second compiler would cost more than it brings within a test's time.
        self.java(&[heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"], class)
    }

    /// A JVM; its log goes to stderr.
    fn java(&self, options: &[&str], class: &str) -> Command {
        let libs = tools::dir().join(format!("kafka-{}/libs", self.version.number()));
        let mut command = Command::new("java");
        command
            .current_dir(self.dir.path())
            .args(options)
            .arg("-Xshare:auto")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
            .arg("-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper=warn")
            .arg("-cp")
            .arg(libs.join("*"))
            .arg(class);
        command
    }
}

/// Whether a broker answers for its cluster.
fn answers(bootstrap: &str) -> bool {
    // A TCP connection first: librdkafka's own tries would cost a second each.
    if std::net::TcpStream::connect(bootstrap).is_err() {
        return false;
    }
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    let client: BaseConsumer = config.create().expect("client");
    let metadata = client.fetch_metadata(None, Duration::from_secs(3));
    metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
}

/// Calls `try_it` until it answers or a minute has gone; a topic just made is not known
/// everywhere at once.
fn eventually<T, E: std::fmt::Display>(what: &str, mut try_it: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match try_it() {
            Ok(value) => return value,
            Err(error) if Instant::now() >= deadline => panic!("{what}: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
