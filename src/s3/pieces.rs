//! The bytes of an object in stretches that are shared, in memory or in a spool's file, and cut
//! into parts without a copy.
//!
//! Fed by `put` and `multipart`; `body` sends them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Crc;

use crate::record::{Body, SpoolFile};

/// How much of a file is read at once.
pub(super) const READ: u64 = 256 << 10;

/// A stretch of bytes.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// In memory.
    Memory(Bytes),
    /// In a spool's file.
    Spooled(Range),
}

/// A stretch of a spool's file.
#[derive(Clone, Debug)]
pub(super) struct Range {
    file: Arc<dyn SpoolFile>,
    at: u64,
    len: u64,
}

impl Range {
    /// Reads all of it, which must be little.
    pub(super) fn read(&self) -> io::Result<Bytes> {
        let bytes = self.file.read(self.at, self.len as usize)?;
        match bytes.len() as u64 == self.len {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// It was read, and is not what was written.
    pub(super) fn damaged(&self) {
        self.file.damaged();
    }
}

impl Piece {
    /// The number of bytes.
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(range) => range.len,
        }
    }

    /// Takes as many bytes as that off its beginning.
    pub(super) fn split_to(&mut self, count: u64) -> Self {
        match self {
            Self::Memory(bytes) => Self::Memory(bytes.split_to(count as usize)),
            Self::Spooled(range) => {
                let head = Range { len: count, ..range.clone() };
                (range.at, range.len) = (range.at + count, range.len - count);
                Self::Spooled(head)
            }
        }
    }

    fn add_to(&self, crc: &mut Crc) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => crc.update(bytes),
            Self::Spooled(range) => {
                let mut rest = Self::Spooled(range.clone());
                while rest.len() > 0 {
                    if let Self::Spooled(range) = rest.split_to(rest.len().min(READ)) {
                        crc.update(&range.read()?);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The pieces of a body; empty ones are left out, for an empty frame means nothing.
pub(super) fn pieces(body: &Body) -> Vec<Piece> {
    let spooled = body.spooled.iter();
    let spooled = spooled.map(|it| Range { file: it.file.clone(), at: 0, len: it.len });
    let memory = body.segments.iter().cloned().map(Piece::Memory);
    spooled.map(Piece::Spooled).chain(memory).filter(|piece| piece.len() > 0).collect()
}

/// One part of a multipart upload.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its number, from 1.
    pub(super) number: i32,
    /// Its bytes, in order.
    pub(super) pieces: Vec<Piece>,
    /// Their number.
    pub(super) len: u64,
}

impl Part {
    /// The CRC32 of its bytes. What is spooled is read for it, and read again to be sent: the sum
    /// must be known before the first byte goes out.
    pub(super) async fn crc(&self) -> io::Result<Crc> {
        let pieces = self.pieces.clone();
        if pieces.iter().any(|piece| matches!(piece, Piece::Spooled(_))) {
            let sum = tokio::task::spawn_blocking(move || sum(&pieces));
            return sum.await.map_err(io::Error::other)?;
        }
        sum(&pieces)
    }
}

fn sum(pieces: &[Piece]) -> io::Result<Crc> {
    let mut crc = Crc::new();
    pieces.iter().try_for_each(|piece| piece.add_to(&mut crc))?;
    Ok(crc)
}

/// Cuts pieces into parts that are all of `part_size` but the last, which may be smaller: some
/// stores refuse a part of another size in the middle.
pub(super) fn cut(pieces: Vec<Piece>, part_size: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open = Part { number: 1, pieces: Vec::new(), len: 0 };
    for mut rest in pieces {
        while rest.len() > 0 {
            let fits = (part_size - open.len).min(rest.len());
            open.pieces.push(rest.split_to(fits));
            open.len += fits;
            if open.len == part_size {
                let next = Part { number: open.number + 1, pieces: Vec::new(), len: 0 };
                parts.push(std::mem::replace(&mut open, next));
            }
        }
    }
    if open.len > 0 {
        parts.push(open);
    }
    parts
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::SpooledBytes;

    use proptest::prelude::*;

    /// A spool's file in memory, which is as long as it is and no longer.
    #[derive(Debug)]
    pub(in crate::s3) struct Held(pub(in crate::s3) Vec<u8>);

    impl SpoolFile for Held {
        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
            let bytes = self.0.get(at as usize..at as usize + len);
            bytes.map(Bytes::copy_from_slice).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        }

        fn damaged(&self) {}
    }

    /// A body of which the first segments are spooled.
    pub(in crate::s3) fn body(sizes: &[usize], spooled: usize) -> Body {
        let mut next = 0u8;
        let mut byte = || {
            next = next.wrapping_mul(31).wrapping_add(7);
            next
        };
        let mut segments: Vec<Bytes> =
            sizes.iter().map(|size| (0..*size).map(|_| byte()).collect()).collect();
        let mut crc = Crc::new();
        segments.iter().for_each(|segment| crc.update(segment));
        let head: Vec<_> = segments.drain(..spooled.min(segments.len())).collect();
        let (file, len) = (Held(head.concat()), head.concat().len() as u64);
        let spooled = (spooled > 0).then(|| SpooledBytes { file: Arc::new(file), len });
        Body { spooled, segments, crc32: crc.sum() }
    }

    fn bytes_of(pieces: &[Piece]) -> Vec<u8> {
        let bytes = pieces.iter().map(|piece| match piece {
            Piece::Memory(bytes) => bytes.clone(),
            Piece::Spooled(range) => range.read().unwrap(),
        });
        bytes.collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn parts_are_uniform_and_hold_every_byte(
            sizes in prop::collection::vec(0usize..200, 0..20), spooled in 0usize..20,
            part_size in 1u64..300,
        ) {
            let body = body(&sizes, spooled);
            let parts = cut(pieces(&body), part_size);
            let joined: Vec<u8> = parts.iter().flat_map(|part| bytes_of(&part.pieces)).collect();
            prop_assert_eq!(joined, body.joined().unwrap());
            for (index, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.number as usize, index + 1);
                prop_assert_eq!(part.len, bytes_of(&part.pieces).len() as u64);
                let last = index + 1 == parts.len();
                prop_assert!(part.len == part_size || (last && part.len < part_size && part.len > 0));
            }
        }

        #[test]
        fn crcs_of_parts_combine_to_the_crc_of_the_whole(
            sizes in prop::collection::vec(0usize..200, 1..20), spooled in 0usize..20,
            part_size in 1u64..300,
        ) {
            let body = body(&sizes, spooled);
            let mut combined = Crc::new();
            for part in cut(pieces(&body), part_size) {
                combined.combine(&sum(&part.pieces).unwrap());
            }
            prop_assert_eq!(combined.sum(), body.crc32);
        }
    }

    #[test]
    fn parts_share_the_memory_of_their_segments() {
        let body = body(&[100], 0);
        let parts = cut(pieces(&body), 60);
        let Piece::Memory(second) = &parts[1].pieces[0] else { panic!("in memory") };
        assert_eq!(second.as_ptr(), body.segments[0][60..].as_ptr());
    }

    #[test]
    fn a_long_stretch_is_summed_bit_by_bit() {
        let body = body(&[3 * READ as usize + 17, 5], 1);
        assert_eq!(sum(&pieces(&body)).unwrap().sum(), body.crc32);
    }
}
