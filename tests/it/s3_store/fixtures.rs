//! Settings, stores and requests for the tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Crc;
use kafka_s3_sink::config::S3Settings;
use kafka_s3_sink::record::{Body, ObjectAddress, PutRequest};
use kafka_s3_sink::s3::Store;
use secrecy::SecretString;

use crate::support::minio::Minio;

pub(crate) const MIB: u64 = 1 << 20;

/// Settings with limits that fit a test.
pub(crate) fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        bucket: "lake".to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        force_path_style: true,
        storage_class: None,
        server_side_encryption: None,
        kms_key_id: None,
        multipart_threshold: 6 * MIB,
        multipart_part_size: 5 * MIB,
        max_concurrent_uploads: 8,
        request_timeout: Duration::from_secs(30),
        min_throughput: MIB,
        retry_warn_after: Duration::from_secs(60),
    }
}

/// A store with MinIO's root keys, or with any keys where nobody looks.
pub(crate) async fn connect(settings: &S3Settings) -> Store {
    let secret = SecretString::from(Minio::SECRET_KEY);
    Store::connect_with_keys(settings, Minio::ACCESS_KEY, &secret).await.expect("good settings")
}

/// A server, a new bucket on it, and a store with settings of the test's own.
pub(crate) async fn with_bucket(
    server: &Minio,
    change: impl FnOnce(&mut S3Settings),
) -> (Store, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let bucket = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    server.create_bucket(&bucket).await;
    let mut settings = settings(&server.endpoint());
    change(&mut settings);
    (connect(&settings).await, bucket)
}

pub(crate) fn address(bucket: &str, key: &str) -> ObjectAddress {
    ObjectAddress { bucket: bucket.into(), key: key.into() }
}

/// A request for these segments under a name that must be free.
pub(crate) fn request(bucket: &str, key: &str, segments: Vec<Bytes>) -> PutRequest {
    let mut crc = Crc::new();
    segments.iter().for_each(|segment| crc.update(segment));
    PutRequest {
        address: address(bucket, key),
        body: Body { spooled: None, segments, crc32: crc.sum() },
        content_type: "application/gzip",
        metadata: BTreeMap::from([("pin".to_owned(), "0123abcd".to_owned())]),
        if_none_match: true,
    }
}

/// Bytes without a pattern that a mistake could hide in, in segments of these sizes.
pub(crate) fn segments(sizes: &[usize]) -> Vec<Bytes> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    sizes.iter().map(|size| (0..*size).map(|_| byte()).collect()).collect()
}

/// A small request.
pub(crate) fn small(bucket: &str, key: &str) -> PutRequest {
    request(bucket, key, segments(&[1000, 24]))
}

/// A request of 17 MiB in segments that fit no part: with parts of 5 MiB, four of them.
pub(crate) fn large(bucket: &str, key: &str) -> PutRequest {
    let odd = 3 * MIB as usize + 17;
    request(
        bucket,
        key,
        segments(&[odd, 0, 1, odd, odd, odd, odd, 17 * MIB as usize - 5 * odd - 1]),
    )
}

/// Waits until something holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const CHILD: &str = "S3_STORE_TEST_CHILD";

/// Whether this process is the child of a test.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the running test once more in a process of its own, with these environment variables and
/// no others of AWS; there `is_child` holds. Fails if the child fails, else returns its output.
pub(crate) async fn run_child(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([&format!("s3_store::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("SSL_")) {
            command.env_remove(name);
        }
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env(CHILD, "1").envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("no panic").expect("a child");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the child of {test} failed:\n{said}\n{cried}");
    assert!(said.contains("1 passed"), "{test} is not the name of the test:\n{said}");
    said
}
