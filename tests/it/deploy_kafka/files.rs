//! The configuration that the script writes, in front of the Kafka that it is for; the units in front
//! of systemd's own judges.

use std::process::Command;
use std::time::Duration;

use super::{configure, shipped};
use crate::needs_servers;
use crate::support::kafka::{Broker, RawRecord, Version, cluster_id};
use crate::support::process::Process;
use crate::support::tools;
use crate::support::workdir::{WorkDir, free_port};

/// Starts a single node from what the script writes, and uses it.
fn starts(version: Version, mode: &str) {
    let dir = WorkDir::new("shipped");
    let (port, second, data) = (free_port(), free_port().to_string(), dir.path().join("data"));
    let (wanted, data) = (version.number(), data.to_string_lossy().into_owned());
    let ports = ["--port", &port.to_string(), "--controller-port", &second];
    let args =
        [&[wanted, mode, &data, "--listen", "127.0.0.1", "--zookeeper-port", &second], &ports[..]];
    let (code, said) = configure(&args.concat(), dir.path());
    assert_eq!((code, said.as_str()), (0, ""));
    let bootstrap = format!("127.0.0.1:{port}");
    let broker = Broker::start_from(version, dir, bootstrap, &cluster_id());
    broker.create_topic("shipped", 1, &[]);
    broker.produce_raw("shipped", &[RawRecord::of("{}")]);
    // The internal topics must find as many brokers as they want.
    broker.set_offset("shipped", "shipped", 0, 1);
    assert_eq!(broker.committed("shipped", "shipped", 0).offset, Some(1));
    let log = broker.log();
    for complaint in ["unknown", "not used", "deprecated", "Invalid"] {
        let line = log.lines().find(|line| line.contains("WARN") && line.contains(complaint));
        assert_eq!(line, None);
    }
}

#[test]
fn kafka_4_starts_with_the_shipped_file() {
    needs_servers!();
    starts(Version::V4, "kraft");
}

#[test]
fn kafka_3_and_zookeeper_start_with_the_shipped_files() {
    needs_servers!();
    starts(Version::V3, "zookeeper");
}

#[test]
fn the_example_of_topics_is_taken_by_a_broker() {
    needs_servers!();
    let dir = WorkDir::new("example");
    let text = std::fs::read_to_string(shipped().join("topics.toml")).expect("the example");
    // Names of its own, for other tests have topics of these at the same broker.
    let text = text.replace("\"orders\"", "\"example-orders\"");
    let file = dir.path().join("topics.toml");
    std::fs::write(&file, text.replace("\"accounts\"", "\"example-accounts\"")).expect("a file");
    for done in ["created", "unchanged"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        command.args(["topics", "apply", "--bootstrap-servers"]);
        command.arg(Broker::shared_v4().bootstrap()).arg(&file);
        let mut process = Process::start("topics apply", command, &dir.path().join("log"));
        let end = process.wait(Duration::from_secs(60)).expect("an end");
        let said = process.output();
        assert!(end.status.success(), "{said}");
        for topic in ["example-orders", "example-accounts"] {
            assert!(said.contains(&format!("{topic}: {done}")), "{said}");
        }
    }
}

#[test]
fn what_must_agree_among_nodes_does() {
    let dir = WorkDir::new("nodes");
    let of = |args: &[&str], file: &str| {
        let (code, said) = configure(args, dir.path());
        assert_eq!(code, 0, "{said}");
        let text = std::fs::read_to_string(dir.path().join(file)).expect("a file");
        std::fs::remove_dir_all(dir.path()).expect("removed");
        text
    };
    let three = ["4.2.0", "kraft", "/data/kafka", "--peers", "10.0.0.1,10.0.0.2,10.0.0.3"];
    let text = of(&[&three[..], &["--node-id", "2"]].concat(), "server.properties");
    for line in [
        "node.id=2",
        "controller.quorum.voters=1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093",
        "listeners=PLAINTEXT://10.0.0.2:9092,CONTROLLER://10.0.0.2:9093",
        "log.dirs=/data/kafka/data",
        "offsets.topic.replication.factor=3",
        "min.insync.replicas=2",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let three = [&["3.9.1", "zookeeper"], &three[2..], &["--node-id", "3"]].concat();
    let text = of(&three, "zookeeper.properties");
    assert!(text.contains("\nclientPortAddress=10.0.0.3\n"), "{text}");
    assert!(
        text.contains("\nserver.1=10.0.0.1:2888:3888\nserver.2=10.0.0.2:2888:3888\n"),
        "{text}"
    );
    let text = of(&three, "server.properties");
    assert!(
        text.contains("\nzookeeper.connect=10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181\n"),
        "{text}"
    );
    assert_eq!(
        of(&three, "bootstrap.env"),
        "KAFKA_BOOTSTRAP=10.0.0.1:9092,10.0.0.2:9092,10.0.0.3:9092\n"
    );
    for placeholder in [&text, "@"] {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert!(!lines.clone().any(|line| line.contains('@')), "{placeholder}");
    }
}

#[test]
fn wishes_that_make_no_sense_are_told() {
    let dir = WorkDir::new("wishes");
    let kraft = ["4.2.0", "kraft", "/data"];
    let with = |more: &[&'static str]| [&kraft[..], more].concat();
    for (args, wanted) in [
        (vec!["4.2.0", "kraft"], "usage: install.sh VERSION"),
        (vec!["4.2", "kraft", "/data"], "write it like 4.2.0"),
        (vec!["4.2.0", "zookeeper", "/data"], "has no ZooKeeper any more, 3.9 was the last"),
        (vec!["3.9.1", "kraft", "/data"], "take zookeeper with 3.9.x"),
        (vec!["4.2.0", "both", "/data"], "the mode is kraft or zookeeper"),
        (vec!["4.2.0", "kraft", "data"], "write a path from / down"),
        (vec!["4.2.0", "kraft", "/run/kafka"], "the units are kept out of it"),
        (with(&["--listen", "0.0.0.0"]), "0.0.0.0 is no private address"),
        (with(&["--listen", "3.120.4.5"]), "3.120.4.5 is no private address"),
        (with(&["--peers", "10.0.0.1,10.0.0.2"]), "--peers has 2 nodes: take 3"),
        (with(&["--peers", "10.0.0.1,10.0.0.1,10.0.0.2"]), "one stands twice"),
        (with(&["--peers", "a,b,c", "--node-id", "4"]), "--node-id 4: --peers has 3 nodes"),
        (with(&["--node-id", "2", "--listen", "10.0.0.2"]), "for more, give --peers"),
        (with(&["--port", "x", "--listen", "10.0.0.2"]), "x is not a port"),
        (with(&["--color", "red"]), "--color: there is no such option"),
    ] {
        let (code, said) = configure(&args, dir.path());
        assert!(code == 1 && said.contains(wanted), "{args:?}: {code} {said}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !tools::machine_is_here() {
        return;
    }
    let dir = WorkDir::new("units");
    let systemd = |args: &[&str]| Command::new("systemd-analyze").args(args).output();
    // With the names that they are installed under, so that they find each other.
    let units = ["kafka.service", "zookeeper.service", "kafka-topics.service"];
    for unit in units {
        std::fs::copy(shipped().join(unit), dir.path().join(unit)).expect("copied");
    }
    let drop_in = dir.path().join("kafka.service.d");
    std::fs::create_dir(&drop_in).expect("a folder");
    std::fs::copy(shipped().join("kafka-zookeeper.conf"), drop_in.join("zookeeper.conf"))
        .expect("copied");
    for unit in units {
        let path = dir.path().join(unit).to_string_lossy().into_owned();
        for args in [
            &["verify", "--recursive-errors=yes", &path][..],
            // Of 100: a JVM must be let compile, and Kafka must be let speak.
            &["security", "--offline=true", "--threshold=20", "--no-pager", &path],
        ] {
            let output = systemd(args).expect("systemd-analyze");
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{args:?}: {said}");
            let complaint =
                said.lines().find(|line| line.contains("Unknown") || line.contains("ignor"));
            assert_eq!(complaint, None);
        }
    }
}
