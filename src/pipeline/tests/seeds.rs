//! Random worlds: crashes, takeovers, zombies, lost replies, changed limits. Nothing may be lost
//! or doubled, and the end must be reached.

use super::super::MemoryUse;
use super::common::{any_policy, fill};
use super::world::{Member, World};

/// Worlds a test.
const SEEDS: u64 = 120;

/// Runs members that crash or turn into zombies, then one that is left alone.
fn run(seed: u64, group_fence: bool, conditional: bool) {
    let mut world = World::new(seed);
    (world.group_fence, world.conditional, world.faults) = (group_fence, conditional, true);
    fill(&mut world);
    let mut zombies: Vec<Member> = Vec::new();
    for _ in 0..2 + world.dice.below(4) {
        let policy = any_policy(&mut world.dice);
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
    let policy = any_policy(&mut world.dice);
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
