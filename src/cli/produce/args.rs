//! What `produce` is told, and the events that come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::DELIVERY;
use crate::cli::ConfigArgs;
use crate::config::{ConfigErrors, parse_duration, parse_size};
use crate::demo::events::EventShape;

/// librdkafka's and the brokers' own limit, less what a batch takes beside the value.
const MESSAGE_MAX: u64 = 900_000;

/// Which events go where, and how fast.
#[derive(Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The brokers, in place of the configuration's: host:port, separated by commas
    #[arg(long, value_name = "HOSTS", required_unless_present = "config")]
    bootstrap_servers: Option<String>,
    /// The topic
    #[arg(long)]
    pub(super) topic: String,
    /// Make the topic if it is not there
    #[arg(long)]
    pub(super) create: bool,
    /// Kafka partitions of the topic that --create makes
    #[arg(long, value_name = "N", default_value_t = 6, requires = "create",
        value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) partitions: i32,
    /// How many events; 0 goes on until Ctrl-C
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) count: u64,
    /// Events a second; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) rate: u64,
    /// About how large a value is, such as 500 or 2KiB
    #[arg(long, value_name = "SIZE", default_value = "500", value_parser = parse_size)]
    size: u64,
    /// How many different keys there are; 0 gives null keys
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    key_cardinality: u64,
    /// The share of events that come late, such as 0.01 or 1%
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    late_share: f64,
    /// How late they are at most
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = parse_duration)]
    late_by: Duration,
    /// The time that --count events are spread over, ending now
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    event_time_span: Duration,
    /// The share of events with a null value
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    tombstones: f64,
    /// The share of events whose value is no JSON object
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    invalid: f64,
    /// The same seed gives the same events, but for their times
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// The sequence number of the first event
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) first_sequence: u64,
    /// How batches are compressed on their way to the brokers [default: lz4]
    #[arg(long, value_name = "CODEC", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: Option<String>,
}

/// Where the events go.
pub(super) struct Target {
    pub(super) bootstrap_servers: String,
    pub(super) properties: BTreeMap<String, SecretString>,
}

impl ProduceArgs {
    /// Reads the configuration, where one is named, and puts the command line above it.
    pub(super) fn target(&self) -> Result<Target, ConfigErrors> {
        let mut target = Target { bootstrap_servers: String::new(), properties: BTreeMap::new() };
        if self.config.config.is_some() {
            let kafka = self.config.load()?.kafka;
            target.bootstrap_servers = kafka.bootstrap_servers;
            target.properties = kafka.librdkafka;
        }
        if let Some(servers) = &self.bootstrap_servers {
            target.bootstrap_servers.clone_from(servers);
        }
        let properties = &mut target.properties;
        if let Some(codec) = &self.compression {
            properties.remove("compression.type");
            properties.insert("compression.codec".to_owned(), codec.clone().into());
        }
        let mut default = |key: &str, value: String| {
            properties.entry(key.to_owned()).or_insert_with(|| value.into());
        };
        default("message.timeout.ms", DELIVERY.as_millis().to_string());
        if self.size > MESSAGE_MAX {
            default("message.max.bytes", (self.size + self.size / 8).to_string());
        }
        Ok(target)
    }

    /// Whether the shares of what is no event fit into the whole.
    pub(super) fn shares(&self) -> Result<(), String> {
        let (tombstones, invalid) = (self.tombstones, self.invalid);
        if tombstones + invalid > 1.0 {
            return Err(format!(
                "--tombstones {tombstones} and --invalid {invalid} are more than all events together"
            ));
        }
        Ok(())
    }

    /// The events, the last of `count` at `now_ms`; without a count from there on.
    pub(super) fn shape(&self, now_ms: i64) -> EventShape {
        let span = i64::try_from(self.event_time_span.as_micros()).unwrap_or(i64::MAX);
        let (start_ms, step_us) = match (self.count, self.rate) {
            (0, 0) => (now_ms, 10),
            (0, rate) => (now_ms, (1_000_000 / rate).max(1) as i64),
            (count, _) => (now_ms.saturating_sub(span / 1_000), span / count.cast_signed().max(1)),
        };
        EventShape {
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            key_cardinality: self.key_cardinality,
            first_sequence: self.first_sequence,
            start_ms,
            step_us,
            late_share: self.late_share,
            late_by_ms: i64::try_from(self.late_by.as_millis()).unwrap_or(i64::MAX),
            tombstone_share: self.tombstones,
            invalid_share: self.invalid,
        }
    }
}

/// Reads `0.01` or `1%`.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    match number.parse::<f64>().map(|number| number / scale) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is no share; write it from 0 to 1, or like 5%")),
    }
}
