//! What a failure means: its class, and how to mend it.
//!
//! Fed by `errors`. A pure table of what AWS, MinIO and their kin answer; where a code is not
//! known, the HTTP status decides. Every class is tried again in the end, so a wrong guess costs
//! time, never a record.

use super::errors::{Asked, Cause};
use crate::record::StoreErrorClass::{self, Configuration, Conflict, Full, Retry, Unreadable};

/// A class and a hint.
pub(super) struct Verdict {
    pub(super) class: StoreErrorClass,
    pub(super) mend: String,
}

fn verdict(class: StoreErrorClass, mend: impl Into<String>) -> Verdict {
    Verdict { class, mend: mend.into() }
}

/// Credentials that were good once: new ones are fetched before the next try.
pub(super) const EXPIRED: &[&str] =
    &["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"];

/// The store is busy, or gave up on a slow request.
const BUSY: &[&str] = &[
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "IncompleteBody",
    "KMS.ThrottlingException",
];

/// The store has no room for us.
const FULL: &[&str] = &[
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "QuotaExceeded",
    "QuotaExceededException",
    "StorageQuotaExceeded",
    "StorageFull",
    "InsufficientCapacity",
];

/// Judges a failure.
pub(super) fn judge(asked: &Asked, cause: &Cause) -> Verdict {
    match cause {
        Cause::Refused { status, code: Some(code), text, region } => passing(code)
            .or_else(|| by_identity(asked, code, text))
            .or_else(|| by_setting(code))
            .or_else(|| by_place(code, region.as_deref()))
            .unwrap_or_else(|| by_status(asked, *status)),
        Cause::Refused { status: 301 | 307, region, .. } => wrong_region(region.as_deref()),
        Cause::Refused { status, .. } => by_status(asked, *status),
        Cause::TimedOut(_) => verdict(
            Retry,
            "it is tried again; if the line is slow, raise s3.request_timeout or lower s3.min_throughput",
        ),
        Cause::Unreachable(text) => unreachable(text),
        Cause::NoCredentials(_) => verdict(
            Retry,
            "it is tried again; give credentials by environment, profile, web identity, container or instance role",
        ),
        Cause::Damaged | Cause::Unreadable(_) => verdict(
            Unreadable,
            "nothing was stored; it is tried again, and if that does not help the records are read again from Kafka; check the disk and the memory of this machine",
        ),
        Cause::Odd(_) => {
            verdict(Configuration, "check s3.bucket, s3.endpoint and s3.force_path_style")
        }
    }
}

/// Codes of what heals by itself, or by somebody who makes room.
fn passing(code: &str) -> Option<Verdict> {
    Some(match code {
        code if EXPIRED.contains(&code) => {
            verdict(Retry, "it is tried again with fresh credentials")
        }
        code if FULL.contains(&code) => full(),
        code if BUSY.contains(&code) => verdict(Retry, "it is tried again"),
        "ConditionalRequestConflict" | "OperationAborted" => conflict(),
        "NoSuchUpload" | "InvalidPart" => {
            verdict(Retry, "somebody aborted the upload; it is begun again")
        }
        "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" => {
            verdict(Retry, "the bytes did not arrive as they were sent; it is tried again")
        }
        _ => return None,
    })
}

/// Codes about who asks.
fn by_identity(asked: &Asked, code: &str, text: &str) -> Option<Verdict> {
    let mend = match code {
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => {
            return Some(denied(asked, text));
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "NotSignedUp" => {
            "the store does not know these credentials: check the access key, its secret and its session token"
        }
        "RequestTimeTooSkewed" => {
            "this machine's clock is off by more than 15 minutes: let NTP (chrony) set it"
        }
        _ => return None,
    };
    Some(verdict(Configuration, mend))
}

/// Codes that one setting mends.
fn by_setting(code: &str) -> Option<Verdict> {
    let mend = match code {
        "NoSuchBucket" => "set s3.bucket to a bucket that exists, or make it",
        "InvalidBucketName" => "s3.bucket is no name of a bucket",
        "InvalidStorageClass" => "set s3.storage_class to one the store has",
        "InvalidEncryptionAlgorithmError" => {
            "set s3.server_side_encryption to AES256, aws:kms or aws:kms:dsse"
        }
        "EntityTooLarge" => "lower s3.multipart_threshold or rotation.max_bytes",
        "EntityTooSmall" => "raise s3.multipart_part_size to 5MiB or more",
        "KeyTooLongError" | "XMinioInvalidObjectName" => {
            "shorten layout.prefix or the values in layout.partition_by"
        }
        code if code.contains("KMS") || code == "InvalidKeyArn" => {
            "check s3.kms_key_id, its state and its region"
        }
        _ => return None,
    };
    Some(verdict(Configuration, mend))
}

fn denied(asked: &Asked, text: &str) -> Verdict {
    let Asked { operation, right, place } = asked;
    if text.contains("kms:") || text.contains("KMS") {
        let mend = "allow kms:GenerateDataKey and kms:Decrypt on s3.kms_key_id";
        return verdict(Configuration, mend);
    }
    if *operation == "HeadObject" {
        let mend = "HEAD needs s3:GetObject, and without s3:ListBucket a missing key is denied too: allow both, and check the credentials";
        return verdict(Configuration, mend);
    }
    verdict(Configuration, format!("the credentials must be known, and need {right} on {place}"))
}

fn conflict() -> Verdict {
    verdict(Conflict, "another request for the same name is going on; it is tried again")
}

fn full() -> Verdict {
    verdict(Full, "the store is full or its quota is used up: make room; it is tried again")
}

/// Codes of a request that reached the wrong place.
fn by_place(code: &str, region: Option<&str>) -> Option<Verdict> {
    matches!(
        code,
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "IncorrectEndpoint"
    )
    .then(|| wrong_region(region))
}

fn wrong_region(region: Option<&str>) -> Verdict {
    match region {
        Some(region) => {
            verdict(Configuration, format!("the bucket is there: set s3.region = \"{region}\""))
        }
        None => verdict(
            Configuration,
            "set s3.region to the region of the bucket, and check s3.endpoint",
        ),
    }
}

/// Where no code says it: an answer to HEAD, a proxy's page, a store with words of its own.
fn by_status(asked: &Asked, status: u16) -> Verdict {
    let operation = asked.operation;
    match status {
        507 => full(),
        501 => verdict(Configuration, format!("the store has no {operation} of this kind")),
        409 => conflict(),
        408 | 429 | 500.. => verdict(Retry, "it is tried again"),
        401 | 403 => denied(asked, ""),
        // HEAD tells neither an expired token nor a wrong region by more than this.
        400 if asked.is_head() => verdict(
            Retry,
            "it is tried again with fresh credentials; if it lasts, check s3.region and the credentials",
        ),
        404 if operation == "HeadBucket" => {
            verdict(Configuration, "set s3.bucket to a bucket that exists, or make it")
        }
        413 => verdict(Configuration, "lower s3.multipart_threshold or rotation.max_bytes"),
        _ => verdict(Configuration, "if this is not an answer of S3, check s3.endpoint"),
    }
}

/// No answer at all. Most of it heals by itself; TLS and a name that does not resolve rarely do.
fn unreachable(text: &str) -> Verdict {
    if text.contains("certificate") {
        let mend =
            "the store's certificate is not trusted: name its CA by SSL_CERT_FILE or AWS_CA_BUNDLE";
        return verdict(Configuration, mend);
    }
    if text.contains("InvalidContentType") || text.contains("invalid HTTP version") {
        return verdict(Configuration, "check whether s3.endpoint begins with http:// or https://");
    }
    if text.contains("dns error") || text.contains("lookup address") {
        let mend = "it is tried again; check s3.endpoint and s3.region, and set s3.force_path_style where the store has no names of the form bucket.host";
        return verdict(Retry, mend);
    }
    verdict(Retry, "it is tried again; check s3.endpoint and the network if it lasts")
}

#[cfg(test)]
mod tests;
