//! Large objects: parts make up what was put, one completion wins, and nothing is left behind.

use aws_sdk_s3::types::ObjectAttributes;
use kafka_s3_sink::record::{HeadOutcome, PutOutcome, StoreErrorClass};
use tokio::task::JoinSet;

use super::fixtures::{MIB, connect, eventually, large, request, segments, settings, with_bucket};
use super::proxy::{Fault, Proxy};
use crate::support::minio::Minio;

async fn open_uploads(server: &Minio, bucket: &str) -> usize {
    // MinIO lists uploads by the object's whole name only.
    let list = server.client().list_multipart_uploads().bucket(bucket).prefix("x");
    list.send().await.expect("a list").uploads().len()
}

pub(super) async fn expect_no_uploads(server: &Minio, bucket: &str) {
    eventually("no upload is left", || async { open_uploads(server, bucket).await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_goes_up_in_parts_and_reads_back() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let put = large(&bucket, "x");
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));

    let got = server.client().get_object().bucket(&bucket).key("x").send().await.expect("it");
    assert_eq!(got.content_type(), Some("application/gzip"));
    assert_eq!(got.content_encoding(), None);
    assert_eq!(got.metadata().and_then(|all| all.get("pin")).map(String::as_str), Some("0123abcd"));
    let bytes = got.body.collect().await.expect("a body").into_bytes();
    assert!(bytes == put.body.segments.concat(), "the bytes differ");

    let parts = server.client().get_object_attributes().bucket(&bucket).key("x");
    let parts = parts.object_attributes(ObjectAttributes::ObjectParts).send().await.expect("it");
    let parts = parts.object_parts().expect("parts").parts();
    let sizes: Vec<i64> = parts.iter().filter_map(|part| part.size()).collect();
    let mib = MIB as i64;
    assert_eq!(sizes, [5 * mib, 5 * mib, 5 * mib, 2 * mib]);
    assert!(parts.iter().all(|part| part.checksum_crc32().is_some()), "{parts:?}");
    assert_eq!(open_uploads(server, &bucket).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_stays_and_its_parts_go() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let first = request(&bucket, "x", segments(&[3]));
    assert_eq!(store.put(&first).await, Ok(PutOutcome::Stored));
    assert_eq!(store.put(&large(&bucket, "x")).await, Ok(PutOutcome::Taken));
    let found = HeadOutcome::Found { metadata: first.metadata.clone(), size: 3 };
    assert_eq!(store.head(&first.address).await, Ok(found));
    expect_no_uploads(server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_large_puts_at_once_one_wins() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut racers = JoinSet::new();
    for _ in 0..6 {
        let (store, put) = (store.clone(), request(&bucket, "x", segments(&[6 * MIB as usize])));
        racers.spawn(async move { store.put(&put).await });
    }
    let outcomes = racers.join_all().await;
    let won = outcomes.iter().filter(|out| **out == Ok(PutOutcome::Stored)).count();
    // A conflict is an honest answer too: the put is tried again, and finds the name taken.
    let others = outcomes.iter().all(|out| match out {
        Ok(_) => true,
        Err(error) => error.class == StoreErrorClass::Conflict,
    });
    assert!(won == 1 && others, "{outcomes:?}");
    expect_no_uploads(server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_do_not_make_up_the_checksum_make_no_object() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut put = large(&bucket, "x");
    put.body.crc32 ^= 1;
    let error = store.put(&put).await.expect_err("a wrong checksum");
    assert_eq!(error.class, StoreErrorClass::Unreadable, "{error}");
    assert!(error.message.contains("checksum"), "{error}");
    assert_eq!(store.head(&put.address).await, Ok(HeadOutcome::Missing));
    expect_no_uploads(server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_the_completion_asks_for_a_look() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&settings(&proxy.endpoint())).await;
    proxy.plan(&["POST ", "uploadId="], Fault::LoseReply);
    let put = large(&bucket, "x");
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Taken));
    assert_eq!(proxy.faults(), 1);
    let found = HeadOutcome::Found { metadata: put.metadata.clone(), size: 17 * MIB };
    assert_eq!(store.head(&put.address).await, Ok(found));
    expect_no_uploads(server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_whose_reply_is_lost_is_sent_again_alone() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&settings(&proxy.endpoint())).await;
    proxy.plan(&["PUT ", "partNumber=2"], Fault::LoseReply);
    proxy.plan(&["PUT ", "partNumber=3"], Fault::LoseReply);
    let put = large(&bucket, "x");
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
    assert_eq!(proxy.faults(), 2);
    let got = server.client().get_object().bucket(&bucket).key("x").send().await.expect("it");
    let bytes = got.body.collect().await.expect("a body").into_bytes();
    assert!(bytes == put.body.segments.concat(), "the bytes differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_dropped_leaves_no_upload() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&settings(&proxy.endpoint())).await;
    proxy.plan(&["PUT ", "partNumber=2"], Fault::Stall);
    let put = large(&bucket, "x");
    let flying = tokio::spawn(async move { store.put(&put).await });
    eventually("part 2 hangs", || async { proxy.faults() == 1 }).await;
    eventually("an upload is open", || async { open_uploads(server, &bucket).await == 1 }).await;
    flying.abort();
    expect_no_uploads(server, &bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_hangs_fails_in_time_and_leaves_no_upload() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let mut settings = settings(&proxy.endpoint());
    settings.request_timeout = std::time::Duration::from_secs(1);
    settings.min_throughput = 100 * MIB;
    let store = connect(&settings).await;
    for _ in 0..3 {
        proxy.plan(&["PUT ", "partNumber=2"], Fault::Stall);
    }
    let error = store.put(&large(&bucket, "x")).await.expect_err("it hangs");
    assert_eq!(error.class, StoreErrorClass::Retry, "{error}");
    assert!(error.message.contains("no answer within"), "{error}");
    assert!(proxy.faults() >= 2, "a part is tried again");
    expect_no_uploads(server, &bucket).await;
}
