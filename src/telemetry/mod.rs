//! What the outside may know: metrics, HTTP endpoints, logging and systemd.
//!
//! `daemon` and its lanes write into [`Metrics`] and [`Status`]; Prometheus, Kubernetes, systemd
//! and people read them through [`http`] and [`systemd`]. Nothing here is on the data path:
//! counters are added to once a batch of records, the status is replaced a few times a second.

mod clock;
mod error;
pub mod http;
mod limiter;
pub mod logging;
pub mod memory;
mod metrics;
mod status;
pub mod systemd;

pub use error::TelemetryError;
pub use limiter::Limiter;
pub use metrics::{
    LaneMetrics, Metrics, RebalanceKind, Reload, Share, SpoolMetrics, SpoolOperation, Step,
    TopicMetrics, Totals,
};
pub use status::{Beat, Condition, KafkaPartitionStatus, Status, Stop};
