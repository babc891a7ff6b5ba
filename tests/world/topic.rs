//! Topics and their logs: records, gaps, control records, aborted ones, retention, compaction.

use std::rc::Rc;
use std::sync::Arc;

use kafka_s3_sink::record::TopicPartition;

/// 2023-11-14T22:13:20Z.
const EPOCH_MS: i64 = 1_700_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// A record as its producer meant it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    /// No two records of a world have the same, not even in a topic that was made again.
    pub(crate) uid: u64,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) leader_epoch: i32,
}

impl Entry {
    /// Whether it lands as a line, as a dead letter, or not at all.
    pub(crate) fn kind(&self) -> Kind {
        match &self.value {
            None => Kind::Skipped,
            Some(value) if value.starts_with(b"{") => Kind::Line,
            Some(_) => Kind::DeadLetter,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Line,
    DeadLetter,
    Skipped,
}

/// One Kafka partition.
#[derive(Default)]
pub(crate) struct Log {
    /// Those that readers may see, in order; offsets have gaps.
    pub(crate) entries: Vec<Rc<Entry>>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// After a failover the log ends earlier for a while: where, and until when.
    pub(crate) short: Option<(i64, u64)>,
}

impl Log {
    /// Appends a record of this hour.
    pub(crate) fn append(&mut self, uid: u64, hour: i64, value: Option<Vec<u8>>) {
        let timestamp = EPOCH_MS + hour * HOUR_MS;
        let entry = Entry { offset: self.end, timestamp, uid, value, leader_epoch: 0 };
        self.entries.push(Rc::new(entry));
        self.end += 1;
    }

    /// Control records, or those of an aborted transaction: offsets without a record.
    pub(crate) fn gap(&mut self, len: i64) {
        self.end += len;
    }

    /// The end that readers are told.
    pub(crate) fn readable_end(&self, now: u64) -> i64 {
        match self.short {
            Some((end, until)) if now < until => end.max(self.start),
            _ => self.end,
        }
    }

    /// The first record at or after an offset.
    pub(crate) fn next(&self, offset: i64) -> Option<&Rc<Entry>> {
        self.entries.get(self.entries.partition_point(|entry| entry.offset < offset))
    }

    /// Retention: everything below is gone. Returns what was there.
    pub(crate) fn truncate(&mut self, start: i64) -> Vec<Rc<Entry>> {
        self.start = self.start.max(start);
        let at = self.entries.partition_point(|entry| entry.offset < self.start);
        self.entries.drain(..at).collect()
    }
}

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) logs: Vec<Log>,
}

impl Topic {
    pub(crate) fn new(name: &str, partitions: usize) -> Self {
        let logs = (0..partitions).map(|_| Log::default()).collect();
        Self { name: name.into(), id: format!("id-{name}").into(), logs }
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        (0..self.logs.len()).map(|n| TopicPartition::new(Arc::clone(&self.name), n as i32))
    }
}
