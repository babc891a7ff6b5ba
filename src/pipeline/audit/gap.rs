//! Offsets that no batch covers: which there are, and what Kafka still says of them.
//!
//! Fed with holdings and, for what Kafka still has, with its records. What lands is judged by
//! today's layout, for a gap carries none.

use std::sync::Arc;

use serde::Serialize;

use super::holdings::Holdings;
use super::span::TimeSpan;
use crate::pipeline::intake::{Fate, fate};
use crate::pipeline::route::Router;
use crate::record::{Layout, Offset, OffsetRange, Record, TimestampMs};

/// What a gap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// Kafka still has the offsets, and was not asked yet.
    Unasked,
    /// Kafka has no record there: control records, aborted transactions, compaction.
    NoRecord,
    /// The records there do not land, by today's settings.
    Skipped,
    /// Older than what is asked for.
    Expired,
    /// Of other times than those asked for.
    OtherTime,
    /// Kafka has the offsets no longer, so nobody can say.
    Unknown,
    /// Kafka has records before the first batch that land: they are missing, or the group or its
    /// prefix began later.
    BeforeFirst,
    /// Kafka has records there that land, and the bucket does not have them.
    Missing,
}

impl GapKind {
    /// Nothing is wanted there.
    pub const fn is_quiet(self) -> bool {
        matches!(self, Self::NoRecord | Self::Skipped)
    }

    /// Whether something may be missing there, and nobody can say.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Unknown | Self::BeforeFirst)
    }
}

/// A gap between batches, or between the last one and the committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The offsets.
    #[serde(flatten)]
    pub range: OffsetRange,
    /// What it is.
    pub kind: GapKind,
    /// The first record that ought to stand in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lands_at: Option<Offset>,
    /// It lies before the first batch that is there.
    #[serde(skip)]
    pub before_first: bool,
}

/// What of a topic is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Older records may be gone.
    pub since: Option<TimestampMs>,
    /// Only records of these times are looked at.
    pub span: Option<TimeSpan>,
    /// The group begins where the log does, so that what Kafka has before the first batch is
    /// looked at too.
    pub from_start: bool,
}

impl Scope {
    fn asks_before_first(&self) -> bool {
        self.from_start && self.since.is_none()
    }

    /// Whether a record of this time may be gone.
    pub fn forgives(&self, at: Option<TimestampMs>) -> bool {
        at.zip(self.since).is_some_and(|(at, since)| at < since)
    }
}

/// All gaps of a Kafka partition, in order. `log` is what Kafka has; `first_start` says that the
/// group's offset is where a first start began.
pub fn gaps(
    holdings: &Holdings,
    log: Option<OffsetRange>,
    first_start: bool,
    scope: &Scope,
) -> Vec<Gap> {
    let taken = taken(holdings);
    let start = log.map(|log| log.base);
    let mut found = Vec::new();
    let first_base = taken.first().map(|(range, _)| range.base);
    let mut add = |base: Offset, end: Offset, next: Option<TimestampMs>| {
        let is_first = first_base.is_none_or(|first| end <= first);
        let before_first = is_first && scope.asks_before_first();
        split(OffsetRange { base, end }, log, scope.forgives(next), before_first, &mut found);
    };
    // At the ends of a span of time nobody can tell by offsets what belongs to it.
    let whole = scope.span.is_none();
    let (Some(first), Some(last)) = (taken.first(), taken.last()) else {
        if let (Some(start), Some(committed)) = (start, holdings.standing.committed)
            && whole
            && !first_start
        {
            add(start, committed, None);
        }
        return found;
    };
    if let (Some(start), true, true) = (start, scope.since.is_some() || scope.from_start, whole) {
        add(start, first.0.base, first.1);
    }
    for pair in taken.windows(2) {
        add(pair[0].0.end, pair[1].0.base, pair[1].1);
    }
    if let Some(committed) = holdings.standing.committed.filter(|_| whole) {
        add(last.0.end, committed, None);
    }
    found
}

/// What whole and incomplete batches take, in order, joined where they overlap.
fn taken(holdings: &Holdings) -> Vec<(OffsetRange, Option<TimestampMs>)> {
    let whole = holdings.below.ranges().chain(holdings.above.ranges());
    let whole = whole.map(|covered| (covered.range, covered.begins));
    let parts = holdings.incomplete.iter().map(|it| (it.facts.range, it.facts.first.timestamp));
    let mut all: Vec<_> = whole.chain(parts).collect();
    all.sort_by_key(|(range, _)| (range.base, range.end));
    let mut taken: Vec<(OffsetRange, Option<TimestampMs>)> = Vec::new();
    for (range, begins) in all {
        match taken.last_mut() {
            Some((last, _)) if range.base <= last.end => last.end = last.end.max(range.end),
            _ => taken.push((range, begins)),
        }
    }
    taken
}

/// Tells what Kafka still has of a gap from what it has no more.
fn split(
    range: OffsetRange,
    log: Option<OffsetRange>,
    forgiven: bool,
    before_first: bool,
    found: &mut Vec<Gap>,
) {
    let nothing = OffsetRange { base: range.end, end: range.end };
    let log = log.unwrap_or(nothing);
    let within = |at: Offset| at.max(range.base).min(range.end.max(range.base));
    let (from, to) = (within(log.base), within(log.end.max(log.base)));
    let gone = if forgiven { GapKind::Expired } else { GapKind::Unknown };
    for (base, end, kind) in
        [(range.base, from, gone), (from, to, GapKind::Unasked), (to, range.end, GapKind::Unknown)]
    {
        let range = OffsetRange { base, end };
        if !range.is_empty() {
            found.push(Gap { range, kind, lands_at: None, before_first });
        }
    }
}

/// Reads what Kafka has in one gap.
pub struct GapWatch {
    layout: Arc<Layout>,
    router: Router,
    scope: Scope,
    /// What was seen that outweighs what was seen before.
    kind: GapKind,
    lands_at: Option<Offset>,
}

impl GapWatch {
    /// Watches a gap of this topic.
    pub fn new(layout: &Arc<Layout>, topic: &str, scope: Scope) -> Self {
        Self {
            layout: Arc::clone(layout),
            router: Router::new(Arc::clone(layout), topic),
            scope,
            kind: GapKind::NoRecord,
            lands_at: None,
        }
    }

    /// Takes a record of the gap; no more are needed once one lands.
    pub fn take(&mut self, record: &Record<'_>) -> bool {
        let kind = self.kind_of(record);
        self.kind = self.kind.max(kind);
        if kind == GapKind::Missing {
            self.lands_at = Some(record.offset);
        }
        kind != GapKind::Missing
    }

    fn kind_of(&mut self, record: &Record<'_>) -> GapKind {
        let path = match fate(&self.layout, record) {
            Fate::Skip(_) => return GapKind::Skipped,
            Fate::Line(line) => Some(self.router.route(record.timestamp, &line).path),
            // What stops a run was never to be passed.
            Fate::DeadLetter(_) | Fate::Stop(_) => None,
        };
        let is_elsewhere = |span: TimeSpan| match path {
            Some(path) => !span.may_stand_in(&path),
            None => record.timestamp.is_some_and(|at| !span.holds(at)),
        };
        if self.scope.forgives(record.timestamp) {
            GapKind::Expired
        } else if self.scope.span.is_some_and(is_elsewhere) {
            GapKind::OtherTime
        } else {
            GapKind::Missing
        }
    }

    /// What the gap is, as far as it was read.
    pub fn verdict(&self, gap: Gap) -> Gap {
        let kind = match self.kind {
            GapKind::Missing if gap.before_first => GapKind::BeforeFirst,
            kind => kind,
        };
        Gap { kind, lands_at: self.lands_at, ..gap }
    }
}
