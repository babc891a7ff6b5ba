//! What is allowed and yet probably not what somebody wants. Said at a start and by `check`.

use std::time::Duration;

use super::librdkafka;
use super::rules::s3::{is_aws_bucket, is_open_road};
use super::settings::{Assignor, GroupProtocol, S3Settings, Settings};
use super::units;
use crate::record::{Compression, RecordPolicy};

const DAY: Duration = Duration::from_secs(86_400);
/// Below this the time of a query goes into opening objects.
const SMALL_OBJECT: u64 = 1024 * 1024;

/// Classes whose objects must be restored before anybody can read them.
const FROZEN: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];

impl Settings {
    /// Sentences for people, each with its key; empty if there is nothing to say.
    pub fn warnings(&self) -> Vec<String> {
        let mut said = self.of_kafka();
        said.extend(of_s3(&self.s3));
        said.extend(self.of_policy(&self.topics.default));
        for (topic, policy) in &self.topics.by_topic {
            let general = self.of_policy(&self.topics.default);
            // What a topic inherits was said already.
            let own = self.of_policy(policy).into_iter().filter(|text| !general.contains(text));
            said.extend(own.map(|text| format!("topic {topic}: {text}")));
        }
        said
    }

    /// Keys of `[kafka]` that have no effect.
    fn of_kafka(&self) -> Vec<String> {
        let kafka = &self.kafka;
        let mut said = Vec::new();
        if kafka.group_protocol == GroupProtocol::Consumer && kafka.assignor == Assignor::Eager {
            said.push("kafka.assignor: has no effect with group_protocol = \"consumer\"".into());
        }
        let mechanism = |name: &&String| librdkafka::MECHANISM.contains(&name.as_str());
        if kafka.msk_iam_region.is_some()
            && let Some(name) = kafka.librdkafka.keys().find(mechanism)
        {
            said.push(format!(
                "kafka.msk_iam_region: has no effect unless kafka.librdkafka.{name} is OAUTHBEARER, \
                 which it would be by itself"
            ));
        }
        for name in kafka.librdkafka.keys().filter(|name| librdkafka::for_producers(name)) {
            said.push(format!(
                "kafka.librdkafka.{name}: a property of producers, without effect here"
            ));
        }
        said
    }

    /// Keys that may differ by topic.
    fn of_policy(&self, policy: &RecordPolicy) -> Vec<String> {
        let mut said = Vec::new();
        if policy.layout.compression == Compression::Zstd {
            said.push(
                "layout.compression: Glue's crawlers do not list zstd among what they read; \
                 Athena reads it, with a table made by DDL"
                    .into(),
            );
        }
        let rotation = &policy.rotation;
        if rotation.max_age > DAY {
            said.push(format!(
                "rotation.max_age: records of a quiet topic may land {} late",
                units::format_duration(rotation.max_age)
            ));
        }
        if rotation.max_bytes < SMALL_OBJECT {
            said.push("rotation.max_bytes: objects below 1MiB make queries slow".into());
        }
        if rotation.max_bytes > self.memory.limit / 2 && self.memory.spool_dir.is_none() {
            said.push(format!(
                "rotation.max_bytes: {} is more than half of memory.limit ({}), so batches will \
                 be put before they are that large; a folder in memory.spool_dir holds them",
                units::format_size(rotation.max_bytes),
                units::format_size(self.memory.limit)
            ));
        }
        said
    }
}

/// Keys of the store.
fn of_s3(s3: &S3Settings) -> Vec<String> {
    let mut said = Vec::new();
    if !is_aws_bucket(&s3.bucket) {
        said.push(format!(
            "s3.bucket: AWS takes no new bucket named {:?} (3 to 63 characters: lower case, \
             digits, - and .); some other stores do",
            s3.bucket
        ));
    }
    if s3.bucket.contains('.') && !s3.force_path_style {
        said.push(
            "s3.bucket: with a dot in its name the host does not match the store's certificate; \
             set s3.force_path_style = true"
                .into(),
        );
    }
    if s3.endpoint.as_deref().is_some_and(is_open_road) {
        said.push(
            "s3.endpoint: plain http beyond this machine: anybody on the way reads the records \
             and the session tokens; use https"
                .into(),
        );
    }
    if s3.storage_class.as_deref().is_some_and(|class| FROZEN.contains(&class)) {
        said.push("s3.storage_class: Athena does not read objects of this class".into());
    }
    said
}
