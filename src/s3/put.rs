//! One object, one PutObject.
//!
//! The body goes out in its pieces under a checksum that was computed while it was written: the
//! CRC32 is checked by the store, and the signature leaves the payload out (half the CPU of an
//! upload). What is in memory is not hashed again.

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};

use super::body::{PiecesBody, Unreadable, checksum};
use super::client::Store;
use super::errors::{Asked, Cause, Failure};
use super::pieces::pieces;
use crate::record::{PutOutcome, PutRequest, StoreError};

/// The largest object that one PutObject takes.
const SINGLE_PUT_MAX: u64 = 5 << 30;

impl Store {
    /// Puts an object, in one request or in parts, as its size wants it.
    pub async fn put(&self, request: &PutRequest) -> Result<PutOutcome, StoreError> {
        if self.wants_parts(request) {
            return self.put_in_parts(request).await;
        }
        match self.put_whole(request).await {
            Ok(()) => Ok(PutOutcome::Stored),
            Err(failure) if failure.is_taken() => Ok(PutOutcome::Taken),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Where the completion of parts would overwrite a taken name, one request does it as long
    /// as it may.
    fn wants_parts(&self, request: &PutRequest) -> bool {
        let len = request.body.len();
        let safe = !request.if_none_match || self.honours_conditional_complete();
        len > SINGLE_PUT_MAX || (len >= self.settings().multipart_threshold && safe)
    }

    /// One PutObject.
    pub(super) async fn put_whole(&self, request: &PutRequest) -> Result<(), Failure> {
        let asked = Asked::new("PutObject", "s3:PutObject", &request.address);
        let len = request.body.len();
        let body = PiecesBody::new(pieces(&request.body), request.body.crc32);
        let unreadable = body.unreadable();
        let put = self
            .client()
            .put_object()
            .bucket(&*request.address.bucket)
            .key(&*request.address.key)
            .content_type(request.content_type)
            .content_length(len as i64)
            .checksum_crc32(checksum(request.body.crc32))
            .set_metadata(Some(request.metadata.clone().into_iter().collect()))
            .set_if_none_match(request.if_none_match.then(|| "*".to_owned()))
            .set_storage_class(self.storage_class())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.settings().kms_key_id.clone())
            .body(body.into_stream())
            .customize()
            .disable_payload_signing();
        let answer = self.send(&asked, self.limit(len), put.send()).await;
        let answer =
            answer.map_err(|failure| self.unless_unreadable(&asked, failure, &unreadable))?;
        self.must_have_tag(&asked, answer.e_tag())
    }

    /// A body that could not be read back looks like a connection that was cut.
    pub(super) fn unless_unreadable(
        &self,
        asked: &Asked,
        failure: Failure,
        unreadable: &Unreadable,
    ) -> Failure {
        match unreadable.get() {
            Some(text) => self.failure(asked, Cause::Unreadable(text.clone())),
            None => failure,
        }
    }

    /// Every S3 answers a write with an ETag. A web server that says 200 to anything does not,
    /// and must not pass for a store.
    pub(super) fn must_have_tag(&self, asked: &Asked, tag: Option<&str>) -> Result<(), Failure> {
        if tag.is_some() {
            return Ok(());
        }
        let text = "the answer has no ETag, so it does not come from S3".to_owned();
        Err(self.failure(asked, Cause::Odd(text)))
    }

    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.settings().storage_class.as_deref().map(StorageClass::from)
    }

    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        self.settings().server_side_encryption.as_deref().map(ServerSideEncryption::from)
    }
}
