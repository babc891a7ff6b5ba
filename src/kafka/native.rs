//! The thin safe layer over librdkafka's C API: handles that free themselves, and nothing else.
//!
//! The wrapper crate's consumer cannot forward queues, read them in batches, or give errors by
//! Kafka partition on a commit, so this room speaks C for all that concerns the group.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as c;
use rdkafka::types::{RDKafkaRespErr, RDKafkaType};

use super::KafkaError;
use super::list::{Entry, entries};
use super::msk::TokenSource;
use crate::record::{IsolationLevel, Offset, TopicPartition};

/// How long a handle may take to be torn down before it is left to the end of the process.
const DESTROY_PATIENCE: Duration = Duration::from_secs(10);

/// One librdkafka client.
pub(super) struct Client {
    rk: NonNull<c::rd_kafka_t>,
    isolation: IsolationLevel,
    tokens: Option<Box<TokenSource>>,
}

// SAFETY: librdkafka documents its handle as completely thread safe.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Makes a consumer whose rebalances, errors, logs and tokens are events of its main queue.
    /// With a region, it signs in to Amazon MSK there.
    pub(super) fn consumer(
        config: &ClientConfig,
        msk_iam_region: Option<&str>,
    ) -> Result<Self, KafkaError> {
        let conf = config.create_native_config().map_err(|e| KafkaError::Config(e.to_string()))?;
        let tokens = msk_iam_region.map(|region| TokenSource::attach(&conf, region));
        let mut events =
            c::RD_KAFKA_EVENT_REBALANCE | c::RD_KAFKA_EVENT_ERROR | c::RD_KAFKA_EVENT_OFFSET_COMMIT;
        if tokens.is_none() {
            events |= c::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
        }
        // SAFETY: the configuration is alive and ours.
        unsafe { c::rd_kafka_conf_set_events(conf.ptr(), events) };
        let mut text = [0 as c_char; 512];
        // SAFETY: on success the client takes the configuration over (hence no drop of ours), on
        // failure it stays ours; the text buffer outlives the call.
        let rk = unsafe {
            c::rd_kafka_new(
                RDKafkaType::RD_KAFKA_CONSUMER,
                conf.ptr(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        let Some(rk) = NonNull::new(rk) else {
            // SAFETY: librdkafka wrote a terminated string.
            return Err(KafkaError::Config(unsafe { string(text.as_ptr()) }));
        };
        let _taken_over = ManuallyDrop::new(conf);
        // SAFETY: the client was just made; null forwards the log to its main queue.
        unsafe {
            c::rd_kafka_set_log_queue(rk.as_ptr(), ptr::null_mut());
            c::rd_kafka_poll_set_consumer(rk.as_ptr());
        }
        let client = Self { rk, isolation: isolation_of(config), tokens };
        if client.tokens.is_some() {
            // SAFETY: the client is alive; an error object is ours and freed.
            let error = unsafe { c::rd_kafka_sasl_background_callbacks_enable(client.ptr()) };
            check(error).map_err(KafkaError::Config)?;
        }
        Ok(client)
    }

    pub(super) fn ptr(&self) -> *mut c::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// Which records of transactions it reads.
    pub(super) const fn isolation(&self) -> IsolationLevel {
        self.isolation
    }
}

fn isolation_of(config: &ClientConfig) -> IsolationLevel {
    match config.get("isolation.level") {
        Some("read_uncommitted") => IsolationLevel::ReadUncommitted,
        _ => IsolationLevel::ReadCommitted,
    }
}

impl Drop for Client {
    /// Tears the client down on a thread of its own: librdkafka waits there for whatever still
    /// refers to it, and a stop of this process must not.
    fn drop(&mut self) {
        let address = self.rk.as_ptr() as usize;
        let tokens = self.tokens.take();
        let (done, waiting) = mpsc::channel();
        let destroy = move || {
            // SAFETY: this is the last owner; the group was left before, so no callback runs.
            unsafe {
                c::rd_kafka_destroy_flags(
                    address as *mut c::rd_kafka_t,
                    c::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE,
                );
            }
            // Until now the client may have asked for one.
            drop(tokens);
            let _ = done.send(());
        };
        let spawned = std::thread::Builder::new().name("kafka-destroy".into()).spawn(destroy);
        if spawned.is_ok() && waiting.recv_timeout(DESTROY_PATIENCE).is_err() {
            tracing::warn!("the Kafka client did not stop in time, left to the end of the process");
        }
    }
}

/// One of the client's queues; keeps the client alive.
pub(super) struct Queue {
    ptr: NonNull<c::rd_kafka_queue_t>,
    _client: Arc<Client>,
}

// SAFETY: librdkafka's queues lock themselves.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A private queue.
    pub(super) fn new(client: &Arc<Client>) -> Self {
        // SAFETY: the client is alive; the call never returns null.
        Self::wrap(client, unsafe { c::rd_kafka_queue_new(client.ptr()) })
            .unwrap_or_else(|| unreachable!("rd_kafka_queue_new returned null"))
    }

    /// The queue of rebalances, errors and logs.
    pub(super) fn main(client: &Arc<Client>) -> Option<Self> {
        // SAFETY: the client is alive; null (no group.id) is handled.
        Self::wrap(client, unsafe { c::rd_kafka_queue_get_consumer(client.ptr()) })
    }

    /// The queue of errors and logs of a client without a group.
    pub(super) fn replies(client: &Arc<Client>) -> Self {
        // SAFETY: the client is alive; the call never returns null.
        Self::wrap(client, unsafe { c::rd_kafka_queue_get_main(client.ptr()) })
            .unwrap_or_else(|| unreachable!("rd_kafka_queue_get_main returned null"))
    }

    /// The fetch queue of one Kafka partition, which is made known to the client by this.
    pub(super) fn of_partition(client: &Arc<Client>, partition: &TopicPartition) -> Option<Self> {
        let topic = CString::new(&*partition.topic).ok()?;
        // SAFETY: the client and the string outlive the call.
        Self::wrap(client, unsafe {
            c::rd_kafka_queue_get_partition(client.ptr(), topic.as_ptr(), partition.partition)
        })
    }

    fn wrap(client: &Arc<Client>, ptr: *mut c::rd_kafka_queue_t) -> Option<Self> {
        NonNull::new(ptr).map(|ptr| Self { ptr, _client: Arc::clone(client) })
    }

    /// Whatever arrives here goes to `target` from now on.
    pub(super) fn forward_to(&self, target: &Self) {
        // SAFETY: both queues are alive; the target is kept by librdkafka.
        unsafe { c::rd_kafka_queue_forward(self.ptr(), target.ptr()) };
    }

    /// Waits for one event.
    pub(super) fn poll(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: the queue is alive.
        let event = unsafe { c::rd_kafka_queue_poll(self.ptr(), millis(timeout)) };
        NonNull::new(event).map(Event)
    }

    pub(super) fn ptr(&self) -> *mut c::rd_kafka_queue_t {
        self.ptr.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { c::rd_kafka_queue_destroy(self.ptr()) };
    }
}

/// An event of a queue.
pub(super) struct Event(NonNull<c::rd_kafka_event_t>);

impl Event {
    pub(super) fn ptr(&self) -> *mut c::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// Its kind, one of `RD_KAFKA_EVENT_*`.
    pub(super) fn kind(&self) -> i32 {
        // SAFETY: the event is alive.
        unsafe { c::rd_kafka_event_type(self.ptr()) }
    }

    /// Its error code.
    pub(super) fn error(&self) -> RDKafkaRespErr {
        // SAFETY: the event is alive.
        unsafe { c::rd_kafka_event_error(self.ptr()) }
    }

    /// Its error in words.
    pub(super) fn error_text(&self) -> String {
        // SAFETY: the event is alive; the string is terminated and copied.
        unsafe { string(c::rd_kafka_event_error_string(self.ptr())) }
    }

    /// What kind of line it is, its text and its level (as in syslog), if it is a line of the log.
    pub(super) fn log_line(&self) -> Option<(String, String, c_int)> {
        let (mut kind, mut text): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
        let mut level = 0;
        // SAFETY: the event is alive; the strings live as long and are copied.
        unsafe {
            let is_none = c::rd_kafka_event_log(self.ptr(), &mut kind, &mut text, &mut level) != 0;
            (!is_none).then(|| (string(kind), string(text), level))
        }
    }

    /// The entries of its list of Kafka partitions; none if it has no list.
    pub(super) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the event owns the list and is alive; the entries are copies.
        unsafe { entries(c::rd_kafka_event_topic_partition_list(self.ptr())) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { c::rd_kafka_event_destroy(self.ptr()) };
    }
}

/// What a call that returns an error object said; frees the object.
pub(super) fn check(error: *mut c::rd_kafka_error_t) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the object is ours; its string is copied before it is freed.
    let text = unsafe {
        let text = string(c::rd_kafka_error_string(error));
        c::rd_kafka_error_destroy(error);
        text
    };
    Err(text)
}

/// What a call that returns a code said.
pub(super) fn check_code(code: RDKafkaRespErr) -> Result<(), String> {
    match code as i32 {
        0 => Ok(()),
        code => Err(describe(code)),
    }
}

/// An error code in words, with its name.
pub(super) fn describe(code: i32) -> String {
    match RDKafkaRespErr::try_from(code) {
        // SAFETY: both return static strings.
        Ok(code) => unsafe {
            format!(
                "{} ({})",
                string(c::rd_kafka_err2str(code)),
                string(c::rd_kafka_err2name(code))
            )
        },
        Err(_) => format!("error code {code} of a newer broker"),
    }
}

/// Copies a C string; null is empty.
///
/// # Safety
/// The pointer is null or points to a terminated string.
pub(super) unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A duration as C wants it.
pub(super) fn millis(timeout: Duration) -> c_int {
    timeout.as_millis().min(i32::MAX as u128) as c_int
}

/// The offset that librdkafka tells, if it is one.
pub(super) fn offset(raw: i64) -> Option<Offset> {
    (raw >= 0).then_some(Offset(raw))
}
