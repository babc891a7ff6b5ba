//! What the group and Kafka say: offset metadata, and the records of a gap.

use std::sync::Arc;

use super::super::super::layout::tests::sample;
use super::super::super::pin::{Mark, Pin, encode_metadata};
use super::super::*;
use crate::record::{Committed, NoHeaders, Offset, OffsetRange, Record, TimestampMs};

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: i64 = 1_795_305_600_000;
const HOUR: i64 = 3_600_000;

#[test]
fn the_state_of_the_group_is_read() {
    let mark = |offset| Mark {
        offset: Offset(offset),
        topic_id: "".into(),
        cluster_id: "".into(),
        leader_epoch: None,
        layout_hash: "l".into(),
        first_start: None,
    };
    let pin = Pin {
        id: "p".into(),
        end: Offset(9),
        first: Offset(5),
        last: None,
        layout: Arc::new(sample()),
    };
    let of = |offset: Option<i64>, metadata: String| {
        let held = Committed { offset: offset.map(Offset), metadata };
        let told = group_report(Some(&held));
        (told.state, told.pinned_to)
    };
    assert_eq!(of(Some(5), encode_metadata(&mark(5), None)), ("mark", None));
    assert_eq!(of(Some(5), encode_metadata(&mark(5), Some(&pin))), ("pin", Some(Offset(9))));
    assert_eq!(of(Some(5), encode_metadata(&mark(4), None)), ("foreign", None));
    assert_eq!(of(Some(5), "by hand".into()), ("foreign", None));
    assert_eq!(of(Some(5), "{\"kafka-s3-sink\":1,".into()), ("damaged", None));
    let newer = encode_metadata(&mark(5), None).replace("sink\":1", "sink\":9");
    assert_eq!(of(Some(5), newer), ("newer", None));
    assert_eq!(of(None, String::new()), ("none", None));
    assert_eq!(group_report(None).state, "unknown");
}

fn record<'a>(offset: i64, at: i64, value: Option<&'a [u8]>) -> Record<'a> {
    Record {
        offset: Offset(offset),
        timestamp: Some(TimestampMs(at)),
        key: None,
        value,
        headers: &NoHeaders,
        leader_epoch: None,
    }
}

#[test]
fn kafkas_records_explain_a_gap() {
    let span = TimeSpan { from: TimestampMs(MIDNIGHT), to: TimestampMs(MIDNIGHT + HOUR) };
    let scope = |since: Option<i64>, span| Scope {
        since: since.map(TimestampMs),
        span,
        ..Scope::default()
    };
    let of = |scope, records: &[Record<'_>]| {
        let mut watch = GapWatch::new(&Arc::new(sample()), "t", scope);
        let went_on = records.iter().all(|record| watch.take(record));
        let range = OffsetRange { base: Offset(0), end: Offset(9) };
        let (kind, lands_at) = (GapKind::Unasked, None);
        let gap = watch.verdict(Gap { range, kind, lands_at, before_first: false });
        assert_eq!(went_on, gap.kind != GapKind::Missing);
        (gap.kind, gap.lands_at.map(|at| at.0))
    };
    let all = scope(None, None);
    let tombstone = record(1, MIDNIGHT, None);
    let lands = record(2, MIDNIGHT, Some(b"{}"));
    let rejected = record(3, MIDNIGHT, Some(b"["));
    assert_eq!(of(all, &[]), (GapKind::NoRecord, None));
    assert_eq!(of(all, &[tombstone]), (GapKind::Skipped, None));
    assert_eq!(of(all, &[tombstone, lands, rejected]), (GapKind::Missing, Some(2)));
    assert_eq!(of(all, &[rejected]), (GapKind::Missing, Some(3)), "dead letters land too");
    assert_eq!(of(scope(Some(MIDNIGHT + 1), None), &[tombstone, lands]), (GapKind::Expired, None));
    let later = record(4, MIDNIGHT + 2 * HOUR, Some(b"{}"));
    assert_eq!(of(scope(None, Some(span)), &[later]), (GapKind::OtherTime, None));
    assert_eq!(of(scope(None, Some(span)), &[later, lands]), (GapKind::Missing, Some(2)));
}
