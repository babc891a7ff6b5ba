//! What can go wrong between this process and Kafka.

/// Why the edge could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// librdkafka refused a property or a combination of them: mend the configuration.
    #[error("librdkafka refuses the configuration: {0} (see [kafka] and [kafka.librdkafka])")]
    Config(String),
    /// The subscription was refused: mend `kafka.topics`.
    #[error("cannot subscribe to the topics: {0} (see kafka.topics)")]
    Subscribe(String),
    /// The operating system gave no thread.
    #[error("cannot start the thread {0}: {1}")]
    Thread(&'static str, String),
    /// A request to the cluster failed or was not answered in time: try again.
    #[error("{what}: {reason}")]
    Request {
        /// What was asked.
        what: String,
        /// What the client or the broker said.
        reason: String,
    },
    /// A server gave no answer in time: see to the network, or to the address.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The address, `host:port`.
        server: String,
        /// The last that the client said of it.
        reason: String,
    },
    /// A server is there and refuses this client: mend the credentials or the TLS settings.
    #[error("{server} refuses this client: {reason}")]
    Refused {
        /// The address, `host:port`.
        server: String,
        /// What the client or the broker said.
        reason: String,
    },
    /// The brokers are too old for the group protocol: another protocol, or newer brokers.
    #[error(
        "kafka.group_protocol = \"consumer\": the brokers at {server} do not know this protocol \
         (KIP-848, the request ConsumerGroupHeartbeat): set it to \"classic\", or use brokers of \
         Kafka 4.0 or later"
    )]
    GroupProtocol {
        /// The addresses, as they were given.
        server: String,
    },
    /// The group has members, who alone may move its offsets: end them first.
    #[error(
        "the group {group} has members ({reason}): stop every sink of it first. One that was \
         killed counts until its session.timeout.ms has passed"
    )]
    GroupInUse {
        /// The group.
        group: String,
        /// What the broker said.
        reason: String,
    },
    /// A broker has something against a topic as it should be: mend what is wanted of it.
    #[error("{topic}: the broker refuses it: {reason}")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
    /// The group was not left within the deadline: the coordinator will find out by itself.
    #[error("the consumer group was not left in time, its session will expire by itself")]
    LeaveTimeout,
}

impl KafkaError {
    /// Whether a person must mend settings or rights; another try alone will not help.
    pub fn is_to_be_mended(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Subscribe(_)
            | Self::Refused { .. }
            | Self::TopicRefused { .. }
            | Self::GroupProtocol { .. } => true,
            // The code's name ends librdkafka's text.
            Self::Request { reason, .. } => {
                ["AUTHORIZATION_FAILED", "UNKNOWN_TOPIC"].iter().any(|code| reason.contains(code))
            }
            Self::Thread(..)
            | Self::LeaveTimeout
            | Self::GroupInUse { .. }
            | Self::Unreachable { .. } => false,
        }
    }
}
