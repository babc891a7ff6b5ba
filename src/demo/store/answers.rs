//! From what is stored to what S3 answers, and from S3's inputs to what is stored.

use std::time::SystemTime;

use s3s::Body;
use s3s::dto::*;

use super::files::{Sidecar, Stored};
use super::listing::Page;

pub(super) fn sidecar(
    key: String,
    content_type: Option<String>,
    content_encoding: Option<String>,
    metadata: Option<Metadata>,
) -> Sidecar {
    let metadata = metadata.unwrap_or_default().into_iter().collect();
    Sidecar { key, content_type, content_encoding, metadata, ..Sidecar::default() }
}

pub(super) fn tag(etag: String) -> Option<ETag> {
    (!etag.is_empty()).then_some(ETag::Strong(etag))
}

/// The checksums that the client sent, taken out of an input of whatever operation.
macro_rules! sent_checksums {
    ($input:expr) => {
        Checksum {
            checksum_crc32: $input.checksum_crc32.take(),
            checksum_crc32c: $input.checksum_crc32c.take(),
            checksum_crc64nvme: $input.checksum_crc64nvme.take(),
            checksum_sha1: $input.checksum_sha1.take(),
            checksum_sha256: $input.checksum_sha256.take(),
            ..Checksum::default()
        }
    };
}

pub(super) use sent_checksums;

pub(super) fn head(stored: Stored, with_checksum: bool) -> HeadObjectOutput {
    let Sidecar { etag, crc32, content_type, content_encoding, metadata, .. } = stored.sidecar;
    HeadObjectOutput {
        content_length: Some(stored.size as i64),
        content_type,
        content_encoding,
        checksum_crc32: Some(crc32).filter(|it| with_checksum && !it.is_empty()),
        e_tag: tag(etag),
        last_modified: Some(stored.modified.into()),
        metadata: Some(metadata.into_iter().collect()),
        ..Default::default()
    }
}

/// `part` is the Content-Range, where only a part was asked for.
pub(super) fn get(bytes: Vec<u8>, stored: Stored, part: Option<String>) -> GetObjectOutput {
    let Sidecar { etag, crc32, content_type, content_encoding, metadata, .. } = stored.sidecar;
    GetObjectOutput {
        content_length: Some(bytes.len() as i64),
        body: Some(Body::from(bytes).into()),
        content_type,
        content_encoding,
        // Of the whole, so it would be wrong beside a part of it.
        checksum_crc32: Some(crc32).filter(|it| part.is_none() && !it.is_empty()),
        content_range: part,
        e_tag: tag(etag),
        last_modified: Some(stored.modified.into()),
        metadata: Some(metadata.into_iter().collect()),
        ..Default::default()
    }
}

pub(super) fn list(
    input: ListObjectsV2Input,
    page: &Page<'_, (u64, SystemTime)>,
    max: i32,
) -> ListObjectsV2Output {
    let contents = page.objects.iter().map(|(key, (size, modified))| Object {
        key: Some((*key).to_owned()),
        size: Some(*size as i64),
        last_modified: Some((*modified).into()),
        ..Default::default()
    });
    let folders = page.folders.iter().map(|it| CommonPrefix { prefix: Some((*it).to_owned()) });
    ListObjectsV2Output {
        key_count: Some((page.objects.len() + page.folders.len()) as i32),
        contents: Some(contents.collect()),
        common_prefixes: Some(folders.collect()),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(str::to_owned),
        max_keys: Some(max),
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        continuation_token: input.continuation_token,
        start_after: input.start_after,
        ..Default::default()
    }
}
