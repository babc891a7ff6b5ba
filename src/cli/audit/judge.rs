//! From what was found in the bucket to verdicts: gaps are explained by Kafka, and with `--deep`
//! every line is read. Kafka partitions take turns on a few threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;

use super::super::cluster::TopicView;
use super::super::survey::Surveyor;
use super::AuditError;
use super::deep::Deep;
use super::report::TopicReport;
use crate::kafka::{KafkaError, Onlooker, RangeReader, RangeReaders};
use crate::pipeline::audit::{
    Content, Evidence, Gap, GapKind, GapWatch, Holdings, PartitionReport, Roots, Scope, Standing,
    TopicHoldings, gaps, report,
};
use crate::pipeline::{Metadata, Outlook, decode_metadata, layout_hash, outlook};
use crate::record::{
    Committed, LostOffsetsPolicy, Offset, OutOfRangePolicy, StartPosition, TopicPartition,
};

/// Kafka partitions that are read at the same time.
const READERS: usize = 4;

/// What verdicts are made with.
pub(super) struct Judge<'a> {
    pub(super) onlooker: Option<&'a Onlooker>,
    pub(super) readers: Option<RangeReaders>,
    pub(super) scope: Scope,
    pub(super) surveyor: &'a Surveyor,
    pub(super) runtime: &'a Runtime,
}

impl Judge<'_> {
    /// Judges a topic.
    pub(super) fn topic(
        &self,
        view: &TopicView,
        holdings: TopicHoldings,
        deep: bool,
    ) -> Result<TopicReport, AuditError> {
        let mut topic = TopicReport::begin(view, &holdings);
        let after = self.reach_after(view);
        let jobs: Vec<_> = holdings.partitions.into_iter().collect();
        let judged = in_turns(&jobs, |(number, holdings)| {
            self.partition(view, *number, holdings, after.get(number).copied().flatten(), deep)
        });
        for partition in judged {
            topic.kafka_partitions.push(partition?);
        }
        if topic.is_empty() {
            topic.notes.push(match self.scope.span {
                None => {
                    "nothing has landed here, and Kafka has records: are s3.bucket, layout.prefix \
                         and kafka.group_id the right ones?"
                        .to_owned()
                }
                Some(_) => "nothing of that time is here".to_owned(),
            });
        }
        topic.health = Some(topic.judged());
        Ok(topic)
    }

    /// How far the group has come since. Where nobody can say, nothing.
    fn reach_after(&self, view: &TopicView) -> BTreeMap<i32, Option<Offset>> {
        let asked: Vec<_> = view.facts.keys().map(|number| view.roots.partition(*number)).collect();
        let answers = self.onlooker.and_then(|onlooker| onlooker.committed(&asked).ok());
        let told = |(at, held): (TopicPartition, Result<Committed, KafkaError>)| {
            Some((at.partition, Standing::of(&held.ok()?).reach))
        };
        answers.into_iter().flatten().filter_map(told).collect()
    }

    fn partition(
        &self,
        view: &TopicView,
        number: i32,
        holdings: &Holdings,
        reach_after: Option<Offset>,
        deep: bool,
    ) -> Result<PartitionReport, AuditError> {
        let held = view.held(number);
        let (stop, is_same) = self.trouble(view, number);
        // The records of a topic that was made again explain nothing.
        let log = view.log(number).filter(|_| is_same);
        let mut reader = self.readers.as_ref().map(RangeReaders::reader);
        let first_start = held.as_ref().is_some_and(is_first_start);
        let mut found = gaps(holdings, log, first_start, &self.scope);
        let mut notes: Vec<String> = stop.into_iter().collect();
        let at = view.roots.partition(number);
        let explainer = Explainer { roots: &view.roots, scope: self.scope };
        if let Err(error) = explainer.explain(&at, &mut found, reader.as_mut()) {
            notes.push(format!("gaps cannot be explained: {error}"));
        }
        let evidence = Evidence { group: held.as_ref(), reach_after, log, scope: self.scope };
        let content = match deep {
            true => Some(self.read(view, &at, holdings, &evidence, reader.as_mut())?),
            false => None,
        };
        let mut report = report(number, holdings.clone(), found, &evidence);
        report.notes.extend(notes);
        if let Some(Err(error)) = view.facts.get(&number) {
            report.notes.push(format!("Kafka says nothing of it: {error}"));
        }
        report.content = content;
        report.health = report.judged();
        Ok(report)
    }

    /// Why a run would stop here, where the report does not say it anyway; and whether the
    /// topic is the one that the offsets are of.
    fn trouble(&self, view: &TopicView, number: i32) -> (Option<String>, bool) {
        let Some(facts) = view.facts_of(number) else { return (None, true) };
        let at = view.roots.partition(number);
        let (start, lost) = (StartPosition::Earliest, LostOffsetsPolicy::Error);
        match outlook(&at, facts, start, lost, OutOfRangePolicy::Stop) {
            Outlook::Stops(reason) if reason.code == "topic_recreated" => {
                (Some(reason.text), false)
            }
            Outlook::Stops(reason) if reason.code == "offset_out_of_range" => {
                (Some(reason.text), true)
            }
            _ => (None, true),
        }
    }

    fn read(
        &self,
        view: &TopicView,
        at: &TopicPartition,
        holdings: &Holdings,
        evidence: &Evidence<'_>,
        reader: Option<&mut RangeReader>,
    ) -> Result<Content, AuditError> {
        let compacted = view.facts_of(at.partition).and_then(|facts| facts.compacted);
        Deep {
            roots: &view.roots,
            at,
            layout_hash: layout_hash(view.roots.layout()),
            log: evidence.log,
            is_part: self.scope.span.is_some(),
            compacted: compacted == Some(true),
            store: self.surveyor.store(),
            runtime: self.runtime,
            counts: &self.surveyor.counts,
        }
        .read(&holdings.batches, reader)
    }
}

/// Asks Kafka what gaps are.
pub(in crate::cli) struct Explainer<'a> {
    pub(in crate::cli) roots: &'a Roots,
    pub(in crate::cli) scope: Scope,
}

impl Explainer<'_> {
    /// Reads what Kafka still has in the gaps; without a reader that is not known.
    pub(in crate::cli) fn explain(
        &self,
        at: &TopicPartition,
        gaps: &mut [Gap],
        reader: Option<&mut RangeReader>,
    ) -> Result<(), KafkaError> {
        let unasked = gaps.iter_mut().filter(|gap| gap.kind == GapKind::Unasked);
        let Some(reader) = reader else {
            unasked.for_each(|gap| gap.kind = GapKind::Unknown);
            return Ok(());
        };
        let mut failed = None;
        for gap in unasked {
            let mut watch = GapWatch::new(self.roots.layout(), &at.topic, self.scope);
            match reader.read(at, gap.range, &mut |record| watch.take(record)) {
                Ok(()) => *gap = watch.verdict(*gap),
                Err(error) => {
                    gap.kind = GapKind::Unknown;
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Whether the group's offset is where a first start began, so that nothing below is ours.
fn is_first_start(held: &Committed) -> bool {
    matches!(decode_metadata(&held.metadata), Metadata::Ours(mark, _) if mark.first_start.is_some())
}

/// Does something to each of many on a few threads; results come in order.
fn in_turns<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..READERS.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|at| Some((at, items.get(at)?)))
                {
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
