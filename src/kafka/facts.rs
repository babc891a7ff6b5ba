//! What is asked of the cluster about topics; blocking calls for a blocking thread.
//!
//! However many topics there are, the number of requests is the same.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as c;

use super::KafkaError;
use super::admin::{ConfigsAsked, Description, DescriptionsAsked, OffsetsAsked, TIMEOUT};
use super::list::{Entry, PartitionList};
use super::native::{self, Client, millis};
use crate::record::{Committed, CommittedOffsets, Offset, TimestampMs, TopicFacts, TopicPartition};

/// How the cluster id of librdkafka's mock cluster begins, which answers no admin request.
const MOCK_CLUSTER: &str = "mockCluster";
/// Names for the ends of a log, in the place of a time.
const BEGINNING: i64 = -2;
pub(super) const END: i64 = -1;

/// An answer for each Kafka partition that was asked about: a leader that is away is the trouble
/// of its own ones alone.
pub type Answers<T> = BTreeMap<TopicPartition, Result<T, KafkaError>>;

/// All answers, or the first error.
pub fn all<T>(answers: Answers<T>) -> Result<BTreeMap<TopicPartition, T>, KafkaError> {
    answers.into_iter().map(|(at, answer)| Ok((at, answer?))).collect()
}

/// The first offset of a log, and the one after its last readable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// The oldest offset that the log still has.
    pub start: Offset,
    /// The end that is readable at our isolation level (the last stable offset, or the high
    /// watermark).
    pub end: Offset,
}

/// What is known of each of these Kafka partitions. Offsets are fetched **after** the call began,
/// and so after `prefix_empty` was found out by the caller. One topic's trouble is not another's.
pub(super) fn topic_facts(
    client: &Arc<Client>,
    partitions: &[TopicPartition],
    prefix_empty: &BTreeMap<Arc<str>, bool>,
) -> Answers<TopicFacts> {
    let mut names: Vec<Arc<str>> = partitions.iter().map(|at| Arc::clone(&at.topic)).collect();
    names.sort();
    names.dedup();
    let cluster_id: Arc<str> = cluster_id(client).into();
    let is_mock = cluster_id.starts_with(MOCK_CLUSTER);
    let configs = (!is_mock).then(|| ConfigsAsked::send(client, &names));
    let bounds = BoundsAsked::send(client, partitions);
    let topics = descriptions(client, &names, is_mock)
        .and_then(|topics| Ok((committed_of(client, &topics)?, topics)));
    let (mut committed, topics) = match topics {
        Ok(found) => found,
        Err(error) => {
            return partitions.iter().map(|at| (at.clone(), Err(error.clone()))).collect();
        }
    };
    let mut bounds = bounds.answers();
    let compacted = configs.map(ConfigsAsked::compacted).unwrap_or_default();
    let mut facts = |at: &TopicPartition| {
        let missing = || no_offsets(format!("{at}: the broker does not know it"));
        let topic = topics.get(&at.topic).ok_or_else(missing)?.clone()?;
        let bounds = bounds.remove(at).unwrap_or_else(|| Err(missing()))?;
        let committed = committed.entry(Arc::clone(&at.topic)).or_insert_with(|| Err(missing()));
        Ok(TopicFacts {
            topic_id: topic.id,
            cluster_id: Arc::clone(&cluster_id),
            committed: committed.clone()?,
            log_start: bounds.start,
            log_end: bounds.end,
            prefix_empty: prefix_empty.get(&at.topic).copied(),
            bucket_end: None,
            compacted: compacted.get(&*at.topic).copied(),
        })
    };
    partitions.iter().map(|at| (at.clone(), facts(at))).collect()
}

type ByTopic<T> = BTreeMap<Arc<str>, Result<T, KafkaError>>;
type Topics = ByTopic<Description>;

/// librdkafka's mock cluster describes no topics, and gives them no ids.
fn descriptions(
    client: &Arc<Client>,
    names: &[Arc<str>],
    is_mock: bool,
) -> Result<Topics, KafkaError> {
    if !is_mock {
        return DescriptionsAsked::send(client, names).answers();
    }
    let counted = |name: &Arc<str>| {
        let partitions = partition_count(client, name);
        (Arc::clone(name), partitions.map(|partitions| Description { id: "".into(), partitions }))
    };
    Ok(names.iter().map(counted).collect())
}

/// The group's offsets of all Kafka partitions of these topics, in one request.
fn committed_of(
    client: &Client,
    topics: &Topics,
) -> Result<ByTopic<Arc<CommittedOffsets>>, KafkaError> {
    let known = topics.iter().filter_map(|(name, topic)| Some((name, topic.as_ref().ok()?)));
    let partitions: Vec<_> = known
        .flat_map(|(name, topic)| {
            (0..topic.partitions).map(|number| TopicPartition::new(Arc::clone(name), number))
        })
        .collect();
    let mut by_topic = ByTopic::<CommittedOffsets>::new();
    for (at, answer) in committed(client, &partitions)? {
        let offsets = by_topic.entry(at.topic).or_insert_with(|| Ok(BTreeMap::new()));
        match (answer, offsets) {
            (Ok(committed), Ok(offsets)) => drop(offsets.insert(at.partition, committed)),
            // A failed one looks like one without an offset, and that would look like a first
            // start: the topic's offsets count together or not at all.
            (Err(error), offsets) => *offsets = Err(error),
            (Ok(_), Err(_)) => {}
        }
    }
    Ok(by_topic.into_iter().map(|(topic, offsets)| (topic, offsets.map(Arc::new))).collect())
}

/// The ids of topics, of those that are there; empty where the broker tells none.
pub(super) fn topic_ids(
    client: &Arc<Client>,
    names: &[Arc<str>],
) -> Result<BTreeMap<Arc<str>, Arc<str>>, KafkaError> {
    if names.is_empty() || cluster_id(client).starts_with(MOCK_CLUSTER) {
        return Ok(BTreeMap::new());
    }
    let topics = DescriptionsAsked::send(client, names).answers()?;
    Ok(topics.into_iter().filter_map(|(name, topic)| Some((name, topic.ok()?.id))).collect())
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

/// What the metadata says of a topic.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: i32,
    /// How many brokers hold its first Kafka partition.
    pub(super) replicas: i32,
    pub(super) error: i32,
}

pub(super) fn metadata(client: &Client, topic: Option<&str>) -> Result<Vec<Topic>, KafkaError> {
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
                    replicas: match (*topic).partition_cnt {
                        0 => 0,
                        _ => (*(*topic).partitions).replica_cnt,
                    },
                    error: ptr::addr_of!((*topic).err).cast::<i32>().read(),
                }
            })
            .collect();
        c::rd_kafka_metadata_destroy(found);
        Ok(topics)
    }
}

/// What the group holds. librdkafka asks for stable offsets when the isolation level is
/// `read_committed`, so that no commit on its way is missed.
pub(super) fn committed(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<Answers<Committed>, KafkaError> {
    let failed =
        |reason| KafkaError::Request { what: "the group's committed offsets".into(), reason };
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list = PartitionList::at(partitions, 0);
    // SAFETY: client and list outlive the call.
    let code = unsafe { c::rd_kafka_committed(client.ptr(), list.ptr(), millis(TIMEOUT)) };
    native::check_code(code).map_err(failed)?;
    let answered = |entry: Entry| {
        let answer = match entry.error {
            0 => Ok(Committed {
                offset: native::offset(entry.offset),
                metadata: String::from_utf8_lossy(&entry.metadata).into_owned(),
            }),
            error => Err(failed(format!("{}: {}", entry.partition, native::describe(error)))),
        };
        (entry.partition, answer)
    };
    Ok(list.entries().into_iter().map(answered).collect())
}

/// The bounds of logs that were asked for.
struct BoundsAsked {
    starts: OffsetsAsked,
    ends: OffsetsAsked,
}

impl BoundsAsked {
    fn send(client: &Arc<Client>, partitions: &[TopicPartition]) -> Self {
        let starts = OffsetsAsked::send(client, partitions, BEGINNING);
        Self { starts, ends: OffsetsAsked::send(client, partitions, END) }
    }

    fn answers(self) -> Answers<LogBounds> {
        let (starts, mut ends) = (known(self.starts), known(self.ends));
        let bounds = |(at, start): (TopicPartition, Result<Offset, _>)| {
            let end = ends.remove(&at)?;
            // The two are not of one moment, and the start may have overtaken the end.
            let both = start.and_then(|start| Ok(LogBounds { start, end: end?.max(start) }));
            Some((at, both))
        };
        starts.into_iter().filter_map(bounds).collect()
    }
}

/// The bounds of logs, two requests for each leader.
pub(super) fn log_bounds(
    client: &Arc<Client>,
    partitions: &[TopicPartition],
) -> Answers<LogBounds> {
    BoundsAsked::send(client, partitions).answers()
}

/// The readable ends of logs, at the client's isolation level.
pub(super) fn end_offsets(client: &Arc<Client>, partitions: &[TopicPartition]) -> Answers<Offset> {
    known(OffsetsAsked::send(client, partitions, END))
}

/// The first offsets whose records are of this time or later; where there is none, the end.
pub(super) fn offsets_at(
    client: &Arc<Client>,
    partitions: &[TopicPartition],
    time: TimestampMs,
) -> Answers<Offset> {
    let found = OffsetsAsked::send(client, partitions, time.0.max(0));
    let mut ends = end_offsets(client, partitions);
    let pick = |(at, offset): (TopicPartition, Result<Option<Offset>, _>)| {
        let end = ends.remove(&at)?;
        Some((at, offset.and_then(|offset| offset.map_or(end, Ok))))
    };
    found.answers().into_iter().filter_map(pick).collect()
}

/// Offsets of the beginning or the end, which every log has: a broker that is away tells none.
fn known(asked: OffsetsAsked) -> Answers<Offset> {
    let must_be = |(at, offset): (TopicPartition, Result<Option<Offset>, _>)| {
        let missing = || no_offsets(format!("{at}: its leader tells no offset"));
        let answer = offset.and_then(|offset| offset.ok_or_else(missing));
        (at, answer)
    };
    asked.answers().into_iter().map(must_be).collect()
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

pub(super) fn c_name(name: &str, what: &str) -> Result<CString, KafkaError> {
    let reason =
        |_| KafkaError::Request { what: what.to_owned(), reason: "a NUL in a name".into() };
    CString::new(name).map_err(reason)
}
