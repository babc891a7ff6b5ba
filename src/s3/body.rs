//! Bodies on the wire: the segments of an object as they are, never joined.
//!
//! Fed by `put` and `multipart`; it feeds the SDK's HTTP client. A body that must be sent again
//! shares its segments with the first try.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flate2::Crc;
use hyper::body::{Body, Frame, SizeHint};

/// An HTTP body of known size that yields one segment after the other.
pub(super) struct SegmentsBody {
    segments: VecDeque<Bytes>,
    remaining: u64,
}

impl SegmentsBody {
    /// The body of these segments; empty ones are left out, for an empty frame means nothing.
    pub(super) fn new(segments: &[Bytes]) -> Self {
        let segments: VecDeque<Bytes> =
            segments.iter().filter(|segment| !segment.is_empty()).cloned().collect();
        let remaining = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments, remaining }
    }

    /// The same as the SDK takes it.
    pub(super) fn into_stream(self) -> ByteStream {
        ByteStream::from_body_1_x(self)
    }
}

impl Body for SegmentsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let segment = self.segments.pop_front();
        if let Some(segment) = &segment {
            self.remaining -= segment.len() as u64;
        }
        Poll::Ready(segment.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.segments.is_empty()
    }

    // The exact size makes it a plain request with Content-Length, not a chunked one.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// One part of a multipart upload: slices of the object's segments, not copies.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its number, from 1.
    pub(super) number: i32,
    /// Its bytes, in order.
    pub(super) segments: Vec<Bytes>,
    /// Their number.
    pub(super) len: u64,
}

impl Part {
    /// The CRC32 of its bytes.
    pub(super) fn crc(&self) -> Crc {
        let mut crc = Crc::new();
        for segment in &self.segments {
            crc.update(segment);
        }
        crc
    }
}

/// Cuts segments into parts that are all of `part_size` but the last, which may be smaller:
/// some stores refuse a part of another size in the middle.
pub(super) fn cut(segments: &[Bytes], part_size: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open = Part { number: 1, segments: Vec::new(), len: 0 };
    for segment in segments {
        let mut rest = segment.clone();
        while !rest.is_empty() {
            let fits = (part_size - open.len).min(rest.len() as u64);
            open.segments.push(rest.split_to(fits as usize));
            open.len += fits;
            if open.len == part_size {
                let next = Part { number: open.number + 1, segments: Vec::new(), len: 0 };
                parts.push(std::mem::replace(&mut open, next));
            }
        }
    }
    if open.len > 0 {
        parts.push(open);
    }
    parts
}

/// A CRC32 as S3 writes it: base64 of the big-endian bytes.
pub(super) fn checksum(crc32: u32) -> String {
    BASE64_STANDARD.encode(crc32.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn segments(sizes: &[usize]) -> Vec<Bytes> {
        let mut next = 0u8;
        let mut byte = || {
            next = next.wrapping_mul(31).wrapping_add(7);
            next
        };
        sizes.iter().map(|size| (0..*size).map(|_| byte()).collect()).collect()
    }

    proptest! {
        #[test]
        fn parts_are_uniform_and_hold_every_byte(
            sizes in prop::collection::vec(0usize..200, 0..20), part_size in 1u64..300,
        ) {
            let segments = segments(&sizes);
            let parts = cut(&segments, part_size);
            let joined: Vec<u8> = parts.iter().flat_map(|p| p.segments.concat()).collect();
            prop_assert_eq!(joined, segments.concat());
            for (index, part) in parts.iter().enumerate() {
                prop_assert_eq!(part.number as usize, index + 1);
                prop_assert_eq!(part.len, part.segments.concat().len() as u64);
                let last = index + 1 == parts.len();
                prop_assert!(part.len == part_size || (last && part.len < part_size && part.len > 0));
            }
        }

        #[test]
        fn crcs_of_parts_combine_to_the_crc_of_the_whole(
            sizes in prop::collection::vec(0usize..200, 1..20), part_size in 1u64..300,
        ) {
            let segments = segments(&sizes);
            let mut whole = Crc::new();
            whole.update(&segments.concat());
            let mut combined = Crc::new();
            for part in cut(&segments, part_size) {
                combined.combine(&part.crc());
            }
            prop_assert_eq!(combined.sum(), whole.sum());
        }
    }

    #[test]
    fn a_body_knows_its_size_at_every_step() {
        let mut body = SegmentsBody::new(&segments(&[3, 0, 5]));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut sizes = vec![body.size_hint().exact()];
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            assert!(frame.data_ref().is_some_and(|data| !data.is_empty()));
            sizes.push(body.size_hint().exact());
        }
        assert_eq!(sizes, [Some(8), Some(5), Some(0)]);
        assert!(body.is_end_stream());
    }

    #[test]
    fn parts_share_the_memory_of_their_segments() {
        let segments = segments(&[100]);
        let parts = cut(&segments, 60);
        assert_eq!(parts[1].segments[0].as_ptr(), segments[0][60..].as_ptr());
    }

    #[test]
    fn a_checksum_reads_as_s3_writes_it() {
        // The well-known check value of CRC32 over "123456789".
        assert_eq!(checksum(0xCBF4_3926), "y/Q5Jg==");
    }
}
