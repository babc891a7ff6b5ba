//! Where a Kafka partition whose offset is lost goes on, computed from what the bucket holds.
//!
//! | the bucket | the position |
//! |---|---|
//! | all batches whole, nothing missing between them | the end of the last |
//! | the last batch is not whole | its base, with its pin made anew from its objects |
//! | one thing is missing further below | there, with a pin that ends where the next batch begins; those behind it are adopted |
//! | more is missing, or what is behind cannot be adopted | none, unless the user passes it |
//!
//! Fed by `cli` with the holdings of a bucket (gathered without a committed offset), the gaps as
//! Kafka explains them, and what a run would be told.

mod identity;

use std::sync::Arc;

pub use self::identity::{Identity, identify, last_batch};

use super::audit::{Gap, GapKind, Holdings, KnownBatch};
use super::look::{Outlook, outlook};
use super::pin::{Mark, Pin, encode_metadata};
use crate::record::{
    Layout, LostOffsetsPolicy, Offset, OffsetRange, OutOfRangePolicy, StartPosition, TopicFacts,
    TopicPartition,
};

/// What the user insists on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insistence {
    /// Goes on behind what is missing.
    pub pass_missing: bool,
    /// Takes the topic for the one that the objects are of, where Kafka cannot show it.
    pub unverified: bool,
}

/// All that decides about one Kafka partition.
pub struct LostCase<'a> {
    /// The Kafka partition.
    pub at: &'a TopicPartition,
    /// What a run would be told.
    pub facts: &'a TopicFacts,
    /// What the bucket holds of it.
    pub holdings: &'a Holdings,
    /// What lies between.
    pub gaps: &'a [Gap],
    /// Today's layout.
    pub layout: &'a Arc<Layout>,
    /// Its hash.
    pub layout_hash: &'a str,
    /// All objects of the topic are of this group and this layout, so that a run adopts them.
    pub adoptable: bool,
    /// About the last batch.
    pub identity: Identity,
    /// An id that no other pin has.
    pub new_pin_id: &'a str,
    /// As many offsets a run may read as one batch.
    pub largest_fill: u64,
    /// What the user insists on.
    pub insists: Insistence,
    /// Where the user gives up a batch that was begun: how many of its objects stand where it was
    /// laid out, whose place may be another than today's.
    pub begun_objects: Option<usize>,
}

/// What to do about a Kafka partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: a run goes on by itself.
    Stands {
        /// Where.
        at: Offset,
        /// Where the batch ends that it finishes first.
        pinned_to: Option<Offset>,
    },
    /// Nothing: a run begins by itself, as this says.
    Begins(String),
    /// Commit this.
    Commit(Position),
    /// Nothing: this is why not, and what a person can do.
    Refused(String),
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The offset to be committed.
    pub offset: Offset,
    /// The batch to be finished first.
    pub pin: Option<Pin>,
    /// Why there.
    pub why: String,
    /// What else a person ought to know.
    pub notes: Vec<String>,
}

impl Position {
    /// The offset metadata to be committed with it.
    pub fn metadata(&self, facts: &TopicFacts, layout_hash: &str) -> String {
        let mark = Mark {
            offset: self.offset,
            topic_id: facts.topic_id.clone(),
            cluster_id: facts.cluster_id.clone(),
            leader_epoch: None,
            layout_hash: layout_hash.into(),
            first_start: None,
        };
        encode_metadata(&mark, self.pin.as_ref())
    }
}

/// Decides.
pub fn recovery(case: &LostCase<'_>) -> Recovery {
    let (start, range) = (StartPosition::Earliest, OutOfRangePolicy::Stop);
    let is_empty = case.holdings.below.is_empty() && case.holdings.incomplete.is_empty();
    match outlook(case.at, case.facts, start, LostOffsetsPolicy::Error, range) {
        Outlook::Continues { from } => Recovery::Stands { at: from, pinned_to: None },
        Outlook::Replays { range, layout } => match case.begun_objects {
            None => Recovery::Stands { at: range.base, pinned_to: Some(range.end) },
            Some(objects) => given_up(range, &layout, objects),
        },
        Outlook::Begins { how, .. } if is_empty => Recovery::Begins(how.to_owned()),
        Outlook::Stops(reason) if !matches!(reason.code, "lost_offsets" | "damaged_pin") => {
            Recovery::Refused(reason.text)
        }
        _ if is_empty => case.without_objects(),
        _ => case.verified().unwrap_or_else(|| case.position()),
    }
}

/// A batch that was begun may be given up as long as nothing of it was put.
fn given_up(range: OffsetRange, layout: &Layout, objects: usize) -> Recovery {
    if objects > 0 {
        return Recovery::Refused(format!(
            "the batch {range} that was begun cannot be given up, for {objects} of its objects \
             stand in the bucket {}: it must be finished there, or they must be moved away",
            layout.bucket
        ));
    }
    Recovery::Commit(Position {
        offset: range.base,
        pin: None,
        why: format!("the batch {range} that was begun, and of which nothing was put, is given up"),
        notes: Vec::new(),
    })
}

/// What is missing, in the place where it is.
enum Missing<'a> {
    Batch(&'a KnownBatch),
    Gap(&'a Gap, Offset),
}

impl Missing<'_> {
    fn range(&self) -> OffsetRange {
        match self {
            Self::Batch(batch) => batch.facts.range,
            Self::Gap(gap, _) => gap.range,
        }
    }
}

impl std::fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch(batch) => {
                let (gone, wanted) = (batch.facts.objects - batch.seen, batch.facts.objects);
                write!(f, "{gone} of {wanted} objects of the batch {}", batch.facts.range)
            }
            Self::Gap(gap, first) => write!(f, "{} from offset {first} on", gap.range),
        }
    }
}

impl<'a> LostCase<'a> {
    /// Nothing of this Kafka partition stands in the bucket.
    fn without_objects(&self) -> Recovery {
        let TopicFacts { log_start, log_end, prefix_empty, .. } = *self.facts;
        if prefix_empty == Some(true) {
            return Recovery::Refused(
                "the bucket holds nothing of the topic, so it cannot say where to go on; \
                 kafka.on_lost_offsets = \"start\" follows the offset that is there"
                    .to_owned(),
            );
        }
        if log_start > Offset(0) && log_start < log_end {
            return Recovery::Refused(format!(
                "the bucket holds nothing of this Kafka partition, and Kafka has [{log_start}, \
                 {log_end}): nothing of it has landed yet, or its objects were removed, or stand \
                 under an earlier layout.prefix. Where the group has no offset for it, a run begins \
                 as kafka.start says once others of the topic stand; kafka.on_lost_offsets = \
                 \"start\" does so in any case"
            ));
        }
        Recovery::Commit(Position {
            offset: log_start,
            pin: None,
            why: "the bucket holds nothing of it: from its first record".to_owned(),
            notes: Vec::new(),
        })
    }

    /// Why the objects may be those of another topic; nothing if they are of this one.
    fn verified(&self) -> Option<Recovery> {
        let last = last_batch(self.holdings)?;
        let (end, first) = (last.range.end, last.first.offset);
        let TopicFacts { log_start, log_end, .. } = *self.facts;
        let again = "the topic was deleted and made again, or its log was truncated. Choose \
                     another layout.prefix for the new topic, or move the old objects away";
        if end > log_end {
            return Some(Recovery::Refused(format!(
                "the bucket holds offsets up to {end} and Kafka's log ends at {log_end}: {again}"
            )));
        }
        match self.identity {
            Identity::Other => Some(Recovery::Refused(format!(
                "the record that Kafka has at offset {first} is not the one in the bucket: {again}"
            ))),
            // Nothing that Kafka still has would be passed.
            Identity::Gone if end <= log_start || self.insists.unverified => None,
            Identity::Gone => Some(Recovery::Refused(format!(
                "Kafka no longer has the record at offset {first}, with which the last batch \
                 begins, so nobody can tell whether this is still the topic that the objects are \
                 of. If it was never deleted and made again, add --unverified"
            ))),
            Identity::Same => None,
        }
    }

    fn position(&self) -> Recovery {
        let end = last_batch(self.holdings).map_or(Offset(0), |last| last.range.end);
        let missing = self.missing();
        let below = missing.iter().position(|it| it.range().end < end).is_some();
        let cut = self.holdings.shortened.last().filter(|it| it.facts.range.end == end);
        match (&missing[..], cut) {
            // Whether all that was left of it has landed cannot be seen, and a replay does no harm.
            ([], Some(cut)) => self.finishing(cut, &[]),
            (missing, _) => self.beside(missing, end, below),
        }
    }

    fn beside(&self, missing: &[Missing<'_>], end: Offset, below: bool) -> Recovery {
        match missing {
            [] => self.at_end(end, &[]),
            [Missing::Batch(last)] if !below => self.finishing(last, &[]),
            [one] if !self.insists.pass_missing && self.can_adopt(one) => self.filling(one),
            _ if self.insists.pass_missing => match missing.split_last() {
                Some((Missing::Batch(last), rest)) if last.facts.range.end == end => {
                    self.finishing(last, rest)
                }
                _ => self.at_end(end, missing),
            },
            _ => self.too_much(missing),
        }
    }

    /// All that is missing and that Kafka still has something of, in order.
    fn missing(&self) -> Vec<Missing<'a>> {
        let end = last_batch(self.holdings).map(|last| last.range.end);
        let is_left = |range: OffsetRange| range.end > self.facts.log_start;
        let parts = self.holdings.incomplete.iter();
        let parts = parts.filter(|it| is_left(it.facts.range) || Some(it.facts.range.end) == end);
        let gaps = self.gaps.iter().filter(|gap| gap.kind == GapKind::Missing);
        let mut missing: Vec<_> = parts.map(Missing::Batch).collect();
        missing.extend(gaps.map(|gap| Missing::Gap(gap, gap.lands_at.unwrap_or(gap.range.base))));
        missing.sort_by_key(|it| (it.range().base, it.range().end));
        missing
    }

    /// Whether a run can fill this, and then adopts whatever stands behind it. A replay is one
    /// batch, held in memory; and a compacted topic may have lost the first record of a batch, by
    /// which it is recognised.
    fn can_adopt(&self, missing: &Missing<'_>) -> bool {
        let is_ours = match missing {
            Missing::Batch(batch) => *batch.facts.layout_hash == *self.layout_hash,
            Missing::Gap(gap, _) => gap.range.len() <= self.largest_fill,
        };
        let overlaps = self.holdings.doubled.count > 0;
        is_ours && self.adoptable && !overlaps && self.facts.compacted != Some(true)
    }

    fn at_end(&self, end: Offset, passed: &[Missing<'_>]) -> Recovery {
        let why = "the end of the last batch, all of which is there";
        self.commit(end, None, why.to_owned(), passed)
    }

    /// The last batch was begun and is not whole.
    fn finishing(&self, batch: &KnownBatch, passed: &[Missing<'_>]) -> Recovery {
        let facts = &batch.facts;
        if *facts.layout_hash != *self.layout_hash {
            return Recovery::Refused(format!(
                "the last batch {} has {} of {} objects and was written with another layout \
                 ({}, today's is {}): set layout.*, records.* and kafka.isolation_level as they \
                 were then, recover and run until it is whole, and change them after",
                facts.range, batch.seen, facts.objects, facts.layout_hash, self.layout_hash
            ));
        }
        let why = format!(
            "the last batch {} has {} of {} objects: it is finished as it was begun",
            facts.range, batch.seen, facts.objects
        );
        let pin = self.pin(&facts.pin_id, facts.first.offset, facts.range.end);
        self.commit(facts.range.base, Some(pin), why, passed)
    }

    fn filling(&self, missing: &Missing<'_>) -> Recovery {
        let range = missing.range();
        let pin = match missing {
            Missing::Batch(batch) => {
                self.pin(&batch.facts.pin_id, batch.facts.first.offset, range.end)
            }
            Missing::Gap(_, first) => self.pin(self.new_pin_id, *first, range.end),
        };
        let why = format!(
            "the bucket lacks {missing}: a run fills exactly that, and recognises what stands behind. With \
             --pass-missing it stays as it is"
        );
        self.commit(range.base, Some(pin), why, &[])
    }

    fn pin(&self, id: &str, first: Offset, end: Offset) -> Pin {
        Pin { id: id.into(), end, first, last: None, layout: Arc::clone(self.layout) }
    }

    fn commit(
        &self,
        offset: Offset,
        pin: Option<Pin>,
        why: String,
        passed: &[Missing<'_>],
    ) -> Recovery {
        let mut notes = Vec::new();
        if !passed.is_empty() {
            notes.push(format!(
                "passes what is missing, as --pass-missing says: {}",
                listed(passed)
            ));
        }
        let unknown = self.gaps.iter().filter(|gap| gap.kind == GapKind::Unknown);
        let unknown: Vec<_> = unknown.map(|gap| gap.range.to_string()).collect();
        if let Some(first) = unknown.first() {
            notes.push(format!(
                "what was between the batches at {} places (the first is {first}) cannot be told: \
                 Kafka no longer has it",
                unknown.len()
            ));
        }
        if offset < self.facts.log_start {
            notes.push(format!(
                "Kafka has deleted [{offset}, {}) before it was read: the run says so, as \
                 kafka.on_offset_out_of_range tells it",
                self.facts.log_start
            ));
        }
        Recovery::Commit(Position { offset, pin, why, notes })
    }

    fn too_much(&self, missing: &[Missing<'_>]) -> Recovery {
        let reason = match missing {
            [Missing::Gap(gap, _)] if gap.range.len() > self.largest_fill => format!(
                "A run fills it as one batch, and rotation.max_records allows {}: set it to {} \
                 for this recovery",
                self.largest_fill,
                gap.range.len()
            ),
            [_] => "A run would not recognise what stands behind it (another group, another \
                    layout, a compacted topic, or batches that overlap)"
                .to_owned(),
            _ => "A run could fill one hole and no more without doubling what stands between"
                .to_owned(),
        };
        Recovery::Refused(format!(
            "the bucket lacks {}. {reason}. Bring the objects back, or go on behind with \
             --pass-missing",
            listed(missing)
        ))
    }
}

fn listed(missing: &[Missing<'_>]) -> String {
    let shown: Vec<_> = missing.iter().take(5).map(ToString::to_string).collect();
    match missing.len().saturating_sub(5) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}
