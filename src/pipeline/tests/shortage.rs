//! Several Kafka partitions whose pinned batches are together more than memory holds, and batches
//! whose bytes are lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::layout::tests::sample;
use super::super::{Action, Event, Mark, Moment, Pin, Sink, encode_metadata};
use super::common::{policy, settings};
use crate::record::{
    Committed, Epoch, HeadOutcome, NoHeaders, Offset, OffsetRange, PutOutcome, Record, StoreError,
    StoreErrorClass, TimestampMs, TopicFacts, TopicPartition,
};

const NOW: Moment = Moment(1);
const EPOCH: Epoch = Epoch(1);
/// The end of every pinned batch.
const END: i64 = 10;

/// A sink that is told what it asks for, and what it fetches meanwhile.
struct Driven {
    sink: Sink,
    fetching: BTreeMap<TopicPartition, (Offset, bool)>,
    committed: BTreeMap<TopicPartition, Offset>,
    /// So many puts cannot read what they are to send.
    unreadable: u32,
    again: Vec<OffsetRange>,
}

fn at(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// Kafka partitions that each begin with a replay of ten records.
fn replaying(count: i32) -> Driven {
    let (fetching, committed, again) = Default::default();
    let sink = Sink::new(settings());
    let mut driven = Driven { sink, fetching, committed, unreadable: 0, again };
    for number in 0..count {
        driven.sink.handle_assigned(NOW, at(number), EPOCH, Arc::new(policy()), None);
    }
    driven.settle();
    driven
}

fn pinned(number: i32) -> Committed {
    let mark = Mark {
        offset: Offset(0),
        topic_id: "".into(),
        cluster_id: "".into(),
        leader_epoch: None,
        layout_hash: "".into(),
        first_start: None,
    };
    let pin = Pin {
        id: format!("pin-{number}").into(),
        end: Offset(END),
        first: Offset(0),
        last: None,
        layout: sample().into(),
    };
    Committed { offset: Some(Offset(0)), metadata: encode_metadata(&mark, Some(&pin)) }
}

impl Driven {
    /// Answers until nothing more is asked.
    fn settle(&mut self) {
        while let Some(action) = self.sink.poll_action() {
            match action {
                Action::Fetch { partition, from, .. } => {
                    self.fetching.insert(partition, (from, true));
                }
                Action::StopFetch(partition) => drop(self.fetching.remove(&partition)),
                Action::Pause(partition) => self.fetching.get_mut(&partition).unwrap().1 = false,
                Action::Resume(partition, _) => {
                    self.fetching.get_mut(&partition).unwrap().1 = true;
                }
                Action::Resolve { partition, .. } => {
                    let number = partition.partition;
                    let facts = TopicFacts {
                        topic_id: "".into(),
                        cluster_id: "".into(),
                        committed: Arc::new([(number, pinned(number))].into()),
                        log_start: Offset(0),
                        log_end: Offset(END),
                        prefix_empty: None,
                        bucket_end: None,
                        compacted: None,
                    };
                    self.sink.handle_facts(NOW, &partition, EPOCH, Ok(facts));
                }
                Action::Commit(request) => {
                    self.committed.insert(request.partition.clone(), request.offset);
                    let (at, offset) = (request.partition, request.offset);
                    self.sink.handle_committed(NOW, &at, EPOCH, offset, Ok(()));
                }
                Action::Put(ticket, _) => {
                    let lost = self.unreadable > 0;
                    self.unreadable = self.unreadable.saturating_sub(1);
                    let class = StoreErrorClass::Unreadable;
                    let error = StoreError { class, message: "an I/O error".to_owned() };
                    let reply = if lost { Err(error) } else { Ok(PutOutcome::Stored) };
                    self.sink.handle_put(NOW, &ticket, reply);
                }
                Action::Head(ticket, _) => {
                    self.sink.handle_head(NOW, &ticket, Ok(HeadOutcome::Missing));
                }
                Action::Tell(_, Event::ReadsAgain { range, .. }) => self.again.push(range),
                Action::Released(..) | Action::Tell(..) => {}
            }
        }
    }

    /// Hands in `count` records of those that are fetched and not paused.
    fn read(&mut self, number: i32, count: i64) {
        for _ in 0..count {
            let at = at(number);
            let (from, _) = self.fetching[&at];
            let record = Record {
                offset: from,
                timestamp: Some(TimestampMs(1_700_000_000_000)),
                key: None,
                value: Some(b"{}"),
                headers: &NoHeaders,
                leader_epoch: None,
            };
            self.fetching.get_mut(&at).unwrap().0 = from.next();
            self.sink.handle_record(NOW, &at, EPOCH, &record);
        }
        self.settle();
    }

    /// The Kafka partitions that read.
    fn readers(&self) -> Vec<i32> {
        let reading = self.fetching.iter().filter(|(_, (_, resumed))| *resumed);
        reading.map(|(at, _)| at.partition).collect()
    }

    /// The next thing that is due by time.
    fn wait(&mut self) {
        let due = self.sink.poll_timeout().expect("something is due");
        self.sink.handle_time(due);
        self.settle();
    }

    fn end_of_log(&mut self, number: i32) {
        self.sink.handle_eof(NOW, &at(number), EPOCH, Offset(END));
        self.settle();
    }
}

#[test]
fn replays_beyond_the_memory_go_one_after_the_other() {
    let mut driven = replaying(3);
    assert_eq!(driven.readers(), [0, 1, 2]);
    // The compressor gives its bytes out late, so each has its own count of objects only.
    (0..3).for_each(|number| driven.read(number, 4));
    driven.sink.handle_memory_short(NOW, true);
    driven.settle();
    assert!(driven.readers().is_empty());
    driven.sink.handle_flush_largest(NOW);
    driven.settle();
    let [foremost] = driven.readers()[..] else { panic!("{:?}", driven.readers()) };
    let alone = driven.sink.memory();
    assert_eq!((alone.landing, alone.open), (0, alone.largest_open));
    // Asked again, it goes on as it is.
    driven.sink.handle_flush_largest(NOW);
    driven.read(foremost, 6);
    driven.end_of_log(foremost);
    assert_eq!(driven.committed[&at(foremost)], Offset(END));
    assert!(driven.readers().is_empty());
    // Memory is there again: the others read from their beginning, in turn.
    driven.sink.handle_memory_short(NOW, false);
    driven.settle();
    for _ in 0..2 {
        let ends = &driven.committed;
        let mut left: Vec<i32> = driven.readers();
        left.retain(|number| !ends.contains_key(&at(*number)));
        let [next] = left[..] else { panic!("{left:?}") };
        assert_eq!(driven.fetching[&at(next)].0, Offset(0));
        driven.read(next, END);
        driven.end_of_log(next);
    }
    assert!((0..3).all(|number| driven.committed[&at(number)] == Offset(END)));
}

#[test]
fn a_replay_that_ends_otherwise_makes_way_for_the_next() {
    let mut driven = replaying(2);
    (0..2).for_each(|number| driven.read(number, 4));
    driven.sink.handle_memory_short(NOW, true);
    driven.sink.handle_flush_largest(NOW);
    driven.sink.handle_memory_short(NOW, false);
    driven.settle();
    let [foremost] = driven.readers()[..] else { panic!("{:?}", driven.readers()) };
    driven.sink.handle_released(NOW, &at(foremost), EPOCH);
    driven.settle();
    assert_eq!(driven.readers(), [1 - foremost]);
}

#[test]
fn a_batch_whose_bytes_are_lost_is_read_again_under_its_pin() {
    let mut driven = replaying(1);
    driven.unreadable = 5;
    let range = OffsetRange { base: Offset(0), end: Offset(END) };
    // Lost for good the first time, and twice in a row the second.
    for tries in [3, 2] {
        driven.read(0, END);
        driven.end_of_log(0);
        (1..tries).for_each(|_| driven.wait());
        assert_eq!(driven.again, [range]);
    }
    assert!(driven.committed.is_empty(), "{:?}", driven.committed);
    driven.wait();
    assert_eq!(driven.committed[&at(0)], Offset(END));
    assert_eq!(driven.again, [range]);
}
