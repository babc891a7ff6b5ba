//! `run` in a container: what it carries from a real Kafka to a real MinIO, how it ends, and what
//! memory it holds.

use crate::sink::Case;
use crate::support::container::{Container, Wish, image};
use crate::support::kafka::{Broker, Bulk};
use crate::support::minio::Minio;
use crate::support::sink::SinkConfig;
use crate::support::workdir::WorkDir;

const LIMIT: u64 = 256 << 20;
const CONSUMED: &str = "kafka_s3_sink_consumed_records_total";

/// A container that runs on a configuration; the folder has its file.
fn run(image: &str, config: &SinkConfig) -> (Container, WorkDir) {
    let dir = WorkDir::new("container");
    let path = dir.path().join("sink.toml");
    std::fs::write(&path, config.text()).expect("a file");
    let volume = format!("--volume={}:/etc/kafka-s3-sink/sink.toml:ro", path.display());
    let wish = config.environment().fold(Wish::new().with(&volume), |wish, (name, value)| {
        wish.with(&format!("--env={name}={value}"))
    });
    (wish.start(image, &[]), dir)
}

#[test]
fn a_container_lands_all_that_it_holds_when_it_is_stopped() {
    let Some(image) = image() else { return };
    let Some(case) = Case::shared("container-run", 6) else { return };
    let expected = case.produce(20_000);
    // So that nothing lands before.
    let (container, _dir) = run(image, &case.config().set("rotation.max_age", "1h"));
    container.wait_until("alive", |container| container.healthcheck() == 0);
    container.wait_until("all to be read", |container| container.metric(CONSUMED) >= 20_000.0);
    let (code, text, said) = container.exec(&["healthcheck", "--ready"]);
    assert_eq!(code, 0, "{text}{said}");
    assert_eq!(case.objects(), []);
    container.signal("TERM");
    assert_eq!(container.wait(), 0, "{}", container.log());
    case.assert_exact(&expected);
}

/// The budget is half of what the container has. The rest must do for what the kernel counts beside
/// the process: with a backlog of three times the limit in batches that nothing but memory would end,
/// and large records among them.
#[test]
fn a_container_keeps_to_the_budget_that_its_limit_gives() {
    let Some(image) = image() else { return };
    let (minio, broker) = (Minio::shared().expect("MinIO"), Broker::shared_v4());
    broker.create_topic("container-memory", 100, &[("max.message.bytes", "33554432")]);
    let case = Case::at(broker, minio, "container-memory", 100);
    let small = Bulk { size: 1000, ..case.bulk(500_000) };
    let large = Bulk { size: 8 << 20, count: 40, compression: "none", ..small.next() };
    let expected = broker.produce_many(&small).and(broker.produce_many(&large));
    let config = case.config().set("layout.compression", "none").set("rotation.max_age", "1h");
    let (container, _dir) = run(image, &config.set("rotation.max_bytes", "4GiB"));
    container.wait_until("all to be read", |container| {
        container.metric(CONSUMED) >= expected.count() as f64
    });
    let ((peak, limit), resident) = (container.memory(), container.peak_rss());
    eprintln!("of {limit} bytes {peak} were held, {resident} by the process");
    assert_eq!(container.metric("kafka_s3_sink_memory_budget_bytes"), (LIMIT / 2) as f64);
    assert!(container.metric("kafka_s3_sink_landed_records_total") > 0.0, "memory ended no batch");
    // It is the process that began, and was not killed.
    container.signal("TERM");
    assert_eq!(container.wait(), 0, "{}", container.log());
    case.assert_exact(&expected);
    assert_eq!(limit, LIMIT);
    assert!(peak < limit, "{peak} bytes were held");
    assert!(resident < LIMIT / 2 + (8 << 20), "{resident} bytes resident");
}
