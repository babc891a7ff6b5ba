//! Stores that are odd: objects that vanish, clocks that are off, rights that are missing, a batch
//! that was cut off.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use kafka_s3_sink::demo::store::{Store, StoreOptions};

use super::*;
use crate::support::kafka::Broker;

const KEY: &str = "raw/audit-vanish/audit-vanish-0-00000000000000000000.json.gz";

/// A store that lists one object, made in the year 2100, and then knows nothing of it.
fn forgetful() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    endpoint
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let contents = format!(
        "<Contents><Key>{KEY}</Key><LastModified>2100-01-01T00:00:00.000Z</LastModified>\
         <ETag>\"x\"</ETag><Size>7</Size></Contents>"
    );
    let contents = if request.contains("prefix=raw") { &*contents } else { "" };
    let (status, body) = if request.starts_with("HEAD") {
        ("404 Not Found", String::new())
    } else if request.contains("uploads") {
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>".to_owned())
    } else {
        (
            "200 OK",
            format!(
                "<ListBucketResult>{contents}<IsTruncated>false</IsTruncated></ListBucketResult>"
            ),
        )
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nDate: Thu, 01 Jan 2037 00:00:00 GMT\r\nConnection: close\r\n\
         Content-Type: application/xml\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn an_object_that_vanishes_between_the_list_and_the_look_is_counted() {
    let Some(case) = Case::shared("audit-vanish", 1) else { return };
    let config = case.config().set("s3.endpoint", forgetful());
    let report = Audited::json(&config, &[], 0);
    let topic = &report["topics"][0];
    assert_eq!((&topic["vanished"], &topic["foreign"]["count"]), (&1.into(), &0.into()), "{topic}");
    assert!(topic["notes"].to_string().contains("s3:ListBucketMultipartUploads"), "{topic}");
    Audited::of(&config, &[]).says(0, &["1 object listed, and gone when looked at"]);
}

#[test]
fn the_clock_of_the_store_decides_nothing() {
    crate::needs_servers!();
    let (broker, topic) = (Broker::shared_v4(), "audit-clock");
    broker.create_topic(topic, 1, &[]);
    broker.produce_many(&crate::support::kafka::Bulk::new(topic, 1, 500));
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(Store::start(StoreOptions::new(dir.path()))).expect("a store");
    store.create_bucket("lake").expect("a bucket");
    let minio = crate::support::minio::Minio::shared().expect("MinIO");
    let unused = crate::support::bucket::Bucket::of(minio, "lake");
    let config = SinkConfig::new(broker, &unused, topic)
        .set("s3.endpoint", store.endpoint())
        .set("rotation.max_records", 100)
        .env("AWS_ACCESS_KEY_ID", "demo")
        .env("AWS_SECRET_ACCESS_KEY", "demo-secret");
    Sink::run_until_end(&config).wait_success(PATIENCE);
    let plain = Audited::json(&config, &["--deep"], 0);
    assert_eq!(spans(&partition(&plain, 0)["covered"]), [(0, 500)]);
    // The first is from the future, the next from long ago, and so on.
    let mut folders = vec![store.bucket_dir("lake")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let years = if count % 2 == 0 { 130 } else { 1 };
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(years * 365 * 86_400);
            std::fs::File::options()
                .write(true)
                .open(entry.path())
                .and_then(|file| file.set_modified(at))
                .expect("a new time");
            count += 1;
        }
    }
    assert!(count >= 5, "{count} files");
    let since = ["--deep", "--since", "2026-11-01"];
    let moved = Audited::json(&config, &since, 0);
    assert_eq!(partition(&moved, 0)["covered"], partition(&plain, 0)["covered"]);
    assert_eq!(moved["health"], plain["health"]);
}

#[test]
fn missing_rights_are_named() {
    let Some((_, config)) = landed("audit-rights", 1, 300) else { return };
    let wrong = config.clone().env("AWS_SECRET_ACCESS_KEY", "wrong-secret-of-a-test");
    let audited = Audited::of(&wrong, &[]);
    audited.says(2, &["error:", "SignatureDoesNotMatch"]);
    assert!(!audited.text.contains("wrong-secret"), "{}", audited.text);
    let missing = config.set("s3.bucket", "audit-nowhere");
    Audited::of(&missing, &[]).says(2, &["s3.bucket"]);
}

#[test]
fn a_batch_that_was_cut_off_is_in_flight() {
    let Some(case) = crate::recover::cut_off("audit-flight") else { return };
    let report = Audited::json(&case.config, &[], 0);
    let it = partition(&report, 0);
    assert_eq!(it["group"]["state"], "pin", "{it}");
    assert_eq!(
        (&it["incomplete"][0]["kind"], &it["health"]),
        (&"in_flight".into(), &"well".into())
    );
}
