//! Learns where assigned Kafka partitions begin: asks the group, the broker and, where an offset
//! is missing, the bucket.
//!
//! A thread of its own, for the questions block. Questions that wait are answered together. Where
//! an offset is missing the bucket is looked at and the offsets are fetched **again**: the look
//! comes before the fetch that counts, or another member's first objects would look like old
//! ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use crate::kafka::{KafkaEdge, KafkaError};
use crate::pipeline::{dead_letter_prefix, name_prefix, topic_prefix};
use crate::record::{Epoch, Layout, ResolveError, StoreError, TopicFacts, TopicPartition};
use crate::s3::Store;

/// Questions that are asked together; the rest waits, so that the first soon have their answer.
const AT_ONCE: usize = 2000;
/// How long a question waits for others to be asked with it.
const GATHER: Duration = Duration::from_millis(5);
/// Requests to the bucket that run at one time.
const LOOKS_AT_ONCE: usize = 16;

/// How many keys of a table are looked through for those of one Kafka partition.
const KEYS_AT_MOST: usize = 20_000;

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
            let mut waiting: VecDeque<_> = [first].into();
            while !waiting.is_empty() {
                // An assignment reaches all lanes at once, and so do their questions.
                while let Ok(next) = questions.recv_timeout(GATHER) {
                    waiting.push_back(next);
                }
                let some = waiting.drain(..waiting.len().min(AT_ONCE)).collect();
                self.answer(some);
            }
        }
    }

    fn answer(&self, questions: Vec<Question>) {
        let mut facts = self.facts(&questions);
        for Question { partition, epoch, lane, .. } in questions {
            let unknown = || Err(ResolveError(format!("{partition}: there is no answer")));
            let answer = facts.remove(&partition).unwrap_or_else(unknown);
            lane.send(LaneInput::Facts(partition, epoch, answer));
        }
    }

    fn facts(&self, questions: &[Question]) -> Facts {
        let partitions: Vec<_> = questions.iter().map(|each| each.partition.clone()).collect();
        let mut facts = self.ask(&partitions, &BTreeMap::new());
        let blind: BTreeSet<_> =
            partitions.into_iter().filter(|at| is_missing(&facts, at)).collect();
        let (empty, failed) = self.look(questions, &blind);
        let among_others = blind
            .iter()
            .filter(|at| empty.get(&at.topic) == Some(&false) && others_have_offsets(&facts, at));
        let alone = self.look_closer(questions, &among_others.cloned().collect());
        let seen = blind.iter().filter(|at| empty.contains_key(&at.topic)).cloned();
        let mut again = self.ask(&seen.collect::<Vec<_>>(), &empty);
        for (at, facts) in &mut again {
            if let Ok(facts) = facts {
                facts.partition_empty = alone.get(at).copied();
            }
        }
        facts.extend(again);
        for at in blind {
            if let Some(error) = failed.get(&at.topic) {
                facts.insert(at, Err(error.clone()));
            }
        }
        facts
    }

    fn ask(&self, partitions: &[TopicPartition], empty: &BTreeMap<Arc<str>, bool>) -> Facts {
        if partitions.is_empty() {
            return Facts::new();
        }
        let told = |(at, facts): (TopicPartition, Result<_, KafkaError>)| {
            let facts = facts.map_err(|error| ResolveError(format!("{at}: {error}")));
            (at, facts)
        };
        self.edge.topic_facts(partitions, empty).into_iter().map(told).collect()
    }

    /// Whether the bucket holds nothing of the topics of these.
    fn look(&self, questions: &[Question], blind: &BTreeSet<TopicPartition>) -> (Empty, Failed) {
        let mut prefixes = BTreeMap::new();
        for Question { partition, layout, .. } in questions {
            if blind.contains(partition) {
                let topic = &partition.topic;
                let prefix = (layout.bucket.clone(), topic_prefix(layout, topic));
                prefixes.insert(Arc::clone(topic), prefix);
            }
        }
        let (mut empty, mut failed) = (Empty::new(), Failed::new());
        let prefixes: Vec<_> = prefixes.into_iter().collect();
        for some in prefixes.chunks(LOOKS_AT_ONCE) {
            for (topic, any) in self.runtime.block_on(self.look_at(some)) {
                match any {
                    Ok(any) => drop(empty.insert(topic, !any)),
                    Err(error) => drop(failed.insert(topic, ResolveError(error.to_string()))),
                }
            }
        }
        (empty, failed)
    }

    /// Whether the bucket holds nothing of these very Kafka partitions, although it holds objects
    /// of their topics; only of those where that can be told.
    fn look_closer(
        &self,
        questions: &[Question],
        which: &BTreeSet<TopicPartition>,
    ) -> BTreeMap<TopicPartition, bool> {
        let of = questions.iter().filter(|each| which.contains(&each.partition));
        let looked = of.filter_map(|Question { partition, layout, .. }| {
            let (store, bucket) = (&self.store, &*layout.bucket);
            let (table, part) = (topic_prefix(layout, &partition.topic), name_prefix(partition));
            let dead = dead_letter_prefix(layout, partition);
            let look = async {
                let any = store.any_object_with(bucket, &table, &part, KEYS_AT_MOST).await?;
                let dead = store.any_object(bucket, &dead).await?;
                Ok::<_, StoreError>(any.map(|any| !any && !dead))
            };
            // Without an answer it counts as lost, which stops and explains.
            let empty = self.runtime.block_on(look).ok().flatten()?;
            Some((partition.clone(), empty))
        });
        looked.collect()
    }

    /// Whether there is any object of these topics, each with its bucket and prefix.
    async fn look_at(&self, prefixes: &[Prefix]) -> Vec<(Arc<str>, Result<bool, StoreError>)> {
        let mut looks = JoinSet::new();
        for (topic, (bucket, prefix)) in prefixes.iter().cloned() {
            let store = self.store.clone();
            looks.spawn_on(
                async move { (topic, store.any_object(&bucket, &prefix).await) },
                &self.runtime,
            );
        }
        looks.join_all().await
    }
}

/// A topic, with the bucket and the prefix of its table.
type Prefix = (Arc<str>, (Arc<str>, String));
type Facts = BTreeMap<TopicPartition, Result<TopicFacts, ResolveError>>;
type Empty = BTreeMap<Arc<str>, bool>;
type Failed = BTreeMap<Arc<str>, ResolveError>;

/// Whether the group has no offset there.
fn is_missing(facts: &Facts, at: &TopicPartition) -> bool {
    let Some(Ok(facts)) = facts.get(at) else { return false };
    facts.committed.get(&at.partition).is_none_or(|committed| committed.offset.is_none())
}

/// Whether the group has an offset of any Kafka partition of the topic.
fn others_have_offsets(facts: &Facts, at: &TopicPartition) -> bool {
    let Some(Ok(facts)) = facts.get(at) else { return false };
    facts.committed.values().any(|committed| committed.offset.is_some())
}
