//! What one lane does with records, from bytes to compressed objects, without Kafka and without a
//! store: `cargo bench --bench lane`.
//!
//! Throughput is of record values; before the runs the size of what each codec stores is printed,
//! as a part of the values' size. Compare figures of one run only.

#![allow(missing_docs, reason = "criterion makes a public function")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_s3_sink::config;
use kafka_s3_sink::demo::events::{EventShape, Events};
use kafka_s3_sink::pipeline::{Action, GZIP, Moment, Sink, SinkSettings, line_of};
use kafka_s3_sink::record::{
    Epoch, LostOffsetsPolicy, NoHeaders, Offset, OutOfRangePolicy, PutOutcome, Record,
    RecordPolicy, StartPosition, TimestampMs, TopicFacts, TopicPartition,
};
use serde_json::value::RawValue;

const RECORDS: usize = 50_000;
const RECORD_BYTES: usize = 466;
const NOW: Moment = Moment(0);

/// A policy as the configuration makes it, so that its defaults are the product's.
fn policy(layout: &str) -> Arc<RecordPolicy> {
    let text = format!(
        "[kafka]\nbootstrap_servers = \"127.0.0.1:9092\"\ntopics = [\"events\"]\ngroup_id = \"bench\"\n\
         [s3]\nbucket = \"lake\"\n[layout]\n{layout}\n"
    );
    let settings = config::load_str("bench", &text, std::iter::empty()).expect("it is right");
    Arc::new(settings.topics.default)
}

fn values() -> Vec<Vec<u8>> {
    let shape = EventShape { size: RECORD_BYTES, ..EventShape::default() };
    let sound = Events::new(7, shape).filter_map(|event| event.value);
    sound.take(RECORDS).collect()
}

/// A lane with one Kafka partition that reads.
fn reading(policy: &Arc<RecordPolicy>, at: &TopicPartition) -> Sink {
    let mut sink = Sink::new(SinkSettings {
        group_hash: "bench".into(),
        session: "bench".into(),
        conditional_put: true,
        start: StartPosition::Earliest,
        on_lost_offsets: LostOffsetsPolicy::Error,
        on_offset_out_of_range: OutOfRangePolicy::Stop,
        fenced_deadline: Duration::from_secs(60),
        spool: None,
    });
    sink.handle_assigned(NOW, at.clone(), Epoch(1), Arc::clone(policy), None);
    let facts = TopicFacts {
        topic_id: "".into(),
        cluster_id: "".into(),
        committed: Arc::default(),
        log_start: Offset(0),
        log_end: Offset(RECORDS as i64),
        prefix_empty: Some(true),
        bucket_end: None,
        compacted: Some(false),
    };
    sink.handle_facts(NOW, at, Epoch(1), Ok(facts));
    answer(&mut sink);
    sink
}

/// Grants whatever the lane asks for; the stored bytes of what it put.
fn answer(sink: &mut Sink) -> u64 {
    let mut stored = 0;
    while let Some(action) = sink.poll_action() {
        match action {
            Action::Commit(asked) => {
                sink.handle_committed(NOW, &asked.partition, asked.epoch, asked.offset, Ok(()));
            }
            Action::Put(ticket, request) => {
                stored += request.body.len();
                sink.handle_put(NOW, &ticket, Ok(PutOutcome::Stored));
            }
            _ => {}
        }
    }
    stored
}

/// Reads all records and lands them; the stored bytes.
fn land(policy: &Arc<RecordPolicy>, values: &[Vec<u8>]) -> u64 {
    let at = TopicPartition::new("events", 0);
    let mut sink = reading(policy, &at);
    let mut stored = 0;
    for (offset, value) in values.iter().enumerate() {
        let record = Record {
            offset: Offset(offset as i64),
            // An hour holds about as many records as an object.
            timestamp: Some(TimestampMs(1_763_800_000_000 + offset as i64)),
            key: None,
            value: Some(value),
            headers: &NoHeaders,
            leader_epoch: None,
        };
        sink.handle_record(NOW, &at, Epoch(1), &record);
    }
    sink.handle_flush(NOW, None);
    stored += answer(&mut sink);
    assert!(stored > 0, "nothing landed");
    stored
}

fn codecs(criterion: &mut Criterion) {
    let values = values();
    let bytes: usize = values.iter().map(Vec::len).sum();
    println!("{RECORDS} records of {} bytes on average; gzip by {GZIP}", bytes / RECORDS);
    let mut group = criterion.benchmark_group("lane");
    group.throughput(Throughput::Bytes(bytes as u64)).sample_size(10);
    for (name, layout) in [
        ("gzip", "compression = \"gzip\""),
        ("gzip level 3", "compression = \"gzip\"\ncompression_level = 3"),
        ("gzip level 6", "compression = \"gzip\"\ncompression_level = 6"),
        ("zstd level 1", "compression = \"zstd\"\ncompression_level = 1"),
        ("zstd", "compression = \"zstd\""),
        ("none", "compression = \"none\""),
    ] {
        let policy = policy(layout);
        let part = land(&policy, &values) as f64 / bytes as f64;
        println!("{name}: {:.1}% of the values' size", part * 100.0);
        group.bench_function(name, |bencher| bencher.iter(|| land(&policy, &values)));
    }
    group.finish();
}

/// From a value to its line: all of it is validated, whoever does it.
fn lines(criterion: &mut Criterion) {
    let values = values();
    let policy = policy("");
    let bytes: usize = values.iter().map(Vec::len).sum();
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Bytes(bytes as u64));
    let ours = |value: &Vec<u8>| line_of(&policy.layout, value).is_ok();
    let theirs = |value: &Vec<u8>| serde_json::from_slice::<&RawValue>(value).is_ok();
    assert!(values.iter().all(ours) && values.iter().all(theirs));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| values.iter().filter(|it| ours(it)).count())
    });
    group.bench_function("serde_json's RawValue", |bencher| {
        bencher.iter(|| values.iter().filter(|it| theirs(it)).count());
    });
    group.finish();
}

criterion_group!(benches, lines, codecs);
criterion_main!(benches);
