//! Where an assigned Kafka partition begins: a pure decision over what the group, the broker and
//! the bucket say.
//!
//! | the group's offset | its metadata | what follows |
//! |---|---|---|
//! | there | our mark and a pin | replay exactly the pinned range |
//! | there | our mark | go on there |
//! | there | newer or damaged | stop |
//! | there | none of ours | somebody set it: `on_lost_offsets` |
//! | none | | first start, new Kafka partition, or lost: see `without_offset` |
//!
//! Fed by `partition` with `TopicFacts`.

use std::sync::Arc;

use super::action::{INSISTED, RETENTION, StopReason};
use super::pin::{Mark, Metadata, Pin, decode_metadata};
use super::stops;
use crate::record::StartPosition::Earliest;
use crate::record::{
    BucketEnd, Committed, CommittedOffsets, LostOffsetsPolicy, Offset, OffsetRange,
    OutOfRangePolicy, StartPosition, TopicFacts, TopicPartition,
};

/// The settings that decide it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policies {
    pub(super) start: StartPosition,
    pub(super) on_lost_offsets: LostOffsetsPolicy,
    pub(super) on_out_of_range: OutOfRangePolicy,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Read `[base of the mark, end of the pin)` again, from `from` on, for the log may have lost
    /// its head.
    Replay { mark: Mark, pin: Pin, from: Offset },
    /// A new batch begins at the mark's offset.
    Continue { mark: Mark },
    /// Commit this offset with our mark, then begin there.
    Begin { from: Offset, how: &'static str, first_start: Option<i32>, lost: Option<Lost> },
    /// Stop.
    Stop(StopReason),
}

/// Offsets that are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) range: OffsetRange,
    pub(super) reason: &'static str,
    pub(super) why: &'static str,
}

impl Lost {
    const fn deleted(range: OffsetRange) -> Self {
        let why = "Kafka deleted them before they were read";
        Self { range, reason: RETENTION, why }
    }

    const fn insisted(range: OffsetRange) -> Self {
        let why = "the bucket ends before, and kafka.on_lost_offsets = \"start\" goes on behind";
        Self { range, reason: INSISTED, why }
    }
}

/// Decides where a Kafka partition begins.
pub(super) fn plan(at: &TopicPartition, facts: &TopicFacts, policies: Policies) -> Plan {
    let none = Committed::default();
    let committed = facts.committed.get(&at.partition).unwrap_or(&none);
    let Some(offset) = committed.offset else { return without_offset(at, facts, policies) };
    match decode_metadata(&committed.metadata) {
        Metadata::Ours(mark, pin) if mark.offset == offset => {
            of_our_mark(at, facts, policies, mark, pin)
        }
        Metadata::Newer(version) => Plan::Stop(stops::newer(at, version)),
        Metadata::Damaged(why) => Plan::Stop(stops::damaged(at, &why)),
        Metadata::Ours(..) | Metadata::Foreign => lost(at, facts, policies, Some(offset)),
    }
}

fn of_our_mark(
    at: &TopicPartition,
    facts: &TopicFacts,
    policies: Policies,
    mark: Mark,
    pin: Option<Pin>,
) -> Plan {
    if differs(&mark.topic_id, &facts.topic_id) {
        return Plan::Stop(stops::another_topic(at, &mark.topic_id, &facts.topic_id));
    }
    let base = mark.offset;
    match pin {
        // What is left of a pinned range is put under the same pin, whatever the policy says.
        Some(pin) => Plan::Replay { from: base.max(facts.log_start), mark, pin },
        None if base >= facts.log_start => Plan::Continue { mark },
        None => overtaken(at, facts, policies, base, mark.first_start),
    }
}

fn overtaken(
    at: &TopicPartition,
    facts: &TopicFacts,
    policies: Policies,
    base: Offset,
    first_start: Option<i32>,
) -> Plan {
    let lost = OffsetRange { base, end: facts.log_start };
    match policies.on_out_of_range {
        OutOfRangePolicy::Earliest => Plan::Begin {
            from: facts.log_start,
            how: "after records that Kafka deleted before they were read",
            first_start,
            lost: Some(Lost::deleted(lost)),
        },
        OutOfRangePolicy::Stop => Plan::Stop(stops::out_of_range(at, lost)),
    }
}

fn without_offset(at: &TopicPartition, facts: &TopicFacts, policies: Policies) -> Plan {
    let ours = our_marks(facts);
    let nothing_landed = facts.prefix_empty == Some(true);
    // Members that start at the same time see each other's first marks before anything landed,
    // and these tell how many Kafka partitions there were then.
    let is_new = ours.iter().filter_map(|mark| mark.first_start).any(|then| at.partition >= then);
    let all_begin = nothing_landed && ours.iter().all(|mark| mark.first_start.is_some());
    if all_begin && !is_new {
        return first_start(facts, policies, "first start");
    }
    let has_objects = matches!(facts.bucket_end, Some(BucketEnd::At(_) | BucketEnd::Unclear(_)));
    if !ours.is_empty() && facts.log_start == Offset(0) && !has_objects {
        // Whatever `start` says: records that came before we saw the partition are not to be lost.
        return Plan::Begin {
            from: Offset(0),
            how: "new Kafka partition",
            first_start: Some(partition_count(facts)),
            lost: None,
        };
    }
    if all_begin || !ours.is_empty() && facts.bucket_end == Some(BucketEnd::Nothing) {
        // Of this one the bucket holds nothing, whatever others have landed: its first owner died
        // before it had committed where to begin, or it is new and retention was faster.
        let policies =
            Policies { start: if is_new { Earliest } else { policies.start }, ..policies };
        return first_start(facts, policies, "first start of a Kafka partition left behind");
    }
    lost(at, facts, policies, None)
}

fn first_start(facts: &TopicFacts, policies: Policies, how: &'static str) -> Plan {
    let from = match policies.start {
        StartPosition::Earliest => facts.log_start,
        StartPosition::Latest => facts.log_end,
    };
    Plan::Begin { from, how, first_start: Some(partition_count(facts)), lost: None }
}

/// The group is asked about all Kafka partitions of the topic.
fn partition_count(facts: &TopicFacts) -> i32 {
    i32::try_from(facts.committed.len()).unwrap_or(i32::MAX)
}

fn our_marks(facts: &TopicFacts) -> Vec<Mark> {
    let marks = facts.committed.values().filter_map(|committed| {
        match decode_metadata(&committed.metadata) {
            Metadata::Ours(mark, _) if Some(mark.offset) == committed.offset => Some(mark),
            _ => None,
        }
    });
    marks.filter(|mark| !differs(&mark.topic_id, &facts.topic_id)).collect()
}

fn lost(
    at: &TopicPartition,
    facts: &TopicFacts,
    policies: Policies,
    offset: Option<Offset>,
) -> Plan {
    if policies.on_lost_offsets == LostOffsetsPolicy::Error {
        return Plan::Stop(stops::lost_offsets(at, offset));
    }
    if facts.compacted == Some(true) && facts.prefix_empty != Some(true) {
        return Plan::Stop(stops::compacted(at));
    }
    let plan = insisted(at, facts, policies, offset);
    match &plan {
        Plan::Begin { from, .. } if !is_behind_all(facts, *from) => {
            Plan::Stop(stops::would_double(at, *from, facts.bucket_end.as_ref()))
        }
        Plan::Begin { from, how, lost, .. } => {
            let lost = passed_over(facts, *from).or(*lost);
            Plan::Begin { from: *from, how, first_start: None, lost }
        }
        _ => plan,
    }
}

/// What lies between the end of what the bucket holds and where the user wants to go on.
fn passed_over(facts: &TopicFacts, from: Offset) -> Option<Lost> {
    let Some(BucketEnd::At(end)) = facts.bucket_end else { return None };
    let range = OffsetRange { base: end, end: from };
    let lost = if from == facts.log_start { Lost::deleted(range) } else { Lost::insisted(range) };
    (end < from).then_some(lost)
}

/// Whether the bucket holds nothing of the Kafka partition from this offset on. What it holds would
/// be recognised at most by a batch that begins where one of those did.
fn is_behind_all(facts: &TopicFacts, from: Offset) -> bool {
    match &facts.bucket_end {
        _ if facts.prefix_empty == Some(true) => true,
        Some(BucketEnd::Nothing) => true,
        Some(BucketEnd::At(end)) => from >= *end,
        Some(BucketEnd::Unclear(_)) | None => false,
    }
}

/// Where the user's word leads.
fn insisted(
    at: &TopicPartition,
    facts: &TopicFacts,
    policies: Policies,
    offset: Option<Offset>,
) -> Plan {
    match offset {
        Some(offset) if offset < facts.log_start => overtaken(at, facts, policies, offset, None),
        // Once the log had grown past it, all before it would be passed over.
        Some(from) if from > facts.log_end => Plan::Stop(stops::truncated(at, from)),
        Some(from) => Plan::Begin {
            from,
            how: "an offset that somebody set, as kafka.on_lost_offsets = \"start\" says",
            first_start: None,
            lost: None,
        },
        None => {
            let how = "the configured start, as kafka.on_lost_offsets = \"start\" says";
            first_start(facts, policies, how)
        }
    }
}

/// Whether an offset carries a mark that tells how to go on, be it only to stop.
pub fn is_ours(committed: &Committed) -> bool {
    match decode_metadata(&committed.metadata) {
        Metadata::Ours(mark, _) => Some(mark.offset) == committed.offset,
        Metadata::Newer(_) | Metadata::Damaged(_) => true,
        Metadata::Foreign => false,
    }
}

/// Whether the group's offset does not tell where a Kafka partition begins, so that it takes a look
/// at the bucket.
pub fn is_blind(facts: &TopicFacts, number: i32, on_lost: LostOffsetsPolicy) -> bool {
    match facts.committed.get(&number) {
        Some(committed) if committed.offset.is_some() => {
            on_lost == LostOffsetsPolicy::Start && !is_ours(committed)
        }
        _ => true,
    }
}

/// Whether the look must go at the objects of this very Kafka partition, where the topic has some.
pub fn wants_end(facts: &TopicFacts, number: i32, on_lost: LostOffsetsPolicy) -> bool {
    let others = facts.committed.values().any(|committed| committed.offset.is_some());
    is_blind(facts, number, on_lost) && (others || on_lost == LostOffsetsPolicy::Start)
}

/// Whether what was seen of the bucket is enough to go by the facts that were asked after it.
/// `before` is what the group held ahead of the look; `looked` says that it went at the objects of
/// this very Kafka partition.
pub fn saw_enough(
    before: &CommittedOffsets,
    facts: &TopicFacts,
    number: i32,
    on_lost: LostOffsetsPolicy,
    looked: bool,
) -> bool {
    let unseen = !looked && facts.prefix_empty == Some(false) && wants_end(facts, number, on_lost);
    !unseen && !landed_between(before, &facts.committed)
}

/// Whether anything of the topic was committed between two fetches of the group's offsets, so that a
/// look at the bucket in between may have missed its objects.
fn landed_between(before: &CommittedOffsets, now: &CommittedOffsets) -> bool {
    let has_landed = |of: &CommittedOffsets, number: &i32| {
        of.get(number).is_some_and(|committed| match decode_metadata(&committed.metadata) {
            Metadata::Ours(mark, _) => mark.first_start.is_none(),
            _ => false,
        })
    };
    now.keys().any(|number| has_landed(now, number) && !has_landed(before, number))
}

/// Whether both are known and not the same.
pub(super) fn differs(one: &Arc<str>, other: &Arc<str>) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

#[cfg(test)]
mod tests;
