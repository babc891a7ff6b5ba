//! The edges of the protocol, one by one.

use super::super::layout::tests::sample;
use super::super::{Event, RotationReason};
use super::common::{code, pinned, policy, policy_of, reasons, until, world};
use super::world::text;
use crate::record::{Compression, Layout, LostOffsetsPolicy, Offset, OutOfRangePolicy};

#[test]
fn a_quiet_topics_last_records_land_when_their_age_is_reached() {
    let mut world = world(7);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    assert_eq!(reasons(&member), [RotationReason::MaxRecords, RotationReason::MaxAge]);
    assert_eq!(world.position(), 7);
    world.check();
}

#[test]
fn a_replay_follows_the_pin_whatever_todays_settings_are() {
    let mut world = world(20);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 5);
    drop(first);
    let zstd = Layout { compression: Compression::Zstd, prefix: "new".into(), ..sample() };
    let mut larger = policy_of(zstd);
    larger.rotation.max_records = 100;
    let mut second = world.start(&larger);
    until(&mut world, &mut second, |world, _| world.position() >= 10);
    let key = "raw/t/dt=2023-11-14/hour=22/t-0-00000000000000000005.json.gz";
    assert_eq!(text(&world.store[key].bytes).lines().count(), 5);
    world.settle(&mut second);
    let key = "new/t/dt=2023-11-14/hour=22/t-0-00000000000000000010.json.zst";
    assert_eq!(world.store[key].metadata["records"], "10");
}

#[test]
fn a_batch_that_another_member_won_is_adopted() {
    let mut world = world(12);
    // The group's fence is broken: the offsets topic rolls back to before the first batch.
    let mut winner = world.start(&policy());
    until(&mut world, &mut winner, |world, _| world.position() == 0);
    let before = world.committed.clone();
    until(&mut world, &mut winner, |world, _| world.position() == 10);
    world.committed = before;
    let mut shorter = policy();
    shorter.rotation.max_records = 3;
    let mut member = world.start(&shorter);
    world.settle(&mut member);
    world.check();
    assert_eq!(world.position(), 12);
    let adopted = member.events.iter().filter(|event| matches!(event, Event::Adopts { .. }));
    assert_eq!(adopted.count(), 2);
}

#[test]
fn a_name_taken_by_something_else_stops_and_overwrites_nothing() {
    let mut world = world(12);
    let mut winner = world.start(&policy());
    until(&mut world, &mut winner, |world, _| world.committed.offset.is_some());
    let begun = world.committed.clone();
    world.settle(&mut winner);
    let bytes: Vec<_> = world.store.values().map(|stored| stored.bytes.clone()).collect();
    for stored in world.store.values_mut() {
        stored.metadata.insert("group".into(), "another".into());
    }
    world.committed = begun;
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "name_taken");
    assert!(member.stopped().unwrap().text.contains("another consumer group"));
    assert!(world.store.values().map(|stored| &stored.bytes).eq(&bytes));
}

#[test]
fn lost_offsets_are_no_first_start() {
    let mut world = world(12);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    world.committed = crate::record::Committed::default();
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "lost_offsets");
    // With `start` too, as long as the bucket holds something from there on.
    world.lost_offsets = LostOffsetsPolicy::Start;
    for from in [None, Some(5), Some(11)] {
        world.committed.offset = from.map(crate::record::Offset);
        let mut member = world.start(&policy());
        until(&mut world, &mut member, |_, member| member.stopped().is_some());
        assert_eq!(code(&member), "lost_offsets");
        let text = &member.stopped().unwrap().text;
        assert!(text.contains("up to offset 12") && text.contains("recover"), "{text}");
    }
    world.committed.offset = Some(crate::record::Offset(12));
    (0..5).for_each(|_| world.append(0));
    let mut member = world.start(&policy());
    world.settle(&mut member);
    world.check();
    assert_eq!(world.position(), 17);
}

#[test]
fn a_topic_made_again_while_running_stops() {
    let mut world = world(3);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    member.sink.handle_topic_id(world.now, "t", &"another-id".into());
    world.settle(&mut member);
    assert_eq!(code(&member), "topic_recreated");
}

#[test]
fn a_topic_made_again_with_fewer_records_stops_before_anybody_compares_ids() {
    let mut world = world(12);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    // Kafka forgets the offsets of a topic that is deleted.
    world.topic_id = "another-id".into();
    world.committed = crate::record::Committed::default();
    let epoch = member.epoch;
    member.sink.handle_out_of_range(world.now, &crate::record::TopicPartition::new("t", 0), epoch);
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "topic_recreated");
}

#[test]
fn an_end_of_the_log_below_the_pin_is_not_the_end_of_the_batch() {
    let mut world = world(8);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 5);
    drop(first);
    // A leader that lags: the last records are not visible for a while.
    let hidden = world.log.split_off(6);
    world.log_end = 6;
    world.jumps = false;
    let mut member = world.start(&policy());
    for _ in 0..400 {
        world.step(&mut member);
    }
    assert_eq!(world.position(), 5);
    world.log.extend(hidden);
    world.log_end = 8;
    world.jumps = true;
    world.settle(&mut member);
    assert_eq!(world.position(), 8);
    world.check();
}

#[test]
fn a_log_that_stays_shorter_than_the_pin_stops() {
    let mut world = world(8);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 5);
    drop(first);
    world.log.truncate(6);
    world.log_end = 6;
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "log_shorter_than_pin");
}

#[test]
fn retention_within_a_pinned_range_leaves_the_rest_under_the_same_pin() {
    let mut world = world(12);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 5);
    drop(first);
    let had = world.store.len();
    world.log.retain(|entry| entry.offset >= 8);
    world.log_start = 8;
    let mut member = world.start(&policy());
    world.settle(&mut member);
    assert_eq!(world.position(), 12);
    let lost = member.events.iter().find_map(|event| match event {
        Event::Lost { range, .. } => Some(*range),
        _ => None,
    });
    assert_eq!(lost.map(|range| (range.base, range.end)), Some((Offset(5), Offset(8))));
    assert!(world.store.len() > had);
    world.check();
}

#[test]
fn a_pinned_range_that_is_gone_whole_is_reported_and_passed() {
    let mut world = world(30);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 5);
    drop(first);
    world.log.retain(|entry| entry.offset >= 20);
    world.log_start = 20;
    let mut strict = world.start(&policy());
    until(&mut world, &mut strict, |_, member| member.stopped().is_some());
    assert_eq!((code(&strict), world.position()), ("offset_out_of_range", 10));
    world.out_of_range = OutOfRangePolicy::Earliest;
    let mut lenient = world.start(&policy());
    world.settle(&mut lenient);
    assert_eq!(world.position(), 30);
}

#[test]
fn retention_that_overtakes_a_running_sink_lands_what_was_read_first() {
    let mut world = world(8);
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |world, _| world.position() == 5);
    world.log.clear();
    (world.log_start, world.log_end) = (100, 100);
    world.append(0);
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "offset_out_of_range");
    let landed = world.landed();
    let position = world.position();
    assert!((0..position).all(|offset| landed.get(&offset) == Some(&1)), "{position}");
}

#[test]
fn an_unclean_election_at_pinned_offsets_stops() {
    let mut world = world(8);
    let mut first = world.start(&policy());
    until(&mut world, &mut first, |world, _| pinned(world) && world.position() == 0);
    drop(first);
    world.log.iter_mut().for_each(|entry| entry.leader_epoch = 1);
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!(code(&member), "log_rewritten");
}
