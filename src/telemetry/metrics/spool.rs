//! What the spool holds, and what failed there.

use prometheus::{IntCounter, IntGauge};

use super::define::Definer;

/// What is done with a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpoolOperation {
    /// A file is made.
    Open,
    /// Bytes are written.
    Write,
    /// Bytes are read back, to be put.
    Read,
}

impl SpoolOperation {
    const ALL: [Self; 3] = [Self::Open, Self::Write, Self::Read];

    /// The value of the label `operation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// The metrics of the spool.
#[derive(Clone, Debug)]
pub struct SpoolMetrics {
    bytes: IntGauge,
    files: IntGauge,
    failures: [IntCounter; SpoolOperation::ALL.len()],
}

#[rustfmt::skip] // one line a metric reads as the table it is
impl SpoolMetrics {
    pub(super) fn new(define: &mut Definer) -> Self {
        let failures = define.counters("spool_failures_total", "Times that the spool failed, by what was done; what was to be written stays in memory, what was to be read is read again from Kafka.", &["operation"]);
        Self {
            bytes: define.gauge("spool_bytes", "Bytes of objects that stand in files of memory.spool_dir until they have landed."),
            files: define.gauge("spool_files", "Files that they stand in."),
            failures: SpoolOperation::ALL.map(|operation| failures.with_label_values(&[operation.as_str()])),
        }
    }
}

impl SpoolMetrics {
    /// There are so many more bytes.
    pub fn bytes(&self, more: i64) {
        self.bytes.add(more);
    }

    /// There are so many more files.
    pub fn files(&self, more: i64) {
        self.files.add(more);
    }

    /// Something failed.
    pub fn failed(&self, operation: SpoolOperation) {
        self.failures[operation as usize].inc();
    }
}
