//! What is asked of the cluster about a topic; blocking calls for a blocking thread.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as c;

use super::KafkaError;
use super::list::{Entry, PartitionList};
use super::native::{self, Client, Event, Queue, millis};
use crate::record::{Committed, CommittedOffsets, Offset, TimestampMs, TopicFacts, TopicPartition};

/// How the cluster id of librdkafka's mock cluster begins, which answers no admin request.
const MOCK_CLUSTER: &str = "mockCluster";
/// How long one question may take; all of them are asked again by the caller.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The first offset of a log, and the one after its last readable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// The oldest offset that the log still has.
    pub start: Offset,
    /// The end that is readable at our isolation level (the last stable offset, or the high
    /// watermark).
    pub end: Offset,
}

/// The facts of some Kafka partitions of one topic. Their offsets are fetched **after**
/// `prefix_empty` was found out by the caller.
pub(super) fn topic_facts(
    client: &Arc<Client>,
    topic: &str,
    partitions: &[i32],
    prefix_empty: Option<bool>,
) -> Result<BTreeMap<i32, TopicFacts>, KafkaError> {
    let count = partition_count(client, topic)?;
    let committed = Arc::new(committed(client, topic, count)?);
    let topic_id: Arc<str> = topic_id(client, topic)?.into();
    let cluster_id: Arc<str> = cluster_id(client).into();
    let compacted = compacted(client, topic);
    let name: Arc<str> = topic.into();
    let wanted: Vec<_> =
        partitions.iter().map(|p| TopicPartition::new(Arc::clone(&name), *p)).collect();
    let bounds = log_bounds(client, &wanted)?;
    let facts = |bounds: &LogBounds| TopicFacts {
        topic_id: Arc::clone(&topic_id),
        cluster_id: Arc::clone(&cluster_id),
        committed: Arc::clone(&committed),
        log_start: bounds.start,
        log_end: bounds.end,
        prefix_empty,
        compacted,
    };
    Ok(bounds.iter().map(|(partition, b)| (partition.partition, facts(b))).collect())
}

/// The group's offsets of all Kafka partitions of a topic.
pub(super) fn group_offsets(client: &Client, topic: &str) -> Result<CommittedOffsets, KafkaError> {
    committed(client, topic, partition_count(client, topic)?)
}

/// The number of Kafka partitions of a topic.
pub(super) fn partition_count(client: &Client, topic: &str) -> Result<i32, KafkaError> {
    let failed = |reason| KafkaError::Request { what: format!("metadata of {topic}"), reason };
    let found = metadata(client, Some(topic))?.into_iter().find(|found| found.name == topic);
    match found {
        Some(Topic { error: 0, partitions, .. }) if partitions > 0 => Ok(partitions),
        Some(Topic { error, .. }) => Err(failed(native::describe(error))),
        None => Err(failed("the broker does not name it".into())),
    }
}

/// The names of all topics that this user may see, with the number of their Kafka partitions.
pub(super) fn topics(client: &Client) -> Result<BTreeMap<String, i32>, KafkaError> {
    let usable = metadata(client, None)?.into_iter().filter(|topic| topic.error == 0);
    Ok(usable.map(|topic| (topic.name, topic.partitions)).collect())
}

struct Topic {
    name: String,
    partitions: i32,
    error: i32,
}

fn metadata(client: &Client, topic: Option<&str>) -> Result<Vec<Topic>, KafkaError> {
    let what = || format!("metadata of {}", topic.unwrap_or("all topics"));
    let name = topic.map(|t| c_name(t, &what())).transpose()?;
    // SAFETY: client and name are alive; the objects are ours, read while they live, and freed.
    unsafe {
        let handle = name.as_ref().map_or(ptr::null_mut(), |name| {
            c::rd_kafka_topic_new(client.ptr(), name.as_ptr(), ptr::null_mut())
        });
        let mut found = ptr::null();
        let all = i32::from(name.is_none());
        let code = c::rd_kafka_metadata(client.ptr(), all, handle, &mut found, millis(TIMEOUT));
        if !handle.is_null() {
            c::rd_kafka_topic_destroy(handle);
        }
        native::check_code(code).map_err(|reason| KafkaError::Request { what: what(), reason })?;
        let list = (*found).topics;
        let topics = (0..(*found).topic_cnt as usize)
            .map(|index| {
                let topic = list.add(index);
                Topic {
                    name: native::string((*topic).topic),
                    partitions: (*topic).partition_cnt,
                    error: ptr::addr_of!((*topic).err).cast::<i32>().read(),
                }
            })
            .collect();
        c::rd_kafka_metadata_destroy(found);
        Ok(topics)
    }
}

/// The group's offsets of all Kafka partitions of a topic. librdkafka asks for stable ones when
/// the isolation level is `read_committed`, so that no commit on its way is missed.
fn committed(client: &Client, topic: &str, count: i32) -> Result<CommittedOffsets, KafkaError> {
    let failed =
        |reason| KafkaError::Request { what: format!("committed offsets of {topic}"), reason };
    let name: Arc<str> = topic.into();
    let partitions: Vec<_> =
        (0..count).map(|number| TopicPartition::new(Arc::clone(&name), number)).collect();
    let list = PartitionList::at(&partitions, 0);
    // SAFETY: client and list outlive the call.
    let code = unsafe { c::rd_kafka_committed(client.ptr(), list.ptr(), millis(TIMEOUT)) };
    native::check_code(code).map_err(failed)?;
    let mut offsets = CommittedOffsets::new();
    for entry in list.entries() {
        // A failed entry looks like one without an offset, and that would look like a first start.
        if entry.error != 0 {
            return Err(failed(format!("{}: {}", entry.partition, native::describe(entry.error))));
        }
        let metadata = String::from_utf8_lossy(&entry.metadata).into_owned();
        let committed = Committed { offset: native::offset(entry.offset), metadata };
        offsets.insert(entry.partition.partition, committed);
    }
    Ok(offsets)
}

/// The bounds of logs, two requests for each leader.
pub(super) fn log_bounds(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, LogBounds>, KafkaError> {
    // In this order: the end may grow meanwhile, and the start never passes an end seen later.
    let starts = list_offsets(client, partitions, c::RD_KAFKA_OFFSET_BEGINNING)?;
    let mut ends = list_offsets(client, partitions, c::RD_KAFKA_OFFSET_END)?;
    let bounds = |(partition, start): (TopicPartition, Offset)| {
        let end = ends.remove(&partition)?;
        Some((partition, LogBounds { start, end }))
    };
    Ok(starts.into_iter().filter_map(bounds).collect())
}

/// The readable ends of logs. librdkafka asks with the client's isolation level.
pub(super) fn end_offsets(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Offset>, KafkaError> {
    list_offsets(client, partitions, c::RD_KAFKA_OFFSET_END)
}

/// The first offsets whose records are of this time or later; where there is none, the end.
pub(super) fn offsets_at(
    client: &Client,
    partitions: &[TopicPartition],
    time: TimestampMs,
) -> Result<BTreeMap<TopicPartition, Offset>, KafkaError> {
    let ends = end_offsets(client, partitions)?;
    let found = ask_offsets(client, partitions, time.0.max(0))?;
    let pick = |(partition, offset): (TopicPartition, Option<Offset>)| {
        let offset = offset.or_else(|| ends.get(&partition).copied())?;
        Some((partition, offset))
    };
    Ok(found.into_iter().filter_map(pick).collect())
}

/// Offsets of the beginning or the end, which every log has.
fn list_offsets(
    client: &Client,
    partitions: &[TopicPartition],
    which: i32,
) -> Result<BTreeMap<TopicPartition, Offset>, KafkaError> {
    let found = ask_offsets(client, partitions, i64::from(which))?;
    let must_be = |(partition, offset): (TopicPartition, Option<Offset>)| match offset {
        Some(offset) => Ok((partition, offset)),
        None => Err(no_offsets(format!("{partition}: the broker tells no offset"))),
    };
    found.into_iter().map(must_be).collect()
}

/// `rd_kafka_offsets_for_times` sends what stands in the offset field as the timestamp of a
/// ListOffsets request, in which -1 and -2 mean the end and the beginning.
fn ask_offsets(
    client: &Client,
    partitions: &[TopicPartition],
    which: i64,
) -> Result<Vec<(TopicPartition, Option<Offset>)>, KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let list = PartitionList::at(partitions, which);
    // SAFETY: client and list outlive the call.
    let code = unsafe { c::rd_kafka_offsets_for_times(client.ptr(), list.ptr(), millis(TIMEOUT)) };
    native::check_code(code).map_err(no_offsets)?;
    let answered = |entry: Entry| match entry.error {
        0 => Ok((entry.partition, native::offset(entry.offset))),
        error => Err(no_offsets(format!("{}: {}", entry.partition, native::describe(error)))),
    };
    list.entries().into_iter().map(answered).collect()
}

fn no_offsets(reason: String) -> KafkaError {
    KafkaError::Request { what: "log offsets".into(), reason }
}

/// The cluster's id; empty if no broker tells it in time.
pub(super) fn cluster_id(client: &Client) -> String {
    // SAFETY: the client is alive; the string is ours and freed.
    unsafe {
        let id = c::rd_kafka_clusterid(client.ptr(), millis(TIMEOUT));
        let copy = native::string(id);
        if !id.is_null() {
            c::rd_kafka_mem_free(client.ptr(), id.cast());
        }
        copy
    }
}

/// The topic's id; empty where the broker is too old to have one.
pub(super) fn topic_id(client: &Arc<Client>, topic: &str) -> Result<String, KafkaError> {
    let what = format!("description of {topic}");
    if cluster_id(client).starts_with(MOCK_CLUSTER) {
        return Ok(String::new());
    }
    let name = c_name(topic, &what)?;
    let mut names = [name.as_ptr()];
    let replies = Queue::new(client);
    // SAFETY: all arguments outlive the call, which copies them.
    unsafe {
        let collection = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        c::rd_kafka_DescribeTopics(client.ptr(), collection, ptr::null(), replies.ptr());
        c::rd_kafka_TopicCollection_destroy(collection);
    }
    let event = answer(&replies, &what)?;
    // SAFETY: the event owns everything that is read from it here, and is alive.
    let id = unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(event.ptr());
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count != 1 {
            return Err(KafkaError::Request { what, reason: "not described".into() });
        }
        let error = c::rd_kafka_TopicDescription_error(*topics);
        if !error.is_null() && c::rd_kafka_error_code(error) as i32 != 0 {
            let reason = native::string(c::rd_kafka_error_string(error));
            return Err(KafkaError::Request { what, reason });
        }
        let uuid = c::rd_kafka_TopicDescription_topic_id(*topics);
        native::string(c::rd_kafka_Uuid_base64str(uuid))
    };
    // The zero id, as a broker without topic ids is read.
    Ok(if id.bytes().all(|byte| byte == b'A') { String::new() } else { id })
}

/// Whether `cleanup.policy` compacts; unknown where the right to describe is missing.
fn compacted(client: &Arc<Client>, topic: &str) -> Option<bool> {
    if cluster_id(client).starts_with(MOCK_CLUSTER) {
        return None;
    }
    let name = c_name(topic, "configuration").ok()?;
    let replies = Queue::new(client);
    // SAFETY: all arguments outlive the call, which copies them; the resource is ours and freed.
    unsafe {
        let kind = c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        let mut resource = c::rd_kafka_ConfigResource_new(kind, name.as_ptr());
        let options = ptr::null();
        c::rd_kafka_DescribeConfigs(client.ptr(), &mut resource, 1, options, replies.ptr());
        c::rd_kafka_ConfigResource_destroy(resource);
    }
    let event = answer(&replies, "configuration").ok()?;
    // SAFETY: the event owns everything that is read from it here, and is alive.
    unsafe {
        let result = c::rd_kafka_event_DescribeConfigs_result(event.ptr());
        let mut count = 0;
        let resources = c::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
        if count != 1 {
            return None;
        }
        let entries = c::rd_kafka_ConfigResource_configs(*resources, &mut count);
        (0..count).map(|index| *entries.add(index)).find_map(|entry| {
            let name = CStr::from_ptr(c::rd_kafka_ConfigEntry_name(entry));
            let value = || native::string(c::rd_kafka_ConfigEntry_value(entry));
            (name.to_bytes() == b"cleanup.policy").then(|| value().contains("compact"))
        })
    }
}

/// Waits for the reply to an administrative request.
fn answer(replies: &Queue, what: &str) -> Result<Event, KafkaError> {
    let failed = |reason| KafkaError::Request { what: what.to_owned(), reason };
    let event = replies.poll(TIMEOUT).ok_or_else(|| failed("no answer in time".into()))?;
    native::check_code(event.error()).map_err(failed)?;
    Ok(event)
}

fn c_name(name: &str, what: &str) -> Result<CString, KafkaError> {
    let reason =
        |_| KafkaError::Request { what: what.to_owned(), reason: "a NUL in a name".into() };
    CString::new(name).map_err(reason)
}
