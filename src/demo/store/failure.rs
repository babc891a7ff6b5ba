//! What the store answers where it does not do what it was asked.

use std::io;

use hyper::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};

use super::files::TreeError;

pub(super) fn tree(error: TreeError) -> S3Error {
    match error {
        TreeError::NoSuchBucket => s3_error!(NoSuchBucket, "{error}"),
        TreeError::NoSuchKey => s3_error!(NoSuchKey, "{error}"),
        TreeError::Taken => s3_error!(PreconditionFailed, "{error}"),
        TreeError::BadKey(_) => s3_error!(InvalidArgument, "{error}"),
        TreeError::Io(error) => io(error),
    }
}

pub(super) fn io(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
        _ => S3Error::internal_error(error),
    }
}

/// As MinIO says it, for S3 itself has no such answer.
pub(super) fn full() -> S3Error {
    let code = S3ErrorCode::Custom("XMinioStorageFull".into());
    let mut error = S3Error::with_message(code, "the store has no room left");
    error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
    error
}
