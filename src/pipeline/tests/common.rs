//! What the tests of single edges share.

use std::time::Duration;

use super::super::layout::tests::sample;
use super::super::rotate::tests::policy as rotation;
use super::super::{Event, Metadata, RotationReason, SinkSettings, decode_metadata};
use super::world::{Dice, Member, World};
use crate::record::{
    BucketEnd, Layout, LostOffsetsPolicy, Offset, OutOfRangePolicy, RecordPolicy, RotationPolicy,
    StartPosition,
};

/// The settings of a sink, which tests change where they must.
pub(super) fn settings() -> SinkSettings {
    SinkSettings {
        group_hash: "group".into(),
        session: "s".into(),
        conditional_put: true,
        start: StartPosition::Earliest,
        on_lost_offsets: LostOffsetsPolicy::Error,
        on_offset_out_of_range: OutOfRangePolicy::Stop,
        fenced_deadline: Duration::from_secs(60),
        spool: None,
    }
}

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

/// Limits that differ from run to run: a replay must not care.
pub(super) fn any_policy(dice: &mut Dice) -> RecordPolicy {
    let RecordPolicy { layout, rotation, compression_level } = policy();
    let rotation = RotationPolicy {
        max_bytes: 1 << 20,
        max_records: 1 + dice.below(12),
        max_age: Duration::from_millis(1 + dice.below(20_000)),
        max_open_hive_partitions: 1 + dice.below(4) as usize,
        ..rotation
    };
    RecordPolicy { layout, rotation, compression_level }
}

/// Records of every kind, and gaps.
pub(super) fn fill(world: &mut World) {
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

pub(super) fn world(records: i64) -> World {
    let mut world = World::new(1);
    (0..records).for_each(|_| world.append(0));
    world
}

/// Up to where the store holds the one Kafka partition.
pub(super) fn bucket_end(world: &World) -> BucketEnd {
    let ends = world.store.values().filter_map(|stored| stored.metadata["end"].parse().ok());
    ends.max().map_or(BucketEnd::Nothing, |end| BucketEnd::At(Offset(end)))
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
