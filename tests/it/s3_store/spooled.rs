//! Bodies that stand in a spool: read as they are sent, whole or in parts, and never wrong.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use kafka_s3_sink::record::{
    Body, HeadOutcome, PutOutcome, PutRequest, SpoolFile, SpooledBytes, StoreErrorClass,
};

use super::fixtures::{MIB, connect, request, segments, settings, with_bucket};
use super::multipart::expect_no_uploads;
use super::proxy::{Fault, Proxy};
use crate::support::minio::Minio;

/// A file that counts what is read of it, and fails when it is told to.
#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    read: AtomicU64,
    /// After so many more reads nothing can be read any more.
    reads_left: AtomicI64,
    /// One bit of each reading is another.
    lies: AtomicBool,
    damage_seen: AtomicBool,
}

impl SpoolFile for File {
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        unreachable!("it was written")
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
        assert!(len as u64 <= MIB, "{len} bytes at once");
        if self.reads_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.read.fetch_add(len as u64, Ordering::SeqCst);
        let mut bytes = self.bytes[at as usize..at as usize + len].to_vec();
        bytes[0] ^= u8::from(self.lies.load(Ordering::SeqCst));
        Ok(bytes.into())
    }

    fn damaged(&self) {
        self.damage_seen.store(true, Ordering::SeqCst);
    }
}

/// A request whose first bytes are spooled.
fn spooled(bucket: &str, spooled: usize, tail: usize) -> (PutRequest, Arc<File>) {
    let mut put = request(bucket, "x", segments(&[spooled, tail]));
    let file = Arc::new(File {
        bytes: put.body.segments.remove(0).to_vec(),
        read: AtomicU64::new(0),
        reads_left: AtomicI64::new(i64::MAX),
        lies: AtomicBool::new(false),
        damage_seen: AtomicBool::new(false),
    });
    let len = spooled as u64;
    put.body = Body { spooled: Some(SpooledBytes { file: file.clone(), len }), ..put.body };
    (put, file)
}

async fn is_there_as_it_was(server: &Minio, put: &PutRequest, file: &File) {
    let Body { segments, .. } = &put.body;
    let got = server.client().get_object().bucket(&*put.address.bucket).key("x").send().await;
    let bytes = got.expect("it").body.collect().await.expect("a body").into_bytes();
    assert!(bytes == [&file.bytes[..], &segments.concat()].concat(), "the bytes differ");
}

const SMALL: usize = 3 * MIB as usize + 17;
const LARGE: usize = 17 * MIB as usize - 5;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_put_from_the_spool_in_one_request_or_in_parts() {
    let Some(server) = Minio::shared() else { return };
    for (size, tail, times) in
        [(SMALL, 0, 1), (SMALL, 40_000, 1), (LARGE, 0, 2), (LARGE, 70_000, 2)]
    {
        let (store, bucket) = with_bucket(server, |_| ()).await;
        let (put, file) = spooled(&bucket, size, tail);
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
        is_there_as_it_was(server, &put, &file).await;
        // A part's sum goes out before its bytes, so it is read for that once more.
        assert_eq!(file.read.load(Ordering::SeqCst), times * size as u64);
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Taken));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_on_its_way_is_read_again() {
    let Some(server) = Minio::shared() else { return };
    let (_, bucket) = with_bucket(server, |_| ()).await;
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&settings(&proxy.endpoint())).await;
    proxy.plan(&["PUT ", "partNumber=2"], Fault::LoseReply);
    let (put, file) = spooled(&bucket, LARGE, 100);
    assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
    assert_eq!(proxy.faults(), 1);
    is_there_as_it_was(server, &put, &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_apart_from_the_store_and_can_be_put_later() {
    let Some(server) = Minio::shared() else { return };
    for (size, reads) in [(SMALL, 0), (SMALL, 5), (LARGE, 0), (LARGE, 30), (LARGE, 90)] {
        let (store, bucket) = with_bucket(server, |_| ()).await;
        let (put, file) = spooled(&bucket, size, 100);
        file.reads_left.store(reads, Ordering::SeqCst);
        let error = store.put(&put).await.expect_err("it cannot be read");
        assert_eq!(error.class, StoreErrorClass::Unreadable, "{error}");
        assert!(error.message.contains("memory.spool_dir"), "{error}");
        assert_eq!(store.head(&put.address).await, Ok(HeadOutcome::Missing));
        expect_no_uploads(server, &bucket).await;
        file.reads_left.store(i64::MAX, Ordering::SeqCst);
        assert_eq!(store.put(&put).await, Ok(PutOutcome::Stored));
        is_there_as_it_was(server, &put, &file).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_otherwise_than_it_was_written_becomes_no_object() {
    let Some(server) = Minio::shared() else { return };
    for size in [SMALL, LARGE] {
        let (store, bucket) = with_bucket(server, |_| ()).await;
        let (put, file) = spooled(&bucket, size, 100);
        file.lies.store(true, Ordering::SeqCst);
        let error = store.put(&put).await.expect_err("it is damaged");
        assert_eq!(error.class, StoreErrorClass::Unreadable, "{error}");
        assert!(file.damage_seen.load(Ordering::SeqCst));
        assert_eq!(store.head(&put.address).await, Ok(HeadOutcome::Missing));
        expect_no_uploads(server, &bucket).await;
    }
}
