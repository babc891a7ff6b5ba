//! The layout's compact form, which travels in the pin, and its hash, which travels everywhere.
//!
//! Fed by `pin`, `batch` and `metadata`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::{
    Compression, Envelope, HiveKey, InvalidPolicy, IsolationLevel, Layout, TombstonePolicy,
};

/// The version of the code that decodes and routes. Raise it whenever a record would land
/// elsewhere or read otherwise.
pub(super) const CODE_VERSION: u16 = 1;

/// A layout as it stands in a pin: short names, for the broker takes 4,096 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CompactLayout {
    /// The code's version.
    #[serde(rename = "v")]
    pub(super) version: u16,
    b: String,
    p: String,
    d: String,
    k: Vec<HiveKey>,
    c: Compression,
    t: (i64, i64),
    e: Envelope,
    i: InvalidPolicy,
    n: TombstonePolicy,
    m: u32,
    s: IsolationLevel,
}

impl From<&Layout> for CompactLayout {
    fn from(layout: &Layout) -> Self {
        Self {
            version: CODE_VERSION,
            b: layout.bucket.to_string(),
            p: layout.prefix.to_string(),
            d: layout.dead_letter_prefix.to_string(),
            k: layout.partition_by.clone(),
            c: layout.compression,
            t: layout.usable_time,
            e: layout.envelope,
            i: layout.on_invalid,
            n: layout.on_tombstone,
            m: layout.max_record_bytes,
            s: layout.isolation_level,
        }
    }
}

impl From<CompactLayout> for Layout {
    fn from(compact: CompactLayout) -> Self {
        Self {
            bucket: Arc::from(compact.b),
            prefix: Arc::from(compact.p),
            dead_letter_prefix: Arc::from(compact.d),
            partition_by: compact.k,
            compression: compact.c,
            usable_time: compact.t,
            envelope: compact.e,
            on_invalid: compact.i,
            on_tombstone: compact.n,
            max_record_bytes: compact.m,
            isolation_level: compact.s,
        }
    }
}

/// The hash of all that decides which records stand where and how a line reads.
pub fn layout_hash(layout: &Layout) -> String {
    let compact = serde_json::to_vec(&CompactLayout::from(layout)).expect("a layout is plain data");
    short_hash(&compact)
}

/// The first 128 bits of SHA-256, in hexadecimal: groups, records and layouts are told apart by it.
pub fn short_hash(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)[..16].iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A layout for tests of this room.
    pub(crate) fn sample() -> Layout {
        Layout {
            bucket: "lake".into(),
            prefix: "raw".into(),
            dead_letter_prefix: "dead-letters".into(),
            partition_by: vec![HiveKey::Dt, HiveKey::Hour],
            compression: Compression::Gzip,
            usable_time: (946_684_800_000, 4_102_444_800_000),
            envelope: Envelope::None,
            on_invalid: InvalidPolicy::DeadLetter,
            on_tombstone: TombstonePolicy::Skip,
            max_record_bytes: 16 << 20,
            isolation_level: IsolationLevel::ReadCommitted,
        }
    }

    #[test]
    fn a_layout_survives_its_compact_form() {
        let layout = Layout {
            partition_by: vec![HiveKey::Field { name: "Country".into(), key: "region".into() }],
            ..sample()
        };
        let text = serde_json::to_string(&CompactLayout::from(&layout)).unwrap();
        let back: CompactLayout = serde_json::from_str(&text).unwrap();
        assert_eq!(Layout::from(back), layout);
    }

    #[test]
    fn the_hash_is_pinned_for_it_is_stored_in_buckets() {
        assert_eq!(layout_hash(&sample()), "975ea3507ca42f7cd57d774d71c7956d");
        assert_ne!(layout_hash(&sample()), layout_hash(&Layout { prefix: "r".into(), ..sample() }));
    }
}
