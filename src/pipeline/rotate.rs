//! When a batch ends. Pure predicates over a batch's figures; `partition` asks after each record.
//!
//! None of this decides which records stand where: the pin records the end that was chosen here.

use std::time::Duration;

use super::moment::Moment;
use crate::record::{RotationPolicy, TopicPartition};

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RotationReason {
    /// Its largest object reached `rotation.max_bytes`.
    MaxBytes,
    /// It reached `rotation.max_records`.
    MaxRecords,
    /// It reached `rotation.max_age`.
    MaxAge,
    /// Its records span `rotation.record_time`.
    RecordTime,
    /// One more Hive partition than `layout.max_open_hive_partitions` was wanted.
    HivePartitions,
    /// Memory ran short.
    Memory,
    /// The goal of `--until-end` was reached.
    UntilEnd,
    /// The Kafka partition is handed over.
    Revoked,
    /// An operator asked for it.
    Flush,
    /// The daemon stops.
    Shutdown,
    /// The Kafka partition stops at the record after it, or its log has a hole there.
    Stopped,
    /// A pinned batch was read again to its end.
    Replay,
}

impl RotationReason {
    /// Every reason, for metrics that name each one from the start.
    pub const ALL: [Self; 12] = [
        Self::MaxBytes,
        Self::MaxRecords,
        Self::MaxAge,
        Self::RecordTime,
        Self::HivePartitions,
        Self::Memory,
        Self::UntilEnd,
        Self::Revoked,
        Self::Flush,
        Self::Shutdown,
        Self::Stopped,
        Self::Replay,
    ];

    /// The value of the metric label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxBytes => "max_bytes",
            Self::MaxRecords => "max_records",
            Self::MaxAge => "max_age",
            Self::RecordTime => "record_time",
            Self::HivePartitions => "hive_partitions",
            Self::Memory => "memory",
            Self::UntilEnd => "until_end",
            Self::Revoked => "revoked",
            Self::Flush => "flush",
            Self::Shutdown => "shutdown",
            Self::Stopped => "stopped",
            Self::Replay => "replay",
        }
    }
}

/// The figures of an open batch that rotation looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fill {
    pub(super) records: u64,
    pub(super) largest_object: u64,
    /// The smallest and the largest usable timestamp.
    pub(super) times: Option<(i64, i64)>,
}

/// Whether a batch is full after its latest record; never for a batch without records.
pub(super) fn full(policy: &RotationPolicy, fill: &Fill) -> Option<RotationReason> {
    if fill.records == 0 {
        return None;
    }
    if fill.largest_object >= policy.max_bytes {
        return Some(RotationReason::MaxBytes);
    }
    if fill.records >= policy.max_records {
        return Some(RotationReason::MaxRecords);
    }
    let span = fill.times.map_or(0, |(from, to)| to.saturating_sub(from));
    let limit =
        policy.record_time.map(|limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
    limit.filter(|limit| span >= *limit).map(|_| RotationReason::RecordTime)
}

/// When a batch that was opened now is due by age.
///
/// The first batch of an assignment gets between half and all of `max_age`, later ones between
/// nine tenths and all, by a hash of the Kafka partition: a thousand of them do not flush in one
/// second, and none flushes later than it was told to.
pub(super) fn due_by_age(
    policy: &RotationPolicy,
    opened: Moment,
    from: &TopicPartition,
    first_of_assignment: bool,
) -> Moment {
    let share = spread(from);
    let least = if first_of_assignment { 0.5 } else { 0.9 };
    opened + policy.max_age.mul_f64(least + (1.0 - least) * share)
}

/// A number in `[0, 1]` that differs between Kafka partitions and stays with each.
fn spread(from: &TopicPartition) -> f64 {
    // FNV-1a: stable over versions and machines, which std's hashers do not promise.
    let bytes = from.topic.bytes().chain(from.partition.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Neighbouring partitions differ in FNV's low bits only: mix them up (splitmix64's finish).
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
}

/// Whether a batch of this age is worth a pin when its Kafka partition is handed over.
pub(super) fn worth_handing_over(policy: &RotationPolicy, age: Duration) -> bool {
    age * 2 >= policy.max_age
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::RevokePolicy;

    pub(crate) fn policy() -> RotationPolicy {
        RotationPolicy {
            max_bytes: 1000,
            max_records: 10,
            max_age: Duration::from_secs(300),
            record_time: Some(Duration::from_secs(60)),
            max_open_hive_partitions: 3,
            on_revoke: RevokePolicy::HandOver,
        }
    }

    #[test]
    fn each_limit_fires_at_its_own_figure() {
        let fill = Fill { records: 9, largest_object: 999, times: Some((0, 59_999)) };
        assert_eq!(full(&policy(), &fill), None);
        let reason = |change: fn(&mut Fill)| {
            let mut fill = fill;
            change(&mut fill);
            full(&policy(), &fill)
        };
        assert_eq!(reason(|fill| fill.records = 10), Some(RotationReason::MaxRecords));
        assert_eq!(reason(|fill| fill.largest_object = 1000), Some(RotationReason::MaxBytes));
        assert_eq!(reason(|fill| fill.times = Some((0, 60_000))), Some(RotationReason::RecordTime));
    }

    #[test]
    fn a_thousand_partitions_do_not_flush_in_one_second() {
        let mut by_second = std::collections::BTreeMap::<u64, u32>::new();
        for partition in 0..1000 {
            let from = TopicPartition::new("orders", partition);
            let due = due_by_age(&policy(), Moment(0), &from, true);
            *by_second.entry(due.0 / 1000).or_default() += 1;
        }
        let most = by_second.values().max().unwrap();
        assert!(by_second.len() > 100 && *most < 30, "{most} in one second");
    }

    proptest! {
        #[test]
        fn rotation_never_fires_on_an_empty_batch(
            largest_object: u64, times in proptest::option::of(any::<(i64, i64)>()),
        ) {
            prop_assert_eq!(full(&policy(), &Fill { records: 0, largest_object, times }), None);
        }

        #[test]
        fn nothing_waits_longer_than_its_age(partition: i32, topic in "[a-z]{1,9}", first: bool) {
            let from = TopicPartition::new(topic, partition);
            let due = due_by_age(&policy(), Moment(5), &from, first);
            prop_assert!(due <= Moment(5) + policy().max_age);
            prop_assert!(due >= Moment(5) + policy().max_age / 2);
        }
    }
}
