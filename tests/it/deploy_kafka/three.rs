//! Three nodes, as the script configures them, on the loopback interface.

use std::time::Duration;

use super::configure;
use crate::needs_servers;
use crate::support::bucket::{Bucket, Reading};
use crate::support::kafka::{Broker, Bulk, Version, cluster_id};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::{WorkDir, free_port};

const PEERS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
const TOPIC: &str = "three-nodes";
const PATIENCE: Duration = Duration::from_secs(120);

/// All three, started at once, for each waits for another.
fn start() -> (Vec<Broker>, String) {
    let (port, controller, id) = (free_port(), free_port().to_string(), cluster_id());
    let bootstrap = PEERS.map(|address| format!("{address}:{port}"));
    let node = |number: usize| {
        let dir = WorkDir::new("node");
        let data = dir.path().join("data").to_string_lossy().into_owned();
        let (peers, number, port) = (PEERS.join(","), (number + 1).to_string(), port.to_string());
        let args =
            ["4.2.0", "kraft", &data, "--peers", &peers, "--node-id", &number, "--port", &port];
        let (code, said) =
            configure(&[&args[..], &["--controller-port", &controller]].concat(), dir.path());
        assert_eq!(code, 0, "{said}");
        dir
    };
    let nodes = std::thread::scope(|scope| {
        let start = |number: usize| {
            let (dir, at, id) = (node(number), bootstrap[number].clone(), &id);
            scope.spawn(move || Broker::start_from(Version::V4, dir, at, id))
        };
        let starting: Vec<_> = (0..3).map(start).collect();
        starting.into_iter().map(|node| node.join().expect("a node")).collect()
    });
    (nodes, bootstrap.join(","))
}

#[test]
fn the_loss_of_one_of_three_nodes_under_load_loses_no_record() {
    needs_servers!();
    let Some(minio) = Minio::shared() else { return };
    let (mut nodes, bootstrap) = start();
    let cluster = Broker::elsewhere(Version::V4, bootstrap, WorkDir::new("elsewhere"));
    // As many copies as the shipped file says.
    cluster.create_topic(TOPIC, 6, &[]);
    let bucket = Bucket::create(minio, TOPIC);
    let config = SinkConfig::new(&cluster, &bucket, TOPIC).set("rotation.max_age", "1s");
    let mut sink = Sink::run(&config);
    let bulk = Bulk { rate: Some(1500), ..Bulk::new(TOPIC, 6, 18_000) };
    let expected = std::thread::scope(|scope| {
        let producer = scope.spawn(|| cluster.produce_many(&bulk));
        sink.wait_for_metric("kafka_s3_sink_landed_records_total", 3000.0, PATIENCE);
        nodes[0].kill();
        producer.join().expect("produced")
    });
    sink.wait_for_metric("kafka_s3_sink_landed_records_total", 18_000.0, PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    bucket.read(&Reading::of(TOPIC), &expected).assert_exact();
    for number in 0..6 {
        let end = cluster.log_bounds(TOPIC, number).1;
        assert_eq!(cluster.committed("three-nodes-sink", TOPIC, number).offset, Some(end));
    }
}
