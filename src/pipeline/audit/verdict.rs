//! From holdings and explained gaps to what people and machines are told of a Kafka partition.

use serde::Serialize;

use super::content::Content;
use super::coverage::Covered;
use super::gap::{Gap, GapKind, Scope};
use super::holdings::{Examples, Flaw, Holdings, KnownBatch};
use crate::pipeline::pin::{Metadata, decode_metadata};
use crate::record::{Committed, Offset, OffsetRange};

/// How a Kafka partition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// All is there, once.
    #[default]
    Well,
    /// Something that a person may want to know.
    Note,
    /// Something may be missing, and nobody can say.
    Open,
    /// Something is missing, doubled or damaged.
    Bad,
}

/// All that is told of a Kafka partition.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionReport {
    /// Its number.
    pub kafka_partition: i32,
    /// The worst of what follows.
    pub health: Health,
    /// Objects of the table.
    pub objects: u64,
    /// Objects of dead letters.
    pub dead_letter_objects: u64,
    /// Lines in both.
    pub records: u64,
    /// Stored bytes of both.
    pub stored_bytes: u64,
    /// What is covered without a gap in which a record could be missing.
    pub covered: Vec<CoveredReport>,
    /// Offsets that no batch covers.
    pub gaps: Vec<Gap>,
    /// Batches of which objects are not there.
    pub incomplete: Vec<IncompleteReport>,
    /// Objects whose records stand in others too.
    pub doubled: Examples<Flaw>,
    /// Whole batches beyond the committed offset.
    pub above: Vec<OffsetRange>,
    /// What the group holds.
    pub group: GroupReport,
    /// What Kafka has; none where it did not tell.
    pub log: Option<OffsetRange>,
    /// What reading every line found.
    pub content: Option<Content>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// Offsets that whole batches cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoveredReport {
    /// The offsets.
    #[serde(flatten)]
    pub range: OffsetRange,
    /// The batches in it.
    pub batches: u64,
    /// Their objects.
    pub objects: u64,
    /// Their lines.
    pub records: u64,
    /// Offsets within batches at which nothing landed: no record, or skipped by policy.
    pub not_landed: u64,
    /// Offsets between batches at which Kafka has no record.
    pub without_record: u64,
    /// Offsets between batches of which the records do not land, by today's settings.
    pub skipped: u64,
}

/// Why a batch is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Incomplete {
    /// The group has passed it: objects are missing.
    Missing,
    /// Kafka deleted records of it before they could land.
    Shortened,
    /// Older than what is asked for.
    Expired,
    /// Its other objects may be of times that are not looked at.
    OtherTime,
    /// The group's pin names it, or it was being written when it was looked at.
    InFlight,
    /// No pin names it and the group has not passed it.
    Unfinished,
}

/// A batch of which objects are not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncompleteReport {
    /// Its offsets.
    #[serde(flatten)]
    pub range: OffsetRange,
    /// Its first landing record.
    pub first: Offset,
    /// The id of its pin.
    pub pin: String,
    /// Objects that are there.
    pub seen: usize,
    /// Objects that it has.
    pub wanted: usize,
    /// Why.
    pub kind: Incomplete,
}

/// What the group holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupReport {
    /// The committed offset.
    pub committed: Option<Offset>,
    /// `none`, `mark`, `pin`, `foreign`, `newer`, `damaged`, or `unknown`.
    pub state: &'static str,
    /// Where the pinned batch ends.
    pub pinned_to: Option<Offset>,
}

/// What is known beside the holdings.
pub struct Evidence<'a> {
    /// What the group held before the bucket was looked at; none where nobody could say.
    pub group: Option<&'a Committed>,
    /// How far the group had come after the bucket was looked at, as `Standing::reach` has it.
    pub reach_after: Option<Offset>,
    /// What Kafka has.
    pub log: Option<OffsetRange>,
    /// What is asked for.
    pub scope: Scope,
}

/// What a group's offset and its metadata say of it.
pub fn group_report(group: Option<&Committed>) -> GroupReport {
    let Some(group) = group else {
        return GroupReport { committed: None, state: "unknown", pinned_to: None };
    };
    let (state, pinned_to) = match (group.offset, decode_metadata(&group.metadata)) {
        (None, _) => ("none", None),
        (Some(at), Metadata::Ours(mark, pin)) if mark.offset == at => match pin {
            Some(pin) => ("pin", Some(pin.end)),
            None => ("mark", None),
        },
        (_, Metadata::Ours(..) | Metadata::Foreign) => ("foreign", None),
        (_, Metadata::Newer(_)) => ("newer", None),
        (_, Metadata::Damaged(_)) => ("damaged", None),
    };
    GroupReport { committed: group.offset, state, pinned_to }
}

/// Puts everything together. `gaps` are those of `gaps`, explained as far as may be.
pub fn report(
    number: i32,
    holdings: Holdings,
    gaps: Vec<Gap>,
    evidence: &Evidence<'_>,
) -> PartitionReport {
    let incomplete = incomplete(&holdings, evidence);
    let (covered, gaps) = told(&holdings, gaps);
    let above = holdings.above.ranges().map(|covered| covered.range);
    let mut report = PartitionReport {
        kafka_partition: number,
        health: Health::Well,
        objects: holdings.objects,
        dead_letter_objects: holdings.dead_letter_objects,
        records: holdings.records,
        stored_bytes: holdings.stored_bytes,
        covered,
        gaps,
        incomplete,
        above: above.collect(),
        group: group_report(evidence.group),
        log: evidence.log,
        content: None,
        notes: Vec::new(),
        doubled: holdings.doubled,
    };
    report.note(holdings.standing.reach.max(evidence.reach_after));
    report.health = report.judged();
    report
}

/// Ranges joined over quiet gaps, and the gaps that are not quiet.
fn told(holdings: &Holdings, gaps: Vec<Gap>) -> (Vec<CoveredReport>, Vec<Gap>) {
    let (quiet, loud): (Vec<_>, Vec<_>) = gaps.into_iter().partition(|gap| gap.kind.is_quiet());
    let mut quiet = quiet.into_iter().peekable();
    let mut covered: Vec<CoveredReport> = Vec::new();
    for next in holdings.below.ranges() {
        let passed = std::iter::from_fn(|| quiet.next_if(|gap| gap.range.end <= next.range.base));
        let passed: Vec<_> = passed.collect();
        match covered.last_mut() {
            Some(last) if last.reaches(&passed, next.range.base) => {
                passed.iter().for_each(|gap| last.pass(gap));
                last.extend(next);
            }
            _ => covered.push(CoveredReport::of(next)),
        }
    }
    if let Some(last) = covered.last_mut() {
        quiet.for_each(|gap| last.pass(&gap));
    }
    (covered, loud)
}

impl CoveredReport {
    fn of(covered: &Covered) -> Self {
        Self {
            range: covered.range,
            batches: covered.batches,
            objects: covered.objects,
            records: covered.records,
            not_landed: covered.range.len().saturating_sub(covered.records),
            without_record: 0,
            skipped: 0,
        }
    }

    /// Whether these gaps lead from its end to there.
    fn reaches(&self, gaps: &[Gap], to: Offset) -> bool {
        let step = |at: Offset, gap: &Gap| if gap.range.base == at { gap.range.end } else { at };
        gaps.iter().fold(self.range.end, step) == to
    }

    /// Goes on over a gap, if it begins where this ends.
    fn pass(&mut self, gap: &Gap) {
        if gap.range.base == self.range.end {
            self.range.end = gap.range.end;
            match gap.kind {
                GapKind::Skipped => self.skipped += gap.range.len(),
                _ => self.without_record += gap.range.len(),
            }
        }
    }

    fn extend(&mut self, next: &Covered) {
        let next = Self::of(next);
        self.range.end = next.range.end;
        self.batches += next.batches;
        self.objects += next.objects;
        self.records += next.records;
        self.not_landed += next.not_landed;
    }
}

fn incomplete(holdings: &Holdings, evidence: &Evidence<'_>) -> Vec<IncompleteReport> {
    let of = |batch: &KnownBatch, kind| IncompleteReport {
        range: batch.facts.range,
        first: batch.facts.first.offset,
        pin: batch.facts.pin_id.to_string(),
        seen: batch.seen,
        wanted: batch.facts.objects,
        kind,
    };
    let begins = |batch: &KnownBatch| batch.facts.first.timestamp;
    let parts =
        holdings.incomplete.iter().map(|batch| of(batch, kind_of(batch, holdings, evidence)));
    let shortened = holdings.shortened.iter().map(|batch| {
        let forgiven = evidence.scope.forgives(begins(batch));
        of(batch, if forgiven { Incomplete::Expired } else { Incomplete::Shortened })
    });
    parts.chain(shortened).collect()
}

fn kind_of(batch: &KnownBatch, holdings: &Holdings, evidence: &Evidence<'_>) -> Incomplete {
    let end = batch.facts.range.end;
    let committed = holdings.standing.committed;
    let is_last = holdings.below.end().is_none_or(|whole| batch.facts.range.base >= whole);
    if evidence.scope.span.is_some() {
        Incomplete::OtherTime
    } else if evidence.scope.forgives(batch.facts.first.timestamp) {
        Incomplete::Expired
    } else if holdings.standing.pinned.as_ref() == Some(&batch.facts.pin_id) {
        Incomplete::InFlight
    } else if committed.is_some_and(|at| end <= at) || (committed.is_none() && !is_last) {
        Incomplete::Missing
    } else if holdings.standing.reach.max(evidence.reach_after).is_some_and(|at| end <= at) {
        Incomplete::InFlight
    } else {
        Incomplete::Unfinished
    }
}

impl PartitionReport {
    fn note(&mut self, reach: Option<Offset>) {
        let waiting = self.log.map_or(0, |log| log.len());
        if self.is_empty() && self.group.committed.is_none() && waiting > 0 {
            self.notes.push("nothing of it has landed here, and Kafka has records".to_owned());
        }
        let stray = |range: &&OffsetRange| reach.is_none_or(|reach| range.end > reach);
        let strays: Vec<_> = self.above.iter().filter(stray).map(ToString::to_string).collect();
        if !strays.is_empty() {
            self.notes.push(format!(
                "beyond the committed offset whole batches stand that no pin names: {}; a run \
                 recognises and passes them, in the same layout",
                strays.join(", ")
            ));
        }
        let recover = "`kafka-s3-sink recover` shows where the bucket says to go on";
        match self.group.state {
            "none" if self.records > 0 => {
                self.notes.push(format!("the group has no committed offset: {recover}"));
            }
            "foreign" => {
                self.notes.push(format!("the committed offset was not set by this sink: {recover}"))
            }
            "damaged" => {
                self.notes.push(format!("the offset's metadata cannot be read: {recover}"));
            }
            "newer" => self.notes.push(
                "the offset's metadata was written by a newer version of this sink".to_owned(),
            ),
            _ => {}
        }
    }

    /// Whether no object of it is there.
    pub const fn is_empty(&self) -> bool {
        self.objects + self.dead_letter_objects == 0
    }

    /// How it stands, by all that is in the report.
    pub fn judged(&self) -> Health {
        let bad = self.gaps.iter().any(|gap| gap.kind == GapKind::Missing)
            || self.doubled.count > 0
            || self.content.as_ref().is_some_and(|content| content.flaws.count > 0)
            || self
                .incomplete
                .iter()
                .any(|it| matches!(it.kind, Incomplete::Missing | Incomplete::Shortened));
        let open = self.gaps.iter().any(|gap| gap.kind.is_open());
        let note = !self.notes.is_empty()
            || self
                .incomplete
                .iter()
                .any(|it| matches!(it.kind, Incomplete::Unfinished | Incomplete::OtherTime));
        match (bad, open, note) {
            (true, ..) => Health::Bad,
            (false, true, _) => Health::Open,
            (false, false, true) => Health::Note,
            (false, false, false) => Health::Well,
        }
    }
}
