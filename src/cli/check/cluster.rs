//! The brokers and the topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::report::{Report, Verdict};
use super::words;
use crate::config::{KafkaSettings, Settings, matcher};
use crate::kafka::{self, KafkaError, Onlooker};
use crate::record::{IsolationLevel, RecordPolicy, TopicPartition};

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
    if let Err(error) = kafka::knows_group_protocol(&settings.kafka, PATIENCE) {
        report.say(fault(&error), "brokers", error);
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
    let any = tried.iter().any(Result::is_ok);
    for error in tried.iter().filter_map(|found| found.as_ref().err()) {
        // One is enough to begin with.
        let verdict = if any { Verdict::Warn } else { fault(error) };
        report.say(verdict, "brokers", with_hint(error));
    }
    let named: BTreeSet<&str> = tried.iter().flatten().flatten().map(String::as_str).collect();
    let others: Vec<&str> =
        named.iter().copied().filter(|server| !servers.contains(server)).collect();
    let (tested, untested) = others.split_at(others.len().min(MAX_ADVERTISED));
    let mut usable = others.len() < named.len() || !untested.is_empty();
    for found in reach_all(settings, tested) {
        match found {
            Ok(_) => usable = true,
            Err(error) => {
                let hint = "the cluster names this address to its clients (advertised.listeners): \
                            it must resolve and be open from here";
                report.say(fault(&error), "brokers", format!("{error}; {hint}"));
            }
        }
    }
    if usable {
        let names: Vec<_> = named.into_iter().collect();
        let text = words::many(names.len(), "broker");
        report.ok("brokers", format!("{text}: {}", words::listed(&names, 5)));
    }
    usable
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
    report.say(fault(&reason), "topics", format!("{reason}; {hint}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_client_is_told_of_its_credentials() {
        let (server, reason) = ("b:9092".to_owned(), "no".to_owned());
        let refused = KafkaError::Refused { server: server.clone(), reason: reason.clone() };
        assert!(with_hint(&refused).contains("sasl.password"));
        let away = KafkaError::Unreachable { server, reason };
        assert!(with_hint(&away).contains("kafka.bootstrap_servers: b:9092"));
    }
}
