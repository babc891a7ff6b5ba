//! A sample of the newest records of each topic, and what it tells.

use super::cluster::{Cluster, fault};
use super::fields::Findings;
use super::report::Report;
use super::{Samples, Topic, words};
use crate::config::Settings;
use crate::kafka::{KafkaError, sample_records};
use crate::pipeline::stored_bytes;

/// Records of a topic that are looked at.
const SAMPLE: usize = 100;

/// What the reckoning of objects needs of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampled {
    /// Mean size of a record's value.
    pub(super) value_bytes: f64,
    /// Mean size of a record as stored.
    pub(super) stored_bytes: f64,
    /// How many Hive partitions the fields alone make, at least.
    pub(super) fan_out: usize,
}

/// Samples every topic; those without a record are left out of the answer.
pub(super) fn check(cluster: &Cluster, settings: &Settings, report: &mut Report) -> Samples {
    if cluster.topics.is_empty() {
        report.skip("records", "not tried: it needs a topic");
    }
    let mut samples = Samples::new();
    for topic in &cluster.topics {
        match look(cluster, settings, topic, report) {
            Ok(Some(sampled)) => {
                samples.insert(topic.name.clone(), sampled);
            }
            Ok(None) => report.ok("records", format!("{}: none to look at yet", topic.name)),
            Err(error) => {
                let hint = "this user must be allowed to READ the topic, and the brokers' advertised \
                            addresses must be open from here";
                report.say(fault(&error), "records", format!("{error}; {hint}"));
            }
        }
    }
    samples
}

fn look(
    cluster: &Cluster,
    settings: &Settings,
    topic: &Topic,
    report: &mut Report,
) -> Result<Option<Sampled>, KafkaError> {
    let name = &topic.name;
    let records = sample_records(&settings.kafka, cluster.isolation, name, SAMPLE)?;
    if records.is_empty() {
        return Ok(None);
    }
    let layout = &topic.policy.layout;
    let findings = Findings::of(layout, name, &records);
    let values = records.iter().map(|record| record.value.as_ref().map_or(0, Vec::len));
    let all = findings.records as f64;
    let sampled = Sampled {
        value_bytes: values.sum::<usize>() as f64 / all,
        stored_bytes: stored_bytes(&topic.policy, findings.lines.iter().map(Vec::as_slice)) as f64
            / all,
        fan_out: findings.fan_out,
    };
    let warnings = findings.warnings(layout);
    let text = format!(
        "{name}: {} looked at, {} of them a line, {} each",
        words::many(findings.records, "record"),
        words::count(findings.lines.len() as u64),
        words::size(sampled.value_bytes)
    );
    report.ok("records", text);
    warnings.iter().for_each(|warning| report.warn("records", format!("{name}: {warning}")));
    Ok(Some(sampled))
}
