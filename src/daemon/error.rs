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
    /// What a run that has an end does not wait for: a person must mend it.
    #[error("{0}")]
    ToBeMended(String),
    /// A server did not answer for as long as a run that has an end waits.
    #[error("{why}; given up after {seconds} s, for --until-end does not wait for ever")]
    OutOfReach {
        /// What the last try said.
        why: String,
        /// How long it was tried.
        seconds: u64,
    },
    /// The group, a lane or the client failed for good.
    #[error("{0}")]
    Fatal(String),
}

impl DaemonError {
    /// Whether a person must mend settings or rights; another try alone will not help.
    pub fn is_to_be_mended(&self) -> bool {
        match self {
            Self::Kafka(error) => error.is_to_be_mended(),
            Self::Store(_) | Self::NoSuchTopic(_) | Self::ToBeMended(_) => true,
            Self::Telemetry(_) | Self::Machine(..) | Self::OutOfReach { .. } | Self::Fatal(_) => {
                false
            }
        }
    }
}
