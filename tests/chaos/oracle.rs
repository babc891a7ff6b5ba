//! What must be true in the end: the log itself says which records there are, and each of them
//! stands in the bucket once; nothing else does; and the group stands at the ends of the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::producers::{Produced, Ranges};
use crate::scenario::{Tenant, Use};
use crate::servers::Topic;
use crate::stage::Stage;
use crate::support::bucket::{Bucket, Reading};
use crate::support::kafka::Expected;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) records: u64,
    pub(crate) objects: u64,
    /// Records of the producer that compaction has taken out of the log.
    pub(crate) compacted: u64,
}

/// Looks at one group's offsets of one topic, and at the ends of its logs.
pub(crate) struct Positions {
    client: BaseConsumer,
    topic: String,
}

impl Positions {
    pub(crate) fn of(cluster: &Cluster, topic: &str) -> Self {
        let mut config = cluster.client_config();
        let client = config.set("group.id", group_of(topic)).create().expect("client");
        Self { client, topic: topic.to_owned() }
    }

    /// The end of each log, the committed offset and its metadata.
    pub(crate) fn look(&self, partitions: i32) -> Result<Vec<(i64, i64, String)>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, partitions - 1);
        let held = self.client.committed_offsets(asked, TIMEOUT)?;
        let look = |number| {
            let end = self.client.fetch_watermarks(&self.topic, number, TIMEOUT)?.1;
            let held = held.find_partition(&self.topic, number).expect("the one asked for");
            let offset = held.offset().to_raw().unwrap_or(-1);
            Ok((end, offset, held.metadata().to_owned()))
        };
        (0..partitions).map(look).collect()
    }

    /// How many records are not committed yet, or why nobody knows.
    pub(crate) fn behind(&self, partitions: i32) -> Result<i64, String> {
        let found = self.look(partitions).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|(end, offset, _)| end - offset.max(&0)).sum())
    }

    /// Commits of ours at the ends, with no batch begun.
    fn check(&self, partitions: i32) -> Result<(), String> {
        let found = self.look(partitions).map_err(|error| error.to_string())?;
        for (number, (end, offset, metadata)) in found.iter().enumerate() {
            let at = format!("{}[{number}]: end {end}, committed {offset}, {metadata}", self.topic);
            let mark: serde_json::Value = serde_json::from_str(metadata).unwrap_or_default();
            let ours = mark["kafka-s3-sink"] == 1 && mark["o"] == *end;
            if offset != end || !ours || mark.get("pin").is_some() {
                return Err(at);
            }
        }
        Ok(())
    }
}

/// The group of a topic's sinks, as `SinkConfig` names it.
pub(crate) fn group_of(topic: &str) -> String {
    format!("{topic}-sink")
}

/// Counts everything of a topic; says what is wrong.
pub(crate) fn judge(
    stage: &Stage<'_>,
    tenant: &Tenant,
    topic: &Topic,
    produced: &Produced,
) -> Result<Count, String> {
    let partitions = topic.partitions.load(Ordering::Relaxed);
    let log = read_log(stage.cluster, &topic.name, partitions)?;
    let compacts = tenant.topic == Use::Compacted;
    let absent = numbers(&produced.acknowledged).filter(|at| !log.contains(at)).count() as u64;
    if absent > 0 && !compacts {
        return Err(format!("Kafka itself lost {absent} acknowledged records of {}", topic.name));
    }
    if let Some(at) = numbers(&produced.aborted).find(|at| log.contains(at)) {
        return Err(format!("Kafka itself shows {at:?} of an aborted transaction"));
    }
    Positions::of(stage.cluster, &topic.name).check(partitions)?;
    stage.depot.sweep(&topic.name, &topic.name, topic.litters.load(Ordering::Relaxed));
    let bucket = stage.depot.bucket(&topic.name);
    // What compaction has taken by now may have landed before.
    let allowed = if compacts { produced.acknowledged.clone() } else { Ranges::new() };
    let sequences = ranges(&log);
    let tally = bucket.read(&all_tables(&topic.name), &Expected { sequences, allowed });
    if let Some(flaws) = tally.flaws() {
        describe(stage, &bucket, &topic.name);
        return Err(format!("{}: {flaws}", topic.name));
    }
    Ok(Count { records: tally.records, objects: tally.objects, compacted: absent })
}

/// Below all prefixes that the lives of a sink use.
fn all_tables(topic: &str) -> Reading {
    Reading { table: "raw".to_owned(), ..Reading::of(topic) }
}

/// Keeps what every object says of itself.
fn describe(stage: &Stage<'_>, bucket: &Bucket, topic: &str) {
    let objects = bucket.list("").into_iter().map(|listed| {
        let object = bucket.get(&listed.key);
        format!("{} {} bytes {:?}\n", object.key, listed.size, object.metadata)
    });
    stage.diary.keep(&format!("bucket-{topic}.txt"), &objects.collect::<String>());
}

fn numbers(ranges: &Ranges) -> impl Iterator<Item = (i32, u64)> + '_ {
    let each = |(partition, ranges): (&i32, &Vec<std::ops::Range<u64>>)| {
        let partition = *partition;
        ranges.clone().into_iter().flatten().map(move |sequence| (partition, sequence))
    };
    ranges.iter().flat_map(each)
}

fn ranges(log: &BTreeSet<(i32, u64)>) -> Ranges {
    let mut ranges = Ranges::new();
    for (partition, sequence) in log {
        let of = ranges.entry(*partition).or_default();
        match of.last_mut() {
            Some(last) if last.end == *sequence => last.end += 1,
            _ => of.push(*sequence..sequence + 1),
        }
    }
    ranges
}

#[derive(Deserialize)]
struct Line {
    partition: i32,
    sequence: u64,
}

/// Every record that a reader of committed records finds, by Kafka partition and number.
fn read_log(
    cluster: &Cluster,
    topic: &str,
    partitions: i32,
) -> Result<BTreeSet<(i32, u64)>, String> {
    let mut config = cluster.client_config();
    config
        .set("group.id", "chaos-oracle")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("consumer");
    let mut wanted = TopicPartitionList::new();
    for number in 0..partitions {
        wanted.add_partition_offset(topic, number, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&wanted).expect("an assignment");
    let (mut found, mut ends) = (BTreeSet::new(), BTreeMap::new());
    while ends.len() < partitions as usize {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => {
                let line: Line = serde_json::from_slice(message.payload().unwrap_or_default())
                    .map_err(|error| format!("{topic}: {error}"))?;
                if line.partition != message.partition()
                    || !found.insert((line.partition, line.sequence))
                {
                    let at = (line.partition, line.sequence);
                    return Err(format!("Kafka itself holds {at:?} of {topic} twice"));
                }
            }
            Some(Err(KafkaError::PartitionEOF(number))) => drop(ends.insert(number, ())),
            Some(Err(error)) => return Err(format!("the log of {topic}: {error}")),
            None => return Err(format!("the log of {topic}: no record and no end")),
        }
    }
    Ok(found)
}
