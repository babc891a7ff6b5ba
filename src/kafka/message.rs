//! Messages of librdkafka as records or faults, without a copy.

use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::ops::{ControlFlow, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::native::{self, Client, Queue, millis};
use crate::record::{HeaderSource, Offset, Record, TimestampMs};

/// Kafka's word for "no timestamp".
const NO_TIMESTAMP: i64 = -1;

/// One message, lent.
pub(super) struct Message(NonNull<c::rd_kafka_message_t>);

/// One message that is ours; freed when it goes.
pub(super) struct Taken(Message);

impl Taken {
    /// Takes the next message of a queue, waiting for it. From now on librdkafka takes it for
    /// read, so it must be delivered, or be known to have been.
    pub(super) fn next(queue: &Queue, timeout: Duration) -> Option<Self> {
        // SAFETY: the queue is alive; the message is ours from now on.
        let message = unsafe { c::rd_kafka_consume_queue(queue.ptr(), millis(timeout)) };
        NonNull::new(message).map(|message| Self(Message(message)))
    }
}

impl Deref for Taken {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { c::rd_kafka_message_destroy(self.0.0.as_ptr()) };
    }
}

/// What librdkafka's callback is given.
struct Relay<'a> {
    client: &'a Client,
    each: &'a mut dyn FnMut(&Message) -> ControlFlow<()>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Message {
    /// Lends what waits in the queue that this message's Kafka partition is forwarded to, up to
    /// `consume.callback.max.messages`, until `each` breaks. What is left stays in the queue.
    pub(super) fn lend_more(
        &self,
        client: &Client,
        each: &mut dyn FnMut(&Message) -> ControlFlow<()>,
    ) {
        let mut relay = Relay { client, each, panic: None };
        // SAFETY: the message keeps its topic alive; the relay outlives the call, which alone uses it.
        unsafe {
            let (topic, partition) = (self.raw().rkt, self.raw().partition);
            c::rd_kafka_consume_callback(topic, partition, 0, Some(lend), (&raw mut relay).cast());
        }
        if let Some(panic) = relay.panic {
            resume_unwind(panic);
        }
    }

    /// The bytes of its key and value.
    pub(super) fn len(&self) -> usize {
        self.raw().len + self.raw().key_len
    }

    fn raw(&self) -> &c::rd_kafka_message_t {
        // SAFETY: alive as long as it is lent, or until the drop.
        unsafe { self.0.as_ref() }
    }
}

/// What librdkafka calls with each message, which stays its own.
unsafe extern "C" fn lend(message: *mut c::rd_kafka_message_t, relay: *mut c_void) {
    // SAFETY: it is the relay of the call that this one is made in.
    let relay = unsafe { &mut *relay.cast::<Relay<'_>>() };
    let Some(message) = NonNull::new(message) else { return };
    // No panic goes through librdkafka.
    let next = catch_unwind(AssertUnwindSafe(|| (relay.each)(&Message(message))));
    if !matches!(next, Ok(ControlFlow::Continue(()))) {
        relay.panic = next.err();
        // SAFETY: the client is alive; on this thread, it ends the call that this one is made in.
        unsafe { c::rd_kafka_yield(relay.client.ptr()) };
    }
}

/// What a message is.
pub(super) enum Kind {
    Record,
    /// The end of the Kafka partition, at its offset.
    End,
    Fault(Fault),
}

/// A message that tells of a failure.
#[derive(Debug)]
pub(super) enum Fault {
    /// The position is not in the log; the fetcher gave up.
    OutOfRange(String),
    /// The log was cut; the fetcher gave up.
    Truncated(String),
    /// Something else; it stops the reading if the client would step over data.
    Other { message: String, stops: bool },
}

impl Fault {
    /// Whether librdkafka's fetcher gave up with it.
    pub(super) const fn stops_the_fetcher(&self) -> bool {
        matches!(self, Self::OutOfRange(_) | Self::Truncated(_))
    }

    /// What the client or the broker said.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::OutOfRange(text) | Self::Truncated(text) => text,
            Self::Other { message, .. } => message,
        }
    }
}

impl Message {
    /// What tells one Kafka partition from another, cheaply.
    pub(super) fn key(&self) -> (usize, i32) {
        (self.raw().rkt as usize, self.raw().partition)
    }

    pub(super) fn partition(&self) -> i32 {
        self.raw().partition
    }

    pub(super) fn offset(&self) -> Offset {
        Offset(self.raw().offset)
    }

    /// The name of its topic.
    pub(super) fn topic(&self) -> Option<String> {
        if self.raw().rkt.is_null() {
            return None;
        }
        // SAFETY: the message keeps its topic alive; the name is copied.
        Some(unsafe { native::string(c::rd_kafka_topic_name(self.raw().rkt)) })
    }

    pub(super) fn kind(&self) -> Kind {
        // SAFETY: a plain read of a number: a broker may send a code without a variant.
        let code = unsafe { ptr::addr_of!(self.raw().err).cast::<i32>().read() };
        let text = || format!("{}: {}", native::describe(code), self.text());
        Kind::Fault(match Code::try_from(code) {
            Ok(Code::RD_KAFKA_RESP_ERR_NO_ERROR) => return Kind::Record,
            Ok(Code::RD_KAFKA_RESP_ERR__PARTITION_EOF) => return Kind::End,
            Ok(Code::RD_KAFKA_RESP_ERR__LOG_TRUNCATION) => Fault::Truncated(text()),
            Ok(Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) => Fault::OutOfRange(text()),
            Ok(Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) => self.reset_refused(),
            // librdkafka reports these and goes on behind the data that it could not read.
            Ok(
                Code::RD_KAFKA_RESP_ERR__BAD_MSG
                | Code::RD_KAFKA_RESP_ERR__BAD_COMPRESSION
                | Code::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED
                | Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
            ) => Fault::Other { message: text(), stops: true },
            _ => Fault::Other { message: text(), stops: false },
        })
    }

    /// `auto.offset.reset=error` has one code for two reasons; the text names the reason.
    fn reset_refused(&self) -> Fault {
        let text = self.text();
        let truncation = native::describe(Code::RD_KAFKA_RESP_ERR__LOG_TRUNCATION as i32);
        let reason = truncation.split(" (").next().unwrap_or(&truncation);
        if text.contains(reason) { Fault::Truncated(text) } else { Fault::OutOfRange(text) }
    }

    /// The text of an error.
    fn text(&self) -> String {
        String::from_utf8_lossy(bytes(self.raw().payload, self.raw().len).unwrap_or_default())
            .into_owned()
    }

    /// The record, lent.
    pub(super) fn record(&self) -> Record<'_> {
        let message = self.0.as_ptr();
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let (timestamp, leader_epoch) = unsafe {
            (
                c::rd_kafka_message_timestamp(message, &mut kind),
                c::rd_kafka_message_leader_epoch(message),
            )
        };
        let known = kind != c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        Record {
            offset: self.offset(),
            timestamp: (known && timestamp != NO_TIMESTAMP).then_some(TimestampMs(timestamp)),
            key: bytes(self.raw().key, self.raw().key_len),
            value: bytes(self.raw().payload, self.raw().len),
            headers: self,
            leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
        }
    }
}

impl HeaderSource for Message {
    fn for_each(&self, visit: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive and keeps its headers; it is parsed in place by this
        // thread, which alone holds it.
        let code = unsafe { c::rd_kafka_message_headers(self.0.as_ptr(), &mut headers) };
        if native::check_code(code).is_err() {
            return;
        }
        for index in 0.. {
            let mut name: *const c_char = ptr::null();
            let mut value: *const c_void = ptr::null();
            let mut size = 0;
            // SAFETY: the headers live as long as the message; the outputs are ours.
            let code = unsafe {
                c::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size)
            };
            if native::check_code(code).is_err() {
                return;
            }
            // SAFETY: librdkafka terminates names.
            let name = unsafe { CStr::from_ptr(name) };
            visit(name.to_bytes(), bytes(value, size));
        }
    }
}

/// Null is `None`; an empty value is not.
fn bytes<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: librdkafka gives `len` bytes that live as long as the message, which the callers
    // tie the result to.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast(), len) })
}
