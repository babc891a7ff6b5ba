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
            match (facts.as_mut(), alone.get(at)) {
                (Ok(facts), Some(Ok(empty))) => facts.partition_empty = *empty,
                (Ok(_), Some(Err(error))) => *facts = Err(error.clone()),
                _ => (),
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
            for (topic, any) in self.look_at(some) {
                match any {
                    Ok(any) => drop(empty.insert(topic, !any)),
                    Err(error) => drop(failed.insert(topic, ResolveError(error.to_string()))),
                }
            }
        }
        for (topic, _) in prefixes.iter().filter(|(topic, _)| !empty.contains_key(topic)) {
            let unseen = || ResolveError(format!("{topic}: the bucket gave no answer"));
            failed.entry(Arc::clone(topic)).or_insert_with(unseen);
        }
        (empty, failed)
    }

    /// Whether the bucket holds nothing of these very Kafka partitions, although it holds objects
    /// of their topics; nothing where too much is in the way to tell.
    fn look_closer(
        &self,
        questions: &[Question],
        which: &BTreeSet<TopicPartition>,
    ) -> BTreeMap<TopicPartition, Result<Option<bool>, ResolveError>> {
        let of = questions.iter().filter(|each| which.contains(&each.partition));
        let looked = of.map(|Question { partition, layout, .. }| {
            let (store, bucket) = (self.store.clone(), layout.bucket.clone());
            let (table, part) = (topic_prefix(layout, &partition.topic), name_prefix(partition));
            let dead = dead_letter_prefix(layout, partition);
            let look = async move {
                let any = store.any_object_with(&bucket, &table, &part, KEYS_AT_MOST).await?;
                let dead = store.any_object(&bucket, &dead).await?;
                Ok::<_, StoreError>(any.map(|any| !any && !dead))
            };
            // A store that does not answer is asked again: it says nothing of lost offsets.
            let empty = match outcomes(&self.runtime, [look]).pop() {
                Some(looked) => looked.map_err(|error| ResolveError(error.to_string())),
                None => Err(ResolveError(format!("{partition}: the bucket gave no answer"))),
            };
            (partition.clone(), empty)
        });
        looked.collect()
    }

    /// Whether there is any object of these topics, each with its bucket and prefix.
    fn look_at(&self, prefixes: &[Prefix]) -> Vec<(Arc<str>, Result<bool, StoreError>)> {
        let looks = prefixes.iter().cloned().map(|(topic, (bucket, prefix))| {
            let store = self.store.clone();
            async move { (topic, store.any_object(&bucket, &prefix).await) }
        });
        outcomes(&self.runtime, looks)
    }
}

/// What these come to, in any order. They run on the runtime and not on this thread: at the end of
/// the process it is shut down under them, and who polled them then would panic. What it was shut
/// down under has no outcome.
fn outcomes<T, W>(runtime: &Handle, works: impl IntoIterator<Item = W>) -> Vec<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let (reply, answers) = mpsc::channel();
    for work in works {
        let reply = reply.clone();
        runtime.spawn(async move {
            let _ = reply.send(work.await);
        });
    }
    // The last of the works has the last sender.
    drop(reply);
    answers.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_is_shut_down_under_has_no_outcome() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let handle = runtime.handle().clone();
        let work = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        assert_eq!(outcomes(&handle, [work(0), work(0)]), [0, 0]);
        let (began, begun) = mpsc::channel();
        let asks = handle.clone();
        let asker = std::thread::spawn(move || {
            let works = [3600, 0].map(|seconds| {
                let began = began.clone();
                async move {
                    let _ = began.send(());
                    work(seconds).await
                }
            });
            outcomes(&asks, works)
        });
        (0..2).for_each(|_| begun.recv().expect("it begins"));
        std::thread::sleep(Duration::from_millis(50));
        runtime.shutdown_timeout(Duration::from_secs(1));
        assert_eq!(asker.join().expect("no panic"), [0]);
        assert_eq!(outcomes(&handle, [work(0)]).len(), 0, "after it");
    }
}
