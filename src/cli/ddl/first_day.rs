//! The first day of a topic's objects in the bucket. Only folders are listed, no objects.

use super::table::NO_DAY;
use crate::cli::survey::patiently;
use crate::pipeline::topic_prefix;
use crate::record::{HiveKey, Layout, StoreError};
use crate::s3::Store;

/// Whether the layout's folders begin with days, which are then in their order.
pub(super) fn begins_with_days(layout: &Layout) -> bool {
    matches!(layout.partition_by.first(), Some(HiveKey::Dt))
}

/// The first day, but for that of records without a usable timestamp; none if there is no object.
pub(super) async fn first_day(
    store: &Store,
    layout: &Layout,
    topic: &str,
) -> Result<Option<String>, StoreError> {
    let days = format!("{}{}=", topic_prefix(layout, topic), HiveKey::Dt.key());
    let mut next = None;
    loop {
        let ask = || store.list_page(&layout.bucket, &days, true, next.clone());
        let page = patiently(ask).await?;
        let found = page.folders.iter().filter_map(|folder| {
            let day = folder.strip_prefix(&days)?.trim_end_matches('/');
            (day != NO_DAY).then(|| day.to_owned())
        });
        let first = found.min();
        if first.is_some() || page.next.is_none() {
            return Ok(first);
        }
        next = page.next;
    }
}
