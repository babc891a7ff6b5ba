use std::sync::Arc;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::*;

const PART: usize = 5 << 20;

impl World {
    async fn begin(&self, key: &str) -> String {
        let create = self
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .content_type("application/gzip")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .metadata("pin", "abc");
        create.send().await.unwrap().upload_id.unwrap()
    }

    async fn part(&self, key: &str, id: &str, number: i32, bytes: &[u8]) -> CompletedPart {
        let part = self
            .client
            .upload_part()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id)
            .part_number(number)
            .checksum_crc32(crc32(bytes))
            .body(ByteStream::from(bytes.to_vec()))
            .customize()
            .disable_payload_signing();
        let part = part.send().await.unwrap();
        CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
    }

    async fn complete(
        &self,
        key: &str,
        id: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<(), (u16, String)> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts)
            .if_none_match("*");
        match complete.send().await {
            Ok(done) => {
                assert!(done.e_tag().is_some());
                Ok(())
            }
            refused => Err(refusal(refused)),
        }
    }

    async fn open_uploads(&self) -> usize {
        let list = self.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        list.uploads().len()
    }
}

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[tokio::test]
async fn parts_become_one_object_when_they_are_completed() {
    let world = world().await;
    let id = world.begin("big/a").await;
    let (first, second) = (bytes(1, PART), bytes(2, 1_000));
    let last = world.part("big/a", &id, 2, &second).await;
    let one = world.part("big/a", &id, 1, &first).await;
    let missing = world.client.head_object().bucket(BUCKET).key("big/a").send().await;
    assert!(missing.is_err(), "nothing is visible before the completion");
    assert_eq!(world.open_uploads().await, 1);

    world.complete("big/a", &id, vec![one, last]).await.unwrap();
    assert_eq!(world.get("big/a").await, [first, second].concat());
    let head = world.client.head_object().bucket(BUCKET).key("big/a").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["pin"], "abc");
    assert_eq!(head.content_type(), Some("application/gzip"));
    assert_eq!(world.open_uploads().await, 0);
    assert_eq!(world.files(), ["lake/big/a"]);
}

#[tokio::test]
async fn a_second_completion_of_a_name_is_refused_and_its_parts_can_be_aborted() {
    let world = world().await;
    world.put("a", b"there").send().await.unwrap();
    let id = world.begin("a").await;
    let part = world.part("a", &id, 1, b"late").await;
    let refused = world.complete("a", &id, vec![part]).await;
    assert_eq!(refused, Err((412, "PreconditionFailed".to_owned())));
    assert_eq!(world.get("a").await, b"there");

    let abort = world.client.abort_multipart_upload().bucket(BUCKET).key("a").upload_id(&id);
    abort.clone().send().await.unwrap();
    assert_eq!(refusal(abort.send().await), (404, "NoSuchUpload".to_owned()));
    assert_eq!(world.files(), ["lake/a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_put_and_completions_at_once_exactly_one_wins() {
    let world = Arc::new(world().await);
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..8u8 {
        let id = world.begin("a").await;
        let part = world.part("a", &id, 1, &[number]).await;
        let world = Arc::clone(&world);
        racers.spawn(async move { world.complete("a", &id, vec![part]).await.is_ok() });
    }
    let put = world.put("a", b"put").if_none_match("*");
    racers.spawn(async move { put.send().await.is_ok() });
    let won = racers.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_completion_that_was_done_finds_no_upload_any_more() {
    let world = world().await;
    let id = world.begin("a").await;
    let part = world.part("a", &id, 1, b"x").await;
    world.complete("a", &id, vec![part.clone()]).await.unwrap();
    let again = world.complete("a", &id, vec![part]).await;
    assert_eq!(again, Err((404, "NoSuchUpload".to_owned())));
}

#[tokio::test]
async fn a_completion_must_name_the_parts_as_they_are() {
    let world = world().await;
    let id = world.begin("a").await;
    let small = world.part("a", &id, 1, b"small").await;
    let next = world.part("a", &id, 2, b"next").await;
    let strange = CompletedPart::builder().part_number(1).e_tag("\"other\"").build();
    let absent = CompletedPart::builder().part_number(9).build();
    for (parts, code) in [
        (vec![], "MalformedXML"),
        (vec![next.clone(), small.clone()], "InvalidPartOrder"),
        (vec![small.clone(), next.clone()], "EntityTooSmall"),
        (vec![strange], "InvalidPart"),
        (vec![absent], "InvalidPart"),
    ] {
        assert_eq!(world.complete("a", &id, parts).await, Err((400, code.to_owned())));
    }
    world.complete("a", &id, vec![small]).await.unwrap();
    assert_eq!(world.get("a").await, b"small");
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_one_before() {
    let world = world().await;
    let id = world.begin("a").await;
    world.part("a", &id, 1, b"first try").await;
    let second = world.part("a", &id, 1, b"second try").await;
    world.complete("a", &id, vec![second]).await.unwrap();
    assert_eq!(world.get("a").await, b"second try");
}
