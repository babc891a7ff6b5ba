//! A broker of Kafka 3 that has no controller: it serves, and knows of no broker, itself included.

use super::{Broker, Process, START_TIMEOUT, answers};

/// What a controller writes here. No broker has this id.
const NOBODY: &str = r#"{"version":2,"brokerid":99,"timestamp":"0"}"#;

impl Broker {
    /// Starts it on what it had, while somebody who is no broker stands in the controller's place.
    /// So nobody tells it who is there, and it names no broker to any client.
    pub(crate) fn start_without_controller(&mut self) {
        self.outlive_zookeeper_session();
        self.zookeeper_shell(&["create", "/controller", NOBODY]);
        let bootstrap = self.bootstrap();
        self.launch(|| std::net::TcpStream::connect(&bootstrap).is_ok());
    }

    /// Frees the controller's place, and waits until the broker has taken it.
    pub(crate) fn free_controller(&mut self) {
        self.zookeeper_shell(&["delete", "/controller"]);
        let bootstrap = self.bootstrap();
        let broker = self.broker.as_mut().expect("the broker runs");
        broker.wait_ready(START_TIMEOUT, || answers(&bootstrap));
    }

    fn zookeeper_shell(&self, words: &[&str]) {
        let mut command = self.small_java("-Xmx64m", "org.apache.zookeeper.ZooKeeperMain");
        command.args(["-server", &format!("127.0.0.1:{}", self.zookeeper_port())]).args(words);
        let log = self.dir.path().join("zookeeper-shell.log");
        let mut shell = Process::start("ZooKeeperMain", command, &log);
        let end = shell.wait(START_TIMEOUT);
        let done = end.is_some_and(|end| end.status.success());
        assert!(done, "{words:?}: {end:?}\n{}", shell.tail());
    }
}
