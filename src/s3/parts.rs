//! The requests of one open multipart upload: a part, an abort, and trying again.
//!
//! Fed by `multipart`, which decides what is sent when.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::types::CompletedPart;
use flate2::Crc;

use super::body::{PiecesBody, checksum};
use super::client::Store;
use super::errors::{Asked, Cause, Failure};
use super::pieces::Part;
use crate::record::ObjectAddress;

/// Parts of one object on their way at the same time.
pub(super) const PARTS_IN_FLIGHT: usize = 4;

/// How often a part or a completion is sent before the whole upload fails.
const TRIES: u32 = 3;

/// The pause before the second try; the next is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The pauses before each try to abort.
const ABORT_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// A part that the store has.
pub(super) struct SentPart {
    pub(super) number: i32,
    pub(super) crc: Crc,
    tag: String,
}

impl SentPart {
    /// As the completion names it.
    pub(super) fn completed(&self) -> CompletedPart {
        CompletedPart::builder()
            .part_number(self.number)
            .e_tag(&self.tag)
            .checksum_crc32(checksum(self.crc.sum()))
            .build()
    }
}

/// An upload that the store has opened and nobody has completed.
#[derive(Clone)]
pub(super) struct OpenUpload {
    pub(super) store: Store,
    pub(super) address: ObjectAddress,
    pub(super) id: String,
}

impl OpenUpload {
    /// Sends a part until the store has it, or will not have it.
    pub(super) async fn send_part(self, part: Part) -> Result<SentPart, Failure> {
        let crc = part.crc().await.map_err(|error| {
            let cause = Cause::Unreadable(error.to_string());
            self.store.failure(&self.asked(), cause)
        })?;
        let tag = persist(|| self.send_once(&part, crc.sum())).await?;
        Ok(SentPart { number: part.number, crc, tag })
    }

    fn asked(&self) -> Asked {
        Asked::new("UploadPart", "s3:PutObject", &self.address)
    }

    async fn send_once(&self, part: &Part, sum: u32) -> Result<String, Failure> {
        let asked = self.asked();
        let body = PiecesBody::new(part.pieces.clone(), sum);
        let unreadable = body.unreadable();
        let upload = self
            .store
            .client()
            .upload_part()
            .bucket(&*self.address.bucket)
            .key(&*self.address.key)
            .upload_id(&self.id)
            .part_number(part.number)
            .content_length(part.len as i64)
            .checksum_crc32(checksum(sum))
            .body(body.into_stream())
            .customize()
            .disable_payload_signing();
        // The parts in flight share the line.
        let limit = self.store.limit(part.len * PARTS_IN_FLIGHT as u64);
        let answer = self.store.send(&asked, limit, upload.send()).await;
        let tell = |failure| self.store.unless_unreadable(&asked, failure, &unreadable);
        let answer = answer.map_err(tell)?;
        self.store.must_have_tag(&asked, answer.e_tag())?;
        Ok(answer.e_tag.unwrap_or_default())
    }

    /// Aborts it, until the store says that it is gone.
    pub(super) async fn abort(self) {
        let mut answered = false;
        for pause in ABORT_PAUSES {
            tokio::time::sleep(pause).await;
            match self.abort_once().await {
                // A part that was still on its way may have outlived the first abort.
                Ok(()) if answered => return,
                Ok(()) => answered = true,
                Err(failure) if failure.is_missing() => return,
                Err(failure) => tracing::debug!(error = %failure.error, "abort failed"),
            }
        }
        if !answered {
            tracing::warn!(
                object = %self.address, upload_id = self.id,
                "a multipart upload could not be aborted; its parts stay until the bucket's \
                 lifecycle rule AbortIncompleteMultipartUpload removes them"
            );
        }
    }

    async fn abort_once(&self) -> Result<(), Failure> {
        let asked = Asked::new("AbortMultipartUpload", "s3:AbortMultipartUpload", &self.address);
        let abort = self
            .store
            .client()
            .abort_multipart_upload()
            .bucket(&*self.address.bucket)
            .key(&*self.address.key)
            .upload_id(&self.id);
        self.store.send(&asked, self.store.limit(0), abort.send()).await?;
        Ok(())
    }
}

/// Tries again what got no answer or a passing error.
pub(super) async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match attempt().await {
            Err(failure) if failure.is_retry() => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause *= 4;
    }
    attempt().await
}
