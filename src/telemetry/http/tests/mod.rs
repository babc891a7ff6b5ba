//! Real sockets, requests written by hand.

mod crowd;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::*;
use crate::record::{Epoch, Offset, TimestampMs, TopicPartition};
use crate::telemetry::status::liveness::BEAT_WITHIN;
use crate::telemetry::{Condition, KafkaPartitionStatus, Stop, clock};

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Any port of a loopback address that nobody else has: on a common one, a port that a server gave back
/// may be another's by the time that the test looks whether it did.
fn of_its_own() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, high, low)), 0)
}

struct Server {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(token_file: Option<PathBuf>) -> Server {
    start_with(Status::new(), token_file).await
}

async fn start_with(status: Status, token_file: Option<PathBuf>) -> Server {
    start_at(of_its_own(), status, token_file).await
}

async fn start_at(listen: SocketAddr, status: Status, token_file: Option<PathBuf>) -> Server {
    let (metrics, status) = (Arc::new(Metrics::new()), Arc::new(status));
    let settings = HttpSettings { listen: Some(listen), token_file };
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let served = serve(&settings, metrics.clone(), status.clone(), Arc::new(Holding), shutdown)
        .await
        .unwrap();
    let (address, task) = served.unwrap();
    Server { address, metrics, status, stop, task }
}

/// A daemon that holds records of one Kafka partition, and does not read `later` yet.
struct Holding;

#[async_trait::async_trait]
impl Control for Holding {
    async fn flush(&self, topic: Option<&str>) -> Option<Vec<Unlanded>> {
        let partition = TopicPartition::new("orders", 3);
        let held = Unlanded { partition, epoch: Epoch(7), end: Offset(42) };
        match topic {
            Some("later") => None,
            Some("orders") | None => Some(vec![held]),
            Some(_) => Some(Vec::new()),
        }
    }
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Server {
    async fn ask(&self, request: &str) -> Answer {
        let address = self.address;
        let request = format!("{request}host: test\r\nconnection: close\r\n\r\n");
        let text = spawn_blocking(move || {
            let mut stream = connect(address);
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        let text = text.await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { code, head: head.to_ascii_lowercase(), body: body.into() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\n")).await
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        let refused = TcpStream::connect(self.address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn stopped_partition() -> KafkaPartitionStatus {
    let partition = TopicPartition::new("orders", 3);
    let since = TimestampMs(1_763_800_000_000);
    let stop = Stop { code: "name_taken", message: "another group owns raw/orders".into() };
    KafkaPartitionStatus {
        stop: Some(stop),
        ..KafkaPartitionStatus::new(partition, Epoch(7), "stopped", since)
    }
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads() {
    let server = start(None).await;
    assert_ne!(server.address.port(), 0);
    assert!(server.address.ip().is_loopback());
    server.metrics.topic("orders").consumed(3, 300);
    let answer = server.get("/metrics").await;
    assert_eq!(answer.code, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("kafka_s3_sink_consumed_records_total{topic=\"orders\"} 3\n"));
    assert!(answer.body.contains("\nprocess_cpu_seconds_total "));
    server.end().await;
}

#[tokio::test]
async fn readiness_lists_conditions_and_stopped_kafka_partitions() {
    let server = start(None).await;
    let answer = server.get("/readyz").await;
    assert_eq!(answer.code, 503);
    assert_eq!(answer.json()["conditions"][0]["condition"], "group_answered");
    assert_eq!(answer.json()["conditions"][0]["reason"], "not known yet");
    server.status.met(Condition::GroupAnswered);
    server.status.met(Condition::BrokerReachable);
    server.status.met(Condition::StoreReachable);
    let answer = server.get("/readyz").await;
    assert_eq!(answer.code, 200);
    assert_eq!(answer.json()["ready"], true);
    server.status.update(0, vec![stopped_partition()]);
    let answer = server.get("/readyz").await;
    assert_eq!(answer.code, 503);
    let stopped = &answer.json()["stopped_kafka_partitions"][0];
    assert_eq!(
        (stopped["topic"].as_str(), stopped["partition"].as_i64()),
        (Some("orders"), Some(3))
    );
    assert_eq!(stopped["reason"], "another group owns raw/orders");
    server.end().await;
}

#[tokio::test]
async fn liveness_has_nothing_to_do_with_readiness() {
    let server = start(None).await;
    server.status.unmet(Condition::BrokerReachable, "away");
    let beat = server.status.beat("lane-0");
    let answer = server.get("/livez").await;
    assert_eq!(answer.code, 200);
    assert_eq!(answer.json()["live"], true);
    beat.finish();
    server.end().await;
}

#[tokio::test]
async fn a_thread_that_hangs_fails_liveness_by_name() {
    let origin = clock::monotonic() - BEAT_WITHIN * 2;
    let server = start_with(Status::started_at(clock::wall(), origin), None).await;
    let (hanging, beating) = (server.status.beat("lane-0"), server.status.beat("lane-1"));
    hanging.beat_at(origin);
    beating.beat();
    let answer = server.get("/livez").await;
    assert_eq!(answer.code, 503);
    assert_eq!(answer.json()["live"], false);
    assert_eq!(answer.json()["stale"].as_array().unwrap().len(), 1);
    assert_eq!(answer.json()["stale"][0]["name"], "lane-0");
    hanging.beat();
    assert_eq!(server.get("/livez").await.code, 200);
    server.end().await;
}

#[tokio::test]
async fn the_status_tells_everything() {
    let server = start(None).await;
    server.status.update(0, vec![stopped_partition()]);
    let beat = server.status.beat("lane-0");
    let body = server.get("/status").await.json();
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(body["ready"], false);
    assert_eq!(body["live"], true);
    assert_eq!(body["beats"][0]["name"], "lane-0");
    assert!(body["resident_bytes"].as_u64().unwrap() > 1_000_000);
    let partition = &body["kafka_partitions"][0];
    assert_eq!(partition["state"], "stopped");
    assert_eq!(partition["epoch"], 7);
    assert_eq!(partition["since"], "2025-11-22T08:26:40Z");
    assert_eq!(partition["committed"], serde_json::Value::Null);
    assert_eq!(partition["stop_code"], "name_taken");
    beat.finish();
    server.end().await;
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = start(None).await;
    for (path, code) in [("/livez", 200), ("/readyz", 503), ("/metrics", 200), ("/status", 200)] {
        let answer = server.ask(&format!("HEAD {path} HTTP/1.1\r\n")).await;
        assert_eq!(answer.code, code, "{path}");
        assert_eq!(answer.body, "", "{path}");
        assert!(answer.head.contains("content-length: "), "{path}: {}", answer.head);
    }
    server.end().await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = start(None).await;
    let unknown = server.get("/metric").await;
    assert_eq!(unknown.code, 404);
    assert!(unknown.body.contains("/metrics"), "{}", unknown.body);
    assert_eq!(server.get("/").await.code, 404);
    assert_eq!(server.ask("POST /metrics HTTP/1.1\r\ncontent-length: 0\r\n").await.code, 405);
    server.end().await;
}

#[tokio::test]
async fn a_token_guards_all_but_the_probes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let server = start(Some(file.path().into())).await;
    assert_eq!(server.get("/livez").await.code, 200);
    assert_eq!(server.get("/readyz").await.code, 503);
    for path in ["/metrics", "/status", "/anything"] {
        let answer = server.get(path).await;
        assert_eq!(answer.code, 401, "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(!answer.body.contains("s3cret") && !answer.body.contains("kafka_s3_sink_"));
        let wrong = format!("GET {path} HTTP/1.1\r\nauthorization: Bearer s3cre\r\n");
        assert_eq!(server.ask(&wrong).await.code, 401, "{path}");
    }
    let right = "HTTP/1.1\r\nauthorization: Bearer s3cret\r\n";
    assert_eq!(server.ask(&format!("GET /metrics {right}")).await.code, 200);
    assert_eq!(server.ask(&format!("HEAD /status {right}")).await.code, 200);
    assert_eq!(server.ask(&format!("GET /anything {right}")).await.code, 404);
    server.end().await;
}

#[tokio::test]
async fn many_requests_go_over_one_connection() {
    let server = start(None).await;
    let address = server.address;
    let codes = spawn_blocking(move || {
        let mut stream = connect(address);
        let mut codes = Vec::new();
        for _ in 0..3 {
            stream.write_all(b"HEAD /livez HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                answer.push(byte[0]);
            }
            codes.push(String::from_utf8(answer).unwrap()[..12].to_owned());
        }
        codes
    });
    assert_eq!(codes.await.unwrap(), ["HTTP/1.1 200"; 3]);
    server.end().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let server = start(None).await;
    let mut idle = connect(server.address);
    let mut half = connect(server.address);
    half.write_all(b"GET /livez HT").unwrap();
    // Both are accepted once a later request is answered.
    assert_eq!(server.get("/livez").await.code, 200);
    tokio::time::timeout(Duration::from_secs(20), server.end()).await.unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_setting() {
    let taken = std::net::TcpListener::bind(ANY_PORT).unwrap();
    let address = taken.local_addr().unwrap();
    let settings = HttpSettings { listen: Some(address), token_file: None };
    let never = std::future::pending();
    let served = serve(&settings, Arc::default(), Arc::default(), Arc::new(Holding), never).await;
    let error = served.unwrap_err().to_string();
    assert!(error.starts_with(&format!("http.listen: cannot listen on {address}: ")), "{error}");
    assert!(error.contains("choose another port"), "{error}");
}

#[tokio::test]
async fn a_missing_token_file_keeps_the_endpoints_shut() {
    let token_file = Some("no/such/file".into());
    let settings = HttpSettings { listen: Some(ANY_PORT), token_file };
    let never = std::future::pending();
    let served = serve(&settings, Arc::default(), Arc::default(), Arc::new(Holding), never).await;
    assert!(matches!(served, Err(TelemetryError::TokenFile { .. })));
}

#[tokio::test]
async fn without_an_address_nothing_listens() {
    let settings = HttpSettings { listen: None, token_file: None };
    let never = std::future::pending();
    let served =
        serve(&settings, Arc::default(), Arc::default(), Arc::new(Holding), never).await.unwrap();
    assert!(served.is_none());
}

#[tokio::test]
async fn who_has_the_token_may_ask_for_a_flush_and_nobody_else() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let server = start(Some(file.path().into())).await;
    let post = |path: &str, headers: &str| {
        format!("POST {path} HTTP/1.1\r\n{headers}content-length: 0\r\n")
    };
    let bearer = "authorization: Bearer s3cret\r\n";
    for wrong in ["", "authorization: Bearer s3cre\r\n", "authorization: Basic s3cret\r\n"] {
        assert_eq!(server.ask(&post("/flush", wrong)).await.code, 401, "{wrong}");
        assert_eq!(server.ask(&post("/flush/orders", wrong)).await.code, 401, "{wrong}");
    }
    let held = serde_json::json!({ "unlanded": [
        { "topic": "orders", "partition": 3, "epoch": 7, "end": 42 },
    ] });
    for path in ["/flush", "/flush/orders"] {
        let answer = server.ask(&post(path, bearer)).await;
        assert_eq!((answer.code, answer.json()), (202, held.clone()), "{path}");
    }
    let nothing = server.ask(&post("/flush/clicks", bearer)).await;
    assert_eq!(nothing.json(), serde_json::json!({ "unlanded": [] }));
    assert_eq!(server.ask(&post("/flush/later", bearer)).await.code, 503);
    let looked = server.ask(&format!("GET /flush HTTP/1.1\r\n{bearer}")).await;
    assert_eq!(looked.code, 405, "a look changes nothing");
    server.end().await;

    let open = start(None).await;
    let answer = open.ask(&post("/flush", bearer)).await;
    assert_eq!(answer.code, 403);
    assert!(answer.body.contains("http.token_file"), "{}", answer.body);
    open.end().await;
}

#[tokio::test]
async fn a_subcommand_asks_a_daemon_as_its_settings_say() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let server = start_at(ANY_PORT, Status::new(), Some(file.path().into())).await;
    let settings =
        |listen: Option<SocketAddr>| HttpSettings { listen, token_file: Some(file.path().into()) };
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), server.address.port());
    let daemon = Daemon::of(&settings(Some(anywhere))).unwrap();
    assert_eq!(daemon.get_openly("/livez").await.unwrap().code, 200);
    assert_eq!(daemon.get_openly("/status").await.unwrap().code, 401);
    assert_eq!(daemon.get("/status").await.unwrap().code, 200);
    let answer = daemon.post("/flush/orders").await.unwrap();
    let told: ask::FlushAnswer = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.is_good(), told.unlanded[0].end), (true, 42));
    server.end().await;

    let silent = daemon.get("/status").await.unwrap_err().to_string();
    assert!(silent.contains("does it run"), "{silent}");
    let off = Daemon::of(&settings(None)).unwrap_err().to_string();
    assert!(off.starts_with("http.listen: "), "{off}");
    assert!(Daemon::of(&settings(Some(ANY_PORT))).is_err());
}
