//! A body on its way from the wire into a file, and the checksums that it must have.

use std::future::poll_fn;
use std::pin::pin;

use hyper::body::Body as _;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{Body, S3Error, S3Result, s3_error};
use tokio::io::AsyncWriteExt as _;

use super::failure;
use super::files::{Incoming, Tree};

/// A body that is complete and has the checksums that the client sent.
pub(super) struct Received {
    pub(super) file: Incoming,
    pub(super) size: u64,
    pub(super) crc32: String,
}

impl Received {
    /// From the content, and with a dash, so that no client takes it for an MD5.
    pub(super) fn etag(&self) -> String {
        etag(&self.crc32, self.size)
    }
}

pub(super) fn etag(crc32: &str, size: u64) -> String {
    let crc: String = crc32.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{crc}-{size}")
}

/// Takes a body in; `sent` are the checksums that it must have, `length` its size where told.
pub(super) async fn receive(
    tree: &Tree,
    body: Option<StreamingBlob>,
    length: Option<i64>,
    sent: Checksum,
) -> S3Result<Received> {
    let incoming = tree.incoming();
    let mut file = tokio::fs::File::create(incoming.path()).await.map_err(failure::io)?;
    let mut sums = hasher(&sent);
    let mut size = 0;
    let mut body = pin!(body.map_or_else(Body::empty, Body::from));
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame =
            frame.map_err(|error| S3Error::with_source(incomplete().code().clone(), error))?;
        if let Ok(bytes) = frame.into_data() {
            sums.update(&bytes);
            size += bytes.len() as u64;
            file.write_all(&bytes).await.map_err(failure::io)?;
        }
    }
    file.flush().await.map_err(failure::io)?;
    if length.is_some_and(|length| length as u64 != size) {
        return Err(incomplete());
    }
    let crc32 = checked(sums.finalize(), &sent)?;
    Ok(Received { file: incoming, size, crc32 })
}

fn incomplete() -> S3Error {
    s3_error!(IncompleteBody, "the body is shorter than its Content-Length")
}

/// CRC32 always, for the ETag; the others where the client sent them.
pub(super) fn hasher(sent: &Checksum) -> ChecksumHasher {
    ChecksumHasher {
        crc32: Some(Default::default()),
        crc32c: sent.checksum_crc32c.as_ref().map(|_| Default::default()),
        crc64nvme: sent.checksum_crc64nvme.as_ref().map(|_| Default::default()),
        sha1: sent.checksum_sha1.as_ref().map(|_| s3s::crypto::Checksum::new()),
        sha256: sent.checksum_sha256.as_ref().map(|_| s3s::crypto::Checksum::new()),
    }
}

/// Compares what came with what was sent, and gives the CRC32.
pub(super) fn checked(came: Checksum, sent: &Checksum) -> S3Result<String> {
    let pairs = [
        (&sent.checksum_crc32, &came.checksum_crc32),
        (&sent.checksum_crc32c, &came.checksum_crc32c),
        (&sent.checksum_crc64nvme, &came.checksum_crc64nvme),
        (&sent.checksum_sha1, &came.checksum_sha1),
        (&sent.checksum_sha256, &came.checksum_sha256),
    ];
    if pairs.iter().any(|(sent, came)| sent.is_some() && sent != came) {
        return Err(s3_error!(BadDigest, "the checksum sent is not that of the bytes that came"));
    }
    came.checksum_crc32.ok_or_else(|| s3_error!(InternalError, "the CRC32 was not computed"))
}
