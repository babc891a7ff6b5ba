//! The probe of conditional puts, on a store that honours them and on those that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::Response;
use kafka_s3_sink::record::{HeadOutcome, PutOutcome, StoreErrorClass};
use kafka_s3_sink::s3::ConditionalPut;
use tokio::task::JoinSet;

use super::answers::{self, Asked, Server};
use super::fixtures::{connect, large, request, segments, settings, with_bucket};
use crate::support::minio::Minio;

const KEY: &str = "dead-letters/_probe";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_honours_it_is_known_and_left_clean() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    for _ in 0..3 {
        let verdict = store.probe_conditional_put(&bucket, KEY).await;
        assert_eq!(verdict, Ok(ConditionalPut::Honoured));
        assert_eq!(store.any_object(&bucket, "").await, Ok(false), "nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_an_earlier_probe_left_does_not_mislead() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let left = request(&bucket, KEY, segments(&[10]));
    assert_eq!(store.put(&left).await, Ok(PutOutcome::Stored));
    let verdict = store.probe_conditional_put(&bucket, KEY).await;
    assert_eq!(verdict, Ok(ConditionalPut::Honoured));
    // It is young, so it may be another instance's, whose race a delete would spoil.
    let found = HeadOutcome::Found { metadata: left.metadata.clone(), size: 10 };
    assert_eq!(store.head(&left.address).await, Ok(found));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_probe_at_once_do_not_mislead_each_other() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut probes = JoinSet::new();
    for _ in 0..6 {
        let (store, bucket) = (store.clone(), bucket.clone());
        probes.spawn(async move {
            for _ in 0..5 {
                let verdict = store.probe_conditional_put(&bucket, KEY).await;
                assert_eq!(verdict, Ok(ConditionalPut::Honoured));
            }
        });
    }
    probes.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_an_error_and_no_verdict() {
    let Some(server) = Minio::shared() else { return };
    let store = connect(&settings(&server.endpoint())).await;
    let error = store.probe_conditional_put("no-such-bucket", KEY).await.expect_err("no bucket");
    assert_eq!(error.class, StoreErrorClass::Configuration, "{error}");
    assert!(error.message.contains("s3.bucket"), "{error}");
}

/// A store whose first `winners` conditional puts win and the others find the name taken, and
/// that completes every multipart upload.
fn store_with_winners(winners: usize) -> impl Fn(&Asked) -> Response + Clone {
    let puts = Arc::new(AtomicUsize::new(0));
    move |asked| match (asked.method.as_str(), asked.target.contains("uploadId=")) {
        ("HEAD", _) => answers::plain(404, "application/xml", ""),
        ("POST", false) => answers::opened(),
        ("POST", true) => answers::completed(),
        ("PUT", false) if puts.fetch_add(1, Ordering::SeqCst) >= winners => {
            answers::error(412, "PreconditionFailed", "It is there.")
        }
        ("DELETE", _) => answers::plain(204, "application/xml", ""),
        _ => answers::stored(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_it_or_races_is_known() {
    for winners in [2, 8] {
        let server = Server::start(store_with_winners(winners)).await;
        let store = connect(&settings(server.endpoint())).await;
        let verdict = store.probe_conditional_put("lake", KEY).await;
        let seen = format!("{winners} of 8 puts at once got the same name");
        assert_eq!(verdict, Ok(ConditionalPut::Ignored(seen)));
        assert!(server.asked().iter().any(|asked| asked.method == "DELETE"), "it cleans up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_the_condition_is_known() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "PUT" if !asked.header("if-none-match").is_empty() => {
            answers::error(501, "NotImplemented", "A header you provided is not implemented.")
        }
        "HEAD" => answers::plain(404, "application/xml", ""),
        _ => answers::stored(),
    })
    .await;
    let store = connect(&settings(server.endpoint())).await;
    let verdict = store.probe_conditional_put("lake", KEY).await.expect("a verdict");
    let ConditionalPut::NotSupported(words) = &verdict else { panic!("{verdict:?}") };
    assert!(words.contains("NotImplemented (501)"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_completion_overwrites_large_objects_go_in_one_request() {
    let server = Server::start(store_with_winners(1)).await;
    let store = connect(&settings(server.endpoint())).await;
    let verdict = store.probe_conditional_put("lake", KEY).await.expect("a verdict");
    assert!(matches!(verdict, ConditionalPut::HonouredByPutOnly(_)), "{verdict:?}");

    let mut put = large("lake", "x");
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Taken));
    let last = server.asked().pop().expect("a request");
    assert_eq!((last.method.as_str(), last.body as u64), ("PUT", put.body.len()));
    assert!(!last.target.contains("partNumber"), "{}", last.target);

    // Without the condition there is nothing to lose: parts it is.
    put.if_none_match = false;
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
    let last = server.asked().pop().expect("a request");
    assert!(last.method == "POST" && last.target.contains("uploadId="), "{}", last.target);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_left_over_of_days_ago_is_deleted_first() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "HEAD" => {
            let mut answer = answers::stored();
            let old = "Sun, 06 Nov 1994 08:49:37 GMT".parse().expect("a value");
            answer.headers_mut().insert("last-modified", old);
            answer
        }
        "DELETE" => answers::plain(204, "application/xml", ""),
        "POST" if asked.target.contains("uploadId=") => {
            answers::error(412, "PreconditionFailed", "It is there.")
        }
        "POST" => answers::opened(),
        _ if asked.target.contains("partNumber") => answers::stored(),
        _ => answers::error(412, "PreconditionFailed", "It is there."),
    })
    .await;
    let store = connect(&settings(server.endpoint())).await;
    let verdict = store.probe_conditional_put("lake", KEY).await;
    assert_eq!(verdict, Ok(ConditionalPut::Honoured), "it could not be deleted, but refuses");
    let asked = server.asked();
    let path = format!("/lake/{KEY}");
    let first: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).take(3).collect();
    assert_eq!(first, ["HEAD", "DELETE", "PUT"], "{asked:?}");
    assert!(asked[1].target.starts_with(&path), "{}", asked[1].target);
}
