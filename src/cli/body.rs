//! The body of an object, as something that blocks: what decodes it knows no runtime.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use tokio::runtime::Runtime;

use crate::record::StoreError;
use crate::s3::ObjectBytes;

/// Reads an object as its bytes come.
pub(super) struct Body<'a, F> {
    bytes: ObjectBytes,
    piece: Bytes,
    runtime: &'a Runtime,
    came: F,
    /// Why the bytes ended, if not because they were all.
    pub(super) failed: Option<StoreError>,
}

impl<'a, F: FnMut(u64)> Body<'a, F> {
    /// `came` is told how many bytes each piece has.
    pub(super) fn new(bytes: ObjectBytes, runtime: &'a Runtime, came: F) -> Self {
        Self { bytes, piece: Bytes::new(), runtime, came, failed: None }
    }
}

impl<F: FnMut(u64)> BufRead for Body<'_, F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.bytes.next()) {
                Some(Ok(piece)) => {
                    (self.came)(piece.len() as u64);
                    self.piece = piece;
                }
                Some(Err(error)) => {
                    self.failed = Some(error.clone());
                    return Err(io::Error::other(error));
                }
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount);
    }
}

impl<F: FnMut(u64)> Read for Body<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let some = self.fill_buf()?;
        let len = some.len().min(into.len());
        into[..len].copy_from_slice(&some[..len]);
        self.consume(len);
        Ok(len)
    }
}
