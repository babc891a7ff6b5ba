//! What the tests of single edges share.

use std::time::Duration;

use super::super::layout::tests::sample;
use super::super::rotate::tests::policy as rotation;
use super::super::{Event, Metadata, RotationReason, decode_metadata};
use super::world::{Member, World};
use crate::record::{Layout, RecordPolicy, RotationPolicy};

pub(super) fn policy_of(layout: Layout) -> RecordPolicy {
    let rotation = RotationPolicy {
        max_bytes: 1 << 30,
        max_records: 5,
        max_age: Duration::from_secs(60),
        record_time: None,
        ..rotation()
    };
    RecordPolicy { layout: layout.into(), rotation, compression_level: None }
}

pub(super) fn policy() -> RecordPolicy {
    policy_of(sample())
}

pub(super) fn world(records: i64) -> World {
    let mut world = World::new(1);
    (0..records).for_each(|_| world.append(0));
    world
}

/// Steps until `done`; the world must get there.
pub(super) fn until(
    world: &mut World,
    member: &mut Member,
    done: impl Fn(&World, &Member) -> bool,
) {
    for _ in 0..20_000 {
        if done(world, member) {
            return;
        }
        world.step(member);
    }
    panic!("never: {:?}", member.sink.snapshots());
}

pub(super) fn reasons(member: &Member) -> Vec<RotationReason> {
    let ended = member.events.iter().filter_map(|event| match event {
        Event::BatchEnded { reason, .. } => Some(*reason),
        _ => None,
    });
    ended.collect()
}

pub(super) fn pinned(world: &World) -> bool {
    matches!(decode_metadata(&world.committed.metadata), Metadata::Ours(_, Some(_)))
}

pub(super) fn code(member: &Member) -> &'static str {
    member.stopped().map_or("none", |reason| reason.code)
}
