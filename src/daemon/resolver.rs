//! Learns where assigned Kafka partitions begin: asks the group, the broker and, where an offset
//! is missing, the bucket.
//!
//! A thread of its own, for the questions block. Questions that wait are answered together, a
//! topic at a time. Where an offset is missing the bucket is looked at and the offsets are
//! fetched **again**: the look comes before the fetch that counts, or another member's first
//! objects would look like old ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use tokio::runtime::Handle;

use super::inbox::{LaneHandle, LaneInput};
use crate::kafka::KafkaEdge;
use crate::pipeline::topic_prefix;
use crate::record::{Epoch, Layout, ResolveError, TopicFacts, TopicPartition};
use crate::s3::Store;

/// A lane's question.
pub(super) struct Question {
    pub(super) partition: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) layout: Arc<Layout>,
    pub(super) lane: LaneHandle,
}

/// Where lanes put their questions; the thread ends when all clones are gone.
#[derive(Clone)]
pub(super) struct Resolver(Sender<Question>);

impl Resolver {
    pub(super) fn start(edge: KafkaEdge, store: Store, runtime: Handle) -> std::io::Result<Self> {
        let (sender, questions) = mpsc::channel();
        let thread = Thread { edge, store, runtime };
        std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || thread.run(&questions))?;
        Ok(Self(sender))
    }

    pub(super) fn ask(&self, question: Question) {
        // A resolver that is gone means that the process is on its way out.
        let _ = self.0.send(question);
    }
}

struct Thread {
    edge: KafkaEdge,
    store: Store,
    runtime: Handle,
}

impl Thread {
    fn run(&self, questions: &Receiver<Question>) {
        while let Ok(first) = questions.recv() {
            let mut by_topic: BTreeMap<Arc<str>, Vec<Question>> = BTreeMap::new();
            for question in std::iter::once(first).chain(questions.try_iter()) {
                by_topic.entry(question.partition.topic.clone()).or_default().push(question);
            }
            for (topic, questions) in by_topic {
                self.answer(&topic, questions);
            }
        }
    }

    fn answer(&self, topic: &str, questions: Vec<Question>) {
        let facts = self.facts(topic, &questions);
        for Question { partition, epoch, lane, .. } in questions {
            let answer = match &facts {
                Ok(facts) => facts.get(&partition.partition).cloned().ok_or_else(|| {
                    ResolveError(format!("{partition}: the broker does not know it"))
                }),
                Err(error) => Err(error.clone()),
            };
            lane.send(LaneInput::Facts(partition, epoch, answer));
        }
    }

    fn facts(
        &self,
        topic: &str,
        questions: &[Question],
    ) -> Result<BTreeMap<i32, TopicFacts>, ResolveError> {
        let partitions: Vec<i32> = questions.iter().map(|each| each.partition.partition).collect();
        let ask = |prefix_empty| {
            let facts = self.edge.topic_facts(topic, &partitions, prefix_empty);
            facts.map_err(|error| ResolveError(format!("{topic}: {error}")))
        };
        let facts = ask(None)?;
        let missing = |partition: &i32, facts: &TopicFacts| {
            facts.committed.get(partition).is_none_or(|committed| committed.offset.is_none())
        };
        if !facts.iter().any(|(partition, facts)| missing(partition, facts)) {
            return Ok(facts);
        }
        let layout = &questions[0].layout;
        let prefix = topic_prefix(layout, topic);
        let look = self.store.any_object(&layout.bucket, &prefix);
        let any = self.runtime.block_on(look).map_err(|error| ResolveError(error.to_string()))?;
        ask(Some(!any))
    }
}
