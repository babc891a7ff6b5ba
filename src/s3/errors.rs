//! What went wrong, read out of the SDK's nested errors into one flat `Failure`.
//!
//! Fed by every request of this room; `classes` says what a failure means, and the caller gets
//! a `StoreError`. Nothing here may carry a secret: only codes, messages and addresses.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::classes;
use crate::record::{StoreError, StoreErrorClass};

/// Why no `Store` can be made from the settings.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// Neither the settings nor the environment say which region.
    #[error(
        "no region for the store: set s3.region, or AWS_REGION, or a region in the AWS profile"
    )]
    NoRegion,
    /// The endpoint cannot be used as it is written.
    #[error("s3.endpoint = \"{endpoint}\": {reason}; write it as https://host or http://host:port")]
    Endpoint {
        /// As it was given, without user and password.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bundle of certificates cannot be used.
    #[error("AWS_CA_BUNDLE = \"{path}\": {reason}; it must name a PEM file of certificates")]
    CaBundle {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was asked, for the message of a failure.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The operation as AWS names it, `PutObject`.
    pub(super) operation: &'static str,
    /// The right that it needs, `s3:PutObject`.
    pub(super) right: &'static str,
    /// Where: `s3://bucket/key`.
    pub(super) place: String,
}

impl Asked {
    pub(super) fn new(
        operation: &'static str,
        right: &'static str,
        place: impl fmt::Display,
    ) -> Self {
        Self { operation, right, place: place.to_string() }
    }

    /// Whether the answer has no body, and so tells little.
    pub(super) fn is_head(&self) -> bool {
        self.operation.starts_with("Head")
    }
}

/// A request that failed, as far as the answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The store answered with an error.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error code, where there is one.
        code: Option<String>,
        /// The store's own words.
        text: String,
        /// Where the bucket is, if the answer tells.
        region: Option<String>,
    },
    /// No answer within the time.
    TimedOut(Duration),
    /// No answer: a cut or refused connection, a name that does not resolve, TLS.
    Unreachable(String),
    /// No credentials could be had.
    NoCredentials(String),
    /// The bytes that are held are not those that were checksummed.
    Damaged,
    /// What is spooled cannot be read back.
    Unreadable(String),
    /// The request could not be made, or the answer is not one of S3.
    Odd(String),
}

impl Cause {
    /// Whether the store said this code.
    pub(super) fn is_code(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if codes.contains(&code.as_str()))
    }

    /// The HTTP status, where the store answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl<E> From<&SdkError<E, HttpResponse>> for Cause
where
    E: Error + ProvideErrorMetadata + 'static,
{
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(service) => refused(service.raw(), service.err()),
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(inner) if inner.is_other() => unsorted(chain(inner)),
                Some(inner) => Self::Unreachable(chain(inner)),
                None => Self::Unreachable(chain(error)),
            },
            SdkError::TimeoutError(_) => Self::Unreachable(chain(error)),
            // The answer began but broke off or made no sense: its effect is unknown.
            SdkError::ResponseError(response) if response.raw().status().as_u16() < 400 => {
                Self::Unreachable(chain(error))
            }
            SdkError::ResponseError(response) => Self::Refused {
                status: response.raw().status().as_u16(),
                code: None,
                text: chain(error),
                region: None,
            },
            _ => Self::Odd(chain(error)),
        }
    }
}

fn refused<E: ProvideErrorMetadata>(raw: &HttpResponse, error: &E) -> Cause {
    let header = |name| raw.headers().get(name).map(str::to_owned);
    // An answer to HEAD has no body, and so no code; MinIO says it in a header.
    let code = header("x-minio-error-code").or_else(|| error.code().map(str::to_owned));
    let html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    Cause::Refused {
        status: raw.status().as_u16(),
        code: code.filter(|_| !html),
        text: if html { "an HTML page" } else { error.message().unwrap_or_default() }.to_owned(),
        region: header("x-amz-bucket-region"),
    }
}

/// What the SDK does not sort: mostly credentials that it could not get, and connections that
/// were closed before the answer.
fn unsorted(text: String) -> Cause {
    let lower = text.to_lowercase();
    if lower.contains("credential") || lower.contains("identity") {
        // The chain tells of its last provider alone, which is rarely the one that was meant.
        Cause::NoCredentials(match std::env::var("AWS_PROFILE") {
            Ok(profile) if !profile.is_empty() => {
                format!(
                    "the profile {profile:?} (AWS_PROFILE) gives none, nor does anything else: {text}"
                )
            }
            _ => text,
        })
    } else {
        Cause::Unreachable(text)
    }
}

/// An error and its sources in one line, without what a source repeats.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

/// A failed request: its cause for this room, its class and words for the caller.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What happened.
    pub(super) cause: Cause,
    /// What the caller is told.
    pub(super) error: StoreError,
}

impl Failure {
    /// Judges a cause.
    pub(super) fn new(asked: &Asked, endpoint: &str, cause: Cause) -> Self {
        let verdict = classes::judge(asked, &cause);
        let said = Said(&cause);
        let Asked { operation, place, .. } = asked;
        let message = format!("{operation} {place} at {endpoint}: {said}; {}", verdict.mend);
        Self { cause, error: StoreError { class: verdict.class, message } }
    }

    /// Whether the name was taken.
    pub(super) fn is_taken(&self) -> bool {
        self.cause.status() == Some(412)
    }

    /// Whether what was asked for is not there, while its bucket is.
    pub(super) fn is_missing(&self) -> bool {
        self.cause.status() == Some(404) && !self.cause.is_code(&["NoSuchBucket"])
    }

    /// Whether it is a 404, of a key or of a bucket.
    pub(super) fn is_nowhere(&self) -> bool {
        self.cause.status() == Some(404)
    }

    /// Whether another try may help soon.
    pub(super) fn is_retry(&self) -> bool {
        self.error.class == StoreErrorClass::Retry
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// What the store said, or what kept it from saying anything.
struct Said<'a>(&'a Cause);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Refused { status, code, text, .. } => {
                write!(f, "{} ({status})", code.as_deref().unwrap_or("refused"))?;
                if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
            }
            Cause::TimedOut(limit) => write!(f, "no answer within {:.1} s", limit.as_secs_f64()),
            Cause::Unreachable(text) => write!(f, "no answer: {text}"),
            Cause::NoCredentials(text) => write!(f, "no credentials: {text}"),
            Cause::Damaged => f.write_str("the bytes that are held do not match their checksum"),
            Cause::Unreadable(text) => {
                write!(f, "the spool (memory.spool_dir) cannot be read: {text}")
            }
            Cause::Odd(text) => f.write_str(text),
        }
    }
}
