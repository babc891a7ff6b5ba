//! What a bucket holds of a topic, as far as a start without an offset of ours must know it:
//! whether it holds anything, and up to where each Kafka partition has landed.
//!
//! Asked by `resolver` in a run and by `check` before one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pipeline::audit::{ObjectName, Roots, said_by};
use crate::pipeline::is_ours;
use crate::record::{
    BucketEnd, HeadOutcome, Layout, LostOffsetsPolicy, StoreError, StoreErrorClass, TopicFacts,
};
use crate::s3::Store;

/// Whether the bucket holds anything of a topic, dead letters included.
pub(crate) async fn any_landed(
    store: &Store,
    layout: &Arc<Layout>,
    topic: &str,
) -> Result<bool, StoreError> {
    let roots = Roots::of(layout, topic);
    for prefix in [roots.table(), roots.dead_letters()] {
        if store.any_object(&layout.bucket, prefix).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the group's offset does not tell where a Kafka partition begins, so that it takes a look
/// at the bucket.
pub(crate) fn is_blind(facts: &TopicFacts, number: i32, on_lost: LostOffsetsPolicy) -> bool {
    match facts.committed.get(&number) {
        Some(committed) if committed.offset.is_some() => {
            on_lost == LostOffsetsPolicy::Start && !is_ours(committed)
        }
        _ => true,
    }
}

/// Whether the look must go at the objects of this very Kafka partition: where the topic has some.
pub(crate) fn wants_end(facts: &TopicFacts, number: i32, on_lost: LostOffsetsPolicy) -> bool {
    let others = facts.committed.values().any(|committed| committed.offset.is_some());
    is_blind(facts, number, on_lost) && (others || on_lost == LostOffsetsPolicy::Start)
}

/// Up to where the bucket holds these Kafka partitions of a topic; nothing if there are more than
/// `at_most` keys to look through.
///
/// A key tells where a batch begins, so the last one of each is asked where it ends. All keys are
/// listed: the Kafka partition stands behind the Hive partitions in them.
pub(crate) async fn bucket_ends(
    store: &Store,
    layout: &Arc<Layout>,
    topic: &str,
    wanted: &BTreeSet<i32>,
    at_most: usize,
) -> Result<Option<BTreeMap<i32, BucketEnd>>, StoreError> {
    let roots = Roots::of(layout, topic);
    let mut last: BTreeMap<i32, ObjectName> = BTreeMap::new();
    let mut seen = 0;
    for prefix in [roots.table(), roots.dead_letters()] {
        let mut next = None;
        loop {
            let page = store.list_page(&layout.bucket, prefix, false, next).await?;
            seen += page.objects.len();
            let names = page.objects.iter().filter_map(|object| roots.read(&object.key).ok());
            for name in names.filter(|name| wanted.contains(&name.partition)) {
                let known = last.get(&name.partition);
                if known.is_none_or(|known| known.first < name.first) {
                    last.insert(name.partition, name);
                }
            }
            next = page.next;
            if next.is_none() {
                break;
            }
            if seen >= at_most {
                return Ok(None);
            }
        }
    }
    let mut ends: BTreeMap<_, _> = wanted.iter().map(|it| (*it, BucketEnd::Nothing)).collect();
    for (number, name) in last {
        ends.insert(number, end_of(store, &roots, &name).await?);
    }
    Ok(Some(ends))
}

async fn end_of(store: &Store, roots: &Roots, name: &ObjectName) -> Result<BucketEnd, StoreError> {
    let address = roots.address(name);
    let unclear = |why: &str| Ok(BucketEnd::Unclear(format!("{address}: {why}").into()));
    match store.head(&address).await {
        Ok(HeadOutcome::Found { metadata, .. }) => match said_by(&metadata) {
            Ok(said) => Ok(BucketEnd::At(said.0.range.end)),
            Err(why) => unclear(why),
        },
        Ok(HeadOutcome::Missing) => unclear("it was listed and is gone"),
        Err(error) if error.class == StoreErrorClass::Configuration => unclear(&error.message),
        Err(error) => Err(error),
    }
}
