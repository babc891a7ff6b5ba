//! Bodies on the wire: the pieces of an object one after the other, never joined; what is spooled
//! is read as the connection takes it.
//!
//! Fed by `put` and `parts`; it feeds the SDK's HTTP client. A body that must be sent again shares
//! its pieces with the first try.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flate2::Crc;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::pieces::{Piece, READ, Range};

/// Why a body could not be read back, if it could not: the SDK's error does not keep it apart from
/// those of the network.
pub(super) type Unreadable = Arc<OnceLock<String>>;

/// An HTTP body of known size.
pub(super) struct PiecesBody {
    pieces: VecDeque<Piece>,
    remaining: u64,
    /// What is being read from a file now.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// What was read must be what was written; where nothing is read there is nothing to check.
    check: Option<Check>,
    unreadable: Unreadable,
}

struct Check {
    so_far: Crc,
    wanted: u32,
    /// Whom to tell.
    spooled: Range,
}

impl PiecesBody {
    /// The body of these pieces, whose CRC32 is known.
    pub(super) fn new(pieces: Vec<Piece>, crc32: u32) -> Self {
        let spooled = pieces.iter().find_map(|piece| match piece {
            Piece::Spooled(range) => Some(range.clone()),
            Piece::Memory(_) => None,
        });
        let check = spooled.map(|spooled| Check { so_far: Crc::new(), wanted: crc32, spooled });
        let remaining = pieces.iter().map(Piece::len).sum();
        let pieces = pieces.into();
        Self { pieces, remaining, reading: None, check, unreadable: Unreadable::default() }
    }

    /// Where it tells, once the request has failed, that it was the reading.
    pub(super) fn unreadable(&self) -> Unreadable {
        Arc::clone(&self.unreadable)
    }

    /// The same as the SDK takes it.
    pub(super) fn into_stream(self) -> ByteStream {
        ByteStream::from_body_1_x(self)
    }

    /// Hands bytes on. The last ones stay here if they all together are not what was written: an
    /// object that is not whole must not even be offered.
    fn give(&mut self, bytes: Bytes) -> io::Result<Frame<Bytes>> {
        self.remaining -= bytes.len() as u64;
        if let Some(check) = &mut self.check {
            check.so_far.update(&bytes);
            if self.remaining == 0 && check.so_far.sum() != check.wanted {
                check.spooled.damaged();
                return Err(io::Error::other("it is not what was written"));
            }
        }
        Ok(Frame::data(bytes))
    }

    /// Remembers what went wrong.
    fn tell(&self, frame: io::Result<Frame<Bytes>>) -> io::Result<Frame<Bytes>> {
        frame.inspect_err(|error| {
            let _ = self.unreadable.set(error.to_string());
        })
    }
}

impl Body for PiecesBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let read = read.unwrap_or_else(|lost| Err(io::Error::other(lost)));
                let frame = read.and_then(|bytes| self.give(bytes));
                return Poll::Ready(Some(self.tell(frame)));
            }
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Memory(bytes)) => {
                    let frame = self.give(bytes);
                    return Poll::Ready(Some(self.tell(frame)));
                }
                Some(mut piece @ Piece::Spooled(_)) => {
                    let next = piece.split_to(piece.len().min(READ));
                    if piece.len() > 0 {
                        self.pieces.push_front(piece);
                    }
                    if let Piece::Spooled(range) = next {
                        self.reading = Some(tokio::task::spawn_blocking(move || range.read()));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.reading.is_none()
    }

    // The exact size makes it a plain request with Content-Length, not a chunked one.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// A CRC32 as S3 writes it: base64 of the big-endian bytes.
pub(super) fn checksum(crc32: u32) -> String {
    BASE64_STANDARD.encode(crc32.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::pieces::pieces;
    use super::super::pieces::tests::{Held, body};
    use super::*;
    use crate::record::SpooledBytes;

    fn sent(mut body: PiecesBody) -> (Vec<u64>, io::Result<Vec<u8>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut sizes, mut bytes) = (vec![body.remaining], Vec::new());
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                match frame {
                    Some(Ok(frame)) => bytes.extend(frame.into_data().expect("data")),
                    Some(Err(error)) => return (sizes, Err(error)),
                    None => return (sizes, Ok(bytes)),
                }
                sizes.push(body.size_hint().exact().expect("a size"));
            }
        })
    }

    #[test]
    fn a_body_knows_its_size_at_every_step() {
        let of = body(&[3, 0, 5], 0);
        let (sizes, bytes) = sent(PiecesBody::new(pieces(&of), of.crc32));
        assert_eq!(sizes, [8, 5, 0]);
        assert_eq!(bytes.unwrap(), of.joined().unwrap());
    }

    #[test]
    fn what_is_spooled_is_read_bit_by_bit() {
        let of = body(&[READ as usize, READ as usize + 1, 7], 2);
        let (sizes, bytes) = sent(PiecesBody::new(pieces(&of), of.crc32));
        assert_eq!(sizes, [2 * READ + 8, READ + 8, 8, 7, 0]);
        assert_eq!(bytes.unwrap(), of.joined().unwrap());
    }

    #[test]
    fn what_cannot_be_read_or_is_damaged_is_told_and_never_sent_to_its_end() {
        let whole = body(&[100, 7], 1);
        let short = SpooledBytes { file: Arc::new(Held(vec![0; 99])), len: 100 };
        let other = SpooledBytes { file: Arc::new(Held(vec![0; 100])), len: 100 };
        for spooled in [short, other] {
            let of = crate::record::Body { spooled: Some(spooled), ..whole.clone() };
            let body = PiecesBody::new(pieces(&of), of.crc32);
            let unreadable = body.unreadable();
            let (sizes, bytes) = sent(body);
            assert!(bytes.is_err() && !sizes.contains(&0), "{sizes:?}");
            assert!(unreadable.get().is_some());
        }
    }

    #[test]
    fn a_checksum_reads_as_s3_writes_it() {
        // The well-known check value of CRC32 over "123456789".
        assert_eq!(checksum(0xCBF4_3926), "y/Q5Jg==");
    }
}
