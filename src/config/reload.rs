//! What of a changed configuration a running daemon takes up, and what waits for a restart.
//!
//! `daemon` calls it on SIGHUP. Where records stand and how they read stays for every topic that is
//! read already; one that comes new may bring a layout of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::render::of_policy;
use super::schema::{self, KeySpec, LIBRDKAFKA};
use super::settings::{Settings, TopicPolicies};
use super::subscription::matcher;
use crate::record::{Layout, RecordPolicy};

/// What came of comparing what is in force with what is wanted.
#[derive(Debug)]
pub struct TakenUp {
    /// What is in force from now on.
    pub settings: Settings,
    /// What that changes, a line each.
    pub changes: Vec<String>,
    /// The keys that wait for a restart.
    pub restart: Vec<String>,
}

impl Settings {
    /// Takes up what a running daemon can. Without `topics` those that are read stay the same.
    pub fn take_up(&self, wanted: Self, topics: bool) -> TakenUp {
        let mut settings = self.clone();
        settings.log.level.clone_from(&wanted.log.level);
        settings.shutdown = wanted.shutdown;
        if topics {
            settings.kafka.topics.clone_from(&wanted.kafka.topics);
        }
        settings.topics = self.policies_with(&wanted);
        let changes =
            differences(self, &settings, |key, from, to| format!("{key}: {from} -> {to}"));
        let mut restart = differences(&settings, &wanted, |key, _, _| key.to_owned());
        restart.extend(other_properties(&settings, &wanted));
        TakenUp { settings, changes, restart }
    }

    /// What holds before the group knows of the topics that were taken up: what those that come bring,
    /// and of all others what is in force.
    pub fn policies_before(&self, taken: &Self) -> TopicPolicies {
        let is_read = matcher(&self.kafka.topics);
        let mut policies = self.topics.clone();
        let newcomers = taken.topics.by_topic.iter().filter(|(name, _)| !is_read(name));
        policies.by_topic.extend(newcomers.map(|(name, policy)| (name.clone(), policy.clone())));
        policies
    }

    fn policies_with(&self, wanted: &Self) -> TopicPolicies {
        let is_read = matcher(&self.kafka.topics);
        let (old, new) = (&self.topics, &wanted.topics);
        let names: BTreeSet<_> = old.by_topic.keys().chain(new.by_topic.keys()).collect();
        let of = |name: &String| {
            let policy = match is_read(name) {
                true => with_limits(old.of(name), new.of(name)),
                false => self.as_newcomer(new.of(name)),
            };
            (name.clone(), policy)
        };
        TopicPolicies {
            default: with_limits(&old.default, &new.default),
            by_topic: names.into_iter().map(of).collect(),
        }
    }

    /// The layout of a topic that was not read before, but for what the whole process shares.
    fn as_newcomer(&self, policy: &RecordPolicy) -> RecordPolicy {
        let shared = &self.topics.default.layout;
        let layout = Layout {
            bucket: Arc::clone(&shared.bucket),
            isolation_level: shared.isolation_level,
            ..(*policy.layout).clone()
        };
        RecordPolicy { layout: Arc::new(layout), ..policy.clone() }
    }
}

/// The old layout with the new limits.
fn with_limits(old: &RecordPolicy, new: &RecordPolicy) -> RecordPolicy {
    let same = old.layout.compression == new.layout.compression;
    RecordPolicy {
        layout: Arc::clone(&old.layout),
        rotation: new.rotation.clone(),
        compression_level: if same { new.compression_level } else { old.compression_level },
    }
}

/// What differs, key by key; of topics only what is their own.
fn differences(
    from: &Settings,
    to: &Settings,
    tell: impl Fn(&str, &str, &str) -> String,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut compare = |name: &str, from: Option<String>, to: Option<String>| {
        if from != to {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "unset".to_owned());
            told.push(tell(name, &shown(from), &shown(to)));
        }
    };
    for key in schema::keys() {
        compare(key.path, from.shown(key.path), to.shown(key.path));
    }
    let names: BTreeSet<_> = from.topics.by_topic.keys().chain(to.topics.by_topic.keys()).collect();
    for name in names {
        for KeySpec { path, .. } in of_topics() {
            let own = |settings: &Settings| of_policy(settings.topics.of(name), path);
            let general = |settings: &Settings| of_policy(&settings.topics.default, path);
            // What it has in common with all others was told already.
            if (own(from), own(to)) != (general(from), general(to)) {
                compare(&format!("topic.{name}.{path}"), own(from), own(to));
            }
        }
    }
    told
}

fn of_topics() -> impl Iterator<Item = &'static KeySpec> {
    schema::SECTIONS.iter().filter(|section| section.by_topic).flat_map(|section| section.keys)
}

/// The properties of librdkafka that differ, by name: values may be secret.
fn other_properties(from: &Settings, to: &Settings) -> Vec<String> {
    let (from, to) = (&from.kafka.librdkafka, &to.kafka.librdkafka);
    let names: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let value = |of: &BTreeMap<String, SecretString>, name: &String| {
        of.get(name).map(|value| value.expose_secret().to_owned())
    };
    let differing = names.into_iter().filter(|name| value(from, name) != value(to, name));
    differing.map(|name| format!("{LIBRDKAFKA}.{name}")).collect()
}
