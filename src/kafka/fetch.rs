//! Fetchers without a group: they are given their offsets, join nothing and commit nothing.
//!
//! Used by `sample` and `range`. The client must have no `group.id`: librdkafka's simple consumer
//! commits by itself otherwise, whatever `enable.auto.commit` says.

use std::ffi::CString;
use std::sync::Arc;

use rdkafka::bindings as c;

use super::KafkaError;
use super::native::{Client, Queue};
use crate::record::Offset;

/// The fetchers of one topic; stopped when it goes.
pub(super) struct Fetch {
    topic: *mut c::rd_kafka_topic_t,
    partitions: Vec<i32>,
    pub(super) queue: Queue,
}

impl Fetch {
    /// Fetches these Kafka partitions from these offsets on.
    pub(super) fn start(
        client: &Arc<Client>,
        topic: &str,
        starts: impl IntoIterator<Item = (i32, Offset)>,
    ) -> Result<Self, KafkaError> {
        let failed = |reason| KafkaError::Request { what: format!("records of {topic}"), reason };
        let name = CString::new(topic).map_err(|_| failed("a NUL in a name".to_owned()))?;
        // SAFETY: client and name outlive the call; the handle is freed by the drop.
        let handle =
            unsafe { c::rd_kafka_topic_new(client.ptr(), name.as_ptr(), std::ptr::null_mut()) };
        if handle.is_null() {
            return Err(failed("the client does not take the topic".to_owned()));
        }
        let mut this = Self { topic: handle, partitions: Vec::new(), queue: Queue::new(client) };
        for (partition, from) in starts {
            // SAFETY: topic and queue are alive until every fetcher is stopped.
            let code = unsafe {
                c::rd_kafka_consume_start_queue(handle, partition, from.0, this.queue.ptr())
            };
            if code != 0 {
                return Err(failed(format!("Kafka partition {partition} cannot be read")));
            }
            this.partitions.push(partition);
        }
        Ok(this)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; each fetcher was started once and is stopped once.
        unsafe {
            for partition in &self.partitions {
                c::rd_kafka_consume_stop(self.topic, *partition);
            }
            c::rd_kafka_topic_destroy(self.topic);
        }
    }
}
