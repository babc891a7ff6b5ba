//! What the findings of a report are called.

use super::super::words;
use crate::pipeline::audit::{
    CoveredReport, Gap, GapKind, GroupReport, Incomplete, IncompleteReport,
};
use crate::record::OffsetRange;

/// As many examples are shown of each finding.
pub(super) const SHOWN: usize = 10;

/// Offsets between batches at which nothing is wanted; nothing where there are none.
pub(super) fn quiet_text(covered: &[CoveredReport]) -> Option<String> {
    let sum = |of: fn(&CoveredReport) -> u64| covered.iter().map(of).sum::<u64>();
    let parts: Vec<_> = [
        (sum(|it| it.without_record), "without a record"),
        (sum(|it| it.skipped), "whose records do not land"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", words::many(count as usize, "offset")))
    .collect();
    (!parts.is_empty()).then(|| format!("between batches {}", parts.join(", ")))
}

pub(super) fn covered_text(covered: &[CoveredReport]) -> String {
    let ranges: Vec<_> = covered.iter().map(|it| it.range.to_string()).collect();
    if ranges.is_empty() { "nothing".to_owned() } else { words::listed(&ranges, 3) }
}

pub(super) fn group_text(group: &GroupReport) -> String {
    match (group.committed, group.state, group.pinned_to) {
        (Some(at), "pin", Some(end)) => format!("{at}, pinned to {end}"),
        (Some(at), "mark", _) => at.to_string(),
        (Some(at), "foreign", _) => format!("{at}, set by somebody else"),
        (Some(at), state, _) => format!("{at}, {state}"),
        (None, "unknown", _) => "not known".to_owned(),
        (None, ..) => "none".to_owned(),
    }
}

pub(super) fn by_kind(gaps: &[Gap]) -> Vec<(GapKind, Vec<&Gap>)> {
    let mut kinds: Vec<(GapKind, Vec<&Gap>)> = Vec::new();
    for gap in gaps {
        match kinds.iter_mut().find(|(kind, _)| *kind == gap.kind) {
            Some((_, some)) => some.push(gap),
            None => kinds.push((gap.kind, vec![gap])),
        }
    }
    kinds.sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
    kinds
}

pub(super) fn gap_text(kind: GapKind, gaps: &[&Gap]) -> String {
    let shown: Vec<_> = gaps
        .iter()
        .map(|gap| match gap.lands_at {
            Some(at) => format!("{} from offset {at} on", gap.range),
            None => gap.range.to_string(),
        })
        .collect();
    let ranges = words::listed(&shown, SHOWN);
    match kind {
        GapKind::Missing => format!("missing: {ranges}: Kafka has records there that belong here"),
        GapKind::BeforeFirst => format!(
            "before the first batch: {ranges}: Kafka has records there, so they are missing here, \
             or this group or\nlayout.prefix began later; if so, say when: --since"
        ),
        GapKind::Unknown => format!("not known: {ranges}: Kafka no longer has these offsets"),
        GapKind::Expired => format!("expired: {ranges}: older than --since"),
        GapKind::OtherTime => format!("of other times: {ranges}"),
        GapKind::NoRecord => format!("without a record: {ranges}"),
        GapKind::Skipped => format!("skipped by policy: {ranges}"),
        GapKind::Unasked => format!("not looked at: {ranges}"),
    }
}

pub(super) fn incomplete_text(it: &IncompleteReport) -> String {
    let IncompleteReport { range, seen, wanted, pin, .. } = it;
    let batch = batch_text(*range, pin);
    match it.kind {
        Incomplete::Missing => {
            format!("missing: {batch} has {seen} of its {wanted} objects")
        }
        Incomplete::Shortened => format!(
            "lost: {batch} was cut short: Kafka deleted records of it before they could land"
        ),
        Incomplete::Expired => {
            format!(
                "expired: {batch} has {seen} of its {wanted} objects, and is older than --since"
            )
        }
        Incomplete::OtherTime => format!(
            "{batch} has {seen} of its {wanted} objects here; the others may be of other times"
        ),
        Incomplete::InFlight => format!("in flight: {batch} has {seen} of its {wanted} objects"),
        Incomplete::Unfinished => format!(
            "begun and left: {batch} has {seen} of its {wanted} objects, and no pin names it"
        ),
    }
}

fn batch_text(range: OffsetRange, pin: &str) -> String {
    format!("the batch {range} (pin {pin})")
}
