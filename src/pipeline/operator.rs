//! What an operator asks of a running sink: to land what it holds, and to rotate by other limits.
//!
//! Fed by `daemon` through the driver. Neither touches what was decided before: a batch that has
//! ended stays as it is, a pinned one is read again to its pinned end.

use std::sync::Arc;

use super::moment::Moment;
use super::partition::{Context, Partition, Phase};
use super::rotate::{RotationReason, due_by_age};
use super::sink::Sink;
use crate::record::{RecordPolicy, TopicPartition, Unlanded};

impl Sink {
    /// Ends the open batches of a topic, or of all, so that they land now.
    pub fn handle_flush(&mut self, now: Moment, topic: Option<&str>) {
        self.with_all(now, |partition, cx| {
            if topic.is_none_or(|topic| topic == &*partition.at.topic) {
                partition.flush(cx);
            }
        });
    }

    /// What was read of a topic, or of all, and has not landed.
    pub fn unlanded(&self, topic: Option<&str>) -> Vec<Unlanded> {
        let asked = |at: &TopicPartition| topic.is_none_or(|topic| topic == &*at.topic);
        let partitions = self.partitions.values().filter(|each| asked(&each.at));
        partitions.filter_map(Partition::unlanded).collect()
    }

    /// Rotates by other limits from now on. Where records stand and how they read does not change
    /// within an assignment: the layouts stay as they are.
    pub fn handle_policies(
        &mut self,
        now: Moment,
        mut of: impl FnMut(&Arc<str>) -> Arc<RecordPolicy>,
    ) {
        self.with_all(now, |partition, cx| {
            let policy = of(&partition.at.topic);
            partition.take_limits(cx, &policy);
        });
    }
}

impl Partition {
    /// A replay is left alone, for its end is pinned: it lands as it goes on.
    fn flush(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Running) && self.after.is_none() && self.replay.is_none() {
            self.seal(cx, RotationReason::Flush);
            self.pump(cx);
        }
    }

    fn unlanded(&self) -> Option<Unlanded> {
        let ended = self.sealed.back().or(self.flight.as_ref().map(|flight| &flight.batch));
        let end = match (&self.replay, &self.open) {
            (Some(replay), _) => replay.pin.end,
            (None, Some(_)) => self.next,
            (None, None) => ended?.facts.range.end,
        };
        Some(Unlanded { partition: self.at.clone(), epoch: self.epoch, end })
    }

    fn take_limits(&mut self, cx: &mut Context<'_>, policy: &RecordPolicy) {
        let layout = Arc::clone(&self.policy.layout);
        self.policy = Arc::new(RecordPolicy { layout, ..policy.clone() });
        if let Some(open) = &mut self.open
            && self.replay.is_none()
        {
            // Never later than it was told before: people wait for it.
            let due = due_by_age(&self.policy.rotation, open.opened, &self.at, false);
            open.due = open.due.min(due);
            self.pump(cx);
        }
    }
}
