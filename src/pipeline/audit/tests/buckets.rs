//! Buckets that are whole, and buckets that are not: what is told of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::super::layout::tests::sample;
use super::super::super::metadata::{ObjectFacts, object_metadata, tests::batch};
use super::super::*;
use crate::record::{Committed, ObjectMetadata, Offset, OffsetRange, TimestampMs};

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: i64 = 1_795_305_600_000;
const HOUR: i64 = 3_600_000;

fn roots() -> Roots {
    Roots::of(&Arc::new(sample()), "t")
}

/// An object of a batch of Kafka partition 1.
#[derive(Clone, Debug)]
struct Stored {
    key: String,
    metadata: ObjectMetadata,
}

fn path(hour: i64) -> String {
    format!("dt=2026-11-22/hour={hour:02}")
}

/// The objects of a batch that lands in these hours.
fn objects(base: i64, end: i64, pin: &str, hours: &[i64]) -> Vec<Stored> {
    let mut facts = batch();
    facts.range = OffsetRange { base: Offset(base), end: Offset(end) };
    facts.first.offset = Offset(base);
    facts.first.timestamp = Some(TimestampMs(MIDNIGHT + hours[0] * HOUR));
    (facts.pin_id, facts.objects) = (pin.into(), hours.len());
    let object = |hour: &i64| {
        let at = MIDNIGHT + hour * HOUR;
        let about = ObjectFacts { records: 1, uncompressed: 3, times: Some((at, at + 7)) };
        let metadata = object_metadata(&facts, &about);
        Stored { key: format!("raw/t/{}/t-1-{base:020}.json.gz", path(*hour)), metadata }
    };
    hours.iter().map(object).collect()
}

/// Batches of 10 offsets, two objects each.
fn bucket(batches: i64) -> Vec<Stored> {
    (0..batches).flat_map(|n| objects(n * 10, n * 10 + 10, &format!("p{n}"), &[n, n + 1])).collect()
}

fn gathered(objects: &[Stored], committed: Option<i64>, pinned: Option<&str>) -> TopicHoldings {
    // A pinned batch of this test has 10 offsets.
    let reach = committed.map(|at| Offset(at + pinned.map_or(0, |_| 10)));
    let pinned = pinned.map(Arc::from);
    let standing = Standing { committed: committed.map(Offset), pinned, reach };
    let standings = BTreeMap::from([(1, standing)]);
    let mut gathering = Gathering::new(roots(), "g", "l", standings, true);
    for object in objects {
        match roots().read(&object.key) {
            Ok(name) => gathering.add(name, 100, said_by(&object.metadata)),
            Err(why) => gathering.add_stranger(&object.key, why),
        }
    }
    gathering.finish()
}

fn log(base: i64, end: i64) -> Option<OffsetRange> {
    Some(OffsetRange { base: Offset(base), end: Offset(end) })
}

/// The report on Kafka partition 1, all gaps that Kafka still has being of this kind.
fn judged(holdings: TopicHoldings, scope: Scope, kind: GapKind) -> PartitionReport {
    let holdings = holdings.partitions[&1].clone();
    let committed = Committed { offset: holdings.standing.committed, metadata: String::new() };
    let log = log(0, 1000);
    let mut gaps = gaps(&holdings, log, false, &scope);
    for gap in gaps.iter_mut().filter(|gap| gap.kind == GapKind::Unasked) {
        gap.kind = kind;
    }
    let evidence = Evidence { group: Some(&committed), reach_after: None, log, scope };
    report(1, holdings, gaps, &evidence)
}

fn spans<'r>(ranges: impl IntoIterator<Item = &'r OffsetRange>) -> Vec<(i64, i64)> {
    ranges.into_iter().map(|range| (range.base.0, range.end.0)).collect()
}

fn plain(objects: &[Stored], committed: i64) -> PartitionReport {
    judged(gathered(objects, Some(committed), None), Scope::default(), GapKind::Missing)
}

#[test]
fn a_whole_bucket_is_one_range() {
    let report = plain(&bucket(5), 50);
    assert_eq!(spans(report.covered.iter().map(|it| &it.range)), [(0, 50)]);
    assert_eq!((report.covered[0].batches, report.covered[0].objects), (5, 10));
    assert_eq!((report.records, report.objects, report.stored_bytes), (10, 10, 1000));
    // The mark is none of ours in this test.
    assert_eq!((report.group.state, report.notes.len()), ("foreign", 1));
    assert!(report.gaps.is_empty() && report.incomplete.is_empty());
}

#[test]
fn an_object_that_is_not_there_leaves_its_batch_incomplete() {
    let mut objects = bucket(5);
    objects.remove(4);
    let report = plain(&objects, 50);
    assert_eq!(report.health, Health::Bad);
    let [it] = &report.incomplete[..] else { panic!("{report:?}") };
    assert_eq!((it.range.base.0, it.seen, it.wanted), (20, 1, 2));
    assert_eq!((it.kind, &*it.pin), (Incomplete::Missing, "p2"));
    assert_eq!(spans(report.covered.iter().map(|it| &it.range)), [(0, 20), (30, 50)]);
    assert!(report.gaps.is_empty(), "an incomplete batch is no gap: {:?}", report.gaps);
}

/// The group may have begun later, or under another prefix: nobody can say.
#[test]
fn what_kafka_has_before_the_first_batch_is_open() {
    let gaps_of = |objects: &[Stored], committed, scope: Scope| {
        let holdings = gathered(objects, Some(committed), None).partitions[&1].clone();
        let gaps = gaps(&holdings, log(5, 60), false, &scope);
        gaps.iter().map(|gap| (gap.range.base.0, gap.range.end.0, gap.before_first)).collect()
    };
    let from_start = Scope { from_start: true, ..Scope::default() };
    let mut objects = bucket(5);
    objects.drain(..4);
    let none: Vec<(i64, i64, bool)> = gaps_of(&objects, 50, Scope::default());
    assert_eq!(none, []);
    assert_eq!(gaps_of(&objects, 50, from_start), [(5, 20, true)]);
    let since = Scope { since: Some(TimestampMs(0)), ..from_start };
    assert_eq!(gaps_of(&objects, 50, since), [(5, 20, false)]);
    objects.drain(2..4);
    assert_eq!(gaps_of(&objects, 50, from_start), [(5, 20, true), (30, 40, false)]);
}

#[test]
fn a_batch_of_which_nothing_is_there_is_a_gap() {
    let mut objects = bucket(5);
    objects.drain(4..6);
    let report = plain(&objects, 50);
    assert_eq!(spans(report.gaps.iter().map(|gap| &gap.range)), [(20, 30)]);
    assert_eq!((report.gaps[0].kind, report.health), (GapKind::Missing, Health::Bad));
    let quiet = judged(gathered(&objects, Some(50), None), Scope::default(), GapKind::NoRecord);
    assert_eq!(spans(quiet.covered.iter().map(|it| &it.range)), [(0, 50)]);
    assert_eq!((quiet.covered[0].without_record, quiet.gaps.len()), (10, 0));
}

#[test]
fn what_is_missing_at_the_end_is_found_by_the_committed_offset() {
    let report = plain(&bucket(5), 60);
    assert_eq!(spans(report.gaps.iter().map(|gap| &gap.range)), [(50, 60)]);
    let nothing = judged(gathered(&[], Some(60), None), Scope::default(), GapKind::Missing);
    assert_eq!(spans(nothing.gaps.iter().map(|gap| &gap.range)), [(0, 60)]);
}

#[test]
fn what_is_before_the_oldest_object_has_expired_unless_the_user_wants_it() {
    let objects = &bucket(5)[4..];
    assert!(plain(objects, 50).gaps.is_empty());
    let since = |at| Scope { since: Some(TimestampMs(at)), ..Scope::default() };
    let wanted = judged(gathered(objects, Some(50), None), since(1), GapKind::Missing);
    assert_eq!(spans(wanted.gaps.iter().map(|gap| &gap.range)), [(0, 20)]);
}

#[test]
fn what_is_older_than_the_user_asks_for_is_forgiven() {
    let mut objects = bucket(8);
    objects.remove(2);
    let since =
        |hour: i64| Scope { since: Some(TimestampMs(MIDNIGHT + hour * HOUR)), ..Scope::default() };
    let of = |scope| judged(gathered(&objects, Some(80), None), scope, GapKind::Expired);
    assert_eq!(of(since(2)).incomplete[0].kind, Incomplete::Expired);
    assert_ne!(of(since(2)).health, Health::Bad);
    assert_eq!(of(since(1)).incomplete[0].kind, Incomplete::Missing);
}

#[test]
fn gaps_are_split_where_kafkas_log_begins() {
    let mut objects = bucket(5);
    objects.drain(2..6);
    let holdings = gathered(&objects, Some(50), None).partitions[&1].clone();
    let gaps = gaps(&holdings, log(15, 40), false, &Scope::default());
    let of: Vec<_> = gaps.iter().map(|gap| (gap.range.base.0, gap.range.end.0, gap.kind)).collect();
    assert_eq!(of, [(10, 15, GapKind::Unknown), (15, 30, GapKind::Unasked)]);
    let nobody = super::super::gaps(&holdings, None, false, &Scope::default());
    assert_eq!(nobody[0].kind, GapKind::Unknown);
}

#[test]
fn two_batches_of_the_same_records_are_told_with_the_key() {
    let mut stored = bucket(5);
    stored.extend(objects(25, 35, "other", &[2]));
    let report = plain(&stored, 50);
    assert_eq!((report.health, report.doubled.count), (Health::Bad, 1));
    let flaw = &report.doubled.examples[0];
    assert!(flaw.key.contains("t-1-00000000000000000025"), "{flaw:?}");
    assert!(flaw.reason.contains("[25, 35) (pin other)"), "{flaw:?}");
}

#[test]
fn a_copy_under_another_name_is_told() {
    let mut stored = bucket(5);
    let mut copy = stored[4].clone();
    copy.key = copy.key.replace("020.json", "027.json");
    stored.push(copy);
    let found = gathered(&stored, Some(50), None);
    assert_eq!(found.contradictory.count, 1);
    assert!(found.contradictory.examples[0].reason.contains("It is a copy"), "{found:?}");
    assert!(plain(&stored, 50).incomplete.is_empty());

    let mut elsewhere = bucket(5);
    let mut copy = elsewhere[4].clone();
    copy.key = copy.key.replace("hour=02", "hour=09");
    elsewhere.push(copy);
    let found = gathered(&elsewhere, Some(50), None);
    assert!(found.contradictory.examples[0].reason.contains("of other times"), "{found:?}");

    let mut dead = bucket(5);
    let mut copy = dead[4].clone();
    copy.key = "dead-letters/raw/t/t-1-00000000000000000020.json.gz".into();
    dead.push(copy);
    let report = plain(&dead, 50);
    assert_eq!((report.doubled.count, report.incomplete.len()), (1, 0));
}

#[test]
fn strangers_are_told_from_objects_of_ours() {
    let mut stored = bucket(2);
    let foreign = |key: &str| Stored { key: key.into(), metadata: ObjectMetadata::new() };
    stored.push(foreign("raw/t/part-0000.csv"));
    stored.push(foreign("raw/t/_SUCCESS"));
    stored.push(foreign(&format!("raw/t/{}/t-1-{:020}.json.gz", path(3), 700)));
    let mut of_another = stored[0].clone();
    of_another.metadata.insert("topic".into(), "u".into());
    of_another.key = of_another.key.replace("000.json", "500.json");
    stored.push(of_another);
    let found = gathered(&stored, Some(20), None);
    assert_eq!((found.foreign.count, found.hidden, found.contradictory.count), (2, 1, 1));
    assert!(found.foreign.examples[1].reason.contains("not written by kafka-s3-sink"));
    assert!(found.contradictory.examples[0].reason.contains("u[1]"));
    assert_eq!(found.partitions[&1].objects, 4, "only what is ours counts");
}

#[test]
fn what_is_beyond_the_committed_offset_is_in_flight_or_stray() {
    let stored = bucket(5);
    let pinned =
        judged(gathered(&stored, Some(40), Some("p4")), Scope::default(), GapKind::Missing);
    assert_eq!(spans(&pinned.above), [(40, 50)]);
    assert!(!pinned.notes.iter().any(|note| note.contains("no pin names")), "{:?}", pinned.notes);
    let stray = judged(gathered(&stored, Some(30), None), Scope::default(), GapKind::Missing);
    assert!(stray.notes.iter().any(|note| note.contains("[30, 50)")), "{:?}", stray.notes);

    let part = &stored[..9];
    let kind = |pinned| {
        let found = gathered(part, Some(40), pinned);
        judged(found, Scope::default(), GapKind::Missing).incomplete[0].kind
    };
    assert_eq!(kind(Some("p4")), Incomplete::InFlight);
    assert_eq!(kind(None), Incomplete::Unfinished);
}

#[test]
fn a_batch_that_retention_cut_short_is_told_apart() {
    let mut stored = bucket(3);
    // Two of three were put; a replay found records for two objects, one of which is new.
    let mut cut = objects(30, 40, "p3", &[3, 4, 5]);
    cut[2].metadata.insert("objects".into(), "2".into());
    cut[2].metadata.insert("first-hash".into(), String::new());
    cut.remove(1);
    stored.extend(cut);
    let report = plain(&stored, 40);
    assert_eq!(report.incomplete[0].kind, Incomplete::Shortened);
    assert_eq!(spans(report.covered.iter().map(|it| &it.range)), [(0, 40)]);
    assert_eq!(report.health, Health::Bad);
}

/// 80,000 objects in the order of a listing: what is held does not grow.
#[test]
fn a_large_bucket_is_taken_in_flat_memory() {
    let mut gathering = Gathering::new(roots(), "g", "l", BTreeMap::new(), false);
    let (batches, mut most) = (40_000, 0);
    let mut late: std::collections::VecDeque<Stored> = Default::default();
    let mut take = |stored: &Stored| {
        let name = roots().read(&stored.key).expect("a name of ours");
        gathering.add(name, 100, said_by(&stored.metadata));
        most = most.max(gathering.held());
    };
    for number in 0..batches {
        let hours = [number % 23, number % 23 + 1];
        let [now, later] = &objects(number * 10, number * 10 + 10, "p", &hours)[..] else {
            panic!()
        };
        take(now);
        // The second object of a batch comes with the next hour of the listing.
        late.push_back(later.clone());
        if late.len() > 200 {
            late.pop_front().iter().for_each(&mut take);
        }
    }
    late.iter().for_each(&mut take);
    assert!(most < 250, "{most} held");
    let found = gathering.finish();
    let whole: Vec<_> = found.partitions[&1].below.ranges().collect();
    assert_eq!((whole.len(), whole[0].batches, whole[0].objects), (1, 40_000, 80_000));
}

proptest! {
    /// Whatever order the objects come in and whatever was taken away, exactly that is told.
    #[test]
    fn exactly_what_was_taken_away_is_told(
        sizes in proptest::collection::vec((1i64..20, 1usize..4), 1..25),
        gone in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        seed in any::<u64>(),
    ) {
        let (mut all, mut batches, mut base) = (Vec::new(), Vec::new(), 0);
        for (index, (len, count)) in sizes.iter().enumerate() {
            let hours: Vec<i64> = (0..*count as i64).map(|it| (it + index as i64) % 24).collect();
            all.extend(objects(base, base + len.max(&1), &format!("p{index}"), &hours));
            batches.push((base, base + len, *count));
            base += len;
        }
        for index in gone {
            if !all.is_empty() {
                all.remove(index.index(all.len()));
            }
        }
        let there = |first: i64| {
            all.iter().filter(|it| it.key.contains(&format!("-1-{first:020}."))).count()
        };
        let missing: Vec<_> = batches.iter().filter(|it| there(it.0) == 0).copied().collect();
        let parts: Vec<_> = batches
            .iter()
            .filter(|it| (1..it.2).contains(&there(it.0)))
            .map(|it| (it.0, it.1))
            .collect();
        let mut shuffled = all.clone();
        let mut state = seed | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(place, (state >> 33) as usize % (place + 1));
        }
        let scope = Scope { since: Some(TimestampMs(0)), ..Scope::default() };
        let report = judged(gathered(&shuffled, Some(base), None), scope, GapKind::Missing);
        prop_assert_eq!(spans(report.incomplete.iter().map(|it| &it.range)), parts.clone());
        let in_gaps = |it: &(i64, i64, usize)| {
            report.gaps.iter().any(|gap| gap.range.base.0 <= it.0 && it.1 <= gap.range.end.0)
        };
        prop_assert!(missing.iter().all(in_gaps));
        let gap_len: u64 = report.gaps.iter().map(|gap| gap.range.len()).sum();
        prop_assert_eq!(gap_len as i64, missing.iter().map(|it| it.1 - it.0).sum::<i64>());
        prop_assert_eq!(report.doubled.count, 0);
        let bad = !missing.is_empty() || !parts.is_empty();
        prop_assert_eq!(report.health == Health::Bad, bad);
    }
}
