//! Large objects: parts of one size, several in flight, and one conditional completion.
//!
//! Fed by `put`. The name is claimed by the completion alone, so until then nothing is visible,
//! and whatever fails is aborted. A part or a completion that gets no answer is tried again here,
//! a few times within the time limit of the whole, for starting over would send every byte again.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use flate2::Crc;
use tokio::task::JoinSet;

use super::client::Store;
use super::errors::{Asked, Cause, Failure};
use super::parts::{OpenUpload, PARTS_IN_FLIGHT, SentPart, persist};
use super::pieces::{cut, pieces};
use crate::record::{PutOutcome, PutRequest, StoreError};

/// S3 takes no more parts.
const PARTS_MAX: u64 = 10_000;

impl Store {
    /// Puts an object in parts.
    pub(super) async fn put_in_parts(
        &self,
        request: &PutRequest,
    ) -> Result<PutOutcome, StoreError> {
        // The bytes go at the speed they go; creation, last part and completion wait for answers.
        let limit = self.limit(request.body.len()) + 3 * self.settings().request_timeout;
        match tokio::time::timeout(limit, self.put_parts_and_complete(request)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => {
                let asked = Asked::new("multipart upload", "s3:PutObject", &request.address);
                Err(self.failure(&asked, Cause::TimedOut(limit)).into())
            }
        }
    }

    async fn put_parts_and_complete(&self, request: &PutRequest) -> Result<PutOutcome, Failure> {
        let upload = Upload::create(self, request).await?;
        let sent = upload.send_parts(request).await?;
        upload.complete(request, sent).await
    }
}

/// A multipart upload that is open at the store, and aborted when dropped.
struct Upload {
    at: OpenUpload,
    open: bool,
}

impl Upload {
    /// Opens an upload.
    async fn create(store: &Store, request: &PutRequest) -> Result<Self, Failure> {
        let asked = Asked::new("CreateMultipartUpload", "s3:PutObject", &request.address);
        let create = store
            .client()
            .create_multipart_upload()
            .bucket(&*request.address.bucket)
            .key(&*request.address.key)
            .content_type(request.content_type)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_metadata(Some(request.metadata.clone().into_iter().collect()))
            .set_storage_class(store.storage_class())
            .set_server_side_encryption(store.encryption())
            .set_ssekms_key_id(store.settings().kms_key_id.clone());
        let answer = store.send(&asked, store.limit(0), create.send()).await?;
        let Some(id) = answer.upload_id else {
            let text = "the answer has no upload id, so it does not come from S3".to_owned();
            return Err(store.failure(&asked, Cause::Odd(text)));
        };
        let at = OpenUpload { store: store.clone(), address: request.address.clone(), id };
        Ok(Self { at, open: true })
    }

    /// Sends every part; the first that fails for good ends them all.
    async fn send_parts(&self, request: &PutRequest) -> Result<Vec<SentPart>, Failure> {
        let size = part_size(request.body.len(), self.at.store.settings().multipart_part_size);
        let mut waiting = cut(pieces(&request.body), size).into_iter();
        // Dropped with this future, and its tasks with it, before the upload is aborted.
        let mut flying = JoinSet::new();
        let mut sent = Vec::new();
        loop {
            while flying.len() < PARTS_IN_FLIGHT
                && let Some(part) = waiting.next()
            {
                flying.spawn(self.at.clone().send_part(part));
            }
            match flying.join_next().await {
                Some(Ok(part)) => sent.push(part?),
                Some(Err(error)) => return Err(self.lost_task(error)),
                None => break,
            }
        }
        sent.sort_by_key(|part| part.number);
        self.must_match(request, &sent)?;
        Ok(sent)
    }

    /// A part's task ends early only by a panic, which goes on here, or with the runtime.
    fn lost_task(&self, error: tokio::task::JoinError) -> Failure {
        match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => self.at.store.failure(
                &Asked::new("UploadPart", "s3:PutObject", &self.at.address),
                Cause::Unreachable(error.to_string()),
            ),
        }
    }

    /// The store has checked each part against its own sum; the parts' sums together must make
    /// up the object's, which was computed while it was written.
    fn must_match(&self, request: &PutRequest, sent: &[SentPart]) -> Result<(), Failure> {
        let mut whole = Crc::new();
        sent.iter().for_each(|part| whole.combine(&part.crc));
        if whole.sum() == request.body.crc32 {
            return Ok(());
        }
        if let Some(spooled) = &request.body.spooled {
            spooled.file.damaged();
        }
        let asked = Asked::new("multipart upload", "s3:PutObject", &self.at.address);
        Err(self.at.store.failure(&asked, Cause::Damaged))
    }

    /// Makes the parts an object, if its name is free.
    async fn complete(
        mut self,
        request: &PutRequest,
        sent: Vec<SentPart>,
    ) -> Result<PutOutcome, Failure> {
        let parts: Vec<CompletedPart> = sent.iter().map(SentPart::completed).collect();
        match persist(|| self.complete_once(request, parts.clone())).await {
            Ok(()) => {
                self.open = false;
                Ok(PutOutcome::Stored)
            }
            Err(failure) if failure.is_taken() => Ok(PutOutcome::Taken),
            // An earlier completion went through and its answer was lost; or somebody aborted
            // the upload. The caller looks with HEAD, and puts again if there is nothing.
            Err(failure) if failure.is_missing() => {
                self.open = false;
                Ok(PutOutcome::Taken)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn complete_once(
        &self,
        request: &PutRequest,
        parts: Vec<CompletedPart>,
    ) -> Result<(), Failure> {
        let asked = Asked::new("CompleteMultipartUpload", "s3:PutObject", &self.at.address);
        let complete = self
            .at
            .store
            .client()
            .complete_multipart_upload()
            .bucket(&*self.at.address.bucket)
            .key(&*self.at.address.key)
            .upload_id(&self.at.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_if_none_match(request.if_none_match.then(|| "*".to_owned()));
        let answer = self.at.store.send(&asked, self.at.store.limit(0), complete.send()).await?;
        self.at.store.must_have_tag(&asked, answer.e_tag())
    }
}

impl Drop for Upload {
    /// Parts that nobody completes are paid for until somebody aborts them. Where the runtime
    /// ends first, the bucket's rule for incomplete uploads has to do it.
    fn drop(&mut self) {
        if self.open
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.at.clone().abort());
        }
    }
}

/// The size of parts: what is wanted, or as much as keeps their number within what S3 takes.
fn part_size(len: u64, wanted: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    let least = len.div_ceil(PARTS_MAX);
    if wanted >= least { wanted } else { least.next_multiple_of(MIB) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_never_too_many() {
        const MIB: u64 = 1 << 20;
        for (len, wanted, size) in [
            (64 * MIB, 8 * MIB, 8 * MIB),
            (80_000 * MIB, 8 * MIB, 8 * MIB),
            (80_000 * MIB + 1, 8 * MIB, 9 * MIB),
            (5 << 40, 5 * MIB, 525 * MIB),
        ] {
            assert_eq!(part_size(len, wanted), size, "{len} bytes");
            assert!(len.div_ceil(part_size(len, wanted)) <= PARTS_MAX);
        }
    }
}
