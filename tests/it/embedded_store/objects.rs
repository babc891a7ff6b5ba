use super::*;

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let world = world().await;
    let key = "raw/orders/dt=2026-11-22/hour=07/orders-3-00000000000000000042.json.gz";
    let put = world
        .put(key, b"bytes")
        .content_type("application/gzip")
        .metadata("Pin", "abc")
        .metadata("base", "42")
        .customize()
        .disable_payload_signing();
    let put = put.send().await.unwrap();
    assert_eq!(put.checksum_crc32(), Some(crc32(b"bytes").as_str()));

    let head = world.client.head_object().bucket(BUCKET).key(key).send().await.unwrap();
    assert_eq!(head.content_type(), Some("application/gzip"));
    assert_eq!(head.content_encoding(), None);
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.e_tag(), put.e_tag());
    assert!(head.last_modified().is_some());
    let metadata = head.metadata().unwrap();
    assert_eq!((metadata["pin"].as_str(), metadata["base"].as_str()), ("abc", "42"));

    assert_eq!(world.get(key).await, b"bytes");
    assert_eq!(world.files(), [format!("lake/{key}")]);
}

#[tokio::test]
async fn a_signed_payload_is_checked_too() {
    let world = world().await;
    world.put("a", b"signed").send().await.unwrap();
    assert_eq!(world.get("a").await, b"signed");
}

#[tokio::test]
async fn an_empty_object_and_odd_keys_are_kept() {
    let world = world().await;
    for key in ["empty", "with space/ü=1/+plus/%25/a:b", "a.json/b", "a"] {
        let bytes = if key == "empty" { b"".as_slice() } else { key.as_bytes() };
        world.put(key, bytes).send().await.unwrap();
        assert_eq!(world.get(key).await, bytes, "{key}");
    }
}

#[tokio::test]
async fn a_part_of_an_object_can_be_read() {
    let world = world().await;
    world.put("a", b"0123456789").send().await.unwrap();
    for (range, wanted) in [("bytes=2-4", "234"), ("bytes=7-", "789"), ("bytes=-2", "89")] {
        let get = world.client.get_object().bucket(BUCKET).key("a").range(range);
        let got = get.send().await.unwrap().body.collect().await.unwrap();
        assert_eq!(got.to_vec(), wanted.as_bytes(), "{range}");
    }
    let beyond = world.client.get_object().bucket(BUCKET).key("a").range("bytes=10-").send().await;
    assert_eq!(refusal(beyond), (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn a_wrong_crc32_is_refused_and_leaves_nothing() {
    let world = world().await;
    let put = world.put("a", b"right").checksum_crc32(crc32(b"wrong"));
    let put = put.customize().disable_payload_signing().send().await;
    assert_eq!(refusal(put), (400, "BadDigest".to_owned()));
    assert_eq!(world.files(), [""; 0]);
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let world = world().await;
    let liar = client(&world.store.endpoint(), "wrong");
    let put = liar.put_object().bucket(BUCKET).key("a").body(ByteStream::from_static(b"x"));
    assert_eq!(refusal(put.send().await), (403, "SignatureDoesNotMatch".to_owned()));
    let unsigned = unsigned_get(&world.store.endpoint()).await;
    assert!(unsigned.starts_with("HTTP/1.1 403"), "{unsigned}");
    assert_eq!(world.files(), [""; 0]);
}

/// A request without any signature.
async fn unsigned_get(endpoint: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = endpoint.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /lake/a HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_missing_is_said_to_be_missing() {
    let world = world().await;
    let client = &world.client;
    let get = client.get_object().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(get), (404, "NoSuchKey".to_owned()));
    let head = client.head_object().bucket(BUCKET).key("a").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let put = client.put_object().bucket("other").key("a").send().await;
    assert_eq!(refusal(put), (404, "NoSuchBucket".to_owned()));
    let list = client.list_objects_v2().bucket("other").send().await;
    assert_eq!(refusal(list), (404, "NoSuchBucket".to_owned()));
    let head = client.head_bucket().bucket("other").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_made_once() {
    let world = world().await;
    world.client.create_bucket().bucket("second").send().await.unwrap();
    world.client.head_bucket().bucket("second").send().await.unwrap();
    let again = world.client.create_bucket().bucket("second").send().await;
    assert_eq!(refusal(again), (409, "BucketAlreadyOwnedByYou".to_owned()));
}

#[tokio::test]
async fn keys_that_no_folder_can_hold_are_refused() {
    let world = world().await;
    world.put("a/b", b"x").send().await.unwrap();
    let long = format!("a/{}", "x".repeat(256));
    for key in ["a", "a/b/c", "a//b", "a/", long.as_str()] {
        let put = world.put(key, b"y").send().await;
        assert_eq!(refusal(put), (400, "InvalidArgument".to_owned()), "{key}");
    }
    assert_eq!(world.files(), ["lake/a/b"]);
}

#[tokio::test]
async fn a_removed_object_is_gone_with_its_folders_and_its_metadata() {
    let world = world().await;
    world.put("a/b/c", b"x").metadata("pin", "1").send().await.unwrap();
    world.put("a/d", b"x").send().await.unwrap();
    world.client.delete_object().bucket(BUCKET).key("a/b/c").send().await.unwrap();
    assert_eq!(world.files(), ["lake/a/d"]);
    assert!(!world.store.bucket_dir(BUCKET).join("a/b").exists());
    world.client.delete_object().bucket(BUCKET).key("a/d").send().await.unwrap();
    world.client.head_bucket().bucket(BUCKET).send().await.unwrap();
    std::fs::create_dir_all(world.store.bucket_dir(BUCKET).join("a/b")).unwrap();
    std::fs::write(world.store.bucket_dir(BUCKET).join("a/b/c"), "by hand").unwrap();
    let head = world.client.head_object().bucket(BUCKET).key("a/b/c").send().await.unwrap();
    assert!(head.metadata().is_none_or(|it| it.is_empty()));
}

#[tokio::test]
async fn lists_come_in_order_page_by_page() {
    let world = world().await;
    let keys = ["raw/a-b/1", "raw/a/1", "raw/a/2", "raw/a/3", "raw/b/1", "raw2/x"];
    for key in keys {
        world.put(key, key.as_bytes()).send().await.unwrap();
    }
    let list = || world.client.list_objects_v2().bucket(BUCKET);
    let mut pages = list().prefix("raw/").max_keys(2).into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        seen.extend(page.contents().iter().map(|it| it.key().unwrap().to_owned()));
    }
    assert_eq!(seen, &keys[..5]);

    let after = list().start_after("raw/a/2").send().await.unwrap();
    let after: Vec<_> = after.contents().iter().map(|it| it.key().unwrap()).collect();
    assert_eq!(after, ["raw/a/3", "raw/b/1", "raw2/x"]);

    let one = list().prefix("raw/b/").max_keys(1).send().await.unwrap();
    assert_eq!(one.contents()[0].size(), Some(7));
    assert_eq!((one.key_count(), one.is_truncated()), (Some(1), Some(false)));
    assert_eq!(list().prefix("none/").send().await.unwrap().key_count(), Some(0));

    let folders = list().prefix("raw/").delimiter("/").send().await.unwrap();
    let folders: Vec<_> = folders.common_prefixes().iter().map(|it| it.prefix().unwrap()).collect();
    assert_eq!(folders, ["raw/a-b/", "raw/a/", "raw/b/"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_half_bodies_are_swept() {
    let world = world().await;
    world.put("a", b"kept").metadata("pin", "7").send().await.unwrap();
    world.store.stop().await;
    std::fs::write(world.dir.path().join(".incoming/9"), "half a body").unwrap();
    let store = Store::start(StoreOptions::new(world.dir.path())).await.unwrap();
    let client = client(&store.endpoint(), "demo-secret");
    let head = client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["pin"], "7");
    assert!(!world.dir.path().join(".incoming/9").exists());
}

#[tokio::test]
async fn a_stopped_store_answers_nobody() {
    let world = world().await;
    world.put("a", b"x").send().await.unwrap();
    let address = world.store.endpoint();
    world.store.stop().await;
    let refused = tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await;
    assert!(refused.is_err());
}
