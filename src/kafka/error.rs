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
    /// The group was not left within the deadline: the coordinator will find out by itself.
    #[error("the consumer group was not left in time, its session will expire by itself")]
    LeaveTimeout,
}
