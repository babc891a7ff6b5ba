//! Whole objects: what is put is what is there, and a taken name stays as it is.

use jiff::SignedDuration;
use kafka_s3_sink::record::{HeadOutcome, PutOutcome, StoreErrorClass};
use tokio::task::JoinSet;

use super::fixtures::{address, connect, request, segments, settings, small, with_bucket};
use super::proxy::Proxy;
use crate::support::minio::Minio;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_reads_back_as_it_was_put() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let key = "raw/a b+c/dt=2026-11-22/hour=07/orders-3-00000000000000000042.json.gz";
    let mut put = request(&bucket, key, segments(&[1, 0, 65_537, 300_000, 7]));
    put.metadata.insert("first".to_owned(), "42".to_owned());

    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));

    let got = server.client().get_object().bucket(&bucket).key(key).send().await.expect("it");
    assert_eq!(got.content_type(), Some("application/gzip"));
    assert_eq!(got.content_encoding(), None);
    let metadata = got.metadata().expect("metadata");
    assert_eq!(metadata.get("pin").map(String::as_str), Some("0123abcd"));
    assert_eq!(metadata.get("first").map(String::as_str), Some("42"));
    assert_eq!(metadata.len(), 2);
    let bytes = got.body.collect().await.expect("a body").into_bytes();
    assert!(bytes == put.body.segments.concat(), "the bytes differ");
    let size = bytes.len() as u64;
    let found = HeadOutcome::Found { metadata: put.metadata.clone(), size };
    assert_eq!(store.head(&put.address).await, Ok(found));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_our_checksum() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    store.put(&request(&bucket, "x", vec!["123456789".into()])).await.expect("stored");
    let head = server.client().head_object().bucket(&bucket).key("x");
    let head = head.checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled).send().await;
    assert_eq!(head.expect("it").checksum_crc32(), Some("y/Q5Jg=="));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_stays_as_it_is() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let first = small(&bucket, "x");
    let mut second = request(&bucket, "x", segments(&[5]));
    second.metadata.insert("pin".to_owned(), "another".to_owned());
    assert_eq!(store.head(&first.address).await, Ok(HeadOutcome::Missing));
    assert_eq!(store.put(&first).await, Ok(PutOutcome::Stored));
    assert_eq!(store.put(&second).await, Ok(PutOutcome::Taken));
    let ours = HeadOutcome::Found { metadata: first.metadata.clone(), size: 1024 };
    assert_eq!(store.head(&first.address).await, Ok(ours));

    second.if_none_match = false;
    assert_eq!(store.put(&second).await, Ok(PutOutcome::Stored));
    let theirs = HeadOutcome::Found { metadata: second.metadata.clone(), size: 5 };
    assert_eq!(store.head(&first.address).await, Ok(theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_puts_at_once_one_wins() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut racers = JoinSet::new();
    for racer in 0..32 {
        let (store, mut put) = (store.clone(), small(&bucket, "x"));
        put.metadata.insert("pin".to_owned(), racer.to_string());
        racers.spawn(async move { (racer, store.put(&put).await.expect("an answer")) });
    }
    let outcomes = racers.join_all().await;
    let won: Vec<i32> =
        outcomes.iter().filter(|(_, out)| *out == PutOutcome::Stored).map(|(r, _)| *r).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    let Ok(HeadOutcome::Found { metadata, .. }) = store.head(&address(&bucket, "x")).await else {
        panic!("there is an object");
    };
    assert_eq!(metadata["pin"], won[0].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_fit_their_checksum_are_refused() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut put = small(&bucket, "x");
    put.body.crc32 ^= 1;
    let error = store.put(&put).await.expect_err("a wrong checksum");
    assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
    assert!(error.message.contains("did not arrive as they were sent"), "{error}");
    assert_eq!(store.head(&put.address).await, Ok(HeadOutcome::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_class_and_encryption_are_asked_for() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |settings| {
        settings.storage_class = Some("REDUCED_REDUNDANCY".to_owned());
        settings.server_side_encryption = Some("aws:kms".to_owned());
        settings.kms_key_id = Some(Minio::KMS_KEY.to_owned());
    })
    .await;
    for put in [small(&bucket, "small"), super::fixtures::large(&bucket, "large")] {
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
        let head = server.client().head_object().bucket(&bucket).key(&*put.address.key);
        let head = head.send().await.expect("it");
        assert_eq!(head.storage_class().map(|class| class.as_str()), Some("REDUCED_REDUNDANCY"));
        assert_eq!(head.server_side_encryption().map(|sse| sse.as_str()), Some("aws:kms"));
        let key = head.ssekms_key_id().expect("a key");
        assert!(key.ends_with(Minio::KMS_KEY), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_empty_until_something_stands_under_it() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    store.put(&small(&bucket, "raw/orders2/x")).await.expect("stored");
    assert_eq!(store.any_object(&bucket, "raw/orders/").await, Ok(false));
    assert_eq!(store.any_object(&bucket, "raw/orders2/").await, Ok(true));

    let address = address(&bucket, "raw/orders2/x");
    assert_eq!(store.delete(&address).await, Ok(()));
    assert_eq!(store.delete(&address).await, Ok(()), "none of that name is fine");
    assert_eq!(store.any_object(&bucket, "raw/orders2/").await, Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_and_its_clock_are_seen() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    assert_eq!(store.head_bucket(&bucket).await, Ok(()));
    let missing = store.head_bucket("no-such-bucket").await.expect_err("none");
    assert_eq!(missing.class, StoreErrorClass::Configuration);
    for bucket in [bucket.as_str(), "no-such-bucket"] {
        let skew = store.clock_skew(bucket).await.expect("a date");
        assert!(skew.abs() < SignedDuration::from_secs(3), "{skew}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&settings(&proxy.endpoint())).await;
    for number in 0..20 {
        let put = small(&bucket, &format!("x{number}"));
        assert_eq!(store.clone().put(&put).await, Ok(PutOutcome::Stored));
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Taken));
    }
    // Now and then a connection is not back in the pool when the next request wants it.
    assert!(proxy.connections() <= 4, "{} connections for 40 requests", proxy.connections());
}
