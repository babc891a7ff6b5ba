//! Credentials of a few seconds, handed out by services of our own, against a store that checks
//! them: long-running puts go on across every expiry.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use kafka_s3_sink::record::{PutOutcome, StoreErrorClass};
use kafka_s3_sink::s3::Store;

use super::answers::{self, Asked, Server};
use super::fixtures::{is_child, large, run_child, settings, small};

/// Keys that were handed out, each with its true end; the number is in the key's name.
#[derive(Clone, Default)]
struct Issuer {
    ends: Arc<Mutex<Vec<Instant>>>,
    refused: Arc<AtomicU32>,
}

impl Issuer {
    /// New keys that are good for `good_for`, and say that they are for `says`.
    fn issue(&self, good_for: Duration, says: Duration) -> Response {
        let mut ends = self.ends.lock().expect("ends");
        ends.push(Instant::now() + good_for);
        let number = ends.len() - 1;
        let expiration = Timestamp::now() + SignedDuration::try_from(says).expect("short");
        let keys = serde_json::json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": Timestamp::now().to_string(),
            "AccessKeyId": format!("KEY{number}"), "SecretAccessKey": "secret",
            "Token": format!("token-{number}"), "Expiration": expiration.to_string(),
        });
        ([("content-type", "application/json")], keys.to_string()).into_response()
    }

    /// The store's judgement of a request: what it says to keys that are not good now.
    fn judge(&self, asked: &Asked) -> Option<Response> {
        let refusal = self.refusal(asked);
        self.refused.fetch_add(u32::from(refusal.is_some()), Ordering::Relaxed);
        refusal
    }

    fn refusal(&self, asked: &Asked) -> Option<Response> {
        let number = asked.access_key().strip_prefix("KEY").and_then(|number| number.parse().ok());
        let Some(number): Option<usize> = number else {
            return Some(answers::error(403, "InvalidAccessKeyId", "Unknown key."));
        };
        let end = self.ends.lock().expect("ends")[number];
        if asked.header("x-amz-security-token") != format!("token-{number}") {
            return Some(answers::error(403, "InvalidToken", "Unknown token."));
        }
        (Instant::now() >= end).then(|| answers::error(400, "ExpiredToken", "It has expired."))
    }

    fn issued(&self) -> usize {
        self.ends.lock().expect("ends").len()
    }
}

/// A store that lets nobody in with keys that are not good now.
async fn strict_store(issuer: &Issuer) -> Server {
    let issuer = issuer.clone();
    Server::start(move |asked| {
        issuer.judge(asked).unwrap_or_else(|| {
            match (asked.method.as_str(), asked.target.contains("uploadId=")) {
                ("POST", false) => answers::opened(),
                ("POST", true) => answers::completed(),
                _ => answers::stored(),
            }
        })
    })
    .await
}

async fn child_store() -> Store {
    let endpoint = std::env::var("TEST_ENDPOINT").expect("TEST_ENDPOINT");
    Store::connect(&settings(&endpoint)).await.expect("settings")
}

/// Puts for a while, small and large; every one must go through at once.
async fn put_for(store: &Store, time: Duration) {
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < time {
        number += 1;
        let key = format!("x{number}");
        let put = if number % 10 == 0 { large("lake", &key) } else { small("lake", &key) };
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored), "put {number}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn keys_used(store: &Server) -> usize {
    let mut keys: Vec<String> =
        store.asked().iter().map(|asked| asked.access_key().to_owned()).collect();
    keys.sort();
    keys.dedup();
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_go_on_across_the_expiry_of_container_credentials() {
    if is_child() {
        return put_for(&child_store().await, Duration::from_secs(8)).await;
    }
    let issuer = Issuer::default();
    let store = strict_store(&issuer).await;
    let metadata = {
        let issuer = issuer.clone();
        let three = Duration::from_secs(3);
        Server::start(move |asked| match asked.header("authorization") {
            "Bearer of-the-container" => issuer.issue(three, three),
            _ => answers::plain(401, "text/plain", "who are you?"),
        })
        .await
    };
    let uri = format!("{}/credentials", metadata.endpoint());
    run_child(
        "credentials::puts_go_on_across_the_expiry_of_container_credentials",
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer of-the-container"),
            ("TEST_ENDPOINT", store.endpoint()),
        ],
    )
    .await;
    assert!(issuer.issued() >= 3 && keys_used(&store) >= 3, "{} keys", issuer.issued());
    assert_eq!(issuer.refused.load(Ordering::Relaxed), 0, "no request went out with old keys");
}

/// The instance metadata service, version 2 alone, on EC2.
fn instance_metadata(issuer: Issuer) -> impl Fn(&Asked) -> Response + Clone {
    move |asked| {
        let path = asked.target.trim_end_matches('/');
        if path == "/latest/api/token" {
            let ttl = asked.header("x-aws-ec2-metadata-token-ttl-seconds").to_owned();
            let headers = [("x-aws-ec2-metadata-token-ttl-seconds", ttl)];
            return (headers, "session-of-imds").into_response();
        }
        if asked.header("x-aws-ec2-metadata-token") != "session-of-imds" {
            return answers::plain(401, "text/plain", "");
        }
        let few = Duration::from_secs(3);
        match path {
            "/latest/meta-data/iam/security-credentials" => {
                answers::plain(200, "text/plain", "role")
            }
            "/latest/meta-data/iam/security-credentials/role" => issuer.issue(few, few),
            _ => answers::plain(404, "text/plain", ""),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_go_on_across_the_expiry_of_instance_credentials() {
    if is_child() {
        return put_for(&child_store().await, Duration::from_secs(8)).await;
    }
    let issuer = Issuer::default();
    let store = strict_store(&issuer).await;
    let metadata = Server::start(instance_metadata(issuer.clone())).await;
    run_child(
        "credentials::puts_go_on_across_the_expiry_of_instance_credentials",
        &[
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.endpoint()),
            ("TEST_ENDPOINT", store.endpoint()),
        ],
    )
    .await;
    assert!(issuer.issued() >= 3 && keys_used(&store) >= 3, "{} keys", issuer.issued());
    assert_eq!(issuer.refused.load(Ordering::Relaxed), 0, "no request went out with old keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_end_before_they_said_are_replaced_at_once() {
    if is_child() {
        let store = child_store().await;
        for number in 0..60 {
            let put = small("lake", &format!("x{number}"));
            if let Err(error) = store.put(&put).await {
                assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
                assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored), "with fresh keys");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        return;
    }
    let issuer = Issuer::default();
    let store = strict_store(&issuer).await;
    let metadata = {
        let issuer = issuer.clone();
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        Server::start(move |_| issuer.issue(second, hour)).await
    };
    run_child(
        "credentials::keys_that_end_before_they_said_are_replaced_at_once",
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", metadata.endpoint()),
            ("TEST_ENDPOINT", store.endpoint()),
        ],
    )
    .await;
    assert!(issuer.refused.load(Ordering::Relaxed) >= 2, "the keys did end");
    // Keys are kept while they are good: not one set for every request.
    assert!((3..=10).contains(&issuer.issued()), "{} keys", issuer.issued());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials_yet_is_tried_again() {
    if is_child() {
        let error = child_store().await.put(&small("lake", "x")).await.expect_err("no keys");
        assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
        assert!(error.message.contains("no credentials"), "{error}");
        assert!(error.message.contains("instance role"), "{error}");
        return;
    }
    run_child(
        "credentials::no_credentials_yet_is_tried_again",
        &[("AWS_EC2_METADATA_DISABLED", "true"), ("TEST_ENDPOINT", "http://127.0.0.1:1")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_region_it_says_so() {
    if is_child() {
        let mut settings = settings("http://127.0.0.1:1");
        (settings.region, settings.endpoint) = (None, None);
        let error = Store::connect(&settings).await.expect_err("no region").to_string();
        assert!(error.contains("s3.region") && error.contains("AWS_REGION"), "{error}");
        return;
    }
    run_child("credentials::without_a_region_it_says_so", &[("AWS_EC2_METADATA_DISABLED", "true")])
        .await;
}
