//! What a bucket holds of a topic, as far as a start without an offset of ours must know it:
//! whether it holds anything, and up to where each Kafka partition has landed.
//!
//! Asked by `resolver` in a run, by `check` before one, and by `recover`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pipeline::audit::{ObjectName, Roots, said_by};
use crate::record::{BucketEnd, HeadOutcome, Layout, StoreError, StoreErrorClass};
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

/// Hands over every name of ours in the roots of a topic, page after page; false if there are more
/// than `at_most` keys.
pub(crate) async fn each_name(
    store: &Store,
    roots: &Roots,
    at_most: usize,
    mut take: impl FnMut(ObjectName),
) -> Result<bool, StoreError> {
    let mut seen = 0;
    for prefix in [roots.table(), roots.dead_letters()] {
        let mut next = None;
        loop {
            let page = store.list_page(&roots.layout().bucket, prefix, false, next).await?;
            seen += page.objects.len();
            let names = page.objects.iter().filter_map(|object| roots.read(&object.key).ok());
            names.for_each(&mut take);
            next = page.next;
            if next.is_none() {
                break;
            }
            if seen >= at_most {
                return Ok(false);
            }
        }
    }
    Ok(true)
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
    let keep = |name: ObjectName| {
        let known = last.get(&name.partition);
        if wanted.contains(&name.partition) && known.is_none_or(|it| it.first < name.first) {
            last.insert(name.partition, name);
        }
    };
    if !each_name(store, &roots, at_most, keep).await? {
        return Ok(None);
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
