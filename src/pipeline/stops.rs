//! Why a Kafka partition stops, in words: what happened, and how to go on.
//!
//! Fed by `resolve`, `partition` and `intake`, which decide that it stops; read by people.

use super::action::StopReason;
use super::decode::InvalidReason;
use crate::record::{BucketEnd, ObjectAddress, Offset, OffsetRange, TopicPartition};

pub(super) fn lost_offsets(at: &TopicPartition, offset: Option<Offset>) -> StopReason {
    let what = match offset {
        None => {
            "the group has no committed offset here, but objects below the topic's prefixes, or \
                 its offsets elsewhere, show that this is no first start: the offsets expired (7 \
                 days after the group is empty), were deleted (with the topic, if it was deleted \
                 and made again), kafka.group_id was changed, or another group lands here (then \
                 this one needs a layout.prefix of its own)"
                .to_owned()
        }
        Some(offset) => format!(
            "the committed offset {offset} was not set by this sink: somebody reset it, or another \
             consumer uses the same kafka.group_id"
        ),
    };
    StopReason::new(
        "lost_offsets",
        format!(
            "{at}: {what}. Starting over could double what is in the bucket, so nothing is read. \
             `kafka-s3-sink recover` computes from the bucket where to go on, a batch that was \
             begun included, shows it, and commits it with --apply. To go on from the offset that \
             is there instead, else from kafka.start, set kafka.on_lost_offsets = \"start\" and \
             restart: that is followed where the bucket holds nothing of this Kafka partition from \
             there on"
        ),
    )
}

/// What `on_lost_offsets = "start"` asks for would put records again.
pub(super) fn would_double(
    at: &TopicPartition,
    from: Offset,
    bucket: Option<&BucketEnd>,
) -> StopReason {
    let seen = match bucket {
        Some(BucketEnd::At(end)) => {
            format!("the bucket holds objects of this name up to offset {end}")
        }
        Some(BucketEnd::Unclear(why)) => {
            format!("up to where the bucket holds objects of this name cannot be told: {why}")
        }
        _ => "what the bucket holds of it was not seen".to_owned(),
    };
    StopReason::new(
        "lost_offsets",
        format!(
            "{at}: kafka.on_lost_offsets = \"start\" would go on at offset {from}, and {seen}. \
             Records that stand there would be put once more, so nothing is read. \
             `kafka-s3-sink recover` computes from the bucket where to go on, shows it, and \
             commits it with --apply. To begin at {from} all the same (the topic was made again, or \
             all is to land anew), choose another layout.prefix or move those objects away, then \
             restart"
        ),
    )
}

pub(super) fn compacted(at: &TopicPartition) -> StopReason {
    StopReason::new(
        "compacted_without_mark",
        format!(
            "{at}: the topic is compacted and the group's offset carries no mark of ours. The \
             first record of an earlier batch may be compacted away, so what landed before cannot \
             be recognised. `kafka-s3-sink recover` computes the position from the objects \
             themselves, and commits it with --apply; or choose a new layout.prefix for a fresh \
             start"
        ),
    )
}

pub(super) fn another_topic(at: &TopicPartition, had: &str, has: &str) -> StopReason {
    StopReason::new(
        "topic_recreated",
        format!(
            "{at}: the topic was deleted and made again (its id was {had}, now it is {has}), so \
             its offsets begin anew and would collide with the objects that are there. Choose \
             another layout.prefix for the new topic (or move the old objects away) and reset \
             the group's offsets of this topic with kafka.on_lost_offsets = \"start\""
        ),
    )
}

pub(super) fn newer(at: &TopicPartition, version: u16) -> StopReason {
    StopReason::new(
        "newer_pin",
        format!(
            "{at}: the offset metadata was written by a newer kafka-s3-sink (version {version} of \
             its format). Run that version, or let it finish its batches before going back; \
             `recover` does not touch what a newer version has begun"
        ),
    )
}

pub(super) fn damaged(at: &TopicPartition, why: &str) -> StopReason {
    StopReason::new(
        "damaged_pin",
        format!(
            "{at}: the offset metadata begins like ours but cannot be read ({why}). \
             `kafka-s3-sink recover` computes from the bucket where to go on, a batch that was \
             begun included, and commits it with --apply"
        ),
    )
}

pub(super) fn out_of_range(at: &TopicPartition, lost: OffsetRange) -> StopReason {
    StopReason::new(
        "offset_out_of_range",
        format!(
            "{at}: Kafka deleted the offsets {lost} ({} at most) before they were read; its log \
             now begins at {}. Nothing was skipped. To go on without them, set \
             kafka.on_offset_out_of_range = \"earliest\" and restart",
            lost.len(),
            lost.end
        ),
    )
}

pub(super) fn truncated(at: &TopicPartition, offset: Offset) -> StopReason {
    StopReason::new(
        "log_truncated",
        format!(
            "{at}: the committed offset {offset} lies past the end of the log, so records that \
             were read are gone from Kafka (an unclean leader election, or a restored cluster). \
             If they come back, a restart goes on; otherwise reset the group's offset of this \
             Kafka partition with kafka.on_lost_offsets = \"start\" (`kafka-s3-sink audit` says \
             what the bucket holds)"
        ),
    )
}

pub(super) fn rewritten(at: &TopicPartition, offset: Offset) -> StopReason {
    StopReason::new(
        "log_rewritten",
        format!(
            "{}: the record at offset {} was written under another leader epoch than when its \
             batch was pinned: an unclean leader election replaced records. Objects of the batch \
             may hold the old ones; compare, then move them away or reset the offset with \
             kafka.on_lost_offsets = \"start\"",
            at, offset
        ),
    )
}

pub(super) fn invalid_record(
    at: &TopicPartition,
    offset: Offset,
    reason: InvalidReason,
) -> StopReason {
    let key = if reason == InvalidReason::Tombstone { "on_tombstone" } else { "on_invalid" };
    StopReason::new(
        "invalid_record",
        format!(
            "{}: the record at offset {} is {} and records.{key} = \"stop\". All records before \
             it have landed. Set records.{key} to \"dead_letter\" or \"skip\" and restart",
            at,
            offset,
            reason.as_str()
        ),
    )
}

const OWN_PREFIX: &str = "give this sink a layout.prefix of its own, let `kafka-s3-sink recover \
                          --drop-pins --apply` give up the batch that was begun, and restart";

pub(super) fn foreign_object(address: &ObjectAddress) -> StopReason {
    StopReason::new(
        "name_taken",
        format!(
            "{address} is taken and cannot be ours: it was not written by kafka-s3-sink. Nothing \
             was overwritten. Move that object away, then restart. Or {OWN_PREFIX}"
        ),
    )
}

/// The name is that of another batch of ours, whose records stand in it and beside it.
pub(super) fn name_taken(address: &ObjectAddress, what: &str) -> StopReason {
    StopReason::new(
        "name_taken",
        format!(
            "{address} is taken and cannot be this batch's: {what}. Nothing was overwritten. Leave \
             that object where it is: its records would stand twice once they were put again. \
             `kafka-s3-sink audit` says what the bucket holds; to go on, {OWN_PREFIX}"
        ),
    )
}
