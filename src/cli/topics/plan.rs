//! What is to be done to one topic, or why it must not be. No server is asked here.

use std::collections::BTreeSet;

use super::State;
use crate::cli::words::many;
use crate::config::{ConfigError, TopicSpec, WrittenProperty};
use crate::kafka::{TopicChange, TopicState};

const CLEANUP: &str = "cleanup.policy";
const MIN_INSYNC: &str = "min.insync.replicas";

/// What keeps records for so long, or so many of them.
const RETENTION: [&str; 2] = ["retention.ms", "retention.bytes"];

/// What may cost records, and was asked for by name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    pub(super) cleanup_change: bool,
    pub(super) shorter_retention: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) topic: String,
    /// In this order.
    pub(super) changes: Vec<TopicChange>,
    /// What a person ought to know.
    pub(super) warnings: Vec<String>,
    /// The changes in words, such as `partitions 3 -> 6`.
    words: Vec<String>,
}

/// Compares what should be with what is.
pub(super) fn plan(
    spec: &TopicSpec,
    state: State<'_>,
    brokers: usize,
    allowed: Allowed,
) -> Result<Plan, Vec<ConfigError>> {
    let mut errors: Vec<ConfigError> = replicas(spec, state, brokers).into_iter().collect();
    let Some(state) = state else {
        return if errors.is_empty() { Ok(creation(spec)) } else { Err(errors) };
    };
    errors.extend(shrinks(spec, state));
    if !allowed.cleanup_change {
        errors.extend(cleanup(spec, state));
    }
    if !allowed.shorter_retention {
        errors.extend(RETENTION.iter().filter_map(|name| retention(spec, state, name)));
    }
    if errors.is_empty() { Ok(changes(spec, state)) } else { Err(errors) }
}

impl Plan {
    /// What was done, or would be.
    pub(super) fn told(&self, dry_run: bool) -> String {
        match (self.words.join("; "), dry_run) {
            (words, _) if words.is_empty() => "unchanged".to_owned(),
            (words, false) => words,
            (words, true) => format!("would be {words}"),
        }
    }

    /// Warns where more Kafka partitions send keys elsewhere than before. Whether records have keys
    /// is asked only where it matters.
    pub(super) fn warn_of_moved_keys(
        &mut self,
        state: State<'_>,
        is_keyed: impl FnOnce() -> Option<bool>,
    ) {
        let raised = self.changes.iter().any(|change| matches!(change, TopicChange::Partitions(_)));
        let Some(state) = state.filter(|_| raised) else { return };
        if state.holds_data == Some(false) {
            return;
        }
        let compacted =
            state.properties.get(CLEANUP).is_some_and(|policy| policy.contains("compact"));
        let moves = "more Kafka partitions move keys: from now on a key's records may go to another \
                     Kafka partition than its older ones, and their order holds within each alone";
        let text = match (compacted, || is_keyed()) {
            (true, _) => format!(
                "{moves}. The topic is compacted: an older value of a moved key is never replaced \
                 where it lies, so whoever reads the topic from its start may see it after the newer"
            ),
            (false, ask) => match ask() {
                Some(true) => format!("{moves}. Its newest records have keys"),
                Some(false) => return,
                None => format!("{moves}, if its records have keys; they could not be looked at"),
            },
        };
        self.warnings.push(text);
    }
}

/// A broker's own reason, at the line of the property that it names.
pub(super) fn refused_by_broker(spec: &TopicSpec, reason: &str) -> ConfigError {
    let names = |(name, _): &(&String, &WrittenProperty)| reason.contains(name.as_str());
    let message = format!("the broker refuses it: {reason}");
    match spec.properties.iter().find(names) {
        Some((_, property)) => spec.error(&property.key, &property.place, message),
        None => spec.error("", &spec.place, message),
    }
}

fn creation(spec: &TopicSpec) -> Plan {
    let partitions = spec.partitions.0;
    let pair =
        |(name, property): (&String, &WrittenProperty)| (name.clone(), property.value.clone());
    let properties = spec.properties.iter().map(pair).collect();
    let replication_factor = spec.replication_factor.as_ref().map(|(factor, _)| *factor);
    let words = vec![format!("created, with {}", many(partitions as usize, "Kafka partition"))];
    let changes = vec![TopicChange::Create { partitions, replication_factor, properties }];
    Plan { topic: spec.name.clone(), changes, words, ..Plan::default() }
}

fn changes(spec: &TopicSpec, state: &TopicState) -> Plan {
    let mut plan = Plan { topic: spec.name.clone(), ..Plan::default() };
    let (wanted, there) = (spec.partitions.0, state.partitions);
    if wanted > there {
        plan.changes.push(TopicChange::Partitions(wanted));
        plan.words.push(format!("partitions {there} -> {wanted}"));
    }
    let mut properties = Vec::new();
    for (name, property) in &spec.properties {
        let there = state.properties.get(name);
        if there.is_none_or(|there| !same(name, there, &property.value)) {
            let there = there.map_or("unset", String::as_str);
            plan.words.push(format!("{name} {there} -> {}", property.value));
            properties.push((name.clone(), property.value.clone()));
        }
    }
    if !properties.is_empty() {
        plan.changes.push(TopicChange::Properties(properties));
    }
    if let Some((factor, _)) = &spec.replication_factor
        && *factor != state.replicas
    {
        plan.warnings.push(format!(
            "its records are held by {}, and not by {factor}: this command does not move replicas, \
             Kafka's own kafka-reassign-partitions.sh does",
            many(state.replicas as usize, "broker")
        ));
    }
    plan
}

/// More replicas than brokers, or more that must agree than there are.
fn replicas(spec: &TopicSpec, state: State<'_>, brokers: usize) -> Option<ConfigError> {
    let (factor, place) = spec.replication_factor.as_ref()?;
    let there = state.map(|state| state.replicas);
    // A broker that is down for a while does not make a topic wrong that is there.
    if usize::try_from(*factor).is_ok_and(|factor| factor > brokers) && there != Some(*factor) {
        let message = format!("{factor} brokers cannot hold it, for there are {brokers}");
        return Some(spec.error("replication_factor", place, message));
    }
    let property = spec.properties.get(MIN_INSYNC)?;
    let (needed, held) = (property.value.parse::<i32>().ok()?, there.unwrap_or(*factor));
    (needed > held).then(|| {
        let message = format!(
            "{needed} brokers must have a record before it counts, and only {held} will hold it: \
             producers with acks=all could write nothing"
        );
        spec.error(&property.key, &property.place, message)
    })
}

fn shrinks(spec: &TopicSpec, state: &TopicState) -> Option<ConfigError> {
    let (wanted, place) = &spec.partitions;
    (*wanted < state.partitions).then(|| {
        let message = format!(
            "it has {}, and Kafka cannot take any away; write {}, or make another topic",
            many(state.partitions as usize, "Kafka partition"),
            state.partitions
        );
        spec.error("partitions", place, message)
    })
}

/// Compaction deletes what has a newer value, and refuses records without a key; deletion deletes
/// what is old: either may cost a topic that holds records what it was made for.
fn cleanup(spec: &TopicSpec, state: &TopicState) -> Option<ConfigError> {
    let property = spec.properties.get(CLEANUP)?;
    let there = state.properties.get(CLEANUP)?;
    if same(CLEANUP, there, &property.value) || state.holds_data == Some(false) {
        return None;
    }
    let holds = if state.holds_data.is_none() { "may hold" } else { "holds" };
    let message = format!(
        "the topic is cleaned by {there:?} and {holds} records, some of which {:?} would delete; \
         --allow-cleanup-change does it all the same",
        property.value
    );
    Some(spec.error(&property.key, &property.place, message))
}

/// Less retention deletes what is older, within minutes, whether somebody has read it or not.
fn retention(spec: &TopicSpec, state: &TopicState, name: &str) -> Option<ConfigError> {
    let (property, there) = (spec.properties.get(name)?, state.properties.get(name)?);
    // -1 is without end.
    let amount =
        |text: &str| text.trim().parse::<i64>().ok().map(|it| if it < 0 { i64::MAX } else { it });
    let deletes = state.properties.get(CLEANUP).is_none_or(|policy| policy.contains("delete"));
    let shrinks = amount(&property.value)? < amount(there)?;
    if !shrinks || !deletes || state.holds_data == Some(false) {
        return None;
    }
    let holds = if state.holds_data.is_none() { "may hold" } else { "holds" };
    let message = format!(
        "the topic keeps {there} and {holds} records, and Kafka deletes what is beyond {}, read or \
         not, within minutes; --allow-shorter-retention does it all the same",
        property.value
    );
    Some(spec.error(&property.key, &property.place, message))
}

/// Whether two values mean the same: `0.50` and `0.5` do, and so do lists in another order.
fn same(name: &str, a: &str, b: &str) -> bool {
    if name == CLEANUP {
        let parts = |text| -> BTreeSet<String> {
            str::split(text, ',').map(|part| part.trim().to_lowercase()).collect()
        };
        return parts(a) == parts(b);
    }
    match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        // Whole numbers may be larger than a float tells apart.
        (Ok(a), Ok(b)) if a.fract() != 0.0 || b.fract() != 0.0 => a == b,
        _ => a.trim() == b.trim(),
    }
}
