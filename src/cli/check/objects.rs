//! How many objects a day the settings will make, told topic by topic.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::{Cluster, Topic, fault};
use super::estimate::{Estimate, estimate};
use super::pace::{Pace, Rates};
use super::records::Sampled;
use super::report::Report;
use super::{Samples, words};

const WHAT: &str = "objects a day";

/// Reckons from the topics' rates and their samples.
pub(super) fn check(cluster: &Cluster, pace: Pace, samples: &Samples, report: &mut Report) {
    if cluster.topics.is_empty() {
        return report.skip(WHAT, "not tried: it needs a topic");
    }
    match pace.rates(cluster) {
        Ok(rates) => all(cluster, &rates, samples, report),
        Err(error) => report.say(fault(&error), WHAT, error),
    }
}

fn all(cluster: &Cluster, rates: &BTreeMap<String, Rates>, samples: &Samples, report: &mut Report) {
    let mut total = 0.0;
    let mut quiet = Vec::new();
    for topic in &cluster.topics {
        let known = rates.get(&topic.name).zip(samples.get(&topic.name));
        let found = known.and_then(|(rates, sampled)| {
            let estimate = estimate(rates, sampled, &topic.policy)?;
            Some((rates, sampled, estimate))
        });
        match found {
            Some((rates, sampled, estimate)) => {
                total += estimate.objects;
                one(topic, rates, sampled, &estimate, report);
            }
            None => quiet.push(&topic.name),
        }
    }
    if !quiet.is_empty() {
        let names = words::listed(&quiet, 5);
        report.ok(WHAT, format!("{names}: no new records now, so nothing to reckon with"));
    }
    if cluster.topics.len() - quiet.len() > 1 {
        report.ok(WHAT, format!("{} in all", words::about(total)));
    }
}

fn one(topic: &Topic, rates: &Rates, sampled: &Sampled, estimate: &Estimate, report: &mut Report) {
    let text = format!(
        "{}: {} of {} ({} records/s {}, {} each, {} as stored; most batches end by {})",
        topic.name,
        words::about(estimate.objects),
        words::size(estimate.object_bytes),
        words::number(rates.total()),
        over(rates.over),
        words::size(sampled.value_bytes),
        words::size(sampled.stored_bytes),
        estimate.limit.setting()
    );
    match estimate.advice(rates, sampled, &topic.policy) {
        Some(advice) => report.warn(WHAT, format!("{text}; {advice}")),
        None => report.ok(WHAT, text),
    }
}

fn over(time: Duration) -> String {
    match time.as_secs() {
        3600 => "over the last hour".to_owned(),
        seconds => format!("over {seconds} s"),
    }
}
