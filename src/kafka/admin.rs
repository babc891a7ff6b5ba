//! Administrative requests: asked all at once, then waited for together.
//!
//! A request to a broker waits behind a fetch that waits for records there (half a second), so
//! questions asked one after the other would cost that each. Fed by `facts`.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;

use super::KafkaError;
use super::list::{Entry, PartitionList, entry};
use super::native::{self, Client, Event, Queue, millis};
use crate::record::{IsolationLevel, Offset, TopicPartition};

/// How long one question may take; all of them are asked again by the caller.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// librdkafka joins the answers of brokers in a time that grows with the square of this.
const OFFSETS_AT_ONCE: usize = 500;

/// A request that was sent.
pub(super) struct Asked {
    pub(super) replies: Queue,
    what: &'static str,
    until: Instant,
}

impl Asked {
    pub(super) fn new(client: &Arc<Client>, what: &'static str) -> Self {
        Self { replies: Queue::new(client), what, until: Instant::now() + TIMEOUT }
    }

    pub(super) fn answer(&self) -> Result<Event, KafkaError> {
        let rest = self.until.saturating_duration_since(Instant::now());
        let event = self.replies.poll(rest).ok_or_else(|| self.failed("no answer in time"))?;
        native::check_code(event.error()).map_err(|reason| self.failed(&reason))?;
        Ok(event)
    }

    fn failed(&self, reason: &str) -> KafkaError {
        KafkaError::Request { what: self.what.to_owned(), reason: reason.to_owned() }
    }
}

/// Offsets of logs that were asked for.
pub(super) struct OffsetsAsked(Vec<(Asked, Vec<TopicPartition>)>);

impl OffsetsAsked {
    /// Asks for `which`: a time in ms, or one of librdkafka's names for the ends (-1 and -2), at
    /// the client's isolation level.
    pub(super) fn send(client: &Arc<Client>, partitions: &[TopicPartition], which: i64) -> Self {
        let chunks = partitions.chunks(OFFSETS_AT_ONCE);
        Self(chunks.map(|some| (send_list_offsets(client, some, which), some.to_vec())).collect())
    }

    /// The answers, one for each Kafka partition; `None` where no record is of that time.
    pub(super) fn answers(self) -> BTreeMap<TopicPartition, Result<Option<Offset>, KafkaError>> {
        let mut answers = BTreeMap::new();
        for (asked, partitions) in self.0 {
            match asked.answer() {
                Ok(event) => answers.extend(listed(&asked, &event)),
                Err(error) => {
                    answers.extend(partitions.into_iter().map(|at| (at, Err(error.clone()))));
                }
            }
        }
        answers
    }
}

fn send_list_offsets(client: &Arc<Client>, partitions: &[TopicPartition], which: i64) -> Asked {
    let asked = Asked::new(client, "log offsets");
    let list = PartitionList::at(partitions, which);
    let level = match client.isolation() {
        IsolationLevel::ReadCommitted => {
            c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
        }
        IsolationLevel::ReadUncommitted => {
            c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
        }
    };
    // SAFETY: all arguments outlive the call, which copies them; the options and an error that
    // is not null are ours and freed.
    unsafe {
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
        let options = c::rd_kafka_AdminOptions_new(client.ptr(), operation);
        let error = c::rd_kafka_AdminOptions_set_isolation_level(options, level);
        // Both levels are known, so there is none.
        debug_assert_eq!(native::check(error), Ok(()));
        let mut text = [0 as c_char; 64];
        c::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(TIMEOUT),
            text.as_mut_ptr(),
            text.len(),
        );
        c::rd_kafka_ListOffsets(client.ptr(), list.ptr(), options, asked.replies.ptr());
        c::rd_kafka_AdminOptions_destroy(options);
    }
    asked
}

fn listed(
    asked: &Asked,
    event: &Event,
) -> Vec<(TopicPartition, Result<Option<Offset>, KafkaError>)> {
    let answered = |entry: Entry| {
        let answer = match entry.error {
            0 => Ok(native::offset(entry.offset)),
            error => {
                let reason = format!("{}: {}", entry.partition, native::describe(error));
                Err(asked.failed(&reason))
            }
        };
        (entry.partition, answer)
    };
    // SAFETY: the event owns everything that is read from it here, and is alive.
    unsafe {
        let mut count = 0;
        let result = c::rd_kafka_event_ListOffsets_result(event.ptr());
        let infos = c::rd_kafka_ListOffsets_result_infos(result, &mut count);
        let infos = (0..count).map(|index| *infos.add(index));
        let entries = infos
            .map(|info| entry(c::rd_kafka_ListOffsetsResultInfo_topic_partition(info)))
            .collect::<Vec<_>>();
        entries.into_iter().map(answered).collect()
    }
}

/// What a broker says of a topic.
#[derive(Clone, Debug)]
pub(super) struct Description {
    /// The topic id; empty where the broker is too old to have one.
    pub(super) id: Arc<str>,
    /// The number of its Kafka partitions.
    pub(super) partitions: i32,
}

/// Descriptions of topics that were asked for.
pub(super) struct DescriptionsAsked(Asked);

impl DescriptionsAsked {
    pub(super) fn send(client: &Arc<Client>, topics: &[Arc<str>]) -> Self {
        let asked = Asked::new(client, "description of topics");
        let names = c_names(topics);
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: all arguments outlive the call, which copies them; the collection is freed.
        unsafe {
            let (first, count) = (pointers.as_mut_ptr(), pointers.len());
            let collection = c::rd_kafka_TopicCollection_of_topic_names(first, count);
            let replies = asked.replies.ptr();
            c::rd_kafka_DescribeTopics(client.ptr(), collection, ptr::null(), replies);
            c::rd_kafka_TopicCollection_destroy(collection);
        }
        Self(asked)
    }

    /// The answers, by topic.
    pub(super) fn answers(
        self,
    ) -> Result<BTreeMap<Arc<str>, Result<Description, KafkaError>>, KafkaError> {
        let event = self.0.answer()?;
        // SAFETY: the event owns everything that is read from it here, and is alive.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_DescribeTopics_result(event.ptr());
            let topics = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            Ok((0..count).map(|index| described(*topics.add(index))).collect())
        }
    }
}

/// # Safety
/// The description is alive.
unsafe fn described(
    topic: *const c::rd_kafka_TopicDescription_t,
) -> (Arc<str>, Result<Description, KafkaError>) {
    // SAFETY: as promised by the caller; strings are copied.
    unsafe {
        let name: Arc<str> = native::string(c::rd_kafka_TopicDescription_name(topic)).into();
        let error = c::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && c::rd_kafka_error_code(error) as i32 != 0 {
            let reason = format!(
                "{} ({})",
                native::string(c::rd_kafka_error_string(error)),
                native::string(c::rd_kafka_error_name(error))
            );
            let what = format!("description of {name}");
            return (name, Err(KafkaError::Request { what, reason }));
        }
        let mut partitions = 0;
        c::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = native::string(c::rd_kafka_Uuid_base64str(c::rd_kafka_TopicDescription_topic_id(
            topic,
        )));
        // The zero id is how a broker without topic ids is read.
        let id = if id.bytes().all(|byte| byte == b'A') { "".into() } else { id.into() };
        (name, Ok(Description { id, partitions: partitions as i32 }))
    }
}

/// Configurations of topics that were asked for.
pub(super) struct ConfigsAsked(Asked);

impl ConfigsAsked {
    pub(super) fn send(client: &Arc<Client>, topics: &[Arc<str>]) -> Self {
        let asked = Asked::new(client, "configuration of topics");
        let kind = c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: all arguments outlive the call, which copies them; the resources are freed.
        unsafe {
            let names = c_names(topics);
            let resource = |name: &CString| c::rd_kafka_ConfigResource_new(kind, name.as_ptr());
            let mut resources: Vec<_> = names.iter().map(resource).collect();
            let (first, count) = (resources.as_mut_ptr(), resources.len());
            let replies = asked.replies.ptr();
            c::rd_kafka_DescribeConfigs(client.ptr(), first, count, ptr::null(), replies);
            c::rd_kafka_ConfigResource_destroy_array(first, count);
        }
        Self(asked)
    }

    /// Whether `cleanup.policy` compacts, by topic; missing where the right to describe is.
    pub(super) fn compacted(self) -> BTreeMap<String, bool> {
        let answers = self.answers().unwrap_or_default();
        let compacts = |(topic, properties): (String, Result<Properties, KafkaError>)| {
            Some((topic, properties.ok()?.get("cleanup.policy")?.contains("compact")))
        };
        answers.into_iter().filter_map(compacts).collect()
    }

    /// Every property of each topic, as it holds.
    pub(super) fn answers(
        self,
    ) -> Result<BTreeMap<String, Result<Properties, KafkaError>>, KafkaError> {
        let event = self.0.answer()?;
        // SAFETY: the event owns everything that is read from it here, and is alive.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_DescribeConfigs_result(event.ptr());
            let resources = c::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
            let resources = (0..count).map(|index| *resources.add(index));
            let named = |resource| {
                let name = native::string(c::rd_kafka_ConfigResource_name(resource));
                (name, properties_of(resource))
            };
            Ok(resources.map(named).collect())
        }
    }
}

/// The properties of a topic.
pub(super) type Properties = BTreeMap<String, String>;

/// # Safety
/// The resource is alive.
unsafe fn properties_of(
    resource: *const c::rd_kafka_ConfigResource_t,
) -> Result<Properties, KafkaError> {
    let mut count = 0;
    // SAFETY: as promised by the caller; strings are copied while they live.
    unsafe {
        native::check_code(c::rd_kafka_ConfigResource_error(resource)).map_err(|reason| {
            let name = native::string(c::rd_kafka_ConfigResource_name(resource));
            KafkaError::Request { what: format!("configuration of {name}"), reason }
        })?;
        let entries = c::rd_kafka_ConfigResource_configs(resource, &mut count);
        let entries = (0..count).map(|index| *entries.add(index));
        let pair = |entry| {
            let name = native::string(c::rd_kafka_ConfigEntry_name(entry));
            (name, native::string(c::rd_kafka_ConfigEntry_value(entry)))
        };
        Ok(entries.map(pair).collect())
    }
}

/// No topic's name holds a NUL.
fn c_names(topics: &[Arc<str>]) -> Vec<CString> {
    topics.iter().filter_map(|topic| CString::new(&**topic).ok()).collect()
}
