//! Why a run could not begin, or could not go on.

use crate::kafka::KafkaError;
use crate::s3::S3Error;
use crate::telemetry::TelemetryError;

/// One of these ends the process; each says what to mend.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The Kafka client could not be made.
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The S3 client could not be made.
    #[error("s3: {0}")]
    Store(#[from] S3Error),
    /// Metrics or HTTP could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The machine gave no thread, no runtime or no randomness.
    #[error("{0}: {1}")]
    Machine(&'static str, std::io::Error),
    /// A topic that `--until-end` wants does not exist.
    #[error(
        "--until-end: there is no topic {0}; create it, or take it out of kafka.topics (with \
         --until-end a topic that does not exist yet has no end)"
    )]
    NoSuchTopic(String),
    /// The group, a lane or the client failed for good.
    #[error("{0}")]
    Fatal(String),
}
