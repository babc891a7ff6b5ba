//! What a lane of a simulated process sees of the world.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kafka_s3_sink::daemon::driver::Surroundings;
use kafka_s3_sink::kafka::FetchEvent;
use kafka_s3_sink::pipeline::{Event, Moment, Ticket};
use kafka_s3_sink::record::{
    CommitRequest, Epoch, Layout, NoHeaders, ObjectAddress, Offset, PutRequest, Record,
    TimestampMs, TopicPartition,
};

use crate::topic::Entry;

/// A fetch that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    pub(crate) epoch: Epoch,
    pub(crate) next: i64,
    pub(crate) paused: bool,
    /// The end that was told last.
    pub(crate) told_end: Option<i64>,
}

/// What waits to be handed on.
#[derive(Debug)]
pub(crate) enum Fetched {
    Record(TopicPartition, Epoch, Rc<Entry>),
    Eof(TopicPartition, Epoch, i64),
    OutOfRange(TopicPartition, Epoch, i64),
}

impl Fetched {
    fn partition(&self) -> &TopicPartition {
        match self {
            Self::Record(at, ..) | Self::Eof(at, ..) | Self::OutOfRange(at, ..) => at,
        }
    }
}

/// What the lane asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Commit(Vec<CommitRequest>),
    Resolve(TopicPartition, Epoch, Arc<Layout>),
    Put(Ticket, PutRequest),
    Head(Ticket, ObjectAddress),
}

/// The world's end of it.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) now: u64,
    pub(crate) fetches: BTreeMap<TopicPartition, Fetch>,
    pub(crate) ready: VecDeque<Fetched>,
    pub(crate) requests: Vec<Request>,
    pub(crate) let_go: Vec<(TopicPartition, Epoch)>,
    pub(crate) events: Vec<(TopicPartition, Event)>,
    /// How much one poll hands on.
    pub(crate) at_once: usize,
}

/// The lane's end of it.
#[derive(Clone, Default)]
pub(crate) struct Ports(pub(crate) Rc<RefCell<Side>>);

impl Ports {
    fn forget(&self, partition: &TopicPartition) {
        self.0.borrow_mut().ready.retain(|fetched| fetched.partition() != partition);
    }
}

impl Surroundings for Ports {
    fn now(&mut self) -> Moment {
        Moment(self.0.borrow().now)
    }

    fn goal(&self, _: &TopicPartition) -> Option<Offset> {
        None
    }

    fn poll(&mut self, _: Duration, on_event: &mut dyn FnMut(FetchEvent<'_>)) {
        let at_once = self.0.borrow().at_once;
        for _ in 0..at_once {
            let Some(fetched) = self.0.borrow_mut().ready.pop_front() else { return };
            match &fetched {
                Fetched::Record(partition, epoch, entry) => on_event(FetchEvent::Record {
                    partition,
                    epoch: *epoch,
                    record: Record {
                        offset: Offset(entry.offset),
                        timestamp: Some(TimestampMs(entry.timestamp)),
                        key: None,
                        value: entry.value.as_deref(),
                        headers: &NoHeaders,
                        leader_epoch: Some(entry.leader_epoch),
                    },
                }),
                Fetched::Eof(partition, epoch, offset) => {
                    on_event(FetchEvent::Eof { partition, epoch: *epoch, offset: Offset(*offset) });
                }
                Fetched::OutOfRange(partition, epoch, offset) => {
                    on_event(FetchEvent::OutOfRange {
                        partition,
                        epoch: *epoch,
                        offset: Offset(*offset),
                        message: "out of range".to_owned(),
                    });
                }
            }
        }
    }

    fn start(&mut self, starts: &[(TopicPartition, Epoch, Offset)]) {
        for (partition, epoch, from) in starts {
            self.forget(partition);
            let fetch = Fetch { epoch: *epoch, next: from.0, paused: false, told_end: None };
            self.0.borrow_mut().fetches.insert(partition.clone(), fetch);
        }
    }

    fn stop(&mut self, partition: &TopicPartition) {
        self.forget(partition);
        self.0.borrow_mut().fetches.remove(partition);
    }

    /// What was fetched and not handed on is fetched again.
    fn pause(&mut self, partition: &TopicPartition) {
        let first = self.0.borrow().ready.iter().find_map(|fetched| match fetched {
            Fetched::Record(at, _, entry) if at == partition => Some(entry.offset),
            _ => None,
        });
        self.forget(partition);
        if let Some(fetch) = self.0.borrow_mut().fetches.get_mut(partition) {
            fetch.paused = true;
            fetch.next = first.unwrap_or(fetch.next);
            fetch.told_end = None;
        }
    }

    fn resume(&mut self, partition: &TopicPartition) {
        if let Some(fetch) = self.0.borrow_mut().fetches.get_mut(partition) {
            fetch.paused = false;
        }
    }

    fn commit(&mut self, requests: Vec<CommitRequest>) {
        self.0.borrow_mut().requests.push(Request::Commit(requests));
    }

    fn resolve(&mut self, partition: TopicPartition, epoch: Epoch, layout: Arc<Layout>) {
        self.0.borrow_mut().requests.push(Request::Resolve(partition, epoch, layout));
    }

    fn put(&mut self, ticket: Ticket, request: PutRequest) {
        self.0.borrow_mut().requests.push(Request::Put(ticket, request));
    }

    fn head(&mut self, ticket: Ticket, address: ObjectAddress) {
        self.0.borrow_mut().requests.push(Request::Head(ticket, address));
    }

    fn let_go(&mut self, partition: &TopicPartition, epoch: Epoch) {
        self.0.borrow_mut().let_go.push((partition.clone(), epoch));
    }

    fn tell(&mut self, partition: &TopicPartition, event: Event) {
        self.0.borrow_mut().events.push((partition.clone(), event));
    }

    fn fetch_failed(&mut self, _: &TopicPartition, _: Option<Offset>, _: &str) {}
}
