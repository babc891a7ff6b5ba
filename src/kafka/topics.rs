//! Topics as they are, and the requests that change them.
//!
//! Fed by `cli`'s `topics apply`, which decides what is to be changed. Every change can be tried
//! first: the broker then says what it would say, and does nothing.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::admin::{Asked, ConfigsAsked, TIMEOUT};
use super::facts;
use super::native::{self, Client, Event, millis};
use super::{KafkaError, properties, reach};
use crate::config::KafkaSettings;
use crate::record::{IsolationLevel, TopicPartition};

/// How long a broker may take until a change holds everywhere.
const OPERATION: Duration = Duration::from_secs(10);
/// How long the client waits until a broker names what was just made, and between two looks.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Codes that say that what was asked for is wrong. All others are trouble of the moment.
const WRONG: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
    Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
    Code::RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
    Code::RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
    Code::RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT,
    Code::RD_KAFKA_RESP_ERR_INVALID_CONFIG,
    Code::RD_KAFKA_RESP_ERR_INVALID_REQUEST,
    Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    Code::RD_KAFKA_RESP_ERR__INVALID_ARG,
];

/// What a topic is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// How many Kafka partitions it has.
    pub partitions: i32,
    /// How many brokers hold each record.
    pub replicas: i32,
    /// Whether its log holds anything; `None` where a leader does not tell.
    pub holds_data: Option<bool>,
    /// Its properties by name, inherited ones too.
    pub properties: BTreeMap<String, String>,
}

/// One change of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicChange {
    /// It is made.
    Create {
        /// With as many Kafka partitions.
        partitions: i32,
        /// On as many brokers; `None` leaves it to the brokers.
        replication_factor: Option<i32>,
        /// With these properties.
        properties: Vec<(String, String)>,
    },
    /// It gets more Kafka partitions, this many in all.
    Partitions(i32),
    /// These properties are set, all others stay.
    Properties(Vec<(String, String)>),
}

/// Sees and changes topics.
pub struct TopicAdmin {
    client: Arc<Client>,
    brokers: usize,
}

impl TopicAdmin {
    /// Finds the cluster. Blocks, at most about `patience`.
    pub fn connect(settings: &KafkaSettings, patience: Duration) -> Result<Self, KafkaError> {
        // A transaction that is open counts as data too.
        let config = properties::onlooker(settings, IsolationLevel::ReadUncommitted);
        let brokers = reach(settings, &settings.bootstrap_servers, patience)?.len();
        let client = Client::consumer(&config, settings.msk_iam_region.as_deref())?;
        Ok(Self { client: Arc::new(client), brokers })
    }

    /// How many brokers there are.
    pub const fn brokers(&self) -> usize {
        self.brokers
    }

    /// Those of these topics that are there. Blocks.
    pub fn states(&self, names: &[&str]) -> Result<BTreeMap<String, TopicState>, KafkaError> {
        let all = facts::metadata(&self.client, None)?.into_iter();
        let there = all.filter(|topic| topic.error == 0 && names.contains(&&*topic.name));
        let there: Vec<_> = there.collect();
        if there.is_empty() {
            return Ok(BTreeMap::new());
        }
        let topics: Vec<Arc<str>> = there.iter().map(|topic| topic.name.as_str().into()).collect();
        let mut configs = ConfigsAsked::send(&self.client, &topics).answers()?;
        let state = |topic: facts::Topic| {
            let state = TopicState {
                partitions: topic.partitions,
                replicas: topic.replicas,
                holds_data: self.holds_data(&topic),
                properties: configs.remove(&topic.name).unwrap_or_else(|| Ok(BTreeMap::new()))?,
            };
            Ok((topic.name, state))
        };
        there.into_iter().map(state).collect()
    }

    fn holds_data(&self, topic: &facts::Topic) -> Option<bool> {
        let name: Arc<str> = topic.name.as_str().into();
        let partitions = (0..topic.partitions).map(|at| TopicPartition::new(Arc::clone(&name), at));
        let bounds = facts::log_bounds(&self.client, &partitions.collect::<Vec<_>>());
        if bounds.values().flatten().any(|bounds| bounds.start < bounds.end) {
            return Some(true);
        }
        bounds.values().all(Result::is_ok).then_some(false)
    }

    /// Asks for a change and waits until it holds; with `only_try` nothing is changed. Blocks.
    pub fn change(
        &self,
        topic: &str,
        change: &TopicChange,
        only_try: bool,
    ) -> Result<(), KafkaError> {
        match change {
            TopicChange::Create { partitions, replication_factor, properties } => {
                let factor = replication_factor.unwrap_or(-1);
                self.create(topic, *partitions, factor, properties, only_try)?;
                if only_try { Ok(()) } else { self.wait_until_seen(topic, *partitions) }
            }
            TopicChange::Partitions(total) => {
                self.raise(topic, *total, only_try)?;
                if only_try { Ok(()) } else { self.wait_until_seen(topic, *total) }
            }
            TopicChange::Properties(properties) => self.alter(topic, properties, only_try),
        }
    }

    fn create(
        &self,
        topic: &str,
        partitions: i32,
        replication_factor: i32,
        properties: &[(String, String)],
        only_try: bool,
    ) -> Result<(), KafkaError> {
        let asked = Asked::new(&self.client, "create topic");
        let name = facts::c_name(topic, "create topic")?;
        let properties = c_pairs(properties)?;
        let options = Options::new(
            &self.client,
            c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS,
            only_try,
        );
        let mut text = [0 as c_char; 512];
        // SAFETY: all arguments outlive the calls, which copy them; the topic is ours and freed.
        unsafe {
            let (start, len) = (text.as_mut_ptr(), text.len());
            let new =
                c::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication_factor, start, len);
            if new.is_null() {
                return Err(failed(topic, native::string(start)));
            }
            for (name, value) in &properties {
                c::rd_kafka_NewTopic_set_config(new, name.as_ptr(), value.as_ptr());
            }
            let mut list = [new];
            let replies = asked.replies.ptr();
            c::rd_kafka_CreateTopics(self.client.ptr(), list.as_mut_ptr(), 1, options.0, replies);
            c::rd_kafka_NewTopic_destroy(new);
        }
        let event = asked.answer()?;
        // SAFETY: the event is alive.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_CreateTopics_result(event.ptr());
            outcome(&event, c::rd_kafka_CreateTopics_result_topics(result, &mut count), count)
        }
    }

    fn raise(&self, topic: &str, total: i32, only_try: bool) -> Result<(), KafkaError> {
        let asked = Asked::new(&self.client, "more Kafka partitions");
        let name = facts::c_name(topic, "more Kafka partitions")?;
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS;
        let options = Options::new(&self.client, operation, only_try);
        let mut text = [0 as c_char; 512];
        // SAFETY: all arguments outlive the calls, which copy them; the request is ours and freed.
        unsafe {
            let (start, len) = (text.as_mut_ptr(), text.len());
            let new = c::rd_kafka_NewPartitions_new(name.as_ptr(), total as usize, start, len);
            if new.is_null() {
                return Err(failed(topic, native::string(start)));
            }
            let mut list = [new];
            let (client, replies) = (self.client.ptr(), asked.replies.ptr());
            c::rd_kafka_CreatePartitions(client, list.as_mut_ptr(), 1, options.0, replies);
            c::rd_kafka_NewPartitions_destroy(new);
        }
        let event = asked.answer()?;
        // SAFETY: the event is alive.
        unsafe {
            let mut count = 0;
            let result = c::rd_kafka_event_CreatePartitions_result(event.ptr());
            outcome(&event, c::rd_kafka_CreatePartitions_result_topics(result, &mut count), count)
        }
    }

    fn alter(
        &self,
        topic: &str,
        properties: &[(String, String)],
        only_try: bool,
    ) -> Result<(), KafkaError> {
        let asked = Asked::new(&self.client, "properties of a topic");
        let name = facts::c_name(topic, "properties of a topic")?;
        let properties = c_pairs(properties)?;
        let operation = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
        let options = Options::new(&self.client, operation, only_try);
        let set = c::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
        let kind = c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: all arguments outlive the calls, which copy them; the resource is ours and freed,
        // and so is an error.
        unsafe {
            let resource = c::rd_kafka_ConfigResource_new(kind, name.as_ptr());
            let added = properties.iter().try_for_each(|(name, value)| {
                let (name, value) = (name.as_ptr(), value.as_ptr());
                native::check(c::rd_kafka_ConfigResource_add_incremental_config(
                    resource, name, set, value,
                ))
            });
            if added.is_ok() {
                let mut list = [resource];
                let (client, replies) = (self.client.ptr(), asked.replies.ptr());
                let list = list.as_mut_ptr();
                c::rd_kafka_IncrementalAlterConfigs(client, list, 1, options.0, replies);
            }
            c::rd_kafka_ConfigResource_destroy(resource);
            added.map_err(|reason| failed(topic, reason))?;
        }
        altered(topic, &asked.answer()?)
    }

    /// The controller knows at once, and a broker that is asked a moment later.
    fn wait_until_seen(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            match facts::partition_count(&self.client, topic) {
                Ok(found) if found >= partitions => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(_) if Instant::now() >= deadline => {
                    let reason = "no broker has told of its new Kafka partitions yet";
                    return Err(failed(topic, reason.to_owned()));
                }
                _ => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
}

/// Options of one request, freed with this.
struct Options(*mut c::rd_kafka_AdminOptions_t);

impl Options {
    fn new(client: &Arc<Client>, operation: c::rd_kafka_admin_op_t, only_try: bool) -> Self {
        let mut text = [0 as c_char; 64];
        let (start, len) = (text.as_mut_ptr(), text.len());
        // SAFETY: the client is alive, and the text outlives the calls. None of them is refused:
        // times and operations are of those that each takes.
        unsafe {
            let options = c::rd_kafka_AdminOptions_new(client.ptr(), operation);
            c::rd_kafka_AdminOptions_set_request_timeout(options, millis(TIMEOUT), start, len);
            c::rd_kafka_AdminOptions_set_operation_timeout(options, millis(OPERATION), start, len);
            c::rd_kafka_AdminOptions_set_validate_only(options, i32::from(only_try), start, len);
            Self(options)
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, once.
        unsafe { c::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

/// What the broker says of the one topic that was asked for.
///
/// # Safety
/// The list is of the event.
unsafe fn outcome(
    _alive: &Event,
    topics: *mut *const c::rd_kafka_topic_result_t,
    count: usize,
) -> Result<(), KafkaError> {
    for index in 0..count {
        // SAFETY: as promised by the caller; strings are copied.
        unsafe {
            let topic = *topics.add(index);
            let code = c::rd_kafka_topic_result_error(topic);
            if code as i32 != 0 {
                let name = native::string(c::rd_kafka_topic_result_name(topic));
                let said = native::string(c::rd_kafka_topic_result_error_string(topic));
                return Err(refused(&name, code, &said));
            }
        }
    }
    Ok(())
}

fn altered(topic: &str, event: &Event) -> Result<(), KafkaError> {
    // SAFETY: the event owns everything that is read from it here, and is alive.
    unsafe {
        let mut count = 0;
        let result = c::rd_kafka_event_IncrementalAlterConfigs_result(event.ptr());
        let list = c::rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count);
        for index in 0..count {
            let resource = *list.add(index);
            let code = c::rd_kafka_ConfigResource_error(resource);
            if code as i32 != 0 {
                let said = native::string(c::rd_kafka_ConfigResource_error_string(resource));
                return Err(refused(topic, code, &said));
            }
        }
    }
    Ok(())
}

/// The broker's words, with the code's name.
fn refused(topic: &str, code: Code, said: &str) -> KafkaError {
    let name = native::describe(code as i32);
    let reason = match said.is_empty() || name.starts_with(said) {
        true => name,
        false => format!("{said}: {name}"),
    };
    match WRONG.contains(&code) {
        true => KafkaError::TopicRefused { topic: topic.to_owned(), reason },
        false => failed(topic, reason),
    }
}

fn failed(topic: &str, reason: String) -> KafkaError {
    KafkaError::Request { what: topic.to_owned(), reason }
}

fn c_pairs(pairs: &[(String, String)]) -> Result<Vec<(CString, CString)>, KafkaError> {
    let what = "properties of a topic";
    let pair = |(name, value): &(String, String)| {
        Ok((facts::c_name(name, what)?, facts::c_name(value, what)?))
    };
    pairs.iter().map(pair).collect()
}
