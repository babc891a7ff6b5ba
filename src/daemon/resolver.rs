//! Learns where assigned Kafka partitions begin: asks the group, the broker and, where an offset
//! is missing, the bucket.
//!
//! A thread of its own, for the questions block. Questions that wait are answered together. Where
//! an offset is missing, or not ours and to be followed, the bucket is looked at and the offsets are
//! fetched **again**: the look comes before the fetch that counts, or another member's first objects
//! would look like old ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use tokio::runtime::Handle;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use super::landed::{any_landed, bucket_ends};
use crate::kafka::{KafkaEdge, KafkaError};
use crate::pipeline::{is_blind, saw_enough, topic_prefix, wants_end};
use crate::record::{
    BucketEnd, Epoch, Layout, LostOffsetsPolicy, ResolveError, StoreError, TopicFacts,
    TopicPartition,
};
use crate::s3::Store;

/// Questions that are asked together; the rest waits, so that the first soon have their answer.
const AT_ONCE: usize = 2000;
/// How long a question waits for others to be asked with it.
const GATHER: Duration = Duration::from_millis(5);
/// Requests to the bucket that run at one time.
const LOOKS_AT_ONCE: usize = 16;

/// How many keys of a topic are looked through for those of Kafka partitions without an offset.
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
    pub(super) fn start(
        edge: KafkaEdge,
        store: Store,
        runtime: Handle,
        on_lost_offsets: LostOffsetsPolicy,
    ) -> std::io::Result<Self> {
        let (sender, questions) = mpsc::channel();
        let thread = Thread { edge, store, runtime, on_lost_offsets };
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
    on_lost_offsets: LostOffsetsPolicy,
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
        let is_blind_one = |at: &TopicPartition| {
            let known = facts.get(at).and_then(|facts| facts.as_ref().ok());
            known.is_some_and(|facts| is_blind(facts, at.partition, self.on_lost_offsets))
        };
        let blind: BTreeSet<_> = partitions.into_iter().filter(is_blind_one).collect();
        let of_blind = questions.iter().filter(|each| blind.contains(&each.partition));
        let layouts: Layouts =
            of_blind.map(|each| (each.partition.topic.clone(), each.layout.clone())).collect();
        let (again, failed) = self.ask_again(&blind, &layouts, &facts);
        facts.extend(again);
        for at in blind {
            if let Some(error) = failed.get(&at.topic) {
                facts.insert(at, Err(error.clone()));
            }
        }
        facts
    }

    /// Looks at the bucket, and asks about these once more.
    fn ask_again(
        &self,
        blind: &BTreeSet<TopicPartition>,
        layouts: &Layouts,
        first: &Facts,
    ) -> (Facts, Failed) {
        let on_lost = self.on_lost_offsets;
        let known = |at| first.get(at).and_then(|facts| facts.as_ref().ok());
        let (empty, mut failed) = self.look(layouts);
        let mut closer: BTreeMap<_, BTreeSet<i32>> = BTreeMap::new();
        for at in blind {
            let wanted = known(at).is_some_and(|facts| wants_end(facts, at.partition, on_lost));
            if wanted && empty.get(&at.topic) == Some(&false) {
                closer.entry(Arc::clone(&at.topic)).or_default().insert(at.partition);
            }
            // A store that did not answer is asked again: it says nothing of lost offsets.
            if !empty.contains_key(&at.topic) {
                let unknown = || ResolveError(format!("{}: the bucket gave no answer", at.topic));
                failed.entry(Arc::clone(&at.topic)).or_insert_with(unknown);
            }
        }
        let ends = self.look_closer(layouts, &closer, &mut failed);
        let seen = blind.iter().filter(|at| !failed.contains_key(&at.topic)).cloned();
        let mut again = self.ask(&seen.collect::<Vec<_>>(), &empty);
        for (at, answer) in &mut again {
            let Ok(facts) = answer else { continue };
            facts.bucket_end = ends.get(at).cloned();
            let looked = closer.get(&at.topic).is_some_and(|some| some.contains(&at.partition));
            let enough = known(at).is_some_and(|before| {
                saw_enough(&before.committed, facts, at.partition, on_lost, looked)
            });
            if !enough {
                let text = format!("{at}: others have landed records while it was asked about");
                *answer = Err(ResolveError(text));
            }
        }
        (again, failed)
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

    /// Whether the bucket holds nothing of these topics.
    fn look(&self, layouts: &Layouts) -> (Empty, Failed) {
        let (mut empty, mut failed) = (Empty::new(), Failed::new());
        let layouts: Vec<_> = layouts.iter().collect();
        for some in layouts.chunks(LOOKS_AT_ONCE) {
            for (topic, any) in self.look_at(some) {
                match any {
                    Ok(any) => drop(empty.insert(topic, !any)),
                    Err(error) => drop(failed.insert(topic, ResolveError(error.to_string()))),
                }
            }
        }
        (empty, failed)
    }

    /// Whether there is any object of these topics.
    fn look_at(
        &self,
        topics: &[(&Arc<str>, &Arc<Layout>)],
    ) -> Vec<(Arc<str>, Result<bool, StoreError>)> {
        let looks = topics.iter().map(|(topic, layout)| {
            let (store, topic, layout) =
                (self.store.clone(), Arc::clone(topic), Arc::clone(layout));
            async move {
                let any = any_landed(&store, &layout, &topic).await;
                (topic, any)
            }
        });
        outcomes(&self.runtime, looks)
    }

    /// Up to where the bucket holds these very Kafka partitions, although it holds objects of
    /// their topics; only of those where that can be told.
    fn look_closer(
        &self,
        layouts: &Layouts,
        topics: &BTreeMap<Arc<str>, BTreeSet<i32>>,
        failed: &mut Failed,
    ) -> BTreeMap<TopicPartition, BucketEnd> {
        let mut found = BTreeMap::new();
        for (topic, wanted) in topics {
            let layout = &layouts[topic];
            // Where the user insists on a start, it is worth a long look.
            let at_most = match self.on_lost_offsets {
                LostOffsetsPolicy::Start => {
                    let place = format!("s3://{}/{}", layout.bucket, topic_prefix(layout, topic));
                    tracing::info!("{topic}: looking through {place} for what has landed");
                    usize::MAX
                }
                LostOffsetsPolicy::Error => KEYS_AT_MOST,
            };
            let (store, layout) = (self.store.clone(), Arc::clone(layout));
            let (name, wanted) = (Arc::clone(topic), wanted.clone());
            let look = async move { bucket_ends(&store, &layout, &name, &wanted, at_most).await };
            let mut keep = |(number, end)| {
                found.insert(TopicPartition::new(Arc::clone(topic), number), end);
            };
            match outcomes(&self.runtime, [look]).pop() {
                Some(Ok(ends)) => ends.into_iter().flatten().for_each(&mut keep),
                Some(Err(error)) => {
                    failed.insert(Arc::clone(topic), ResolveError(error.to_string()));
                }
                None => {
                    let text = format!("{topic}: the bucket gave no answer");
                    failed.insert(Arc::clone(topic), ResolveError(text));
                }
            }
        }
        found
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

type Layouts = BTreeMap<Arc<str>, Arc<Layout>>;
type Facts = BTreeMap<TopicPartition, Result<TopicFacts, ResolveError>>;
type Empty = BTreeMap<Arc<str>, bool>;
type Failed = BTreeMap<Arc<str>, ResolveError>;

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
