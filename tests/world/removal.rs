//! Worlds for one thing: a rule of the bucket removes the claim of a batch whose other objects
//! stay, and the offsets topic rolls back to where that batch began. The next member wins the claim
//! anew, and then finds the others' names taken by a batch that it must not adopt: its own claim
//! would want to be adopted in turn, without end. It must stop, and say so.

use std::time::Duration;

use kafka_s3_sink::pipeline::{Metadata, decode_metadata, encode_metadata};
use kafka_s3_sink::record::{Committed, Offset, TopicPartition};

use crate::oracle::{Claim, Verdict};
use crate::world::{Fences, World};

/// Steps after which a member that has not stopped never will.
const PATIENCE: u32 = 2_000;

/// Lives through one such world.
pub(crate) fn run(seed: u64) -> Verdict {
    let mut world = World::new(seed, Fences::Both, false);
    (world.faults, world.deletes, world.rolls_back) = (false, false, true);
    let mut policies = world.policies();
    // Batches end at the same records in both lives.
    policies.default.rotation.max_bytes = u64::MAX;
    policies.default.rotation.max_records = 4 + world.dice.below(6);
    policies.default.rotation.max_open_hive_partitions = 8;
    policies.default.rotation.record_time = None;
    policies.default.rotation.max_age = Duration::from_secs(60);
    world.policies_of_all = Some(policies);
    world.produce(120);
    world.start_process();
    world.settle()?;
    while !world.processes.is_empty() {
        world.remove(0, "crash");
    }
    let claims: Vec<_> = world.oracle.claims().filter(|claim| claim.objects > 1).collect();
    let Claim { at, key, base, .. } = world.dice.pick(&claims).clone();
    world.oracle.remove(&key);
    set_back(&mut world, &at, base);
    world.start_process();
    for _ in 0..PATIENCE {
        world.quiet_step();
        world.now += 25;
        match &world.verdict {
            Err(wrong) if wrong.contains("another batch wrote it") => return Ok(()),
            Err(wrong) => return Err(wrong.clone()),
            Ok(()) => {}
        }
    }
    Err(format!("{at}: a batch was adopted by an object that is not its claim, again and again"))
}

/// The group stands at the batch's base, with the mark that stood there before its pin.
fn set_back(world: &mut World, at: &TopicPartition, base: Offset) {
    let held = &world.group.offsets[at];
    let Metadata::Ours(mark, _) = decode_metadata(&held.metadata) else { panic!("{held:?}") };
    let mark = kafka_s3_sink::pipeline::Mark { offset: base, ..mark };
    let metadata = encode_metadata(&mark, None);
    world.group.offsets.insert(at.clone(), Committed { offset: Some(base), metadata });
}
