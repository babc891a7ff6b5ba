//! One started Kafka partition of a lane: what is delivered of it, and what is not.

use super::message::{Fault, Kind, Message};
use crate::record::{Epoch, Offset, Record, TopicPartition};

/// What a poll brings, lent for the time of the call.
pub enum FetchEvent<'a> {
    /// A record, at or past the next offset; offsets may have gaps.
    Record {
        /// Its Kafka partition.
        partition: &'a TopicPartition,
        /// The assignment that was started.
        epoch: Epoch,
        /// The record.
        record: Record<'a>,
    },
    /// Everything readable below `offset` has been delivered. It may come again.
    Eof {
        /// Its Kafka partition.
        partition: &'a TopicPartition,
        /// The assignment that was started.
        epoch: Epoch,
        /// The next offset there will be.
        offset: Offset,
    },
    /// The position is not in the log. Nothing more comes until `start`.
    OutOfRange {
        /// Its Kafka partition.
        partition: &'a TopicPartition,
        /// The assignment that was started.
        epoch: Epoch,
        /// The position that is not there.
        offset: Offset,
        /// What the broker said.
        message: String,
    },
    /// The log was cut below the position (an unclean election). Nothing more until `start`.
    Truncated {
        /// Its Kafka partition.
        partition: &'a TopicPartition,
        /// The assignment that was started.
        epoch: Epoch,
        /// The position that is no more.
        offset: Offset,
        /// What the broker said.
        message: String,
    },
    /// Any other failure to fetch.
    Error {
        /// Its Kafka partition.
        partition: &'a TopicPartition,
        /// The assignment that was started.
        epoch: Epoch,
        /// What the client or the broker said, with the name of the error.
        message: String,
        /// Whether nothing more comes until `start` (corrupt data); otherwise the client tries
        /// on by itself.
        stopped: bool,
    },
}

pub(super) struct Slot {
    pub(super) partition: TopicPartition,
    pub(super) epoch: Epoch,
    /// The next offset to be read. What is below it was delivered before: the client rewinds by
    /// a few records when it pauses while one is on its way to us.
    pub(super) next: Offset,
    pub(super) state: SlotState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// To be sought and resumed; what arrives meanwhile is from before.
    Starting,
    Running,
    Paused,
    /// The fetcher gave up, or corrupt data must not be stepped over.
    Stopped,
}

impl Slot {
    pub(super) fn starting(partition: &TopicPartition, epoch: Epoch, next: Offset) -> Self {
        Self { partition: partition.clone(), epoch, next, state: SlotState::Starting }
    }

    /// Hands a message on, if it is to be delivered.
    pub(super) fn deliver(
        &mut self,
        message: &Message,
        kind: Kind,
        on_event: &mut dyn FnMut(FetchEvent<'_>),
    ) -> bool {
        if self.state != SlotState::Running {
            return false;
        }
        match kind {
            Kind::Record if message.offset() < self.next => return false,
            Kind::Record => self.on_record(message, on_event),
            Kind::End => self.on_end(message.offset(), on_event),
            Kind::Fault(fault) => self.on_fault(fault, on_event),
        }
        true
    }

    fn on_record(&mut self, message: &Message, on_event: &mut dyn FnMut(FetchEvent<'_>)) {
        self.next = message.offset().next();
        let (partition, epoch, record) = (&self.partition, self.epoch, message.record());
        on_event(FetchEvent::Record { partition, epoch, record });
    }

    fn on_end(&mut self, offset: Offset, on_event: &mut dyn FnMut(FetchEvent<'_>)) {
        self.next = self.next.max(offset);
        let (partition, epoch) = (&self.partition, self.epoch);
        on_event(FetchEvent::Eof { partition, epoch, offset });
    }

    fn on_fault(&mut self, fault: Fault, on_event: &mut dyn FnMut(FetchEvent<'_>)) {
        let (partition, epoch, offset) = (&self.partition, self.epoch, self.next);
        let event = match fault {
            Fault::OutOfRange(message) => {
                FetchEvent::OutOfRange { partition, epoch, offset, message }
            }
            Fault::Truncated(message) => {
                FetchEvent::Truncated { partition, epoch, offset, message }
            }
            Fault::Other { message, stops } => {
                FetchEvent::Error { partition, epoch, message, stopped: stops }
            }
        };
        let goes_on = matches!(event, FetchEvent::Error { stopped: false, .. });
        on_event(event);
        if !goes_on {
            self.state = SlotState::Stopped;
        }
    }
}
