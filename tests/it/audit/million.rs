//! A bucket of a million objects. No server that runs here holds so many within the time of a test,
//! so the store is made up as it is asked: names and metadata follow from the number of an object.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, Uri};

use kafka_s3_sink::config::load_str;
use kafka_s3_sink::pipeline::{layout_hash, short_hash};

use super::*;
use crate::support::kafka::Broker;
use crate::support::minio::Minio;

const DAYS: u64 = 10;
const HOURS: u64 = 24;
const KAFKA_PARTITIONS: u64 = 8;
/// Records of an object, each a batch by itself.
const RECORDS: u64 = 10;
const PAGE: u64 = 1000;

/// So many objects an hour of each Kafka partition.
#[derive(Clone, Copy)]
struct MadeUp {
    topic: &'static str,
    an_hour: u64,
    /// The hash of the layout that all of them were written with.
    layout: &'static str,
}

impl MadeUp {
    fn a_day(self) -> u64 {
        HOURS * KAFKA_PARTITIONS * self.an_hour
    }

    fn total(self) -> u64 {
        DAYS * self.a_day()
    }

    /// The key of the object of this number within a day, in the order of keys.
    fn key(self, day: u64, number: u64) -> String {
        let (hour, rest) = (number / (KAFKA_PARTITIONS * self.an_hour), number % self.a_day());
        let partition = rest / self.an_hour % KAFKA_PARTITIONS;
        let batch = (day * HOURS + hour) * self.an_hour + rest % self.an_hour;
        let (topic, day, first) = (self.topic, day + 1, batch * RECORDS);
        format!(
            "raw/{topic}/dt=2026-11-{day:02}/hour={hour:02}/{topic}-{partition}-{first:020}.json.gz"
        )
    }

    fn answer(self, request: &Request<Body>) -> Response<Body> {
        match *request.method() {
            Method::HEAD if request.uri().path().len() > "/lake/".len() => {
                self.head(request.uri().path())
            }
            Method::GET if request.uri().query().is_some_and(|query| query.contains("uploads")) => {
                Response::new(Body::from("<ListMultipartUploadsResult/>"))
            }
            Method::GET => self.list(request.uri()),
            _ => Response::new(Body::empty()),
        }
    }

    fn list(self, uri: &Uri) -> Response<Body> {
        let prefix = parameter(uri, "prefix");
        let root = format!("raw/{}/", self.topic);
        let mut xml = String::from("<ListBucketResult><EncodingType>url</EncodingType>");
        let day = prefix.strip_prefix(&format!("{root}dt=2026-11-"));
        let day = day.and_then(|rest| rest.trim_end_matches('/').parse::<u64>().ok());
        if let Some(day) = day {
            let from: u64 = parameter(uri, "continuation-token").parse().unwrap_or(0);
            let until = (from + PAGE).min(self.a_day());
            for number in from..until {
                let key = self.key(day - 1, number);
                xml += &format!(
                    "<Contents><Key>{key}</Key><ETag>\"e\"</ETag><Size>100</Size></Contents>"
                );
            }
            let more = until < self.a_day();
            xml += &format!("<IsTruncated>{more}</IsTruncated>");
            if more {
                xml += &format!("<NextContinuationToken>{until}</NextContinuationToken>");
            }
        } else if prefix == root {
            for day in 1..=DAYS {
                let folder = format!("{root}dt=2026-11-{day:02}/");
                xml += &format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
            }
        }
        xml += "</ListBucketResult>";
        Response::new(Body::from(xml))
    }

    fn head(self, path: &str) -> Response<Body> {
        let name = path.rsplit_once('/').expect("a path").1;
        let mut parts = name.trim_end_matches(".json.gz").rsplit('-');
        let first: u64 = parts.next().and_then(|it| it.parse().ok()).expect("an offset");
        let partition = parts.next().expect("a number").to_owned();
        let end = (first + RECORDS).to_string();
        let group = short_hash(format!("{}-sink", self.topic).as_bytes());
        let pin = format!("p-{partition}-{first}");
        let (first, records) = (first.to_string(), RECORDS.to_string());
        let entries: [(&str, &str); 13] = [
            ("topic", self.topic),
            ("partition", &partition),
            ("base", &first),
            ("first", &first),
            ("end", &end),
            ("pin", &pin),
            ("group", &group),
            ("layout", self.layout),
            ("first-hash", "h"),
            ("first-timestamp", "none"),
            ("objects", "1"),
            ("records", &records),
            ("bytes", "1000"),
        ];
        let mut answer =
            Response::builder().header("ETag", "\"e\"").header("Content-Length", "100");
        for (name, value) in entries {
            answer = answer.header(format!("x-amz-meta-{name}"), value);
        }
        answer.status(StatusCode::OK).body(Body::empty()).expect("an answer")
    }
}

/// A parameter of a query, of those that need no decoding but of slashes and equals signs.
fn parameter(uri: &Uri, wanted: &str) -> String {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|it| it.split_once('='));
    let found = pairs.into_iter().find(|(name, _)| *name == wanted);
    found.map_or_else(String::new, |(_, value)| value.replace("%2F", "/").replace("%3D", "="))
}

/// Audits such a bucket; how many objects were listed, and the resident peak in KiB.
fn audited(made_up: MadeUp, args: &[&str]) -> Option<(u64, u64)> {
    let minio = Minio::shared()?;
    let broker = Broker::shared_v4();
    broker.create_topic(made_up.topic, KAFKA_PARTITIONS as i32, &[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let unused = crate::support::bucket::Bucket::of(minio, "lake");
    let config = SinkConfig::new(broker, &unused, made_up.topic)
        .set("s3.endpoint", format!("http://{address}"));
    let settings = load_str("sink.toml", &config.text(), std::iter::empty()).expect("sound");
    let layout = layout_hash(&settings.topics.default.layout);
    let made_up = MadeUp { layout: Box::leak(layout.into_boxed_str()), ..made_up };
    let app = Router::new()
        .fallback(move |request: Request<Body>| async move { made_up.answer(&request) });
    runtime.spawn(async move { axum::serve(listener, app).await });

    let args: Vec<_> =
        ["audit", "--no-cache", "--format", "json"].iter().chain(args).copied().collect();
    let mut sink = Sink::spawn(&config, &args);
    let mut peak = 0;
    while sink.ended().is_none() {
        peak = peak.max(sink.peak_rss_kib());
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = sink.log();
    // Its progress comes first.
    let json = &log[log.find('{').unwrap_or(0)..];
    let report: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {log}"));
    let listed = report["objects"]["listed"].as_u64().expect("a count");
    Some((listed, peak))
}

#[test]
fn a_million_objects_are_listed_in_flat_memory() {
    let small = MadeUp { topic: "audit-some", an_hour: 52, layout: "" };
    let large = MadeUp { topic: "audit-million", an_hour: 521, layout: "" };
    let Some((listed, some)) = audited(small, &["--listing-only"]) else { return };
    assert_eq!(listed, small.total());
    let (listed, many) = audited(large, &["--listing-only"]).expect("servers");
    assert_eq!(listed, large.total());
    println!("{some} KiB for {} objects, {many} KiB for {listed}", small.total());
    assert!(many < some + (16 << 10));
}

#[test]
fn a_hundred_thousand_objects_are_looked_at_in_flat_memory() {
    let small = MadeUp { topic: "audit-heads-some", an_hour: 5, layout: "" };
    let large = MadeUp { topic: "audit-heads", an_hour: 52, layout: "" };
    let Some((listed, some)) = audited(small, &[]) else { return };
    assert_eq!(listed, small.total());
    let (listed, many) = audited(large, &[]).expect("servers");
    assert_eq!(listed, large.total());
    println!("{some} KiB for {} objects, {many} KiB for {listed}", small.total());
    assert!(many < some + (16 << 10));
}
