//! The ordinary course of a Kafka partition: ends of the log, records that do not land, limits,
//! hand-over, shutdown, memory.

use std::time::Duration;

use super::super::layout::tests::sample;
use super::super::{Event, MemoryUse, RotationReason};
use super::common::{code, policy, policy_of, reasons, until, world};
use super::world::{World, text};
use crate::record::{Envelope, InvalidPolicy, Layout, Offset, TombstonePolicy};

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
    let dead = &world.store["dead-letters/raw/t/t-0-00000000000000000000.json.gz"];
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
    assert!(member.sink.memory().open > 0);
    member.sink.handle_flush_largest(world.now);
    let held = member.sink.memory();
    assert!(held.landing > 0 && held.open == 0, "{held:?}");
    member.sink.handle_memory_short(world.now, true);
    assert_eq!(member.sink.snapshots()[0].state, "paused");
    world.settle(&mut member);
    assert_eq!((world.position(), member.sink.memory()), (4, MemoryUse::default()));
    world.append(0);
    world.settle(&mut member);
    assert_eq!(world.position(), 4);
    member.sink.handle_memory_short(world.now, false);
    world.settle(&mut member);
    assert_eq!(world.position(), 5);
}
