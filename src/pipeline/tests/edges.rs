//! The edges of the protocol, one by one.

use std::time::Duration;

use super::super::layout::tests::sample;
use super::super::rotate::tests::policy as rotation;
use super::super::{Event, Metadata, RotationReason, decode_metadata};
use super::world::{Member, World, text};
use crate::record::{
    Compression, Envelope, InvalidPolicy, Layout, LostOffsetsPolicy, Offset, OutOfRangePolicy,
    RecordPolicy, RotationPolicy, TombstonePolicy,
};

fn policy_of(layout: Layout) -> RecordPolicy {
    let rotation = RotationPolicy {
        max_bytes: 1 << 30,
        max_records: 5,
        max_age: Duration::from_secs(60),
        record_time: None,
        ..rotation()
    };
    RecordPolicy { layout: layout.into(), rotation, compression_level: None }
}

fn policy() -> RecordPolicy {
    policy_of(sample())
}

fn world(records: i64) -> World {
    let mut world = World::new(1);
    (0..records).for_each(|_| world.append(0));
    world
}

/// Steps until `done`; the world must get there.
fn until(world: &mut World, member: &mut Member, done: impl Fn(&World, &Member) -> bool) {
    for _ in 0..20_000 {
        if done(world, member) {
            return;
        }
        world.step(member);
    }
    panic!("never: {:?}", member.sink.snapshots());
}

fn reasons(member: &Member) -> Vec<RotationReason> {
    let ended = member.events.iter().filter_map(|event| match event {
        Event::BatchEnded { reason, .. } => Some(*reason),
        _ => None,
    });
    ended.collect()
}

fn pinned(world: &World) -> bool {
    matches!(decode_metadata(&world.committed.metadata), Metadata::Ours(_, Some(_)))
}

fn code(member: &Member) -> &'static str {
    member.stopped().map_or("none", |reason| reason.code)
}

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
    world.settle(&mut winner);
    let bytes: Vec<_> = world.store.values().map(|stored| stored.bytes.clone()).collect();
    for stored in world.store.values_mut() {
        stored.metadata.insert("group".into(), "another".into());
    }
    world.committed = crate::record::Committed::default();
    world.lost_offsets = LostOffsetsPolicy::Start;
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
    // With `start` everything is read again and adopted, not doubled.
    world.lost_offsets = LostOffsetsPolicy::Start;
    let mut member = world.start(&policy());
    world.settle(&mut member);
    world.check();
    assert_eq!(world.position(), 12);
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

#[test]
fn a_transactional_topics_lag_reaches_zero() {
    let mut world = world(3);
    world.gap(4);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    assert_eq!(world.position(), 7);
    world.gap(2);
    world.settle(&mut member);
    assert_eq!(world.position(), 9);
    assert_eq!(world.store.len(), 1);
}

#[test]
fn the_goal_is_reached_over_a_gap_at_the_end() {
    let mut world = world(3);
    world.gap(2);
    world.goal = Some(Offset(5));
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.events.contains(&Event::ReachedEnd));
    assert_eq!(world.position(), 5);
    assert_eq!(reasons(&member), [RotationReason::UntilEnd]);
}

#[test]
fn an_empty_partition_has_reached_its_end() {
    let mut world = world(0);
    world.goal = Some(Offset(0));
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| member.events.contains(&Event::ReachedEnd));
    assert!(world.store.is_empty());
}

#[test]
fn a_record_that_stops_lets_all_before_it_land() {
    let layout = Layout { on_invalid: InvalidPolicy::Stop, ..sample() };
    let mut world = world(7);
    world.append_value(0, Some(b"[]".to_vec()));
    world.append(0);
    let mut member = world.start(&policy_of(layout.clone()));
    until(&mut world, &mut member, |_, member| member.stopped().is_some());
    assert_eq!((code(&member), world.position()), ("invalid_record", 7));
    let mut lenient = policy_of(Layout { on_invalid: InvalidPolicy::Skip, ..layout });
    lenient.rotation.max_records = 1;
    let mut member = world.start(&lenient);
    world.settle(&mut member);
    assert_eq!(world.position(), 9);
    assert_eq!(world.landed().get(&7), None);
}

#[test]
fn dead_letters_and_tombstones_stand_in_the_batch_that_read_them() {
    let layout = Layout {
        on_tombstone: TombstonePolicy::DeadLetter,
        envelope: Envelope::Fields,
        ..sample()
    };
    let mut world = World::new(3);
    world.append_value(0, None);
    world.append_value(0, Some(b"\xff".to_vec()));
    world.append(1);
    let mut member = world.start(&policy_of(layout));
    world.settle(&mut member);
    assert_eq!(world.position(), 3);
    let dead = &world.store["dead-letters/t/t-0-00000000000000000000.json.gz"];
    assert_eq!(text(&dead.bytes).lines().count(), 2);
    assert_eq!(dead.metadata["objects"], "2");
    let line = &world.store["raw/t/dt=2023-11-14/hour=23/t-0-00000000000000000000.json.gz"];
    assert!(text(&line.bytes).starts_with("{\"n\":2,\"_kafka\":{\"topic\":\"t\","));
}

#[test]
fn a_batch_opens_at_most_so_many_hive_partitions() {
    let mut world = World::new(4);
    (0..12).for_each(|hour| world.append(hour));
    let mut policy = policy();
    policy.rotation.max_records = 100;
    world.jumps = false;
    let mut member = world.start(&policy);
    until(&mut world, &mut member, |_, member| reasons(member).len() == 3);
    world.jumps = true;
    world.settle(&mut member);
    assert_eq!(reasons(&member)[..3], [RotationReason::HivePartitions; 3]);
    assert_eq!(world.store.len(), 12);
    world.check();
}

#[test]
fn a_young_batch_is_handed_over_and_an_old_one_pinned() {
    for (age, lands) in [(Duration::from_secs(1), false), (Duration::from_secs(59), true)] {
        let mut world = world(3);
        let mut policy = policy();
        policy.rotation.max_age = Duration::from_secs(100);
        let mut member = world.start(&policy);
        until(&mut world, &mut member, |_, member| {
            member.sink.snapshots()[0].position == Some(Offset(3))
        });
        world.now = world.now + age;
        let epoch = member.epoch;
        member.sink.handle_revoking(world.now, &world.at.clone(), epoch, false);
        until(&mut world, &mut member, |_, member| member.sink.snapshots().is_empty());
        assert_eq!(world.position(), if lands { 3 } else { 0 });
    }
}

#[test]
fn a_shutdown_lands_everything_that_was_read() {
    let mut world = world(3);
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| {
        member.sink.snapshots()[0].position == Some(Offset(3))
    });
    member.sink.handle_shutdown(world.now);
    assert!(!member.sink.is_drained());
    until(&mut world, &mut member, |_, member| member.sink.is_drained());
    assert_eq!(world.position(), 3);
    world.check();
}

#[test]
fn a_fenced_member_waits_for_its_callback_and_never_commits_again() {
    let mut world = world(5);
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |world, _| world.position() == 0);
    world.owner.0 += 1;
    let fenced = |event: &Event| matches!(event, Event::FencedForGood(_));
    until(&mut world, &mut member, |_, member| member.events.iter().any(fenced));
    assert_eq!(world.position(), 0);
    // Even if the group would take a commit of it again, none comes.
    world.owner = member.epoch;
    world.settle(&mut member);
    assert_eq!(world.position(), 0);
}

#[test]
fn short_memory_flushes_the_largest_batch_and_pauses() {
    let mut world = world(4);
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |_, member| {
        member.sink.snapshots()[0].position == Some(Offset(4))
    });
    assert!(member.sink.held() > 0);
    assert!(member.sink.handle_flush_largest(world.now) > 0);
    member.sink.handle_memory_short(world.now, true);
    assert_eq!(member.sink.snapshots()[0].state, "paused");
    world.settle(&mut member);
    assert_eq!((world.position(), member.sink.held()), (4, 0));
    world.append(0);
    world.settle(&mut member);
    assert_eq!(world.position(), 4);
    member.sink.handle_memory_short(world.now, false);
    world.settle(&mut member);
    assert_eq!(world.position(), 5);
}
