//! Every way to begin, and every reason not to.

use std::collections::BTreeMap;

use super::super::layout::tests::sample;
use super::super::pin::encode_metadata;
use super::*;

fn at() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// With the number of Kafka partitions of a first start, or zero.
fn mark(offset: i64, first_start: i32) -> Mark {
    Mark {
        offset: Offset(offset),
        topic_id: "id".into(),
        cluster_id: "".into(),
        leader_epoch: None,
        layout_hash: "h".into(),
        first_start: (first_start > 0).then_some(first_start),
    }
}

fn pin() -> Pin {
    Pin {
        id: "p".into(),
        end: Offset(20),
        first: Offset(10),
        last: None,
        layout: Arc::new(sample()),
    }
}

fn facts(committed: &[(i32, i64, String)]) -> TopicFacts {
    let committed: BTreeMap<_, _> = committed
        .iter()
        .map(|(partition, offset, metadata)| {
            let offset = Some(Offset(*offset));
            (*partition, Committed { offset, metadata: metadata.clone() })
        })
        .collect();
    TopicFacts {
        topic_id: "id".into(),
        cluster_id: "".into(),
        committed: Arc::new(committed),
        log_start: Offset(3),
        log_end: Offset(100),
        prefix_empty: None,
        bucket_end: None,
        compacted: None,
    }
}

const STRICT: Policies = Policies {
    start: StartPosition::Earliest,
    on_lost_offsets: LostOffsetsPolicy::Error,
    on_out_of_range: OutOfRangePolicy::Stop,
};
const LENIENT: Policies = Policies {
    start: StartPosition::Latest,
    on_lost_offsets: LostOffsetsPolicy::Start,
    on_out_of_range: OutOfRangePolicy::Earliest,
};

fn stop_code(plan: Plan) -> &'static str {
    match plan {
        Plan::Stop(reason) => reason.code,
        other => panic!("not stopped: {other:?}"),
    }
}

fn begin(plan: Plan) -> (i64, bool) {
    match plan {
        Plan::Begin { from, first_start, .. } => (from.0, first_start.is_some()),
        other => panic!("does not begin: {other:?}"),
    }
}

#[test]
fn our_mark_is_followed_and_a_pin_replayed() {
    let marked = encode_metadata(&mark(10, 0), None);
    let plan_of = |text: &str| plan(&at(), &facts(&[(0, 10, text.to_owned())]), STRICT);
    assert_eq!(plan_of(&marked), Plan::Continue { mark: mark(10, 0) });
    let pinned = encode_metadata(&mark(10, 0), Some(&pin()));
    let expected = Plan::Replay { mark: mark(10, 0), pin: pin(), from: Offset(10) };
    assert_eq!(plan_of(&pinned), expected);
}

#[test]
fn retention_that_overtook_a_mark_stops_or_is_counted() {
    let mut facts = facts(&[(0, 10, encode_metadata(&mark(10, 0), None))]);
    facts.log_start = Offset(15);
    assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "offset_out_of_range");
    let Plan::Begin { from, lost, .. } = plan(&at(), &facts, LENIENT) else { panic!() };
    assert_eq!((from, lost.unwrap().range.len()), (Offset(15), 5));
}

#[test]
fn retention_within_a_pinned_range_leaves_a_replay_of_the_rest() {
    let mut facts = facts(&[(0, 10, encode_metadata(&mark(10, 0), Some(&pin())))]);
    facts.log_start = Offset(15);
    let Plan::Replay { from, .. } = plan(&at(), &facts, STRICT) else { panic!() };
    assert_eq!(from, Offset(15));
}

#[test]
fn a_topic_made_again_stops() {
    let mut facts = facts(&[(0, 10, encode_metadata(&mark(10, 0), None))]);
    facts.topic_id = "other".into();
    assert_eq!(stop_code(plan(&at(), &facts, LENIENT)), "topic_recreated");
    facts.topic_id = "".into();
    assert_eq!(plan(&at(), &facts, STRICT), Plan::Continue { mark: mark(10, 0) });
}

#[test]
fn an_offset_set_by_hand_is_followed_only_where_the_user_says_so() {
    let moved = encode_metadata(&mark(9, 0), None);
    for metadata in ["", "by hand", &moved] {
        let mut facts = facts(&[(0, 10, metadata.to_owned())]);
        assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "lost_offsets");
        facts.bucket_end = Some(BucketEnd::Nothing);
        assert_eq!(begin(plan(&at(), &facts, LENIENT)), (10, false));
        facts.bucket_end = Some(BucketEnd::At(Offset(10)));
        assert_eq!(begin(plan(&at(), &facts, LENIENT)), (10, false));
    }
}

#[test]
fn what_the_users_word_passes_over_is_told() {
    let mut facts = facts(&[(0, 10, String::new())]);
    facts.prefix_empty = Some(false);
    for (end, start, reason) in
        [(7, 3, Some("insisted")), (10, 3, None), (5, 10, Some("retention"))]
    {
        (facts.bucket_end, facts.log_start) = (Some(BucketEnd::At(Offset(end))), Offset(start));
        let Plan::Begin { from, lost, .. } = plan(&at(), &facts, LENIENT) else { panic!() };
        assert_eq!((from, lost.map(|lost| lost.reason)), (Offset(10), reason));
        assert!(lost.is_none_or(|lost| lost.range.base == Offset(end)));
    }
}

#[test]
fn an_offset_past_the_end_of_the_log_is_not_followed() {
    let mut facts = facts(&[(0, 101, String::new())]);
    facts.prefix_empty = Some(true);
    assert_eq!(stop_code(plan(&at(), &facts, LENIENT)), "log_truncated");
}

#[test]
fn a_start_that_would_put_records_again_is_refused() {
    let mut facts = facts(&[(0, 10, String::new())]);
    for bucket in [None, Some(BucketEnd::At(Offset(11))), Some(BucketEnd::Unclear("x".into()))] {
        facts.bucket_end = bucket;
        facts.prefix_empty = Some(false);
        assert_eq!(stop_code(plan(&at(), &facts, LENIENT)), "lost_offsets");
        facts.prefix_empty = Some(true);
        assert_eq!(begin(plan(&at(), &facts, LENIENT)), (10, false));
    }
}

#[test]
fn a_first_start_needs_an_empty_bucket_and_no_offset_of_ours() {
    let mut facts = facts(&[]);
    facts.prefix_empty = Some(true);
    assert_eq!(begin(plan(&at(), &facts, STRICT)), (3, true));
    let latest = Policies { start: StartPosition::Latest, ..STRICT };
    assert_eq!(begin(plan(&at(), &facts, latest)), (100, true));
    facts.prefix_empty = Some(false);
    assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "lost_offsets");
}

#[test]
fn members_of_one_first_start_do_not_take_each_other_for_old_ones() {
    let mut starting = facts(&[(1, 10, encode_metadata(&mark(10, 2), None))]);
    starting.prefix_empty = Some(true);
    assert_eq!(begin(plan(&at(), &starting, STRICT)), (3, true));
    let mut landed = facts(&[(1, 10, encode_metadata(&mark(10, 0), None))]);
    landed.prefix_empty = Some(true);
    assert_eq!(stop_code(plan(&at(), &landed, STRICT)), "lost_offsets");
}

#[test]
fn a_new_kafka_partition_begins_at_its_beginning_even_with_latest() {
    let mut facts = facts(&[(1, 10, encode_metadata(&mark(10, 0), None))]);
    facts.prefix_empty = Some(false);
    facts.log_start = Offset(0);
    let latest = Policies { start: StartPosition::Latest, ..STRICT };
    assert_eq!(begin(plan(&at(), &facts, latest)), (0, true));
    // Its offset alone was deleted: it is not new, whatever its log says.
    facts.bucket_end = Some(BucketEnd::At(Offset(50)));
    assert_eq!(stop_code(plan(&at(), &facts, latest)), "lost_offsets");
    facts.bucket_end = None;
    facts.log_start = Offset(3);
    assert_eq!(stop_code(plan(&at(), &facts, latest)), "lost_offsets");
}

/// Two were there at the first start, and nothing has landed; the third came after.
#[test]
fn a_kafka_partition_that_comes_during_a_first_start_is_read_from_its_beginning() {
    let first = |partition| (partition, 10, encode_metadata(&mark(10, 2), None));
    let mut facts = facts(&[first(0)]);
    (facts.prefix_empty, facts.log_start) = (Some(true), Offset(0));
    let from = |number| begin(plan(&TopicPartition::new("t", number), &facts, LENIENT)).0;
    assert_eq!((from(1), from(2)), (100, 0));
    // Retention was faster.
    let mut late = facts.clone();
    late.log_start = Offset(3);
    assert_eq!(begin(plan(&TopicPartition::new("t", 2), &late, LENIENT)).0, 3);
}

/// Of three Kafka partitions one never got its first mark; the topic is old.
#[test]
fn one_of_which_nothing_landed_is_not_lost() {
    let marked = |partition| (partition, 10, encode_metadata(&mark(10, 0), None));
    let mut facts = facts(&[marked(1), marked(2)]);
    facts.prefix_empty = Some(false);
    assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "lost_offsets");
    facts.bucket_end = Some(BucketEnd::At(Offset(7)));
    assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "lost_offsets");
    facts.bucket_end = Some(BucketEnd::Nothing);
    assert_eq!(begin(plan(&at(), &facts, STRICT)), (3, true));
    // Without any other the whole group was lost, and its first objects may be anywhere.
    facts.committed = Arc::default();
    assert_eq!(stop_code(plan(&at(), &facts, STRICT)), "lost_offsets");
}

#[test]
fn a_compacted_topic_without_a_mark_is_refused() {
    let mut facts = facts(&[(0, 10, String::new())]);
    facts.prefix_empty = Some(false);
    facts.compacted = Some(true);
    assert_eq!(stop_code(plan(&at(), &facts, LENIENT)), "compacted_without_mark");
}

#[test]
fn newer_and_damaged_pins_stop_whatever_the_policy() {
    let newer = encode_metadata(&mark(10, 0), None).replace("sink\":1", "sink\":7");
    assert_eq!(stop_code(plan(&at(), &facts(&[(0, 10, newer)]), LENIENT)), "newer_pin");
    let damaged = "{\"kafka-s3-sink\":1,".to_owned();
    assert_eq!(stop_code(plan(&at(), &facts(&[(0, 10, damaged)]), LENIENT)), "damaged_pin");
}
