//! Groups that lose their offsets: positions computed from the bucket neither lose nor double.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::audit::{
    Gap, GapKind, GapWatch, Gathering, Holdings, Roots, Scope, TopicHoldings, gaps, said_by,
};
use super::super::layout::tests::sample;
use super::super::layout_hash;
use super::super::recover::{
    Identity, Insistence, LostCase, Position, Recovery, identify, last_batch, recovery,
};
use super::common::{any_policy, fill, policy, until, world};
use super::world::{Member, World};
use crate::record::{
    Committed, Layout, NoHeaders, Offset, OffsetRange, Record, TimestampMs, TopicFacts,
};

const SEEDS: u64 = 250;

/// What `cli` does with a real bucket and a real Kafka.
fn recovered(world: &World, layout: &Layout, insists: Insistence) -> Recovery {
    recovered_as(world, layout, insists, Identity::Same, |_| ())
}

/// The same, with something else known of the last batch's first record, or of the topic.
fn recovered_as(
    world: &World,
    layout: &Layout,
    insists: Insistence,
    identity: Identity,
    change: impl Fn(&mut TopicFacts),
) -> Recovery {
    let layout = Arc::new(layout.clone());
    let hash = layout_hash(&layout);
    let found = look(world, &layout, &hash);
    let holdings = found.partitions.get(&0).cloned().unwrap_or_default();
    let mut facts = facts(world, &holdings);
    change(&mut facts);
    let log = OffsetRange { base: facts.log_start, end: facts.log_end };
    let gaps = gaps(&holdings, Some(log), false, &Scope::default());
    let gaps: Vec<Gap> = gaps.into_iter().map(|gap| explained(world, &layout, gap)).collect();
    recovery(&LostCase {
        at: &world.at,
        facts: &facts,
        holdings: &holdings,
        gaps: &gaps,
        layout: &layout,
        layout_hash: &hash,
        adoptable: found.of_other_groups == 0 && found.of_other_layouts == 0,
        identity,
        new_pin_id: "fresh",
        largest_fill: 8,
        insists,
        begun_objects: None,
    })
}

fn look(world: &World, layout: &Arc<Layout>, hash: &str) -> TopicHoldings {
    let roots = Roots::of(layout, &world.at.topic);
    let mut gathering = Gathering::new(roots.clone(), "group", hash, BTreeMap::new(), false);
    for (key, stored) in &world.store {
        let name = roots.read(key).expect("a name of ours");
        gathering.add(name, stored.bytes.len() as u64, said_by(&stored.metadata));
    }
    gathering.finish()
}

fn facts(world: &World, holdings: &Holdings) -> TopicFacts {
    TopicFacts {
        topic_id: world.topic_id.clone(),
        cluster_id: "".into(),
        committed: Arc::new(BTreeMap::from([(0, world.committed.clone())])),
        log_start: Offset(world.log_start),
        log_end: Offset(world.log_end),
        prefix_empty: Some(holdings.objects == 0),
        bucket_end: None,
        compacted: None,
    }
}

fn explained(world: &World, layout: &Arc<Layout>, gap: Gap) -> Gap {
    if gap.kind != GapKind::Unasked {
        return gap;
    }
    let mut watch = GapWatch::new(layout, &world.at.topic, Scope::default());
    let within = |offset: i64| (gap.range.base.0..gap.range.end.0).contains(&offset);
    for entry in world.log.iter().filter(|entry| within(entry.offset)) {
        if !watch.take(&entry.record()) {
            break;
        }
    }
    watch.verdict(gap)
}

fn commit(world: &mut World, position: &Position) {
    let facts = facts(world, &Holdings::default());
    let metadata = position.metadata(&facts, &layout_hash(&sample()));
    assert!(metadata.len() <= 4096);
    world.committed = Committed { offset: Some(position.offset), metadata };
}

#[track_caller]
fn position(recovery: Recovery) -> Position {
    match recovery {
        Recovery::Commit(position) => position,
        other => panic!("{other:?}"),
    }
}

/// Crashes, then the group forgets, then the position comes from the bucket; several times over.
/// Where puts are conditional, members that were frozen in mid-flight wake up afterwards.
fn run(seed: u64, conditional: bool) -> [u32; 3] {
    let mut world = World::new(seed);
    (world.conditional, world.faults) = (conditional, true);
    fill(&mut world);
    let mut seen = [0; 3];
    let mut zombies: Vec<Member> = Vec::new();
    for _ in 0..2 + world.dice.below(4) {
        let policy = any_policy(&mut world.dice);
        let mut member = world.start(&policy);
        for _ in 0..world.dice.below(800) {
            world.step(&mut member);
            if let Some(zombie) = zombies.last_mut()
                && world.dice.one_in(3)
            {
                world.step(zombie);
            }
        }
        assert!(member.stopped().is_none(), "seed {seed}: {:?}", member.stopped());
        if conditional && world.dice.one_in(2) {
            zombies.push(member);
        }
        world.committed = match world.dice.below(3) {
            0 => Committed::default(),
            1 => Committed { offset: Some(Offset(7)), metadata: String::new() },
            _ => Committed { offset: Some(Offset(3)), metadata: "{\"kafka-s3-sink\":1,".into() },
        };
        match recovered(&world, &sample(), Insistence::default()) {
            Recovery::Commit(position) => {
                seen[usize::from(position.pin.is_some())] += 1;
                commit(&mut world, &position);
            }
            // Nothing has landed yet, so the group begins anew.
            Recovery::Begins(_) | Recovery::Refused(_) if world.store.is_empty() => {
                seen[2] += 1;
                world.committed = Committed::default();
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        world.check();
    }
    world.faults = false;
    let policy = any_policy(&mut world.dice);
    let mut last = world.start(&policy);
    world.settle(&mut last);
    for zombie in &mut zombies {
        (0..200).for_each(|_| world.step(zombie));
    }
    world.check();
    assert_eq!(world.position(), world.log_end, "seed {seed}: {:?}", last.sink.snapshots());
    seen
}

#[test]
fn no_record_is_lost_or_doubled_by_a_recovered_position() {
    for conditional in [true, false] {
        let mut seen = [0; 3];
        for seed in 0..SEEDS {
            let of_seed = run(seed, conditional);
            seen.iter_mut().zip(of_seed).for_each(|(all, one)| *all += one);
        }
        assert!(seen.iter().all(|count| *count > 10), "each way occurs: {seen:?}");
    }
}

/// A bucket of 6 batches of 5 records, whose group has lost its offsets.
fn landed() -> World {
    let mut world = world(30);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    assert_eq!((world.position(), world.store.len()), (30, 6));
    world.committed = Committed::default();
    world
}

fn remove(world: &mut World, first: i64) {
    let key = world.store.keys().find(|key| key.contains(&format!("-{first:020}."))).cloned();
    world.store.remove(&key.expect("its object"));
}

#[test]
fn a_hole_is_filled_exactly_and_what_is_behind_is_adopted() {
    let mut world = landed();
    remove(&mut world, 10);
    let position = position(recovered(&world, &sample(), Insistence::default()));
    assert_eq!(position.offset, Offset(10));
    let pin = position.pin.as_ref().expect("a pin");
    assert_eq!((pin.first, pin.end, &*pin.id), (Offset(10), Offset(15), "fresh"));
    commit(&mut world, &position);
    let mut larger = policy();
    larger.rotation.max_records = 100;
    let mut member = world.start(&larger);
    world.settle(&mut member);
    world.check();
    assert_eq!((world.position(), world.store.len()), (30, 6));
}

#[test]
fn two_holes_are_not_passed_unless_the_user_says_so() {
    let mut world = landed();
    remove(&mut world, 5);
    remove(&mut world, 15);
    let refused = recovered(&world, &sample(), Insistence::default());
    let Recovery::Refused(text) = refused else { panic!("{refused:?}") };
    assert!(text.contains("[5, 10)") && text.contains("[15, 20)"), "{text}");
    assert!(text.contains("--pass-missing"), "{text}");
    let insists = Insistence { pass_missing: true, unverified: false };
    let position = position(recovered(&world, &sample(), insists));
    assert_eq!((position.offset, &position.pin), (Offset(30), &None));
    assert!(position.notes[0].contains("[5, 10)"), "{:?}", position.notes);
}

#[test]
fn what_kafka_has_no_more_is_no_hole_that_could_be_filled() {
    let mut world = landed();
    remove(&mut world, 5);
    world.log_start = 12;
    world.log.retain(|entry| entry.offset >= 12);
    let position = position(recovered(&world, &sample(), Insistence::default()));
    assert_eq!((position.offset, &position.pin), (Offset(30), &None));
    assert!(position.notes[0].contains("[5, 10)"), "{:?}", position.notes);
}

#[test]
fn another_layout_finishes_no_batch_that_was_begun() {
    let mut world = world(12);
    (0..5).for_each(|hour| world.append(hour));
    let mut member = world.start(&policy());
    until(&mut world, &mut member, |world, _| world.store.len() == 3);
    drop(member);
    world.committed = Committed::default();
    let today = Layout { max_record_bytes: 77, ..sample() };
    let refused = recovered(&world, &today, Insistence::default());
    let Recovery::Refused(text) = refused else { panic!("{refused:?}") };
    assert!(text.contains("another layout"), "{text}");
    let position = position(recovered(&world, &sample(), Insistence::default()));
    assert!(position.pin.is_some() && position.why.contains("as it was begun"), "{position:?}");
}

#[test]
fn a_group_that_stands_is_left_alone() {
    let mut world = landed();
    let found = position(recovered(&world, &sample(), Insistence::default()));
    commit(&mut world, &found);
    let mut member = world.start(&policy());
    world.settle(&mut member);
    let stands = recovered(&world, &sample(), Insistence::default());
    assert_eq!(stands, Recovery::Stands { at: Offset(30), pinned_to: None });
    world.committed.metadata = world.committed.metadata.replace("sink\":1", "sink\":9");
    let refused = recovered(&world, &sample(), Insistence::default());
    assert!(matches!(&refused, Recovery::Refused(text) if text.contains("newer")), "{refused:?}");
    world.committed = Committed::default();
    world.log_end = 29;
    let refused = recovered(&world, &sample(), Insistence::default());
    assert!(matches!(&refused, Recovery::Refused(text) if text.contains("made again")));
}

#[track_caller]
fn refused(recovery: Recovery, words: &str) {
    assert!(matches!(&recovery, Recovery::Refused(text) if text.contains(words)), "{recovery:?}");
}

#[test]
fn a_topic_that_cannot_be_told_is_taken_only_if_the_user_says_so() {
    let mut world = landed();
    let none = Insistence::default();
    let of = |world: &World, insists, identity| {
        recovered_as(world, &sample(), insists, identity, |_| ())
    };
    refused(of(&world, none, Identity::Other), "is not the one in the bucket");
    refused(of(&world, none, Identity::Gone), "--unverified");
    let unverified = Insistence { unverified: true, ..none };
    refused(of(&world, unverified, Identity::Other), "is not the one in the bucket");
    assert_eq!(position(of(&world, unverified, Identity::Gone)).offset, Offset(30));
    // Kafka has nothing that would be passed.
    world.log.clear();
    (world.log_start, world.log_end) = (30, 30);
    assert_eq!(position(of(&world, none, Identity::Gone)).offset, Offset(30));
    (world.log_start, world.log_end) = (40, 50);
    let late = position(of(&world, none, Identity::Gone));
    assert!(late.notes[0].contains("[30, 40)"), "{:?}", late.notes);
}

#[test]
fn a_hole_is_not_filled_where_what_is_behind_would_not_be_recognised() {
    let mut world = landed();
    remove(&mut world, 10);
    let none = Insistence::default();
    let of = |world: &World, change: fn(&mut TopicFacts)| {
        recovered_as(world, &sample(), none, Identity::Same, change)
    };
    refused(of(&world, |facts| facts.compacted = Some(true)), "not recognise");
    let today = Layout { max_record_bytes: 77, ..sample() };
    refused(recovered(&world, &today, none), "not recognise");
    position(of(&world, |_| ()));
    // A replay is one batch, and this would be larger than any.
    remove(&mut world, 15);
    refused(of(&world, |_| ()), "rotation.max_records allows 8: set it to 10");
}

#[test]
fn a_kafka_partition_of_which_nothing_stands_in_the_bucket() {
    let mut world = world(5);
    world.committed = Committed { offset: Some(Offset(3)), metadata: "by hand".into() };
    let none = Insistence::default();
    refused(recovered(&world, &sample(), none), "the bucket holds nothing of the topic");
    let of = |world: &World| {
        let others_landed = |facts: &mut TopicFacts| facts.prefix_empty = Some(false);
        recovered_as(world, &sample(), none, Identity::Same, others_landed)
    };
    assert_eq!(position(of(&world)).offset, Offset(0));
    world.log_start = 2;
    refused(of(&world), "the bucket holds nothing of this Kafka partition");
    world.log_start = 5;
    assert_eq!(position(of(&world)).offset, Offset(5), "nothing is there to be lost");
    world.committed = Committed::default();
    world.log_start = 0;
    assert_eq!(recovered(&world, &sample(), none), Recovery::Begins("first start".into()));
}

#[test]
fn the_first_record_is_told_by_offset_time_and_value() {
    let world = landed();
    let layout = Arc::new(sample());
    let found = look(&world, &layout, &layout_hash(&layout));
    let last = last_batch(&found.partitions[&0]).expect("a batch");
    assert_eq!(last.first.offset, Offset(25));
    let entry = &world.log[25];
    let record = |value: &'static [u8], timestamp: i64| Record {
        offset: Offset(entry.offset),
        timestamp: Some(TimestampMs(timestamp)),
        key: None,
        value: Some(value),
        headers: &NoHeaders,
        leader_epoch: None,
    };
    let same = record(b"{\"n\":25}", entry.timestamp);
    assert_eq!(identify(last, Some(&same), None), Identity::Same);
    for other in [record(b"{\"n\":26}", entry.timestamp), record(b"{\"n\":25}", 7)] {
        assert_eq!(identify(last, Some(&other), None), Identity::Other);
    }
    // Compaction may have taken it.
    assert_eq!(identify(last, None, Some(true)), Identity::Gone);
    assert_eq!(identify(last, None, None), Identity::Gone);
    assert_eq!(identify(last, None, Some(false)), Identity::Other);
}
