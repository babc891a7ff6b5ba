//! Random worlds: crashes, takeovers, zombies, lost replies, changed limits. Nothing may be lost
//! or doubled, and the end must be reached.

use std::time::Duration;

use super::super::MemoryUse;
use super::super::layout::tests::sample;
use super::super::rotate::tests::policy as rotation;
use super::world::{Dice, Member, World};
use crate::record::{Layout, RecordPolicy, RotationPolicy};

/// Worlds a test.
const SEEDS: u64 = 120;

/// Limits that differ from run to run: a replay must not care.
fn policy(dice: &mut Dice, layout: &Layout) -> RecordPolicy {
    RecordPolicy {
        layout: layout.clone().into(),
        rotation: RotationPolicy {
            max_bytes: 1 << 20,
            max_records: 1 + dice.below(12),
            max_age: Duration::from_millis(1 + dice.below(20_000)),
            record_time: None,
            max_open_hive_partitions: 1 + dice.below(4) as usize,
            ..rotation()
        },
        compression_level: None,
    }
}

fn fill(world: &mut World) {
    for _ in 0..40 + world.dice.below(60) {
        let hour = world.dice.below(5) as i64;
        match world.dice.below(12) {
            0 => world.gap(1 + hour),
            1 => world.append_value(hour, None),
            2 => world.append_value(hour, Some(b"not json".to_vec())),
            _ => world.append(hour),
        }
    }
}

/// Runs members that crash or turn into zombies, then one that is left alone.
fn run(seed: u64, group_fence: bool, conditional: bool) {
    let mut world = World::new(seed);
    (world.group_fence, world.conditional, world.faults) = (group_fence, conditional, true);
    fill(&mut world);
    let layout = sample();
    let mut zombies: Vec<Member> = Vec::new();
    for _ in 0..2 + world.dice.below(4) {
        let policy = policy(&mut world.dice, &layout);
        let mut member = world.start(&policy);
        for step in 0..world.dice.below(800) {
            world.step(&mut member);
            if let Some(zombie) = zombies.last_mut()
                && world.dice.one_in(3)
            {
                world.step(zombie);
            }
            if step % 32 == 0 {
                world.check();
            }
        }
        assert!(member.stopped().is_none(), "seed {seed}: {:?}", member.stopped());
        if world.dice.one_in(2) {
            zombies.push(member);
        }
    }
    world.faults = false;
    let policy = policy(&mut world.dice, &layout);
    let mut last = world.start(&policy);
    world.settle(&mut last);
    for zombie in &mut zombies {
        (0..200).for_each(|_| world.step(zombie));
    }
    world.check();
    if group_fence {
        assert_eq!(world.position(), world.log_end, "seed {seed}: {:?}", last.sink.snapshots());
        assert_eq!(last.sink.memory(), MemoryUse::default(), "seed {seed}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_with_both_fences() {
    (0..SEEDS).for_each(|seed| run(seed, true, true));
}

#[test]
fn nothing_is_lost_or_doubled_with_the_groups_fence_alone() {
    (0..SEEDS).for_each(|seed| run(seed, true, false));
}

#[test]
fn nothing_is_lost_or_doubled_with_the_stores_fence_alone() {
    (0..SEEDS).for_each(|seed| run(seed, false, true));
}

/// The world must be able to fail: without either fence it finds what the fences prevent.
#[test]
fn without_any_fence_the_world_finds_a_loss_or_a_double() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found =
        (0..SEEDS).any(|seed| std::panic::catch_unwind(|| run(seed, false, false)).is_err());
    std::panic::set_hook(quiet);
    assert!(found);
}
