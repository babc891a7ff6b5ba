//! The small requests: look at an object, at a prefix, at the bucket, at the store's clock;
//! delete the probe's object.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use jiff::{SignedDuration, Timestamp};

use super::client::Store;
use super::errors::{Asked, Cause, Failure};
use crate::record::{HeadOutcome, ObjectAddress, StoreError};

impl Store {
    /// Looks at an object.
    pub async fn head(&self, address: &ObjectAddress) -> Result<HeadOutcome, StoreError> {
        Ok(match self.head_object(address).await? {
            None => HeadOutcome::Missing,
            Some((answer, _)) => HeadOutcome::Found {
                size: answer.content_length().unwrap_or_default().max(0) as u64,
                metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
            },
        })
    }

    /// The answer to HEAD, and the store's time of it; `None` is a 404.
    pub(super) async fn head_object(
        &self,
        address: &ObjectAddress,
    ) -> Result<Option<(HeadObjectOutput, Option<Timestamp>)>, Failure> {
        let asked = Asked::new("HeadObject", "s3:GetObject", address);
        let date = AnswerDate::default();
        let head = self.client().head_object().bucket(&*address.bucket).key(&*address.key);
        let head = head.customize().interceptor(date.clone());
        match self.send(&asked, self.limit(0), head.send()).await {
            Ok(answer) => {
                self.must_have_tag(&asked, answer.e_tag())?;
                Ok(Some((answer, date.get())))
            }
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether any object's key begins with `prefix`.
    pub async fn any_object(&self, bucket: &str, prefix: &str) -> Result<bool, StoreError> {
        let place = format!("s3://{bucket}/{prefix}");
        let asked = Asked::new("ListObjectsV2", "s3:ListBucket", place);
        let list = self.client().list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1);
        let answer = self.send(&asked, self.limit(0), list.send()).await?;
        Ok(!answer.contents().is_empty())
    }

    /// Deletes an object; none of that name is fine.
    pub async fn delete(&self, address: &ObjectAddress) -> Result<(), StoreError> {
        let asked = Asked::new("DeleteObject", "s3:DeleteObject", address);
        let delete = self.client().delete_object().bucket(&*address.bucket).key(&*address.key);
        self.send(&asked, self.limit(0), delete.send()).await?;
        Ok(())
    }

    /// Whether the bucket is there and may be seen.
    pub async fn head_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        let asked = Asked::new("HeadBucket", "s3:ListBucket", format!("s3://{bucket}"));
        let head = self.client().head_bucket().bucket(bucket);
        self.send(&asked, self.limit(0), head.send()).await?;
        Ok(())
    }

    /// Whether the store says that there is no bucket of that name.
    pub async fn is_gone(&self, bucket: &str) -> bool {
        let asked = Asked::new("HeadBucket", "s3:ListBucket", format!("s3://{bucket}"));
        let head = self.client().head_bucket().bucket(bucket);
        let answer = self.send(&asked, self.limit(0), head.send()).await;
        answer.is_err_and(|failure| failure.is_nowhere())
    }

    /// How far this machine's clock is ahead of the store's, to about a second. Any answer will
    /// do, a refusal too, for it is dated all the same.
    pub async fn clock_skew(&self, bucket: &str) -> Result<SignedDuration, StoreError> {
        let asked = Asked::new("HeadBucket", "s3:ListBucket", format!("s3://{bucket}"));
        let date = AnswerDate::default();
        let head = self.client().head_bucket().bucket(bucket);
        let head = head.customize().interceptor(date.clone());
        let answer = self.send(&asked, self.limit(0), head.send()).await;
        match (date.get(), answer) {
            (Some(theirs), _) => Ok(Timestamp::now().duration_since(theirs)),
            (None, Err(failure)) => Err(failure.into()),
            (None, Ok(_)) => {
                let text = "the answer has no Date, so it does not come from S3".to_owned();
                Err(self.failure(&asked, Cause::Odd(text)).into())
            }
        }
    }
}

/// Catches the `Date` of an answer, which the SDK does not pass on.
#[derive(Clone, Debug, Default)]
struct AnswerDate(Arc<Mutex<Option<Timestamp>>>);

impl AnswerDate {
    fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(http_date);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTime::from_str(text, DateTimeFormat::HttpDate).ok().and_then(|date| timestamp(&date))
}

/// The SDK's time in ours.
pub(super) fn timestamp(date: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(date.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(date.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
