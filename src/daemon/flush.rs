//! What `POST /flush` does: every lane ends its open batches and tells what has not landed.

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::inbox::{LaneHandle, Mail};
use crate::record::Unlanded;
use crate::telemetry::http::Control;

/// Reaches the lanes once there are some.
#[derive(Default)]
pub(super) struct Flusher(OnceLock<Vec<LaneHandle>>);

impl Flusher {
    pub(super) fn set_lanes(&self, lanes: &[LaneHandle]) {
        let _ = self.0.set(lanes.to_vec());
    }
}

#[async_trait::async_trait]
impl Control for Flusher {
    async fn flush(&self, topic: Option<&str>) -> Option<Vec<Unlanded>> {
        let lanes = self.0.get()?;
        tracing::info!(topic = topic.unwrap_or("all"), "a flush was asked for");
        let topic: Option<Arc<str>> = topic.map(Into::into);
        let ask = |lane: &LaneHandle| {
            let (unlanded, answer) = oneshot::channel();
            lane.post(Mail::Flush { topic: topic.clone(), unlanded });
            answer
        };
        let answers: Vec<_> = lanes.iter().map(ask).collect();
        let mut all = Vec::new();
        for answer in answers {
            // A lane that has ended holds nothing.
            all.extend(answer.await.unwrap_or_default());
        }
        Some(all)
    }
}
