//! The names of objects: a pure function of topic, Kafka partition, Hive path and **`first`**.
//!
//! Neither the clock, the batch's end nor its base may enter a name: two batches that begin at
//! the same landing record must want the same one. Fed by `batch`, read by readers of the bucket.

use crate::record::{Compression, Layout, Offset, TopicPartition};

/// The end of a name, by which readers choose the codec.
pub(super) const fn extension(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "json.gz",
        Compression::Zstd => "json.zst",
        Compression::None => "json",
    }
}

/// The content type. There is no Content-Encoding, so that nobody decodes on the way.
pub(super) const fn content_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "application/gzip",
        Compression::Zstd => "application/zstd",
        Compression::None => "application/x-ndjson",
    }
}

/// `<prefix>/<topic>/<hive path>/<topic>-<partition>-<first>.<extension>`.
pub fn object_key(
    layout: &Layout,
    from: &TopicPartition,
    hive_path: &str,
    first: Offset,
) -> String {
    let mut key = topic_prefix(layout, &from.topic);
    if !hive_path.is_empty() {
        key.push_str(hive_path);
        key.push('/');
    }
    key.push_str(&file_name(layout, from, first));
    key
}

/// `<dead letter prefix>/<prefix>/<topic>/<topic>-<partition>-<first>.<extension>`.
pub fn dead_letter_key(layout: &Layout, from: &TopicPartition, first: Offset) -> String {
    format!("{}{}", dead_letter_root(layout, &from.topic), file_name(layout, from, first))
}

/// What every dead letter of a topic begins with; it ends with a slash. The table's own prefix is
/// part of it, so that sinks with tables of their own never want the same name.
pub fn dead_letter_root(layout: &Layout, topic: &str) -> String {
    format!("{}/{}", layout.dead_letter_prefix, topic_prefix(layout, topic))
}

/// What every object of a topic's table begins with; it ends with a slash.
pub fn topic_prefix(layout: &Layout, topic: &str) -> String {
    match &*layout.prefix {
        "" => format!("{topic}/"),
        prefix => format!("{prefix}/{topic}/"),
    }
}

/// What the last part of every key of a Kafka partition begins with.
pub fn name_prefix(from: &TopicPartition) -> String {
    format!("{}-{}-", from.topic, from.partition)
}

fn file_name(layout: &Layout, from: &TopicPartition, first: Offset) -> String {
    // 20 digits hold every offset, so that a listing is in order.
    format!("{}{:020}.{}", name_prefix(from), first.0, extension(layout.compression))
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::sample;
    use super::*;

    #[test]
    fn names_are_pinned_for_they_are_stored() {
        let from = TopicPartition::new("orders", 3);
        assert_eq!(
            object_key(&sample(), &from, "dt=2026-11-22/hour=16", Offset(1234)),
            "raw/orders/dt=2026-11-22/hour=16/orders-3-00000000000000001234.json.gz"
        );
        assert_eq!(
            dead_letter_key(&sample(), &from, Offset(0)),
            "dead-letters/raw/orders/orders-3-00000000000000000000.json.gz"
        );
        let bare = Layout {
            prefix: "".into(),
            partition_by: vec![],
            compression: Compression::None,
            ..sample()
        };
        assert_eq!(
            object_key(&bare, &from, "", Offset(i64::MAX)),
            "orders/orders-3-09223372036854775807.json"
        );
    }

    #[test]
    fn a_listing_is_in_order_of_offsets() {
        let from = TopicPartition::new("t", 0);
        let mut keys: Vec<_> =
            [0, 9, 10, 99, 1 << 40].map(|n| object_key(&sample(), &from, "dt=x", Offset(n))).into();
        let in_order = keys.clone();
        keys.sort();
        assert_eq!(keys, in_order);
    }
}
