//! Listings: the keys below a prefix, and multipart uploads that nobody completed.
//!
//! Fed by `cli`. When an object was made is left out on purpose: a store's clock decides nothing.

use aws_sdk_s3::types::EncodingType;

use super::client::Store;
use super::errors::{Asked, Cause};
use crate::record::StoreError;

/// Uploads that are listed at most.
const UPLOADS: i32 = 1000;

/// An object as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its tag and when it was put, by the store's clock: one that was put again is another, for
    /// its metadata may differ although its bytes are the same.
    pub tag: String,
    /// Its size in bytes.
    pub size: u64,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPage {
    /// Objects, in order of their keys.
    pub objects: Vec<ListedObject>,
    /// What keys have in common up to the next slash, where that was asked for, in order.
    pub folders: Vec<String>,
    /// What the next page is asked for with; none if there is no next page.
    pub next: Option<String>,
}

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenedUpload {
    /// The key that it is for.
    pub key: String,
    /// Its id.
    pub upload_id: String,
}

impl Store {
    /// A page of the keys below a prefix; with `folders`, of those up to the next slash.
    pub async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        folders: bool,
        next: Option<String>,
    ) -> Result<ListedPage, StoreError> {
        let asked = Asked::new("ListObjectsV2", "s3:ListBucket", format!("s3://{bucket}/{prefix}"));
        let list = self
            .client()
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            // A key may hold what XML cannot.
            .encoding_type(EncodingType::Url)
            .set_delimiter(folders.then(|| "/".to_owned()))
            .set_continuation_token(next);
        let answer = self.send(&asked, self.limit(0), list.send()).await?;
        let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let plain = |text: &str| if is_encoded { decoded(text) } else { text.to_owned() };
        let object = |object: &aws_sdk_s3::types::Object| ListedObject {
            key: plain(object.key().unwrap_or_default()),
            tag: tag_of(object),
            size: object.size().unwrap_or_default().max(0) as u64,
        };
        let folders = answer.common_prefixes().iter().filter_map(|it| it.prefix());
        let page = ListedPage {
            objects: answer.contents().iter().map(object).collect(),
            folders: folders.map(plain).collect(),
            next: answer.next_continuation_token().map(str::to_owned),
        };
        if answer.is_truncated() == Some(true) && page.next.is_none() {
            let text = "the listing goes on, and does not say where".to_owned();
            return Err(self.failure(&asked, Cause::Odd(text)).into());
        }
        Ok(page)
    }

    /// Multipart uploads below a prefix that were begun and neither completed nor aborted, the
    /// first thousand of them.
    pub async fn open_uploads(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<OpenedUpload>, StoreError> {
        let asked = Asked::new(
            "ListMultipartUploads",
            "s3:ListBucketMultipartUploads",
            format!("s3://{bucket}/{prefix}"),
        );
        let list = self.client().list_multipart_uploads().bucket(bucket).prefix(prefix);
        let list = list.encoding_type(EncodingType::Url).max_uploads(UPLOADS);
        let answer = self.send(&asked, self.limit(0), list.send()).await?;
        let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let uploads = answer.uploads().iter().map(|upload| {
            let key = upload.key().unwrap_or_default();
            OpenedUpload {
                key: if is_encoded { decoded(key) } else { key.to_owned() },
                upload_id: upload.upload_id().unwrap_or_default().to_owned(),
            }
        });
        Ok(uploads.collect())
    }
}

/// A key out of its URL encoding, in which a plus is a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                &after[2..]
            }
            (b'+', _) => {
                bytes.push(b' ');
                after
            }
            (byte, _) => {
                bytes.push(*byte);
                after
            }
        };
    }
    // A key is UTF-8 by its definition.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tag_of(object: &aws_sdk_s3::types::Object) -> String {
    let tag = object.e_tag().unwrap_or_default().trim_matches('"');
    match object.last_modified() {
        Some(put) => format!("{tag}@{}.{}", put.secs(), put.subsec_nanos()),
        None => tag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_out_of_their_encoding() {
        for (encoded, plain) in [
            ("raw/t/dt%3D2026-11-22/t-0-1.json.gz", "raw/t/dt=2026-11-22/t-0-1.json.gz"),
            ("a+b%2Bc", "a b+c"),
            ("%C3%A9%01", "\u{e9}\u{1}"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("", ""),
        ] {
            assert_eq!(decoded(encoded), plain);
        }
    }
}
