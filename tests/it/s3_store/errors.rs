//! What goes wrong, and what the caller is told: the class, the place and the way to mend it.

use std::time::{Duration, Instant};

use axum::response::Response;
use kafka_s3_sink::config::S3Settings;
use kafka_s3_sink::record::{HeadOutcome, PutOutcome, StoreError, StoreErrorClass};
use kafka_s3_sink::s3::{S3Error, Store};
use secrecy::SecretString;

use super::answers::{self, Server};
use super::fixtures::{
    MIB, address, connect, eventually, large, request, segments, settings, small,
};
use crate::support::minio::Minio;

#[track_caller]
fn expect(error: &StoreError, class: StoreErrorClass, words: &[&str]) {
    assert_eq!(error.class, class, "{error}");
    for word in words {
        assert!(error.message.contains(word), "{word:?} is not in: {error}");
    }
}

/// Puts against a server that answers like this.
async fn put_answered(answer: fn() -> Response) -> StoreError {
    let server = Server::start(move |_| answer()).await;
    let store = connect(&settings(server.endpoint())).await;
    let error = store.put(&small("lake", "raw/x")).await.expect_err("an error");
    expect(&error, error.class, &["PutObject s3://lake/raw/x at http://127.0.0.1:"]);
    assert_eq!(server.asked().len(), 1, "the SDK must not retry");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_a_class_and_a_hint() {
    use StoreErrorClass::{Configuration, Conflict, Full, Retry};
    let case = put_answered(|| answers::error(503, "SlowDown", "Reduce your rate.")).await;
    expect(&case, Retry, &["SlowDown (503)", "Reduce your rate."]);
    let case = put_answered(|| answers::error(500, "InternalError", "Try again.")).await;
    expect(&case, Retry, &["InternalError (500)"]);
    let case = put_answered(|| answers::error(400, "ExpiredToken", "It has expired.")).await;
    expect(&case, Retry, &["fresh credentials"]);
    let case = put_answered(|| answers::error(409, "ConditionalRequestConflict", "Again.")).await;
    expect(&case, Conflict, &["same name"]);
    let case = put_answered(|| answers::error(507, "XMinioStorageFull", "No room.")).await;
    expect(&case, Full, &["make room"]);
    let case = put_answered(|| answers::error(403, "AccessDenied", "Access Denied")).await;
    expect(&case, Configuration, &["s3:PutObject on s3://lake/raw/x"]);
    let case = put_answered(|| answers::error(403, "RequestTimeTooSkewed", "Too skewed.")).await;
    expect(&case, Configuration, &["clock", "NTP"]);
    let case = put_answered(|| answers::error(400, "KMS.NotFoundException", "No key.")).await;
    expect(&case, Configuration, &["s3.kms_key_id"]);
    let case = put_answered(|| answers::plain(502, "text/html", "<html>Bad Gateway</html>")).await;
    expect(&case, Retry, &["an HTML page"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_never_passes_for_one() {
    use StoreErrorClass::Configuration;
    for answer in [
        || answers::plain(200, "text/html", "<html>Welcome</html>"),
        || answers::plain(404, "text/html", "<html>Not Found</html>"),
        || answers::plain(405, "text/plain", "no PUT here"),
    ] {
        expect(&put_answered(answer).await, Configuration, &["s3.endpoint"]);
    }
    let server = Server::start(|_| answers::plain(200, "text/html", "<html></html>")).await;
    let store = connect(&settings(server.endpoint())).await;
    let head = store.head(&address("lake", "x")).await.expect_err("no ETag");
    expect(&head, Configuration, &["HeadObject", "s3.endpoint"]);
    store.any_object("lake", "raw/").await.expect_err("not a list");
    store.put(&large("lake", "x")).await.expect_err("no upload id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_says_which_region() {
    let answer = |_: &answers::Asked| {
        let mut answer = answers::error(301, "PermanentRedirect", "Elsewhere.");
        answer.headers_mut().insert("x-amz-bucket-region", "eu-west-1".parse().expect("a value"));
        answer
    };
    let server = Server::start(answer).await;
    let store = connect(&settings(server.endpoint())).await;
    let error = store.put(&small("lake", "x")).await.expect_err("a redirect");
    expect(&error, StoreErrorClass::Configuration, &["s3.region = \"eu-west-1\""]);
}

/// Answers to a multipart upload whose completion says 200 and then an error.
fn completion_fails(asked: &answers::Asked) -> Response {
    match (asked.method.as_str(), asked.target.contains("uploadId=")) {
        ("POST", false) => answers::opened(),
        ("POST", true) => answers::error(200, "InternalError", "Broke in the middle."),
        ("DELETE", _) => answers::error(404, "NoSuchUpload", "Gone."),
        _ => answers::stored(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_says_200_and_an_error_is_an_error() {
    let server = Server::start(completion_fails).await;
    let store = connect(&settings(server.endpoint())).await;
    let error = store.put(&large("lake", "x")).await.expect_err("an error in the body");
    expect(&error, StoreErrorClass::Retry, &["CompleteMultipartUpload", "InternalError"]);
    let completions =
        |asked: &answers::Asked| asked.method == "POST" && asked.target.contains("uploadId=");
    assert_eq!(server.asked().iter().filter(|asked| completions(asked)).count(), 3);
    eventually("it is aborted", || async {
        server.asked().iter().any(|asked| asked.method == "DELETE")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_completions_starts_anew() {
    let server =
        Server::start(|asked| match (asked.method.as_str(), asked.target.contains("uploadId=")) {
            ("POST", true) => answers::error(409, "ConditionalRequestConflict", "Again."),
            _ => completion_fails(asked),
        })
        .await;
    let store = connect(&settings(server.endpoint())).await;
    let error = store.put(&large("lake", "x")).await.expect_err("a conflict");
    expect(&error, StoreErrorClass::Conflict, &["CompleteMultipartUpload"]);
    let completion = server
        .asked()
        .into_iter()
        .find(|asked| asked.target.contains("uploadId=") && asked.method == "POST");
    assert_eq!(completion.expect("a completion").header("if-none-match"), "*");
    eventually("it is aborted", || async {
        server.asked().iter().any(|asked| asked.method == "DELETE")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_over_the_wire_is_lean() {
    let server = Server::start(|_| answers::stored()).await;
    let store = connect(&settings(server.endpoint())).await;
    let mut put = request("lake", "x", segments(&[100_000, 50]));
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
    put.if_none_match = false;
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));

    let asked = server.asked();
    let [conditional, plain] = asked.as_slice() else { panic!("two requests: {asked:?}") };
    assert_eq!(conditional.header("if-none-match"), "*");
    assert!(!plain.headers.contains_key("if-none-match"));
    assert_eq!(conditional.header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_eq!(conditional.header("content-length"), "100050");
    assert!(!conditional.headers.contains_key("content-encoding"));
    assert!(!conditional.headers.contains_key("x-amz-trailer"));
    assert!(!conditional.headers.contains_key("transfer-encoding"));
    assert_eq!(conditional.header("x-amz-checksum-crc32").len(), 8);
    assert_eq!(conditional.body, 100_050);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_a_missing_bucket_are_told_apart() {
    let Some(server) = Minio::shared() else { return };
    let settings = settings(&server.endpoint());
    let missing = connect(&settings).await.put(&small("no-such-bucket", "x")).await;
    let words = ["NoSuchBucket", "s3.bucket", "s3://no-such-bucket/x"];
    expect(&missing.expect_err("no bucket"), StoreErrorClass::Configuration, &words);
    let missing = connect(&settings).await.put(&large("no-such-bucket", "x")).await;
    expect(&missing.expect_err("no bucket"), StoreErrorClass::Configuration, &["s3.bucket"]);
    let missing = connect(&settings).await.head(&address("no-such-bucket", "x")).await;
    expect(&missing.expect_err("no bucket"), StoreErrorClass::Configuration, &["s3.bucket"]);

    for (key, secret) in [(Minio::ACCESS_KEY, "a-wrong-secret"), ("nobody", Minio::SECRET_KEY)] {
        let store = Store::connect_with_keys(&settings, key, &SecretString::from(secret)).await;
        let error =
            store.expect("settings").put(&small("lake", "x")).await.expect_err("wrong keys");
        expect(&error, StoreErrorClass::Configuration, &["do", "not know these credentials"]);
        assert!(!error.message.contains(secret), "a secret in: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_comes_back_to_the_same_client() {
    let Some(server) = Minio::start() else { return };
    server.create_bucket("lake").await;
    let store = connect(&settings(&server.endpoint())).await;
    assert_eq!(store.put(&small("lake", "before")).await, Ok(PutOutcome::Stored));

    server.stop();
    let started = Instant::now();
    for put in [small("lake", "away"), large("lake", "away-large")] {
        let error = store.put(&put).await.expect_err("it is away");
        expect(&error, StoreErrorClass::Retry, &["no answer"]);
    }
    let error = store.head(&address("lake", "before")).await.expect_err("it is away");
    expect(&error, StoreErrorClass::Retry, &["no answer", "s3.endpoint"]);
    assert!(started.elapsed() < Duration::from_secs(5), "a refused connection is told at once");

    server.start_again();
    assert_eq!(store.put(&small("lake", "away")).await, Ok(PutOutcome::Stored));
    let before = store.head(&address("lake", "before")).await.expect("an answer");
    assert!(matches!(before, HeadOutcome::Found { size: 1024, .. }), "{before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work_are_refused_at_once() {
    let refuse = async |change: fn(&mut S3Settings)| {
        let mut settings = settings("http://127.0.0.1:1");
        change(&mut settings);
        Store::connect_with_keys(&settings, "key", &SecretString::from("secret")).await
    };
    let error = refuse(|settings| settings.endpoint = Some("minio".to_owned())).await;
    assert!(matches!(error, Err(S3Error::Endpoint { .. })), "{error:?}");
    let error = refuse(|settings| settings.endpoint = Some("http://u:p@minio".to_owned())).await;
    let error = error.expect_err("a password").to_string();
    assert!(!error.contains("u:p"), "{error}");
    let store = refuse(|settings| settings.region = None).await;
    assert!(store.is_ok(), "a store other than AWS needs no region: {store:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve_hints_at_path_style() {
    let mut settings = settings("http://store.invalid:9000");
    settings.request_timeout = Duration::from_secs(20);
    settings.multipart_threshold = 100 * MIB;
    let error = connect(&settings).await.put(&small("lake", "x")).await.expect_err("no such name");
    expect(&error, StoreErrorClass::Retry, &["s3.endpoint", "s3.force_path_style"]);
}
