//! A lane of a test's member: it takes every record in its turn and commits what it took.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_s3_sink::kafka::{CommitOutcome, FetchEvent, KafkaEdge, LaneConsumer, LaneMove};
use kafka_s3_sink::record::{CommitError, CommitRequest, Epoch, Offset, TopicPartition};

use super::member::Landed;

/// What a lane is told.
pub(super) enum Command {
    Start(TopicPartition, Epoch, Offset),
    Stop(Vec<TopicPartition>, Sender<()>),
    Committed(CommitOutcome, Vec<i64>),
    Quit,
}

/// What was taken of one Kafka partition and is not committed.
pub(super) struct Open {
    epoch: Epoch,
    next: Offset,
    records: Vec<i64>,
    committing: bool,
}

/// See the module.
pub(super) struct Lane {
    pub(super) index: usize,
    pub(super) consumer: LaneConsumer,
    pub(super) commands: Receiver<Command>,
    pub(super) own: Sender<Command>,
    pub(super) edge: KafkaEdge,
    pub(super) landed: Arc<Landed>,
    pub(super) open: HashMap<TopicPartition, Open>,
    /// The state of a random generator.
    pub(super) chaos: Option<u64>,
    pub(super) paused: Vec<TopicPartition>,
}

impl Lane {
    /// Until it is told to quit.
    pub(super) fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Start(partition, epoch, offset) => {
                        self.start(partition, epoch, offset)
                    }
                    Command::Stop(partitions, ack) => {
                        self.consumer.stop(&partitions);
                        self.open.retain(|partition, _| !partitions.contains(partition));
                        self.paused.retain(|partition| !partitions.contains(partition));
                        let _ = ack.send(());
                    }
                    Command::Committed(outcome, records) => self.committed(outcome, records),
                    Command::Quit => return,
                }
            }
            let (open, paused) = (&mut self.open, &self.paused);
            self.consumer.poll(Duration::from_millis(50), &mut |event| {
                take(open, paused, event);
            });
            self.commit();
            self.play();
        }
    }

    fn start(&mut self, partition: TopicPartition, epoch: Epoch, offset: Offset) {
        let started = self.consumer.start(&[(partition.clone(), epoch, offset)]);
        if started[0].1.is_ok() {
            let open = Open { epoch, next: offset, records: Vec::new(), committing: false };
            self.open.insert(partition, open);
        }
    }

    /// Does something at random to one Kafka partition.
    fn play(&mut self) {
        let Some(seed) = &mut self.chaos else { return };
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (*seed >> 33) as usize;
        if let Some(partition) = self.paused.pop() {
            self.consumer.resume(std::slice::from_ref(&partition));
        }
        if random.is_multiple_of(3) || self.open.is_empty() {
            return;
        }
        let mut names: Vec<_> = self.open.keys().cloned().collect();
        names.sort();
        let partition = names.swap_remove(random / 3 % names.len());
        let open = self.open.get_mut(&partition).expect("of the list");
        // What is on its way to be committed must be answered before another lane asks where to begin.
        if random / 64 % 16 == 15 && !open.committing {
            self.consumer.stop(std::slice::from_ref(&partition));
            let epoch = open.epoch;
            self.open.remove(&partition);
            let (from, to) = (self.index, 1 - self.index);
            return self.edge.move_to_lane(LaneMove { partition, epoch, from, to });
        }
        match random / 64 % 4 {
            0 => {
                self.consumer.pause(std::slice::from_ref(&partition));
                self.paused.push(partition);
            }
            1 => {
                self.consumer.stop(std::slice::from_ref(&partition));
                let started = self.consumer.start(&[(partition, open.epoch, open.next)]);
                assert!(started.len() == 1);
            }
            _ => {
                // Back by a few records that are not yet on their way to be committed.
                let keep = open.records.len() - open.records.len().min(random / 256 % 700);
                if let Some(first) = open.records.drain(keep..).next() {
                    open.next = Offset(first);
                }
                self.consumer.start(&[(partition, open.epoch, open.next)]);
            }
        }
    }

    /// Commits what was read since the last time, one request at a time for each.
    fn commit(&mut self) {
        let mut requests = Vec::new();
        let batches = Arc::<Mutex<HashMap<TopicPartition, Vec<i64>>>>::default();
        for (partition, open) in &mut self.open {
            if open.committing || open.records.is_empty() {
                continue;
            }
            open.committing = true;
            let records = std::mem::take(&mut open.records);
            batches.lock().unwrap().insert(partition.clone(), records);
            requests.push(CommitRequest {
                partition: partition.clone(),
                epoch: open.epoch,
                offset: open.next,
                metadata: format!("next={}", open.next),
            });
        }
        if requests.is_empty() {
            return;
        }
        let (own, landed) = (self.own.clone(), Arc::clone(&self.landed));
        self.edge.commit(
            requests,
            Arc::new(move |outcome| {
                let records =
                    batches.lock().unwrap().remove(&outcome.partition).expect("asked once");
                if outcome.result.is_ok() {
                    landed.add(outcome.partition.partition, &records);
                }
                let _ = own.send(Command::Committed(outcome, records));
            }),
        );
    }

    fn committed(&mut self, outcome: CommitOutcome, mut records: Vec<i64>) {
        let Some(open) = self.open.get_mut(&outcome.partition) else { return };
        if open.epoch != outcome.epoch {
            return;
        }
        open.committing = false;
        if let Err(error) = outcome.result {
            assert!(!matches!(error, CommitError::Permanent(_)), "{error}");
            records.append(&mut open.records);
            open.records = records;
        }
    }
}

/// Takes one event in, and wants every offset in its turn.
fn take(
    open: &mut HashMap<TopicPartition, Open>,
    paused: &[TopicPartition],
    event: FetchEvent<'_>,
) {
    match event {
        FetchEvent::Record { partition, epoch, record } => {
            assert!(!paused.contains(partition), "{partition} is paused");
            let open = open.get_mut(partition).expect("of a started Kafka partition");
            assert_eq!((open.epoch, open.next), (epoch, record.offset), "{partition}");
            open.records.push(record.offset.0);
            open.next = record.offset.next();
        }
        FetchEvent::Eof { partition, epoch, offset } => {
            let open = &open[partition];
            assert_eq!((open.epoch, open.next), (epoch, offset), "the end of {partition}");
        }
        FetchEvent::OutOfRange { partition, message, .. }
        | FetchEvent::Truncated { partition, message, .. }
        | FetchEvent::Error { partition, message, .. } => panic!("{partition}: {message}"),
    }
}
