//! What the bucket tells of where Kafka partitions begin, and the places that their pins name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Topic;
use super::bucket::{fault, said};
use super::report::Report;
use crate::config::Settings;
use crate::daemon::{any_landed, bucket_ends};
use crate::pipeline::wants_end;
use crate::record::{Layout, TopicFacts};
use crate::s3::Store;

/// A topic, and the store to ask about it.
pub(super) struct Held<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) store: &'a Store,
    pub(super) settings: &'a Settings,
    pub(super) topic: &'a Topic,
}

impl Held<'_> {
    /// Adds up to where the bucket holds Kafka partitions that a run would look for.
    pub(super) fn add_ends(&self, facts: &mut BTreeMap<i32, TopicFacts>, report: &mut Report) {
        let on_lost = self.settings.kafka.on_lost_offsets;
        let wanted = |(number, facts): (&i32, &TopicFacts)| {
            let wanted = facts.prefix_empty == Some(false) && wants_end(facts, *number, on_lost);
            wanted.then_some(*number)
        };
        let wanted: BTreeSet<i32> = facts.iter().filter_map(wanted).collect();
        if wanted.is_empty() {
            return;
        }
        let (layout, name) = (&self.topic.policy.layout, &self.topic.name);
        let look = bucket_ends(self.store, layout, name, &wanted, usize::MAX);
        match self.runtime.block_on(look) {
            Ok(ends) => {
                for (number, end) in ends.into_iter().flatten() {
                    facts.entry(number).and_modify(|facts| facts.bucket_end = Some(end));
                }
            }
            Err(error) => report.mend("group", format!("{name}: {error}")),
        }
    }

    /// Looks at where batches were begun for, before the settings named another place.
    pub(super) fn look_at_pinned(&self, layouts: &[Arc<Layout>], report: &mut Report) {
        for layout in layouts {
            let look = any_landed(self.store, layout, &self.topic.name);
            if let Err(error) = self.runtime.block_on(look) {
                let text = format!(
                    "{}: a batch was begun for the bucket {} and must be finished there first, but \
                     {}. If that bucket is gone for good, `kafka-s3-sink recover --drop-pins` gives \
                     the batch up, and its records are read again for {}",
                    self.topic.name,
                    layout.bucket,
                    said(&error),
                    self.settings.s3.bucket
                );
                report.say(fault(&error), "group", text);
            }
        }
    }
}
