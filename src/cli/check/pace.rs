//! How fast topics grow: by their timestamps over the last hour, or where these tell nothing, by
//! what comes while `check` runs.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cluster::Cluster;
use crate::kafka::{KafkaError, LogBounds, all};
use crate::record::{Offset, TimestampMs, TopicPartition};

const HOUR: Duration = Duration::from_secs(3600);
/// The shortest span that is looked at where timestamps do not help.
const SHORTEST: Duration = Duration::from_secs(3);

/// The ends of all logs at one moment.
pub(super) struct Pace {
    at: Instant,
    bounds: Result<BTreeMap<TopicPartition, LogBounds>, KafkaError>,
}

/// Records a second of each Kafka partition of one topic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) each: Vec<f64>,
    /// The time over which they were counted.
    pub(super) over: Duration,
}

impl Rates {
    pub(super) fn total(&self) -> f64 {
        self.each.iter().sum()
    }
}

impl Pace {
    pub(super) fn start(cluster: &Cluster) -> Self {
        Self { at: Instant::now(), bounds: all(cluster.onlooker.log_bounds(&partitions(cluster))) }
    }

    /// The rates by topic. Waits until the shortest span is over.
    pub(super) fn rates(self, cluster: &Cluster) -> Result<BTreeMap<String, Rates>, KafkaError> {
        let before = self.bounds?;
        thread::sleep(SHORTEST.saturating_sub(self.at.elapsed()));
        let every = partitions(cluster);
        let hour_ago = all(cluster.onlooker.offsets_at(&every, hour_ago()))?;
        let span = self.at.elapsed();
        let after = all(cluster.onlooker.log_bounds(&every))?;
        let growth = |at: &TopicPartition| {
            let (before, after) = (before.get(at)?, after.get(at)?);
            let then = hour_ago.get(at).copied().unwrap_or(after.end);
            Some(Growth { start: after.start, then, before: before.end, now: after.end })
        };
        let of_topic = |topic: &super::Topic| {
            let grown: Vec<_> = topic.partitions().iter().filter_map(growth).collect();
            (topic.name.clone(), rates(&grown, span))
        };
        Ok(cluster.topics.iter().map(of_topic).collect())
    }
}

fn partitions(cluster: &Cluster) -> Vec<TopicPartition> {
    cluster.topics.iter().flat_map(super::Topic::partitions).collect()
}

fn hour_ago() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.saturating_sub(HOUR).as_millis()).unwrap_or(i64::MAX))
}

/// Offsets of one Kafka partition: where its log starts, where it stood an hour ago (by its
/// records' timestamps), a moment ago, and now.
struct Growth {
    start: Offset,
    then: Offset,
    before: Offset,
    now: Offset,
}

/// The last hour counts where the log reaches further back; a topic that is younger, or whose
/// timestamps are not of today, is counted by the moment.
fn rates(grown: &[Growth], span: Duration) -> Rates {
    let by = |from: fn(&Growth) -> Offset, over: Duration| {
        let each = grown.iter().map(|each| (each.now.0 - from(each).0).max(0) as f64);
        Rates { each: each.map(|count| count / over.as_secs_f64()).collect(), over }
    };
    let (hour, moment) = (by(|each| each.then, HOUR), by(|each| each.before, span));
    let reaches_back = grown.iter().any(|each| each.then > each.start);
    if hour.total() > 0.0 && (reaches_back || moment.total() == 0.0) { hour } else { moment }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(grown: &[[i64; 4]]) -> (f64, u64) {
        let grown: Vec<_> = grown
            .iter()
            .map(|[start, then, before, now]| Growth {
                start: Offset(*start),
                then: Offset(*then),
                before: Offset(*before),
                now: Offset(*now),
            })
            .collect();
        let rates = rates(&grown, Duration::from_secs(4));
        assert_eq!(rates.each.len(), grown.len());
        (rates.total(), rates.over.as_secs())
    }

    #[test]
    fn the_last_hour_counts_where_the_log_reaches_back() {
        assert_eq!(rated(&[[0, 100, 7300, 7300], [0, 0, 0, 0]]), (2.0, 3600));
    }

    #[test]
    fn a_young_topic_counts_by_the_moment_if_it_grows_now() {
        assert_eq!(rated(&[[0, 0, 3600, 3640]]), (10.0, 4));
        assert_eq!(rated(&[[0, 0, 3600, 3600]]), (1.0, 3600));
    }

    #[test]
    fn timestamps_of_another_day_do_not_hide_what_comes() {
        assert_eq!(rated(&[[0, 1000, 960, 1000]]), (10.0, 4));
        assert_eq!(rated(&[[0, 1000, 1000, 1000]]).0, 0.0);
    }
}
