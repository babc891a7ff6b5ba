//! What one lane reads: its Kafka partitions' queues, forwarded to one.
//!
//! Fed by librdkafka's fetchers, owned and polled by one lane thread. Every Kafka partition is
//! assigned *parked*: paused, at offset 0. To start one is a seek and a resume, to stop one is a
//! pause. Neither touches the group's state machine, which an `incremental_unassign` of the
//! application would push past a revoke that it has not yet been told of; and a seek sets the
//! client's position, so that what was in flight before it never counts.
//!
//! Read in runs: the first message by itself, then up to [`RUN`] through `rd_kafka_consume_callback`,
//! which takes the queue's lock once and not once a message. `rd_kafka_consume_batch_queue` would do
//! so too, but cannot be used: librdkafka pauses every fetcher at each rebalance and lets it go on at
//! the *application's position*, and the batch call (2.12.1, `rd_kafka_q_serve_rkmessages`) sets that
//! to `offset + 1` for end-of-partition events too, whose offset is the **next** one. A rebalance at
//! the end of the log then skips a record without a sign, or asks for an offset that is not there
//! yet. The calls used here move the position for records and control records only, after they have
//! dropped what is outdated; all that a pause can do beside them is bring a record twice.
//!
//! While a run goes on the fetchers do not see it in the queue, and may ask for as much again. So
//! large messages are read one a call.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;

use super::gate::{LaneShared, LaneWaker};
use super::list::PartitionList;
use super::message::{Kind, Message, Taken};
use super::native::{self, Client, millis};
use super::slot::{FetchEvent, Slot, SlotState};
use super::wake::{BrokerWaker, LANES_PAUSE};
use crate::record::{Epoch, Offset, TopicPartition};

/// How many messages one poll may bring.
const BATCH: usize = 512;
/// Or how many bytes: between two polls the lane tells what it holds, and stops if that is too
/// much. A few large records are too much at once.
const BATCH_BYTES: usize = 1 << 20;
/// How many messages one call may bring.
pub(super) const RUN: usize = 64;
/// From this size on a message is read by itself.
const LARGE: usize = 16 << 10;
/// How long a seek may take; it is a round trip to a thread of our own process.
const SEEK_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon a start that was too early (a commit in flight delays assignments) is tried again.
const START_RETRY: Duration = Duration::from_millis(10);

/// Why a Kafka partition was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assignment is over")]
pub struct StaleEpoch;

/// One lane's reader; owned by the lane's thread.
pub struct LaneConsumer {
    client: Arc<Client>,
    shared: Arc<LaneShared>,
    slots: Vec<Slot>,
    /// From librdkafka's topic handle and partition to a slot; cleared whenever slots change.
    cache: HashMap<(usize, i32), Option<usize>>,
    /// What was looked up last.
    latest: Option<((usize, i32), Option<usize>)>,
    retry_at: Option<Instant>,
    brokers: BrokerWaker,
}

/// What one poll has brought so far.
#[derive(Default)]
struct Polled {
    messages: usize,
    bytes: usize,
    delivered: usize,
}

impl LaneConsumer {
    pub(super) fn new(client: Arc<Client>, shared: Arc<LaneShared>) -> Self {
        let (slots, cache) = (Vec::new(), HashMap::new());
        let brokers = BrokerWaker::new(&client, LANES_PAUSE);
        Self { client, shared, slots, cache, latest: None, retry_at: None, brokers }
    }

    /// Wakes this lane from other threads.
    pub fn waker(&self) -> LaneWaker {
        LaneWaker::new(&self.shared)
    }

    /// Reads these Kafka partitions from absolute offsets, whether they are read already (a
    /// rewind) or not. Nothing that was in flight before is delivered afterwards.
    pub fn start(
        &mut self,
        starts: &[(TopicPartition, Epoch, Offset)],
    ) -> Vec<(TopicPartition, Result<(), StaleEpoch>)> {
        let mut gate = self.shared.gate();
        let mut results = Vec::with_capacity(starts.len());
        let mut slots = Vec::with_capacity(starts.len());
        for (partition, epoch, offset) in starts {
            let stands = gate.epochs.get(partition) == Some(epoch);
            if stands {
                if gate.dead.contains(partition) {
                    gate.to_reassign.push(partition.clone());
                }
                slots.push(Slot::starting(partition, *epoch, *offset));
            }
            results.push((partition.clone(), if stands { Ok(()) } else { Err(StaleEpoch) }));
        }
        drop(gate);
        self.slots.retain(|old| slots.iter().all(|new| old.partition != new.partition));
        self.slots.append(&mut slots);
        self.forget_slots();
        self.start_waiting();
        results
    }

    /// Reads these no more. Nothing of them is delivered afterwards.
    pub fn stop(&mut self, partitions: &[TopicPartition]) {
        self.pause_fetching(partitions);
        self.slots.retain(|slot| !partitions.contains(&slot.partition));
        self.forget_slots();
    }

    /// Holds these back; the next offset is remembered. Nothing of them is delivered until
    /// `resume`, and nothing is fetched.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        self.pause_fetching(partitions);
        for slot in self.slots.iter_mut().filter(|slot| partitions.contains(&slot.partition)) {
            if slot.state != SlotState::Stopped {
                slot.state = SlotState::Paused;
            }
        }
    }

    /// Goes on with these where `pause` left them.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        for slot in self.slots.iter_mut().filter(|slot| partitions.contains(&slot.partition)) {
            if slot.state == SlotState::Paused {
                slot.state = SlotState::Starting;
            }
        }
        self.start_waiting();
    }

    /// Hands on what has arrived, waiting at most `timeout` for the first event. Returns the
    /// number of events handed on. To be called always: librdkafka wants polling threads.
    pub fn poll(&mut self, timeout: Duration, on_event: &mut dyn FnMut(FetchEvent<'_>)) -> usize {
        self.start_reassigned();
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.start_waiting();
        }
        let timeout = if self.retry_at.is_some() { timeout.min(START_RETRY) } else { timeout };
        let mut polled = Polled::default();
        let mut wait = timeout;
        while let Some(message) = Taken::next(&self.shared.queue, std::mem::take(&mut wait)) {
            let mut next = self.dispatch(&message, &mut polled, on_event);
            if next.is_continue() && message.len() < LARGE {
                let client = Arc::clone(&self.client);
                message.lend_more(&client, &mut |more| {
                    next = self.dispatch(more, &mut polled, on_event);
                    if more.len() < LARGE { next } else { ControlFlow::Break(()) }
                });
            }
            if next.is_break() {
                break;
            }
        }
        polled.delivered
    }

    /// Hands a message on, and says whether the poll has brought enough.
    fn dispatch(
        &mut self,
        message: &Message,
        polled: &mut Polled,
        on_event: &mut dyn FnMut(FetchEvent<'_>),
    ) -> ControlFlow<()> {
        polled.delivered += usize::from(self.deliver(message, on_event));
        polled.messages += 1;
        polled.bytes += message.len();
        if polled.messages >= BATCH || polled.bytes >= BATCH_BYTES {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Whether the message was handed on.
    fn deliver(&mut self, message: &Message, on_event: &mut dyn FnMut(FetchEvent<'_>)) -> bool {
        let Some(index) = self.slot_of(message) else { return false };
        let kind = message.kind();
        if let Kind::Fault(fault) = &kind
            && fault.stops_the_fetcher()
        {
            let partition = self.slots[index].partition.clone();
            self.shared.gate().dead.insert(partition);
        }
        self.slots[index].deliver(message, kind, on_event)
    }

    /// The slot of a message; none for one of a Kafka partition that is not started (any more).
    fn slot_of(&mut self, message: &Message) -> Option<usize> {
        let key = message.key();
        // Messages of one Kafka partition come together.
        if let Some((latest, slot)) = self.latest
            && latest == key
        {
            return slot;
        }
        let slots = &self.slots;
        let slot = *self.cache.entry(key).or_insert_with(|| {
            let topic = message.topic()?;
            let is_it = |slot: &Slot| {
                slot.partition.partition == message.partition() && *slot.partition.topic == *topic
            };
            slots.iter().position(is_it)
        });
        self.latest = Some((key, slot));
        slot
    }

    /// Slots have changed.
    fn forget_slots(&mut self) {
        self.cache.clear();
        self.latest = None;
    }

    /// What was assigned anew behind the lane's back is sought again.
    fn start_reassigned(&mut self) {
        let reassigned = std::mem::take(&mut self.shared.gate().reassigned);
        if reassigned.is_empty() {
            return;
        }
        for slot in self.slots.iter_mut().filter(|slot| reassigned.contains(&slot.partition)) {
            if slot.state == SlotState::Running {
                slot.state = SlotState::Starting;
            }
        }
        self.start_waiting();
    }

    /// Seeks and resumes everything that waits for it, as far as it goes.
    fn start_waiting(&mut self) {
        let gate = self.shared.gate();
        // An assignment that is over ends silently: the revoke says so.
        let stands = |slot: &Slot| gate.epochs.get(&slot.partition) == Some(&slot.epoch);
        let mut list = PartitionList::new(self.slots.len());
        for slot in self.slots.iter().filter(|s| s.state == SlotState::Starting && stands(s)) {
            list.push(&slot.partition, slot.next.0, &[]);
        }
        let sought = seek(&self.client, &list);
        let resumed = PartitionList::at(&sought, 0);
        // SAFETY: client and list outlive the call.
        unsafe { c::rd_kafka_resume_partitions(self.client.ptr(), resumed.ptr()) };
        self.brokers.wake(&sought);
        for slot in &mut self.slots {
            if slot.state == SlotState::Starting && sought.contains(&slot.partition) {
                slot.state = SlotState::Running;
            }
        }
        let late = self.slots.iter().any(|s| s.state == SlotState::Starting && stands(s));
        drop(gate);
        self.retry_at = late.then(|| Instant::now() + START_RETRY);
    }

    /// Pauses what is still ours; what is not may belong to another lane by now.
    fn pause_fetching(&self, partitions: &[TopicPartition]) {
        let gate = self.shared.gate();
        let ours = self.slots.iter().filter(|slot| {
            partitions.contains(&slot.partition)
                && gate.epochs.get(&slot.partition) == Some(&slot.epoch)
        });
        let list = PartitionList::at(ours.map(|slot| &slot.partition), 0);
        // SAFETY: client and list outlive the call.
        unsafe { c::rd_kafka_pause_partitions(self.client.ptr(), list.ptr()) };
    }
}

/// Sends the fetchers to their offsets; names those that went.
fn seek(client: &Client, list: &PartitionList) -> Vec<TopicPartition> {
    // SAFETY: client and list outlive the call.
    let error =
        unsafe { c::rd_kafka_seek_partitions(client.ptr(), list.ptr(), millis(SEEK_TIMEOUT)) };
    // An error of the whole call (time, an empty list) leaves those that went marked as such.
    let _ = native::check(error);
    list.entries().into_iter().filter(|e| e.error == 0).map(|e| e.partition).collect()
}
