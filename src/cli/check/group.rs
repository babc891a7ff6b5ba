//! Where the group stands, and what a run would make of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::cluster::{Cluster, Topic, fault};
use super::held::Held;
use super::report::{Report, Verdict};
use super::{EmptyPrefixes, words};
use crate::config::Settings;
use crate::kafka::KafkaError;
use crate::pipeline::{self, Outlook};
use crate::record::{Layout, Offset, TopicFacts, TopicPartition};
use crate::s3::Store;

/// Where the group stands, topic by topic, and what a run would make of it.
pub(super) fn check(
    cluster: &Cluster,
    settings: &Settings,
    empty: &EmptyPrefixes,
    store: Option<(&Store, &Runtime)>,
    report: &mut Report,
) {
    if cluster.topics.is_empty() {
        return report.skip("group", "not tried: it needs a topic");
    }
    let empty = empty.iter().map(|(topic, empty)| (topic.as_str().into(), *empty)).collect();
    let partitions: Vec<_> = cluster.topics.iter().flat_map(Topic::partitions).collect();
    let mut facts = cluster.onlooker.topic_facts(&partitions, &empty);
    for topic in &cluster.topics {
        let of_topic = topic.partitions().into_iter();
        let answers = of_topic.filter_map(|at| Some((at.partition, facts.remove(&at)?)));
        match answers.map(|(number, facts)| Ok((number, facts?))).collect::<Result<_, _>>() {
            Ok(mut facts) => {
                let held = store.map(|(store, runtime)| Held { runtime, store, settings, topic });
                if let Some(held) = &held {
                    held.add_ends(&mut facts, report);
                }
                let pinned = standing(topic, settings, &facts, report);
                if let Some(held) = &held {
                    held.look_at_pinned(&pinned, report);
                }
            }
            Err::<_, KafkaError>(error) => {
                let group = &settings.kafka.group_id;
                let text = format!(
                    "{error}; this user must be allowed to READ the group {group}, and to READ \
                     and DESCRIBE the topic"
                );
                report.say(fault(&error), "group", text);
            }
        }
    }
}

/// Says where a topic stands; what batches that were begun for another place were laid out by
/// comes back.
fn standing(
    topic: &Topic,
    settings: &Settings,
    facts: &BTreeMap<i32, TopicFacts>,
    report: &mut Report,
) -> Vec<Arc<Layout>> {
    let kafka = &settings.kafka;
    let without_offset =
        |facts: &TopicFacts| facts.committed.values().any(|it| it.offset.is_none());
    let blind = facts.values().any(|facts| facts.prefix_empty.is_none() && without_offset(facts));
    if blind {
        let text = "some Kafka partitions have no offset; whether this is a first start cannot be \
                    told without a LIST of the bucket";
        report.skip("group", format!("{}: {text}", topic.name));
        return Vec::new();
    }
    let (lost, range) = (kafka.on_lost_offsets, kafka.on_offset_out_of_range);
    let mut outlooks = Vec::new();
    for (number, facts) in facts {
        let at = TopicPartition::new(topic.name.as_str(), *number);
        outlooks.push((facts, pipeline::outlook(&at, facts, kafka.start, lost, range)));
    }
    for (verdict, text) in summed(&outlooks, &topic.policy.layout.bucket) {
        // A reason to stop names its Kafka partition.
        let named = if verdict == Verdict::Mend { text } else { format!("{}: {text}", topic.name) };
        report.say(verdict, "group", named);
    }
    elsewhere(&outlooks, &topic.policy.layout)
}

/// The layouts of batches that were begun for another place, each once.
fn elsewhere(outlooks: &[(&TopicFacts, Outlook)], today: &Layout) -> Vec<Arc<Layout>> {
    let mut layouts: Vec<Arc<Layout>> = Vec::new();
    for (_, outlook) in outlooks {
        if let Outlook::Replays { layout, .. } = outlook
            && (&layout.bucket, &layout.prefix) != (&today.bucket, &today.prefix)
            && !layouts.contains(layout)
        {
            layouts.push(Arc::clone(layout));
        }
    }
    layouts
}

/// One way to begin, and how many Kafka partitions go it.
struct Way {
    verdict: Verdict,
    text: String,
    count: usize,
    waiting: u64,
}

/// One line for each way to begin, with what waits to be read.
fn summed(outlooks: &[(&TopicFacts, Outlook)], bucket: &str) -> Vec<(Verdict, String)> {
    let mut ways: Vec<(String, Way)> = Vec::new();
    for (facts, outlook) in outlooks {
        let (verdict, key, text, from) = way(outlook, bucket);
        let waiting = from.map_or(0, |from| facts.log_end.0.saturating_sub(from.0).max(0) as u64);
        match ways.iter_mut().find(|(known, _)| *known == key) {
            Some((_, way)) => {
                way.count += 1;
                way.waiting += waiting;
            }
            None => ways.push((key, Way { verdict, text, count: 1, waiting })),
        }
    }
    ways.into_iter().map(|(_, way)| (way.verdict, way.line())).collect()
}

impl Way {
    fn line(&self) -> String {
        let Self { verdict, text, count, waiting } = self;
        match (verdict, count) {
            (Verdict::Mend, 1) => text.clone(),
            (Verdict::Mend, many) => format!("{text} (and {} more like it)", many - 1),
            _ => {
                let waiting = words::count(*waiting);
                format!(
                    "{text} ({}, {waiting} offsets wait)",
                    words::many(*count, "Kafka partition")
                )
            }
        }
    }
}

/// How an outlook counts, what it is grouped by, its words, and where it begins.
fn way(outlook: &Outlook, bucket: &str) -> (Verdict, String, String, Option<Offset>) {
    let alike = |verdict, text: String, from| (verdict, text.clone(), text, Some(from));
    match outlook {
        Outlook::Stops(reason) => {
            (Verdict::Mend, reason.code.to_owned(), reason.text.clone(), None)
        }
        Outlook::Continues { from } => {
            alike(Verdict::Ok, "continues where it was".to_owned(), *from)
        }
        Outlook::Begins { from, how, lost: None } => {
            alike(Verdict::Ok, format!("begins: {how}"), *from)
        }
        Outlook::Begins { from, how, lost: Some(lost) } => {
            let text = format!("begins {how}: {} offsets are lost", words::count(lost.len()));
            alike(Verdict::Warn, text, *from)
        }
        Outlook::Replays { range, layout } if *layout.bucket == *bucket => {
            let text = "finishes a batch that was begun, then continues";
            alike(Verdict::Ok, text.to_owned(), range.base)
        }
        Outlook::Replays { range, layout } => {
            let pinned = &layout.bucket;
            let text = format!(
                "first finishes a batch that was begun for the bucket {pinned}, which must be \
                 within reach until then"
            );
            alike(Verdict::Warn, text, range.base)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::OffsetRange;

    fn facts(log_end: i64) -> TopicFacts {
        TopicFacts {
            topic_id: "".into(),
            cluster_id: "".into(),
            committed: Default::default(),
            log_start: Offset(0),
            log_end: Offset(log_end),
            prefix_empty: None,
            bucket_end: None,
            compacted: None,
        }
    }

    #[test]
    fn ways_to_begin_are_counted_with_what_waits() {
        let facts = facts(1500);
        let on = |from| (&facts, Outlook::Continues { from: Offset(from) });
        let lines = summed(&[on(0), on(1400)], "lake");
        let text = "continues where it was (2 Kafka partitions, 1,600 offsets wait)";
        assert_eq!(lines, [(Verdict::Ok, text.to_owned())]);
    }

    #[test]
    fn a_pin_for_another_bucket_is_told() {
        let facts = facts(10);
        let range = OffsetRange { base: Offset(0), end: Offset(5) };
        let text = "[kafka]\nbootstrap_servers = \"b:9092\"\ntopics = [\"t\"]\n\
                    group_id = \"g\"\n[s3]\nbucket = \"old\"\n";
        let settings = crate::config::load_str("x.toml", text, std::iter::empty()).expect("sound");
        let layout = settings.topics.default.layout.clone();
        let pinned = (&facts, Outlook::Replays { range, layout });
        let same = summed(std::slice::from_ref(&pinned), "old");
        let other = summed(&[pinned], "new");
        assert_eq!((same[0].0, other[0].0), (Verdict::Ok, Verdict::Warn));
        assert!(other[0].1.contains("bucket old"), "{}", other[0].1);
    }
}
