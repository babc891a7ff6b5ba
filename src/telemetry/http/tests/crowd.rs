//! Many clients, patient ones and rude ones.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::telemetry::http::server::CONNECTIONS;

/// Half of what a client may take that says nothing: nobody has to wait for the end of that.
const SOON: Duration = Duration::from_secs(5);

async fn answers_soon(server: &Server) {
    let answer = tokio::time::timeout(SOON, server.get("/livez")).await;
    assert_eq!(answer.expect("an answer soon").code, 200);
}

/// Whether the server has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 1]);
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Connections that say nothing, or half a request, a byte at a time.
#[tokio::test]
async fn clients_that_say_nothing_make_room_for_those_that_ask() {
    let server = start(None).await;
    let mut rude = Vec::new();
    for number in 0..4 * CONNECTIONS {
        let mut stream = connect(server.address);
        if number % 2 == 0 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: te").unwrap();
        }
        rude.push(stream);
        if number % 32 == 0 {
            answers_soon(&server).await;
        }
    }
    answers_soon(&server).await;
    let half = |stream: &mut TcpStream| stream.write_all(b"s");
    rude.iter_mut().for_each(|stream| drop(half(stream)));
    answers_soon(&server).await;
    let open = rude.iter_mut().map(is_closed).filter(|closed| !closed).count();
    assert!(open < CONNECTIONS, "{open} are held open");
    server.end().await;
}

/// A server with a path that takes long to answer and one whose answer is long.
async fn start_slow() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        "done"
    };
    // More than two sockets hold.
    let long = bytes::Bytes::from(vec![b'x'; 32 << 20]);
    let router = axum::Router::new()
        .route("/slow", axum::routing::get(slow))
        .route("/long", axum::routing::get(|| async move { long }));
    let (listener, address) = bind(ANY_PORT).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = server::run(listener, router, async move { drop(stopped.await) });
    (address, stop, tokio::spawn(served))
}

#[tokio::test]
async fn clients_that_do_not_read_make_room_too() {
    let (address, stop, served) = start_slow().await;
    let asks = |path: &str| {
        let mut stream = connect(address);
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        stream
    };
    let mut rude: Vec<_> = (0..2 * CONNECTIONS).map(|_| asks("/long")).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut polite = asks("/elsewhere");
    let answer = spawn_blocking(move || {
        let mut text = String::new();
        polite.read_to_string(&mut text).map(|_| text)
    });
    let answer = tokio::time::timeout(SOON, answer).await.expect("an answer soon");
    assert!(answer.unwrap().unwrap().contains(" 404 "));
    let mut length = 0;
    // The first has been closed in the midst of its answer.
    while let Ok(read @ 1..) = rude[0].read(&mut [0; 1 << 16]) {
        length += read;
    }
    assert!(length < 32 << 20, "{length} bytes");
    drop(rude);
    stop.send(()).unwrap();
    served.await.unwrap();
}

/// Whoever waits for an answer is not pushed out by those that ask nothing.
#[tokio::test]
async fn a_request_that_takes_long_is_answered_all_the_same() {
    let (address, stop, served) = start_slow().await;
    let mut asks = connect(address);
    asks.write_all(b"GET /slow HTTP/1.0\r\n\r\n").unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle: Vec<_> = (0..2 * CONNECTIONS).map(|_| connect(address)).collect();
    let answer = spawn_blocking(move || {
        let mut text = String::new();
        asks.read_to_string(&mut text).unwrap();
        text
    });
    let answer = answer.await.unwrap();
    assert!(answer.ends_with("\r\n\r\ndone"), "{answer}");
    drop(idle);
    stop.send(()).unwrap();
    served.await.unwrap();
}

/// Ten clients that ask ten times a second, each on a connection that it keeps or on new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_in_a_crowd_are_whole() {
    let server = start(None).await;
    let partition = |number| {
        let at = TopicPartition::new("orders", number);
        KafkaPartitionStatus::new(at, Epoch(7), "running", TimestampMs(0))
    };
    server.status.update(0, (0..1000).map(partition).collect());
    let done = Arc::new(AtomicBool::new(false));
    let (address, counted) = (server.address, server.metrics.topic("orders"));
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let done = Arc::clone(&done);
            spawn_blocking(move || scrape_until(address, &done))
        })
        .collect();
    let until = clock::monotonic() + Duration::from_secs(2);
    while clock::monotonic() < until {
        counted.consumed(1, 100);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        let scrapes = client.await.unwrap();
        assert!(scrapes >= 5, "only {scrapes} scrapes in two seconds");
    }
    server.end().await;
}

/// Scrapes on until it is done; each answer is whole, and the counter never steps back.
fn scrape_until(address: SocketAddr, done: &AtomicBool) -> usize {
    let (mut scrapes, mut last) = (0, 0.0);
    while !done.load(Ordering::Relaxed) {
        let mut stream = connect(address);
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(length.unwrap().parse::<usize>().unwrap(), body.len());
        assert!(body.ends_with('\n') && body.contains("partition=\"999\""));
        let name = "kafka_s3_sink_consumed_records_total{topic=\"orders\"} ";
        let value = body.lines().find_map(|line| line.strip_prefix(name));
        let value: f64 = value.unwrap().parse().unwrap();
        assert!(value >= last, "{last} then {value}");
        (scrapes, last) = (scrapes + 1, value);
        std::thread::sleep(Duration::from_millis(100));
    }
    scrapes
}
