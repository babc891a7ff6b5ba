//! How many objects the settings will make a day, and how large they will be. Pure.
//!
//! Batches are reckoned for each Kafka partition by itself: whichever limit of `rotation` its
//! records reach first ends them, and each makes an object for every Hive partition it touches.

use std::time::Duration;

use super::pace::Rates;
use super::records::Sampled;
use super::words;
use crate::record::{HiveKey, RecordPolicy, RotationPolicy};

const DAY: f64 = 86_400.0;
const MIB: f64 = 1024.0 * 1024.0;
/// Below this readers spend more time on opening objects than on reading them.
const SMALL: f64 = MIB;
/// What advice aims at.
const GOOD: f64 = 16.0 * MIB;
/// Small objects hurt only where there are many: fewer a day than this are no warning.
const FEW: f64 = 1000.0;
/// Longer waits are not recommended, whatever the objects' size.
const LONGEST: Duration = Duration::from_secs(3600);

/// What ends most batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Bytes,
    Records,
    Age,
    RecordTime,
    HivePartitions,
}

impl Limit {
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Bytes => "rotation.max_bytes",
            Self::Records => "rotation.max_records",
            Self::Age => "rotation.max_age",
            Self::RecordTime => "rotation.record_time",
            Self::HivePartitions => "layout.max_open_hive_partitions",
        }
    }
}

/// What a day will bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) objects: f64,
    pub(super) object_bytes: f64,
    pub(super) limit: Limit,
}

/// Reckons a topic; nothing where nothing comes.
pub(super) fn estimate(
    rates: &Rates,
    sampled: &Sampled,
    policy: &RecordPolicy,
) -> Option<Estimate> {
    let fan_out = sampled.fan_out.max(1) as f64;
    let crossings = crossings(&policy.layout.partition_by);
    let (mut objects, mut by_limit) = (0.0, Vec::new());
    for rate in rates.each.iter().copied().filter(|rate| *rate > 0.0) {
        let (records, limit) = records_a_batch(rate, sampled, &policy.rotation);
        let batches = DAY * rate / records;
        // A batch that is open when the hour ends touches two.
        objects += (batches + crossings.min(batches)) * fan_out.min(records);
        by_limit.push((batches, limit));
    }
    let limit = by_limit.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?.1;
    // Nobody knows of less than one.
    let objects = objects.max(1.0);
    let object_bytes = sampled.stored_bytes * rates.total() * DAY / objects;
    Some(Estimate { objects, object_bytes, limit })
}

/// Ends of hours, or of days, that a batch may span, a day.
fn crossings(keys: &[HiveKey]) -> f64 {
    if keys.contains(&HiveKey::Hour) {
        24.0
    } else if keys.contains(&HiveKey::Dt) {
        1.0
    } else {
        0.0
    }
}

/// How many records one batch has, and what ends it.
fn records_a_batch(rate: f64, sampled: &Sampled, rotation: &RotationPolicy) -> (f64, Limit) {
    let fan_out = sampled.fan_out.max(1) as f64;
    // The age counts from the first record on, so a batch has this one and what comes after it.
    let within = |time: Duration| 1.0 + rate * time.as_secs_f64();
    let mut limits =
        vec![(within(rotation.max_age), Limit::Age), (rotation.max_records as f64, Limit::Records)];
    if sampled.stored_bytes > 0.0 {
        // Of the largest object; the fields spread the records over all.
        let bytes = rotation.max_bytes as f64 * fan_out / sampled.stored_bytes;
        limits.push((bytes, Limit::Bytes));
    }
    if let Some(time) = rotation.record_time {
        limits.push((within(time), Limit::RecordTime));
    }
    let open = rotation.max_open_hive_partitions as f64;
    if fan_out > open {
        limits.push((open, Limit::HivePartitions));
    }
    let first = limits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    first.map_or((1.0, Limit::Age), |(records, limit)| (records.max(1.0), limit))
}

impl Estimate {
    /// What to change where the objects are many and small.
    pub(super) fn advice(
        &self,
        rates: &Rates,
        sampled: &Sampled,
        policy: &RecordPolicy,
    ) -> Option<String> {
        if self.object_bytes >= SMALL || self.objects < FEW {
            return None;
        }
        let cost = "queries over many small objects are slow and each costs a request";
        let what = match self.limit {
            Limit::Age => longer(rates, sampled, policy.rotation.max_age),
            Limit::HivePartitions => {
                "choose fields with fewer values in layout.partition_by".to_owned()
            }
            limit => format!("raise {}", limit.setting()),
        };
        Some(format!("{cost}: {what}"))
    }
}

/// An age that makes objects of a good size, as far as that is sensible.
fn longer(rates: &Rates, sampled: &Sampled, now: Duration) -> String {
    let active = rates.each.iter().filter(|rate| **rate > 0.0).count().max(1) as f64;
    let bytes_a_second =
        sampled.stored_bytes * rates.total() / active / sampled.fan_out.max(1) as f64;
    let wanted = Duration::try_from_secs_f64(GOOD / bytes_a_second).unwrap_or(LONGEST);
    let minutes = [10, 15, 20, 30, 60].map(|minutes| Duration::from_secs(60 * minutes));
    let step = minutes.into_iter().find(|step| *step >= wanted).unwrap_or(LONGEST);
    if step > now {
        let times = (step.as_secs_f64() / now.as_secs_f64().max(1.0)).round();
        let (step, times) = (words::duration(step), words::count(times as u64));
        return format!(
            "rotation.max_age = \"{step}\" makes them about {times} times larger; records land as \
             much later"
        );
    }
    let fields = if sampled.fan_out > 1 { "fewer fields in layout.partition_by, or " } else { "" };
    format!(
        "{fields}fewer Kafka partitions make larger ones, or merge old objects by a CTAS in Athena"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn policy(rotation: &str, keys: &str) -> RecordPolicy {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
             [s3]\nbucket = \"lake\"\n[layout]\npartition_by = {keys}\n[rotation]\n{rotation}\n"
        );
        config::load_str("test", &text, std::iter::empty()).expect("settings").topics.default
    }

    fn rates(each: &[f64]) -> Rates {
        Rates { each: each.to_vec(), over: Duration::from_secs(3600) }
    }

    fn sampled(stored_bytes: f64, fan_out: usize) -> Sampled {
        Sampled { value_bytes: 500.0, stored_bytes, fan_out }
    }

    fn estimated(each: &[f64], sampled: &Sampled, policy: &RecordPolicy) -> Estimate {
        estimate(&rates(each), sampled, policy).expect("records come")
    }

    #[test]
    fn a_slow_topic_ends_its_batches_by_age_in_every_kafka_partition() {
        let policy = policy("max_age = \"5m\"", "[\"dt\", \"hour\"]");
        let found = estimated(&[10.0, 10.0, 0.0], &sampled(100.0, 1), &policy);
        assert_eq!(found.limit, Limit::Age);
        // 288 batches a day less a hair, and 24 more objects at full hours, in two of three.
        assert!((2.0 * 311.0..2.0 * 313.0).contains(&found.objects), "{found:?}");
        let bytes = found.objects * found.object_bytes;
        assert!((bytes - 20.0 * 100.0 * DAY).abs() < 1.0, "{found:?}");
    }

    #[test]
    fn a_fast_topic_ends_its_batches_by_size() {
        let policy = policy("max_bytes = \"64MiB\"\nmax_records = 100_000_000", "[]");
        let found = estimated(&[50_000.0], &sampled(100.0, 1), &policy);
        assert_eq!(found.limit, Limit::Bytes);
        assert!((found.object_bytes - 64.0 * MIB).abs() < MIB, "{found:?}");
    }

    #[test]
    fn rare_records_each_make_an_object() {
        let policy = policy("max_age = \"1m\"", "[\"dt\", \"hour\"]");
        let found = estimated(&[24.0 / DAY], &sampled(100.0, 1), &policy);
        assert!((24.0..49.0).contains(&found.objects), "{found:?}");
    }

    #[test]
    fn fields_multiply_the_objects_and_end_batches_where_they_are_too_many() {
        let by = policy("max_age = \"5m\"", "[\"field:country\"]");
        let one = estimated(&[100.0], &sampled(100.0, 1), &by);
        let ten = estimated(&[100.0], &sampled(100.0, 10), &by);
        assert!((ten.objects / one.objects - 10.0).abs() < 0.01);
        let many = estimated(&[100.0], &sampled(100.0, 90), &by);
        assert_eq!(many.limit, Limit::HivePartitions);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let policy = policy("", "[\"dt\"]");
        assert_eq!(estimate(&rates(&[0.0, 0.0]), &sampled(100.0, 1), &policy), None);
    }

    #[test]
    fn advice_names_the_setting_and_a_value_that_helps() {
        let advice = |rotation: &str, each: &[f64], sampled: Sampled| {
            let policy = policy(rotation, "[\"dt\", \"hour\"]");
            let found = estimated(each, &sampled, &policy);
            found.advice(&rates(each), &sampled, &policy)
        };
        let by_age = advice("max_age = \"1m\"", &[50.0, 50.0], sampled(100.0, 1)).unwrap();
        assert!(by_age.contains("rotation.max_age = \"1h\" makes them about 60 times"), "{by_age}");
        let quick = advice("max_age = \"1m\"", &[150.0; 8], sampled(100.0, 1)).unwrap();
        assert!(quick.contains("rotation.max_age = \"20m\""), "{quick}");
        let by_count = advice("max_records = 1000", &[500.0], sampled(100.0, 1)).unwrap();
        assert!(by_count.contains("raise rotation.max_records"), "{by_count}");
        let late = advice("max_age = \"2h\"", &[1.0; 100], sampled(100.0, 1)).unwrap();
        assert!(late.contains("fewer Kafka partitions"), "{late}");
        assert_eq!(advice("max_age = \"5m\"", &[0.1], sampled(100.0, 1)), None, "few objects");
    }
}
