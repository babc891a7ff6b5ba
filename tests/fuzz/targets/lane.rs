//! One Kafka partition in the real pipeline, with a store and a coordinator that always answer.

use std::sync::Arc;
use std::time::Duration;

use kafka_s3_sink::pipeline::{Action, Moment, Sink, SinkSettings};
use kafka_s3_sink::record::{
    Committed, Epoch, HeadOutcome, Layout, LostOffsetsPolicy, Offset, OutOfRangePolicy, PutOutcome,
    Record, RecordPolicy, RevokePolicy, RotationPolicy, StartPosition, TimestampMs, TopicFacts,
    TopicPartition,
};

use super::Objects;

const NOW: Moment = Moment(0);
const EPOCH: Epoch = Epoch(1);

/// A record's parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken<'a> {
    pub(super) value: Option<&'a [u8]>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) header: Option<&'a [u8]>,
    pub(super) timestamp: i64,
}

pub(super) struct Lane {
    sink: Sink,
    at: TopicPartition,
    held: Committed,
    objects: Objects,
}

impl Lane {
    pub(super) fn start(layout: Layout, held: Committed) -> Self {
        let sink = Sink::new(SinkSettings {
            group_hash: "g".into(),
            session: "s".into(),
            conditional_put: true,
            start: StartPosition::Earliest,
            on_lost_offsets: LostOffsetsPolicy::Error,
            on_offset_out_of_range: OutOfRangePolicy::Stop,
            fenced_deadline: Duration::from_secs(60),
            spool: None,
        });
        let at = TopicPartition::new("t", 0);
        let mut this = Self { sink, at: at.clone(), held, objects: Objects::new() };
        let rotation = RotationPolicy {
            max_bytes: 1 << 20,
            max_records: 7,
            max_age: Duration::from_secs(60),
            record_time: None,
            max_open_hive_partitions: 4,
            on_revoke: RevokePolicy::HandOver,
        };
        let policy = RecordPolicy { layout: Arc::new(layout), rotation, compression_level: None };
        this.sink.handle_assigned(NOW, at, EPOCH, Arc::new(policy), None);
        this.answer();
        this
    }

    pub(super) fn take(&mut self, offset: i64, taken: &Taken<'_>) {
        let headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = taken
            .header
            .map(|header| (header.to_vec(), taken.key.map(<[u8]>::to_vec)))
            .into_iter()
            .collect();
        let record = Record {
            offset: Offset(offset),
            timestamp: Some(TimestampMs(taken.timestamp)),
            key: taken.key,
            value: taken.value,
            headers: &headers,
            leader_epoch: None,
        };
        self.sink.handle_record(NOW, &self.at, EPOCH, &record);
        self.answer();
    }

    /// The log ends, and what is there lands.
    pub(super) fn finish(&mut self, end: i64) {
        self.sink.handle_eof(NOW, &self.at, EPOCH, Offset(end));
        self.answer();
        self.sink.handle_shutdown(NOW);
        self.answer();
    }

    /// Keys and lines.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &Vec<String>)> {
        self.objects.iter().map(|(key, lines)| (key.as_str(), lines))
    }

    fn answer(&mut self) {
        while let Some(action) = self.sink.poll_action() {
            match action {
                Action::Resolve { partition, epoch, .. } => {
                    let facts = self.facts();
                    self.sink.handle_facts(NOW, &partition, epoch, Ok(facts));
                }
                Action::Commit(commit) => {
                    let (at, offset) = (commit.partition, commit.offset);
                    self.held = Committed { offset: Some(offset), metadata: commit.metadata };
                    self.sink.handle_committed(NOW, &at, commit.epoch, offset, Ok(()));
                }
                Action::Put(ticket, put) => {
                    let lines = lines_of(&put.address.key, &put.body.joined().expect("in memory"));
                    let before = self.objects.insert(put.address.key.to_string(), lines);
                    assert!(before.is_none(), "{} twice", put.address);
                    self.sink.handle_put(NOW, &ticket, Ok(PutOutcome::Stored));
                }
                Action::Head(ticket, _) => {
                    self.sink.handle_head(NOW, &ticket, Ok(HeadOutcome::Missing));
                }
                _ => {}
            }
        }
    }

    fn facts(&self) -> TopicFacts {
        TopicFacts {
            topic_id: "".into(),
            cluster_id: "".into(),
            committed: Arc::new([(0, self.held.clone())].into()),
            log_start: Offset(0),
            log_end: Offset(40),
            prefix_empty: Some(true),
            bucket_end: None,
            compacted: Some(false),
        }
    }
}

/// The lines of a plain object; of others it is enough that there is something.
fn lines_of(key: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    if !key.ends_with(".json") {
        return vec![text.into_owned()];
    }
    let lines = text.strip_suffix('\n').expect("a line ends").split('\n');
    lines.map(str::to_owned).collect()
}
