//! The parts that `demo` and the tests stand on: an embedded Kafka, an embedded S3 and sample
//! events, with no server and no account.
//!
//! Fed by `cli` and by tests. It may see rdkafka and s3s, and knows nothing of the pipeline, of
//! the daemon or of the real edges.

#![allow(clippy::disallowed_methods, reason = "an edge: a store dates its objects by the clock")]

pub mod broker;
mod count;
pub mod events;
pub mod store;
mod tree;

use std::io;
use std::path::{Path, PathBuf};

pub use count::{Census, Expected, count, duckdb_line};
pub use tree::tree;

/// Why an embedded part could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A folder or file could not be read or written.
    #[error("{path}: {reason}; look at its rights and at the room on the disk")]
    Files {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The port: another one, or 0, may do.
    #[error("cannot listen on 127.0.0.1:{port}: {reason}; choose another port, or 0 for any")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        reason: String,
    },
    /// The embedded Kafka.
    #[error("the embedded Kafka could not {what}: {reason}")]
    Broker {
        /// What it was asked for.
        what: &'static str,
        /// What librdkafka said.
        reason: String,
    },
}

impl DemoError {
    fn files(path: &Path, error: io::Error) -> Self {
        Self::Files { path: path.to_owned(), reason: error.to_string() }
    }
}
