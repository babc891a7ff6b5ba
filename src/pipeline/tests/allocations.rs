//! A record that is read costs no allocation of its own: only what grows with the stored bytes does.

use std::alloc::{GlobalAlloc, Layout as Shape, System};
use std::cell::Cell;
use std::sync::Arc;

use super::super::layout::tests::sample;
use super::super::{Action, Moment, Sink};
use super::common::{policy_of, settings};
use crate::record::{
    Compression, Envelope, Epoch, Layout, NoHeaders, Offset, Record, TimestampMs, TopicFacts,
    TopicPartition,
};

/// Counts what each thread asks for. The whole test program runs on it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: all is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, shape: Shape) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(shape) }
    }

    unsafe fn dealloc(&self, at: *mut u8, shape: Shape) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, shape) }
    }

    unsafe fn realloc(&self, at: *mut u8, shape: Shape, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, shape, size) }
    }
}

const NOW: Moment = Moment(0);
const WARM: i64 = 2_000;
const COUNTED: i64 = 20_000;

fn reading(layout: Layout, at: &TopicPartition) -> Sink {
    let mut sink = Sink::new(settings());
    let mut policy = policy_of(layout);
    policy.rotation.max_records = u64::MAX;
    sink.handle_assigned(NOW, at.clone(), Epoch(1), Arc::new(policy), None);
    let facts = TopicFacts {
        topic_id: "".into(),
        cluster_id: "".into(),
        committed: Arc::default(),
        log_start: Offset(0),
        log_end: Offset(WARM + COUNTED),
        prefix_empty: Some(true),
        bucket_end: None,
        compacted: Some(false),
    };
    sink.handle_facts(NOW, at, Epoch(1), Ok(facts));
    while let Some(action) = sink.poll_action() {
        if let Action::Commit(asked) = action {
            sink.handle_committed(NOW, at, Epoch(1), asked.offset, Ok(()));
        }
    }
    sink
}

/// How often the pipeline asks for memory while it takes [`COUNTED`] records.
fn asked_for(layout: Layout, value: &[u8]) -> u64 {
    let at = TopicPartition::new("t", 0);
    let mut sink = reading(layout, &at);
    let mut take = |from: i64, to: i64| {
        for offset in from..to {
            let record = Record {
                offset: Offset(offset),
                timestamp: Some(TimestampMs(1_763_800_000_000 + offset % 2 * 3_600_000)),
                key: Some(b"key"),
                value: Some(value),
                headers: &NoHeaders,
                leader_epoch: Some(1),
            };
            sink.handle_record(NOW, &at, Epoch(1), &record);
        }
    };
    take(0, WARM);
    let before = ASKED.get();
    take(WARM, WARM + COUNTED);
    let asked = ASKED.get() - before;
    let read = sink.snapshots().first().and_then(|partition| partition.position);
    assert_eq!(read, Some(Offset(WARM + COUNTED)), "all were taken");
    asked
}

#[test]
fn a_record_costs_no_allocation() {
    let value = br#"{"id":1234567,"name":"a name \"quoted\"","at":[1.5,true,null],"of":{"a":"b"}}"#;
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        for envelope in [Envelope::None, Envelope::Fields] {
            let asked = asked_for(Layout { compression, envelope, ..sample() }, value);
            // Segments of up to 1 MiB, and the lists they stand in.
            assert!(asked < 50, "{asked} for {COUNTED} records: {compression:?}, {envelope:?}");
        }
    }
}

/// The test would see one: raw line breaks are taken out of a copy.
#[test]
fn an_allocation_is_seen() {
    assert!(asked_for(sample(), b"{\n\"a\":1}") >= COUNTED as u64);
}
