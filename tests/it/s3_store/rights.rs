//! Rights that are missing are named. MinIO hands out session keys with a policy, which also
//! tries the SDK's chain with keys and a session token from the environment.

use aws_sdk_s3::config::{BehaviorVersion, Credentials as AwsKeys, Region};
use aws_sdk_sts::types::Credentials;
use kafka_s3_sink::record::{HeadOutcome, PutOutcome, StoreError, StoreErrorClass};
use kafka_s3_sink::s3::{ConditionalPut, Store};

use super::fixtures::{address, is_child, large, run_child, settings, small, with_bucket};
use crate::support::minio::Minio;

/// Keys that may do just this.
async fn session(server: &Minio, bucket: &str, actions: &[&str]) -> Credentials {
    let statement = serde_json::json!({
        "Effect": "Allow",
        "Action": actions,
        "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
    });
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [statement]});
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(server.endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(AwsKeys::new(
            Minio::ACCESS_KEY,
            Minio::SECRET_KEY,
            None,
            None,
            "test",
        ))
        .load()
        .await;
    let role = aws_sdk_sts::Client::new(&config).assume_role();
    let role = role.role_arn("arn:aws:iam::000000000000:role/test").role_session_name("test");
    let answer = role.policy(policy.to_string()).send().await.expect("a session");
    answer.credentials.expect("session keys")
}

/// Runs the test again as a process with such keys in its environment.
async fn run_with_rights(test: &str, server: &Minio, bucket: &str, actions: &[&str]) {
    let keys = session(server, bucket, actions).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", keys.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key()),
        ("AWS_SESSION_TOKEN", keys.session_token()),
        ("TEST_ENDPOINT", &server.endpoint()),
        ("TEST_BUCKET", bucket),
    ];
    run_child(test, &variables).await;
}

async fn child_store() -> (Store, String) {
    let variable = |name| std::env::var(name).expect(name);
    let settings = settings(&variable("TEST_ENDPOINT"));
    (Store::connect(&settings).await.expect("settings"), variable("TEST_BUCKET"))
}

#[track_caller]
fn expect_denied(error: &StoreError, words: &[&str]) {
    assert_eq!(error.class, StoreErrorClass::Configuration, "{error}");
    for word in words {
        assert!(error.message.contains(word), "{word:?} is not in: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_not_put_say_so() {
    if is_child() {
        let (store, bucket) = child_store().await;
        let error = store.put(&small(&bucket, "raw/x")).await.expect_err("no PutObject");
        expect_denied(&error, &["s3:PutObject on s3://", "/raw/x"]);
        let error = store.put(&large(&bucket, "raw/x")).await.expect_err("no PutObject");
        expect_denied(&error, &["s3:PutObject on s3://"]);
        let error = store.probe_conditional_put(&bucket, "probe").await.expect_err("no PutObject");
        expect_denied(&error, &["s3:PutObject on s3://"]);
        assert_eq!(store.any_object(&bucket, "raw/").await, Ok(false));
        return;
    }
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let actions = ["s3:GetObject", "s3:ListBucket"];
    run_with_rights("rights::keys_that_may_not_put_say_so", server, &bucket, &actions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_only_put_say_what_else_is_missing() {
    if is_child() {
        let (store, bucket) = child_store().await;
        assert_eq!(store.put(&small(&bucket, "raw/x")).await, Ok(PutOutcome::Stored));
        assert_eq!(store.put(&small(&bucket, "raw/x")).await, Ok(PutOutcome::Taken));
        let error = store.head(&address(&bucket, "raw/x")).await.expect_err("no GetObject");
        expect_denied(&error, &["s3:GetObject", "s3:ListBucket"]);
        let error = store.any_object(&bucket, "raw/").await.expect_err("no ListBucket");
        expect_denied(&error, &["s3:ListBucket on s3://"]);
        let error = store.delete(&address(&bucket, "raw/x")).await.expect_err("no DeleteObject");
        expect_denied(&error, &["s3:DeleteObject on s3://"]);
        // Nothing may be looked at nor deleted: the first probe's object stays, and tells later.
        for _ in 0..2 {
            let verdict = store.probe_conditional_put(&bucket, "probe").await;
            assert_eq!(verdict, Ok(ConditionalPut::Honoured));
        }
        return;
    }
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let actions = ["s3:PutObject", "s3:AbortMultipartUpload"];
    let test = "rights::keys_that_may_only_put_say_what_else_is_missing";
    run_with_rights(test, server, &bucket, &actions).await;
    assert_eq!(store.any_object(&bucket, "probe").await, Ok(true), "one object stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_we_document_are_enough() {
    if is_child() {
        let (store, bucket) = child_store().await;
        let verdict = store.probe_conditional_put(&bucket, "probe").await;
        assert_eq!(verdict, Ok(ConditionalPut::Honoured));
        assert_eq!(store.put(&small(&bucket, "raw/x")).await, Ok(PutOutcome::Stored));
        assert_eq!(store.put(&large(&bucket, "raw/y")).await, Ok(PutOutcome::Stored));
        assert_eq!(store.put(&large(&bucket, "raw/x")).await, Ok(PutOutcome::Taken));
        assert_eq!(store.head(&address(&bucket, "raw/z")).await, Ok(HeadOutcome::Missing));
        assert_eq!(store.any_object(&bucket, "raw/").await, Ok(true));
        assert_eq!(store.head_bucket(&bucket).await, Ok(()));
        return;
    }
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let actions = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListBucket"];
    run_with_rights("rights::the_rights_that_we_document_are_enough", server, &bucket, &actions)
        .await;
}
