//! What is asked of the store, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::spool::SpooledBytes;

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectAddress {
    /// The bucket.
    pub bucket: Arc<str>,
    /// The key within the bucket.
    pub key: Arc<str>,
}

impl std::fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// The user metadata of an object, without the `x-amz-meta-` prefix; names are lower case.
pub type ObjectMetadata = BTreeMap<String, String>;

/// The stored bytes of an object, shared, not copied, between tries.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The bytes that stand in a spool, before those in memory.
    pub spooled: Option<SpooledBytes>,
    /// The bytes in memory, in order.
    pub segments: Vec<Bytes>,
    /// The CRC32 (IEEE) over all of them.
    pub crc32: u32,
}

impl Body {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        self.spooled() + self.in_memory()
    }

    /// The number of those that stand in a spool.
    pub fn spooled(&self) -> u64 {
        self.spooled.as_ref().map_or(0, |spooled| spooled.len)
    }

    /// The number of those in memory.
    pub fn in_memory(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len() as u64).sum()
    }

    /// All of them in one piece, which is for small ones.
    pub fn joined(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len() as usize);
        if let Some(SpooledBytes { file, len }) = &self.spooled {
            bytes.extend_from_slice(&file.read(0, *len as usize)?);
        }
        self.segments.iter().for_each(|segment| bytes.extend_from_slice(segment));
        Ok(bytes)
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One object to be put under a name that must be free.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// Its address.
    pub address: ObjectAddress,
    /// Its bytes.
    pub body: Body,
    /// Its content type.
    pub content_type: &'static str,
    /// Its user metadata.
    pub metadata: ObjectMetadata,
    /// Whether to send `If-None-Match: *`; off only where the store does not honour it.
    pub if_none_match: bool,
}

/// A put that the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there, by this put.
    Stored,
    /// The name was taken (412): HEAD decides by whom.
    Taken,
}

/// A HEAD that the store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadOutcome {
    /// There is an object of that name.
    Found {
        /// Its user metadata.
        metadata: ObjectMetadata,
        /// Its size in bytes.
        size: u64,
    },
    /// There is none.
    Missing,
}

/// What the caller does about a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreErrorClass {
    /// Try again with backoff: 5xx, SlowDown, timeouts, cut connections, no credentials yet.
    Retry,
    /// 409: a concurrent operation on the same name; try again soon.
    Conflict,
    /// Wrong configuration or missing rights: say which setting, stay not ready, keep trying.
    Configuration,
    /// The store cannot take any more (full, quota): keep trying, say so.
    Full,
    /// What was to be sent cannot be read back from the spool, or is not what was written: try
    /// again a few times, then read the records again.
    Unreadable,
}

impl StoreErrorClass {
    /// The value of the metric label `class`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Conflict => "conflict",
            Self::Configuration => "configuration",
            Self::Full => "full",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A request that the store refused or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What to do.
    pub class: StoreErrorClass,
    /// What, where, and how to mend it; without secrets.
    pub message: String,
}
