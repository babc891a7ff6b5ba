//! The stored bytes of one object, as they come from an encoder.
//!
//! Uploads share them; the CRC32 is taken on the way, so that the store can check what it got.
//! With a spool, what exceeds the head moves to a file, and what follows goes there buffer by
//! buffer. Where the file fails, all that is not in it stays in memory: what stands in the file is
//! always the beginning of the object.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;

use crate::record::{Body, Spool, SpooledBytes};

const FIRST_SEGMENT: usize = 4 << 10;
pub(super) const LARGEST_SEGMENT: usize = 1 << 20;
/// The CRC32 is taken of so much at a time: a line alone is too short for its fast path to pay, and what
/// is much more has left the processor's nearest cache.
const SUMMED_AT_ONCE: usize = 16 << 10;

/// A growing list of byte segments and their CRC32.
#[derive(Default)]
pub(super) struct Segments {
    spooled: Option<SpooledBytes>,
    full: Vec<Bytes>,
    open: Vec<u8>,
    crc: crc32fast::Hasher,
    /// How much of the open segment is in the CRC32.
    summed: usize,
    /// What is in memory.
    held: usize,
    len: u64,
    /// Where to move what exceeds the head; none once that failed.
    spool: Option<Arc<dyn Spool>>,
}

impl Segments {
    /// None yet, with a spool to move to.
    pub(super) fn new(spool: Option<Arc<dyn Spool>>) -> Self {
        Self { spool, ..Self::default() }
    }

    pub(super) fn into_body(mut self) -> Body {
        self.sum();
        if !self.open.is_empty() {
            self.open.shrink_to_fit();
            self.full.push(Bytes::from(self.open));
        }
        Body { spooled: self.spooled, segments: self.full, crc32: self.crc.finalize() }
    }

    /// The number of bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The memory that they take: not what is in a file, but the buffer on its way there.
    pub(super) fn held(&self) -> u64 {
        let buffer = if self.spooled.is_some() { self.open.capacity() } else { 0 };
        self.held.max(buffer) as u64
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
        self.took(from);
    }

    /// Counts what was added to the open segment from there on.
    fn took(&mut self, from: usize) {
        let count = self.open.len() - from;
        self.held += count;
        self.len += count as u64;
        if self.open.len() - self.summed >= SUMMED_AT_ONCE {
            self.sum();
        }
    }

    /// Takes the CRC32 of what it has not seen of the open segment.
    fn sum(&mut self) {
        self.crc.update(&self.open[self.summed..]);
        self.summed = self.open.len();
    }

    /// Makes room: in a file where there is one, else in another segment.
    fn next_segment(&mut self) {
        self.sum();
        self.summed = 0;
        if self.spill() {
            return;
        }
        // Each is twice the one before, so that small objects stay small.
        let most = self.spool.as_ref().map_or(LARGEST_SEGMENT, |spool| spool.head().max(1));
        let capacity = (self.open.capacity() * 2).clamp(FIRST_SEGMENT.min(most), most);
        let full = std::mem::replace(&mut self.open, Vec::with_capacity(capacity));
        if !full.is_empty() {
            self.full.push(Bytes::from(full));
        }
    }

    /// Moves what is in memory to the file, if it exceeds the head. What fails is not tried again
    /// for this object: it would be with each buffer.
    fn spill(&mut self) -> bool {
        let Some(spool) = self.spool.as_ref().filter(|spool| self.held >= spool.head()) else {
            return false;
        };
        if self.spooled.is_none() {
            self.spooled = spool.open().map(|file| SpooledBytes { file, len: 0 });
        }
        let moved = self.spooled.as_mut().is_some_and(|spooled| {
            let each = self.full.iter().map(|segment| &segment[..]).chain([&self.open[..]]);
            append(spooled, each).is_ok()
        });
        if !moved {
            self.spool = None;
            self.spooled.take_if(|spooled| spooled.len == 0);
            return false;
        }
        self.full.clear();
        self.open.clear();
        self.held = 0;
        true
    }
}

/// Writes all the segments behind what is there, or none of them.
fn append<'a>(
    spooled: &mut SpooledBytes,
    segments: impl Iterator<Item = &'a [u8]>,
) -> io::Result<()> {
    let mut end = spooled.len;
    for segment in segments {
        spooled.file.write(end, segment)?;
        end += segment.len() as u64;
    }
    spooled.len = end;
    Ok(())
}

impl Write for Segments {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.len() == self.open.capacity() {
            self.next_segment();
        }
        let from = self.open.len();
        let taken = bytes.len().min(self.open.capacity() - from);
        self.open.extend_from_slice(&bytes[..taken]);
        self.took(from);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::record::SpoolFile;

    /// Gives a file or not, and takes so many writes, of the next one a part.
    #[derive(Debug)]
    struct Failing {
        head: usize,
        gives: bool,
        writes: usize,
    }

    #[derive(Debug)]
    struct File {
        bytes: Mutex<Vec<u8>>,
        writes: Mutex<usize>,
    }

    impl Spool for Failing {
        fn head(&self) -> usize {
            self.head
        }

        fn open(&self) -> Option<Arc<dyn SpoolFile>> {
            let file = File { bytes: Mutex::default(), writes: Mutex::new(self.writes) };
            self.gives.then(|| Arc::new(file) as _)
        }
    }

    impl SpoolFile for File {
        fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let (mut held, mut left) = (self.bytes.lock().unwrap(), self.writes.lock().unwrap());
            held.truncate(at as usize);
            assert_eq!(held.len() as u64, at, "a hole");
            if *left == 0 {
                held.extend_from_slice(&bytes[..bytes.len() / 2]);
                return Err(io::ErrorKind::StorageFull.into());
            }
            *left -= 1;
            held.extend_from_slice(bytes);
            Ok(())
        }

        fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
            let held = self.bytes.lock().unwrap();
            Ok(Bytes::copy_from_slice(&held[at as usize..at as usize + len]))
        }

        fn damaged(&self) {}
    }

    fn written(spool: Failing, chunks: &[Vec<u8>]) -> (Segments, usize) {
        let mut segments = Segments::new(Some(Arc::new(spool)));
        let mut most = 0;
        for chunk in chunks {
            segments.write_all(chunk).expect("memory");
            most = most.max(segments.held() as usize);
        }
        (segments, most)
    }

    proptest! {
        #[test]
        fn every_byte_comes_back_wherever_the_spool_fails(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..40),
            head in 1usize..20_000, gives in any::<bool>(), writes in 0usize..12,
        ) {
            let (segments, _) = written(Failing { head, gives, writes }, &chunks);
            let wanted = chunks.concat();
            prop_assert_eq!(segments.len(), wanted.len() as u64);
            let body = segments.into_body();
            prop_assert!(gives || body.spooled.is_none());
            prop_assert_eq!(body.len(), wanted.len() as u64);
            prop_assert_eq!(body.crc32, crc32fast::hash(&wanted));
            prop_assert_eq!(body.joined().unwrap(), wanted);
        }

        #[test]
        fn memory_holds_little_more_than_the_head(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..40),
            head in 1usize..20_000,
        ) {
            let (segments, most) =
                written(Failing { head, gives: true, writes: usize::MAX }, &chunks);
            prop_assert!(most <= 2 * head, "{} of {}", most, head);
            prop_assert!(segments.into_body().in_memory() <= 2 * head as u64);
        }
    }

    #[test]
    fn what_the_spool_does_not_take_counts_as_memory() {
        let chunks = vec![vec![7; 1000]; 100];
        let (segments, most) = written(Failing { head: 5000, gives: true, writes: 4 }, &chunks);
        let spooled = segments.spooled.as_ref().map_or(0, |spooled| spooled.len);
        assert!(spooled > 0);
        assert_eq!(most as u64, 100_000 - spooled);
        let (_, most) = written(Failing { head: 5000, gives: false, writes: 0 }, &chunks);
        assert_eq!(most, 100_000);
    }
}
