//! The S3 operations, each a few lines over `files` and `multipart`.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::answers::{self, sent_checksums, sidecar, tag};
use super::failure;
use super::faults::Faults;
use super::files::{Sidecar, Stored, Tree};
use super::listing::{Query, page};
use super::multipart::Uploads;
use super::receive::receive;

/// S3 gives at most this many keys a page.
const PAGE_MAX: i32 = 1_000;

/// The store behind the HTTP service.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) tree: Arc<Tree>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) faults: Arc<Faults>,
}

impl Endpoint {
    /// Runs file work where it may block.
    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let endpoint = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&endpoint)).await;
        done.map_err(S3Error::internal_error)?
    }

    async fn need_bucket(&self, bucket: &str) -> S3Result<()> {
        let bucket = bucket.to_owned();
        self.on_files(move |it| it.tree.need_bucket(&bucket).map(drop).map_err(failure::tree)).await
    }

    async fn look(&self, bucket: String, key: String) -> S3Result<Stored> {
        self.on_files(move |it| it.tree.look(&bucket, &key).map_err(failure::tree)).await
    }

    /// Whether only a free name will do; other conditions are refused rather than overlooked.
    fn only_if_free(
        &self,
        if_none_match: Option<&IfNoneMatch>,
        if_match: Option<&IfMatch>,
    ) -> S3Result<bool> {
        match (if_none_match, if_match) {
            (None, None) => Ok(false),
            (Some(condition), None) if condition.is_any() => {
                Ok(!self.faults.ignores_if_none_match())
            }
            _ => Err(s3_error!(NotImplemented, "of conditions only If-None-Match: * is known")),
        }
    }
}

#[async_trait::async_trait]
impl S3 for Endpoint {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = req.input.bucket;
        let location = format!("/{bucket}");
        let made =
            self.on_files(move |it| it.tree.create_bucket(&bucket).map_err(failure::io)).await?;
        if !made {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket is there already"));
        }
        let output = CreateBucketOutput { location: Some(location) };
        Ok(S3Response::new(output))
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.need_bucket(&req.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut req.input;
        self.need_bucket(&input.bucket).await?;
        let free = self.only_if_free(input.if_none_match.as_ref(), input.if_match.as_ref())?;
        let sent = sent_checksums!(input);
        let body = receive(&self.tree, input.body.take(), input.content_length, sent).await?;
        let input = req.input;
        let about = sidecar(input.key, input.content_type, input.content_encoding, input.metadata);
        let about = Sidecar { etag: body.etag(), crc32: body.crc32.clone(), ..about };
        let output = PutObjectOutput {
            e_tag: tag(about.etag.clone()),
            checksum_crc32: Some(about.crc32.clone()),
            ..Default::default()
        };
        let bucket = input.bucket;
        self.on_files(move |it| {
            it.tree.place(&bucket, &body.file, &about, free).map_err(failure::tree)
        })
        .await?;
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let stored = self.look(req.input.bucket, req.input.key).await?;
        let with_checksum = req.input.checksum_mode.is_some();
        Ok(S3Response::new(answers::head(stored, with_checksum)))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let mut stored = self.look(req.input.bucket, req.input.key).await?;
        let size = stored.size;
        let range = match req.input.range {
            Some(range) => range.check(size)?,
            None => 0..size,
        };
        let (from, length) = (range.start, range.end - range.start);
        let (bytes, stored) = self
            .on_files(move |_| {
                let mut bytes = Vec::with_capacity(length as usize);
                stored.file.seek(SeekFrom::Start(from)).map_err(failure::io)?;
                (&stored.file).take(length).read_to_end(&mut bytes).map_err(failure::io)?;
                Ok((bytes, stored))
            })
            .await?;
        let part = req.input.range.map(|_| format!("bytes {from}-{}/{size}", range.end - 1));
        Ok(S3Response::new(answers::get(bytes, stored, part)))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, .. } = req.input;
        self.on_files(move |it| it.tree.remove(&bucket, &key).map_err(failure::tree)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let bucket = input.bucket.clone();
        let all = self.on_files(move |it| it.tree.list(&bucket).map_err(failure::tree)).await?;
        let max = input.max_keys.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
        let page = page(
            &all,
            Query {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref(),
                after: input.continuation_token.as_deref().or(input.start_after.as_deref()),
                max: max as usize,
            },
        );
        Ok(S3Response::new(answers::list(input, &page, max)))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        self.need_bucket(&input.bucket).await?;
        let about =
            sidecar(input.key.clone(), input.content_type, input.content_encoding, input.metadata);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(self.uploads.create(&input.bucket, about)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_algorithm: input.checksum_algorithm,
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &mut req.input;
        self.uploads.need(&input.upload_id, &input.bucket, &input.key)?;
        if !(1..=10_000).contains(&input.part_number) {
            return Err(s3_error!(InvalidArgument, "parts have numbers from 1 to 10,000"));
        }
        let sent = sent_checksums!(input);
        let part = receive(&self.tree, input.body.take(), input.content_length, sent).await?;
        let output = UploadPartOutput {
            e_tag: tag(part.etag()),
            checksum_crc32: Some(part.crc32.clone()),
            ..Default::default()
        };
        self.uploads.add(&input.upload_id, input.part_number, part)?;
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        self.uploads.need(&input.upload_id, &input.bucket, &input.key)?;
        let free = self.only_if_free(input.if_none_match.as_ref(), input.if_match.as_ref())?;
        let parts = input.multipart_upload.and_then(|it| it.parts).unwrap_or_default();
        let id = input.upload_id;
        let about =
            self.on_files(move |it| it.uploads.complete(&it.tree, &id, &parts, free)).await?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: tag(about.etag),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { upload_id, bucket, key, .. } = req.input;
        self.uploads.abort(&upload_id, &bucket, &key)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.need_bucket(&input.bucket).await?;
        let open = self.uploads.list(&input.bucket, input.prefix.as_deref().unwrap_or_default());
        let uploads = open.into_iter().map(|upload| MultipartUpload {
            key: Some(upload.key),
            upload_id: Some(upload.id),
            initiated: Some(upload.begun.into()),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(false),
            bucket: Some(input.bucket),
            prefix: input.prefix,
            ..Default::default()
        }))
    }
}
