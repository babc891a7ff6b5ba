//! The checked settings that everything behind `config` trusts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::rules;
use crate::record::{LostOffsetsPolicy, OutOfRangePolicy, RecordPolicy, StartPosition};

/// Everything that the daemon was told, checked and resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster and the group.
    pub kafka: KafkaSettings,
    /// The store.
    pub s3: S3Settings,
    /// Layout, rotation and records, for all topics and by topic.
    pub topics: TopicPolicies,
    /// The memory budget.
    pub memory: MemorySettings,
    /// The HTTP endpoints.
    pub http: HttpSettings,
    /// Logging.
    pub log: LogSettings,
    /// Stopping.
    pub shutdown: ShutdownSettings,
}

/// Which topics are consumed, by whom and from where.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Topic names, and regular expressions that begin with `^`.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group_id: String,
    /// The group's protocol.
    pub group_protocol: GroupProtocol,
    /// The assignor of the classic protocol.
    pub assignor: Assignor,
    /// Static membership (`group.instance.id`), if wanted.
    pub group_instance_id: Option<String>,
    /// The region of an Amazon MSK cluster that takes IAM for signing in.
    pub msk_iam_region: Option<String>,
    /// Where a first start begins.
    pub start: StartPosition,
    /// What to do where offsets that we once had are gone.
    pub on_lost_offsets: LostOffsetsPolicy,
    /// What to do where the position is outside the log.
    pub on_offset_out_of_range: OutOfRangePolicy,
    /// How many lanes (threads that own Kafka partitions) there are.
    pub lanes: usize,
    /// Further librdkafka properties, already freed of those that would break the promise.
    /// Values may be secret and are never logged.
    pub librdkafka: BTreeMap<String, SecretString>,
}

impl KafkaSettings {
    /// Those of a client that knows the brokers and no more, and belongs to no group.
    pub fn of_brokers(bootstrap_servers: &str) -> Result<Self, String> {
        rules::kafka::bootstrap_servers(bootstrap_servers)?;
        Ok(Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topics: Vec::new(),
            group_id: String::new(),
            group_protocol: GroupProtocol::Classic,
            assignor: Assignor::CooperativeSticky,
            group_instance_id: None,
            msk_iam_region: None,
            start: StartPosition::Earliest,
            on_lost_offsets: LostOffsetsPolicy::Error,
            on_offset_out_of_range: OutOfRangePolicy::Stop,
            lanes: 1,
            librdkafka: BTreeMap::new(),
        })
    }
}

/// `group.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The classic protocol, with `Assignor`.
    Classic,
    /// KIP-848.
    Consumer,
}

/// `partition.assignment.strategy` of the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// `cooperative-sticky`.
    CooperativeSticky,
    /// `range,roundrobin`, eager.
    Eager,
}

/// The store and how it is reached.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The bucket (also part of every topic's layout).
    pub bucket: String,
    /// The region; `None` leaves it to the SDK's chain.
    pub region: Option<String>,
    /// The endpoint of a store other than AWS.
    pub endpoint: Option<String>,
    /// `http://host/bucket/key` in place of `http://bucket.host/key`.
    pub force_path_style: bool,
    /// The storage class, as S3 spells it.
    pub storage_class: Option<String>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub server_side_encryption: Option<String>,
    /// The KMS key, with `aws:kms`.
    pub kms_key_id: Option<String>,
    /// Objects of at least this many bytes go up in parts.
    pub multipart_threshold: u64,
    /// The size of a part.
    pub multipart_part_size: u64,
    /// Uploads in flight at most, over all Kafka partitions.
    pub max_concurrent_uploads: usize,
    /// How long a request may take beside the time its bytes need.
    pub request_timeout: Duration,
    /// The slowest transfer that is not called hung, in bytes a second.
    pub min_throughput: u64,
    /// After this long without success a retried upload makes the daemon not ready.
    pub retry_warn_after: Duration,
}

/// Policies of all topics: one for all, and those that differ.
#[derive(Clone, Debug)]
pub struct TopicPolicies {
    /// For every topic that has none of its own.
    pub default: RecordPolicy,
    /// By topic name.
    pub by_topic: BTreeMap<String, RecordPolicy>,
}

impl TopicPolicies {
    /// The policy of one topic.
    pub fn of(&self, topic: &str) -> &RecordPolicy {
        self.by_topic.get(topic).unwrap_or(&self.default)
    }
}

/// The budget of the whole process.
#[derive(Clone, Debug)]
pub struct MemorySettings {
    /// The resident size to stay below, in bytes.
    pub limit: u64,
    /// The folder for what large objects hold beyond a small head; `None` keeps all in memory.
    pub spool_dir: Option<PathBuf>,
}

/// The HTTP endpoints.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to listen; `None` switches HTTP off.
    pub listen: Option<SocketAddr>,
    /// A file whose first line is a bearer token that every path but `/livez` and `/readyz` wants.
    pub token_file: Option<PathBuf>,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A filter as `tracing_subscriber::EnvFilter` reads it.
    pub level: String,
    /// Lines for people or JSON for collectors.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
    /// To systemd's journal itself, with priorities and fields.
    Journald,
}

/// Stopping.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownSettings {
    /// How long SIGTERM may take to flush, commit and leave the group.
    pub timeout: Duration,
}
