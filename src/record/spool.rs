//! Where compressed bytes may go that memory should not hold: what a spool is, not how it is made.
//!
//! `pipeline` writes to one, `s3` reads from it, `daemon` makes one of files. Whatever fails, no
//! record is lost by it: Kafka is the durable copy.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// Hands out files.
pub trait Spool: fmt::Debug + Send + Sync {
    /// How many bytes of an object stay in memory before it is given a file, and how many are
    /// gathered before each write to it.
    fn head(&self) -> usize;

    /// A new, empty file that nobody else sees; `None` where none can be had now. Why is told by
    /// the spool itself.
    fn open(&self) -> Option<Arc<dyn SpoolFile>>;
}

/// A file of a spool. It goes when nobody holds it any more.
pub trait SpoolFile: fmt::Debug + Send + Sync {
    /// Writes all the bytes at this position, or says that they are not there to be read again.
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads so many bytes from this position on: all of them, or an error.
    fn read(&self, at: u64, len: usize) -> io::Result<Bytes>;

    /// What was read is not what was written: the spool cannot be trusted.
    fn damaged(&self);
}

/// Bytes that stand at the beginning of a spool's file.
#[derive(Clone, Debug)]
pub struct SpooledBytes {
    /// The file.
    pub file: Arc<dyn SpoolFile>,
    /// Their number.
    pub len: u64,
}
