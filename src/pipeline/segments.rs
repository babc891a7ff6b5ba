//! The stored bytes of one object, as they come from an encoder.
//!
//! Uploads share the segments; the CRC32 is taken on the way, so that the store can check what it got.

use std::io::{self, Write};

use bytes::Bytes;

use crate::record::Body;

const FIRST_SEGMENT: usize = 4 << 10;
pub(super) const LARGEST_SEGMENT: usize = 1 << 20;

/// A growing list of byte segments and their CRC32.
#[derive(Default)]
pub(super) struct Segments {
    full: Vec<Bytes>,
    open: Vec<u8>,
    crc: crc32fast::Hasher,
    pub(super) len: u64,
}

impl Segments {
    pub(super) fn into_body(mut self) -> Body {
        if !self.open.is_empty() {
            self.open.shrink_to_fit();
            self.full.push(Bytes::from(self.open));
        }
        Body { segments: self.full, crc32: self.crc.finalize() }
    }

    /// Room for more bytes, never none.
    #[cfg(feature = "isal")]
    pub(super) fn room(&mut self) -> &mut [std::mem::MaybeUninit<u8>] {
        if self.open.len() == self.open.capacity() {
            self.next_segment();
        }
        self.open.spare_capacity_mut()
    }

    /// Takes what was written at the beginning of the room.
    ///
    /// # Safety
    ///
    /// So many bytes of the room must have been written.
    #[cfg(feature = "isal")]
    pub(super) unsafe fn filled(&mut self, count: usize) {
        let from = self.open.len();
        debug_assert!(from + count <= self.open.capacity());
        // SAFETY: the caller has written them, and they lie within the capacity.
        unsafe { self.open.set_len(from + count) };
        self.crc.update(&self.open[from..]);
        self.len += count as u64;
    }

    /// Closes a full segment; each is twice the one before, so that small objects stay small.
    fn next_segment(&mut self) {
        let capacity = (self.open.capacity() * 2).clamp(FIRST_SEGMENT, LARGEST_SEGMENT);
        let full = std::mem::replace(&mut self.open, Vec::with_capacity(capacity));
        if !full.is_empty() {
            self.full.push(Bytes::from(full));
        }
    }
}

impl Write for Segments {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.len() == self.open.capacity() {
            self.next_segment();
        }
        let taken = bytes.len().min(self.open.capacity() - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        self.crc.update(&bytes[..taken]);
        self.len += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
