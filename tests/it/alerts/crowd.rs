//! Scrapers by the dozen, and clients that only hold connections, while a real daemon works.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::sink::{Case, PATIENCE};
use crate::support::http;
use crate::support::sink::Sink;

const SCRAPERS: usize = 10;
const EVERY: Duration = Duration::from_millis(100);
/// Far more connections than the sink keeps, and than probes could wait behind.
const IDLE: usize = 300;

/// What a scraper has seen.
#[derive(Default)]
struct Seen {
    scrapes: usize,
    slowest: Duration,
    landed: f64,
}

/// One scrape, whole by its own account of its length.
fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    assert_eq!(length.and_then(|length| length.parse().ok()), Some(body.len()), "{head}");
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}

fn scrape_until(address: &str, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let metrics = http::parse_metrics(&scrape(address));
        seen.slowest = seen.slowest.max(began.elapsed());
        seen.scrapes += 1;
        let landed = metrics["kafka_s3_sink_landed_records_total{topic=\"watch-crowd\"}"];
        assert!(landed >= seen.landed, "{landed} after {}", seen.landed);
        seen.landed = landed;
        std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
    }
    seen
}

#[test]
fn a_scrape_every_tenth_of_a_second_by_ten_clients_disturbs_nothing() {
    let Some(case) = Case::shared("watch-crowd", 4) else { return };
    let config = case.config().set("rotation.max_age", "1s").set("rotation.max_records", 500);
    let mut sink = Sink::run(&config);
    sink.wait_ready(PATIENCE);
    sink.wait_for_metric("kafka_s3_sink_assigned_kafka_partitions", 4.0, PATIENCE);
    let address = sink.address().expect("an address");
    let idle: Vec<_> = (0..IDLE)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nhost").expect("half a request");
            }
            stream
        })
        .collect();
    assert!(sink.metric("process_open_fds") < IDLE as f64, "it keeps few of them");
    let done = AtomicBool::new(false);
    let expected = std::thread::scope(|scope| {
        let scrapers: Vec<_> =
            (0..SCRAPERS).map(|_| scope.spawn(|| scrape_until(&address, &done))).collect();
        let began = Instant::now();
        let expected = case.produce(40_000);
        case.wait_committed(&mut sink);
        while began.elapsed() < Duration::from_secs(5) {
            assert_eq!(sink.get("/livez").expect("an answer").0, 200);
            std::thread::sleep(EVERY);
        }
        done.store(true, Ordering::Relaxed);
        for scraper in scrapers {
            let seen = scraper.join().expect("every scrape was whole");
            assert!(seen.scrapes >= 20, "{} scrapes", seen.scrapes);
            assert!(seen.slowest < Duration::from_secs(5), "{:?}", seen.slowest);
            assert!((1.0..=40_000.0).contains(&seen.landed), "{}", seen.landed);
        }
        expected
    });
    drop(idle);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
}
