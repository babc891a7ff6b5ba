//! The brokers, the topics, and where the group stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::report::{Report, Verdict};
use super::{EmptyPrefixes, words};
use crate::config::{KafkaSettings, Settings};
use crate::daemon::matcher;
use crate::kafka::{self, KafkaError, Onlooker};
use crate::pipeline::{self, Outlook};
use crate::record::{IsolationLevel, Offset, RecordPolicy, TopicFacts, TopicPartition};

/// How long one broker is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Brokers that are tried beyond those of the settings.
const MAX_ADVERTISED: usize = 16;
/// Topics that are looked at one by one.
const MAX_TOPICS: usize = 100;

/// A cluster that answers.
pub(super) struct Cluster {
    pub(super) onlooker: Onlooker,
    pub(super) isolation: IsolationLevel,
    pub(super) topics: Vec<Topic>,
}

/// A topic that a run would read.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) count: i32,
    pub(super) policy: RecordPolicy,
}

impl Topic {
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        let name: Arc<str> = self.name.as_str().into();
        (0..self.count).map(|number| TopicPartition::new(Arc::clone(&name), number)).collect()
    }
}

/// Brokers and topics; nothing where no broker answers.
pub(super) fn check(settings: &Settings, report: &mut Report) -> Option<Cluster> {
    if !brokers(&settings.kafka, report) {
        report.skip("topics", "not tried: it needs the brokers");
        return None;
    }
    let isolation = settings.topics.default.layout.isolation_level;
    let cluster = Onlooker::connect(&settings.kafka, isolation)
        .and_then(|onlooker| Ok((onlooker.topics()?, onlooker)));
    match cluster {
        Ok((there, onlooker)) => {
            let topics = topics(settings, &onlooker, &there, report);
            Some(Cluster { onlooker, isolation, topics })
        }
        Err(error) => {
            report.say(fault(&error), "topics", error);
            None
        }
    }
}

/// Whether a person must mend it, or a server may just be away.
pub(super) fn fault(error: &KafkaError) -> Verdict {
    if error.is_to_be_mended() { Verdict::Mend } else { Verdict::Unreachable }
}

/// Tries the servers of the settings one by one, then those that the cluster advertises: the
/// first are only asked for the second.
fn brokers(settings: &KafkaSettings, report: &mut Report) -> bool {
    let servers: Vec<&str> = settings.bootstrap_servers.split(',').map(str::trim).collect();
    let tried = reach_all(settings, &servers);
    let advertised: BTreeSet<&String> =
        tried.iter().filter_map(|found| found.as_ref().ok()).flatten().collect();
    let any = tried.iter().any(Result::is_ok);
    for found in &tried {
        if let Err(error) = found {
            // One is enough to begin with.
            let verdict = if any { Verdict::Warn } else { fault(error) };
            report.say(verdict, "brokers", with_hint(error));
        }
    }
    if !any {
        return false;
    }
    let others: Vec<&str> = advertised.iter().map(|server| server.as_str()).collect();
    let others: Vec<&str> = others.into_iter().filter(|server| !servers.contains(server)).collect();
    for found in reach_all(settings, &others[..others.len().min(MAX_ADVERTISED)]) {
        if let Err(error) = found {
            let hint = "the cluster names this address to its clients (advertised.listeners): it \
                        must resolve and be open from here";
            report.say(fault(&error), "brokers", format!("{error}; {hint}"));
        }
    }
    let text = words::many(advertised.len(), "broker");
    let names: Vec<_> = advertised.into_iter().collect();
    report.ok("brokers", format!("{text}: {}", words::listed(&names, 5)));
    true
}

/// Each on a thread of its own, for each may take its time.
fn reach_all(settings: &KafkaSettings, servers: &[&str]) -> Vec<Result<Vec<String>, KafkaError>> {
    std::thread::scope(|scope| {
        let start = |server: &&str| {
            let server = (*server).to_owned();
            scope.spawn(move || kafka::reach(settings, &server, PATIENCE))
        };
        let started: Vec<_> = servers.iter().map(start).collect();
        let ended = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|found| found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn with_hint(error: &KafkaError) -> String {
    let hint = match error {
        KafkaError::Refused { .. } => {
            "check security.protocol, sasl.mechanism, sasl.username, sasl.password and \
             ssl.ca.location in [kafka.librdkafka]"
        }
        _ => {
            "check kafka.bootstrap_servers, the network and the firewall (on AWS the security \
             groups); where the listener wants TLS or SASL, set security.protocol and sasl.* in \
             [kafka.librdkafka]"
        }
    };
    format!("kafka.bootstrap_servers: {error}; {hint}")
}

fn topics(
    settings: &Settings,
    onlooker: &Onlooker,
    there: &BTreeMap<String, i32>,
    report: &mut Report,
) -> Vec<Topic> {
    let wanted = &settings.kafka.topics;
    for name in wanted.iter().filter(|name| !name.starts_with('^') && !there.contains_key(*name)) {
        missing(name, onlooker, report);
    }
    let matches = matcher(wanted);
    let found: Vec<_> = there.iter().filter(|(name, _)| matches(name)).collect();
    for expression in wanted.iter().filter(|name| name.starts_with('^')) {
        let matches = matcher(std::slice::from_ref(expression));
        if !there.keys().any(|name| matches(name)) {
            let text = format!(
                "no topic matches {expression:?} yet: if there should be one, check the expression \
                 in kafka.topics, and whether this user may DESCRIBE the topic"
            );
            // With nothing else to read a run would do nothing at all.
            let verdict = if found.is_empty() { Verdict::Mend } else { Verdict::Warn };
            report.say(verdict, "topics", text);
        }
    }
    let of = |(name, count): (&String, &i32)| Topic {
        name: name.clone(),
        count: *count,
        policy: settings.topics.of(name).clone(),
    };
    let mut topics: Vec<Topic> = found.into_iter().map(of).collect();
    counted(&topics, report);
    if topics.len() > MAX_TOPICS {
        let text = format!("only the first {MAX_TOPICS} of {} are looked at below", topics.len());
        report.warn("topics", text);
        topics.truncate(MAX_TOPICS);
    }
    topics
}

fn counted(topics: &[Topic], report: &mut Report) {
    if topics.is_empty() {
        return;
    }
    let named = |topic: &Topic| format!("{} ({})", topic.name, topic.count);
    let names: Vec<_> = topics.iter().map(named).collect();
    let total = topics.iter().map(|topic| topic.count as usize).sum();
    let text = format!(
        "{} with {}: {}",
        words::many(topics.len(), "topic"),
        words::many(total, "Kafka partition"),
        words::listed(&names, 10)
    );
    report.ok("topics", text);
}

/// The list of all topics leaves out what this user may not see, so it is asked for by name.
fn missing(name: &str, onlooker: &Onlooker, report: &mut Report) {
    let reason = match onlooker.partition_count(name) {
        Ok(_) => return report.warn("topics", format!("{name}: it has only just been made")),
        Err(error) => error,
    };
    let denied = reason.to_string().contains("AUTHORIZATION");
    let hint = if denied {
        "allow this user to DESCRIBE and READ the topic"
    } else {
        "create it, or take it out of kafka.topics"
    };
    report.say(fault(&reason), "topics", format!("{name}: {reason}; {hint}"));
}

/// Where the group stands, topic by topic, and what a run would make of it.
pub(super) fn groups(
    cluster: &Cluster,
    settings: &Settings,
    empty: &EmptyPrefixes,
    report: &mut Report,
) {
    if cluster.topics.is_empty() {
        return report.skip("group", "not tried: it needs a topic");
    }
    for topic in &cluster.topics {
        let numbers: Vec<i32> = (0..topic.count).collect();
        let empty = empty.get(&topic.name).copied();
        match cluster.onlooker.topic_facts(&topic.name, &numbers, empty) {
            Ok(facts) => standing(topic, settings, &facts, report),
            Err(error) => {
                let group = &settings.kafka.group_id;
                let text = format!(
                    "{}: {error}; the group {group} must be allowed (READ on the group, READ and \
                     DESCRIBE on the topic)",
                    topic.name
                );
                report.say(fault(&error), "group", text);
            }
        }
    }
}

fn standing(
    topic: &Topic,
    settings: &Settings,
    facts: &BTreeMap<i32, TopicFacts>,
    report: &mut Report,
) {
    let kafka = &settings.kafka;
    let without_offset =
        |facts: &TopicFacts| facts.committed.values().any(|it| it.offset.is_none());
    let blind = facts.values().any(|facts| facts.prefix_empty.is_none() && without_offset(facts));
    if blind {
        let text = "some Kafka partitions have no offset; whether this is a first start cannot be \
                    told without a LIST of the bucket";
        return report.skip("group", format!("{}: {text}", topic.name));
    }
    let (lost, range) = (kafka.on_lost_offsets, kafka.on_offset_out_of_range);
    let mut outlooks = Vec::new();
    for (number, facts) in facts {
        let at = TopicPartition::new(topic.name.as_str(), *number);
        outlooks.push((facts, pipeline::outlook(&at, facts, kafka.start, lost, range)));
    }
    for (verdict, text) in summed(&outlooks, &topic.policy.layout.bucket) {
        report.say(verdict, "group", format!("{}: {text}", topic.name));
    }
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
        Outlook::Replays { range, bucket: pinned } if **pinned == *bucket => {
            let text = "finishes a batch that was begun, then continues";
            alike(Verdict::Ok, text.to_owned(), range.base)
        }
        Outlook::Replays { range, bucket: pinned } => {
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
        let pinned = (&facts, Outlook::Replays { range, bucket: "old".into() });
        let same = summed(std::slice::from_ref(&pinned), "old");
        let other = summed(&[pinned], "new");
        assert_eq!((same[0].0, other[0].0), (Verdict::Ok, Verdict::Warn));
        assert!(other[0].1.contains("bucket old"), "{}", other[0].1);
    }

    #[test]
    fn a_refused_client_is_told_of_its_credentials() {
        let (server, reason) = ("b:9092".to_owned(), "no".to_owned());
        let refused = KafkaError::Refused { server: server.clone(), reason: reason.clone() };
        assert!(with_hint(&refused).contains("sasl.password"));
        let away = KafkaError::Unreachable { server, reason };
        assert!(with_hint(&away).contains("kafka.bootstrap_servers: b:9092"));
    }
}
