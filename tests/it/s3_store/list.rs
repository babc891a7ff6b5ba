//! Listings and whole bodies, as `audit` reads them.

use kafka_s3_sink::record::StoreErrorClass;
use tokio::task::JoinSet;

use super::fixtures::{address, request, segments, small, with_bucket};
use crate::support::minio::Minio;

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_goes_on_from_page_to_page_in_order() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let mut puts = JoinSet::new();
    for number in 0..1005 {
        let (store, bucket) = (store.clone(), bucket.clone());
        puts.spawn(async move {
            let key = format!("raw/t/dt={}/{number:05}", number % 3);
            store.put(&request(&bucket, &key, segments(&[3]))).await.expect("stored");
        });
    }
    puts.join_all().await;
    // What XML cannot hold, and what stands between folders.
    for odd in ["raw/t/a b+c%41\u{e9}\u{1}&<", "raw/t/dt=0.json", "raw/u/other"] {
        store.put(&small(&bucket, odd)).await.expect("stored");
    }
    let (mut keys, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.list_page(&bucket, "raw/t/", false, next).await.expect("a page");
        assert!(page.folders.is_empty());
        keys.extend(page.objects);
        (next, pages) = (page.next, pages + 1);
        if next.is_none() {
            break;
        }
    }
    assert_eq!((keys.len(), pages), (1007, 2));
    assert!(keys.windows(2).all(|pair| pair[0].key < pair[1].key), "in the order of keys");
    assert_eq!(keys[0].key, "raw/t/a b+c%41\u{e9}\u{1}&<");
    let is_whole = |tag: &str| {
        let (tag, put) = tag.split_once('@').expect("with the time of the put");
        tag.len() == 32 && !tag.contains('"') && put.starts_with("1")
    };
    assert!(keys.iter().all(|object| is_whole(&object.tag)));
    assert_eq!((keys[0].size, keys[1].size, keys[2].size), (1024, 1024, 3));

    let level = store.list_page(&bucket, "raw/t/", true, None).await.expect("a page");
    assert_eq!(level.folders, ["raw/t/dt=0/", "raw/t/dt=1/", "raw/t/dt=2/"]);
    let names: Vec<_> = level.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!((names, level.next), (vec!["raw/t/a b+c%41\u{e9}\u{1}&<", "raw/t/dt=0.json"], None));
    let nothing = store.list_page(&bucket, "raw/nothing/", true, None).await.expect("a page");
    assert!(nothing.objects.is_empty() && nothing.folders.is_empty() && nothing.next.is_none());
    let error = store.list_page("no-such-bucket", "", false, None).await.expect_err("no bucket");
    assert_eq!(error.class, StoreErrorClass::Configuration);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_read_as_it_was_put() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    let put = request(&bucket, "x", segments(&[300_000, 1 << 20, 17]));
    store.put(&put).await.expect("stored");
    let mut got = store.get(&put.address).await.expect("an answer").expect("an object");
    let mut bytes = Vec::new();
    while let Some(piece) = got.next().await {
        bytes.extend_from_slice(&piece.expect("a piece"));
    }
    assert!(bytes == put.body.segments.concat(), "the bytes differ");
    assert!(store.get(&address(&bucket, "y")).await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_completes_is_seen() {
    let Some(server) = Minio::shared() else { return };
    let (store, bucket) = with_bucket(server, |_| ()).await;
    assert_eq!(store.open_uploads(&bucket, "raw/").await, Ok(Vec::new()));
    let client = server.client();
    let begun = client.create_multipart_upload().bucket(&bucket).key("raw/t/a b").send().await;
    let id = begun.expect("begun").upload_id.expect("an id");
    // MinIO shows the uploads of one key alone, by the whole key.
    let open = store.open_uploads(&bucket, "raw/t/a b").await.expect("a list");
    let found: Vec<_> = open.iter().map(|it| (it.key.as_str(), it.upload_id.as_str())).collect();
    assert_eq!(found, [("raw/t/a b", id.as_str())]);
}
