//! From our settings to librdkafka's properties. The user's own properties come last and win.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as c;
use secrecy::{ExposeSecret, SecretString};

use super::lane::RUN;
use super::{FetchMemory, KafkaError, native};
use crate::config::{Assignor, GroupProtocol, KafkaSettings};
use crate::record::{INTERNAL_TOPICS, IsolationLevel};

/// librdkafka's defaults, for where the user set none.
const SESSION_TIMEOUT_MS: u64 = 45_000;
const MAX_POLL_INTERVAL_MS: u64 = 300_000;

/// The broker's largest message by default, and librdkafka's floor of `fetch.max.bytes`.
const MESSAGE_MAX_BYTES: u64 = 1_000_000;

/// A larger answer of a broker brings nothing.
const MOST_REPLY: u64 = 52_428_800;

/// What the queues of a client that only looks may hold.
const LOOK_BYTES: u64 = 16 << 20;

/// The properties of the consumer.
pub(super) fn consumer(
    settings: &KafkaSettings,
    isolation: IsolationLevel,
    memory: FetchMemory,
    lanes: usize,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    connection(&mut config, settings);
    promise(&mut config, isolation);
    group(&mut config, settings);
    fetching(&mut config, settings, memory, lanes);
    for (key, value) in &settings.librdkafka {
        config.set(key, value.expose_secret());
    }
    without_internal_topics(&mut config, settings);
    config.set("consume.callback.max.messages", RUN.to_string());
    config
}

/// The properties that a run's consumer has, for those who compare themselves with it: names and
/// values, secrets among them.
pub fn consumer_properties(
    settings: &KafkaSettings,
    isolation: IsolationLevel,
    memory: FetchMemory,
) -> BTreeMap<String, String> {
    let config = consumer(settings, isolation, memory, settings.lanes);
    let owned = |(name, value): (&&str, &&str)| ((*name).to_owned(), (*value).to_owned());
    config.config_map().iter().map(owned).collect()
}

/// Expressions match none of Kafka's own topics. With KIP-848 the broker matches, and a client that
/// does not want to know what it was given waits for ever; there `group` leaves them alone.
fn without_internal_topics(config: &mut ClientConfig, settings: &KafkaSettings) {
    const NAME: &str = "topic.blacklist";
    if settings.group_protocol == GroupProtocol::Classic {
        let own = INTERNAL_TOPICS.iter().map(|topic| format!("^{topic}$"));
        let all: Vec<_> = config.get(NAME).map(str::to_owned).into_iter().chain(own).collect();
        config.set(NAME, all.join(","));
    }
}

/// The properties of a client that only looks: it never joins a group and keeps little.
pub(super) fn onlooker(settings: &KafkaSettings, isolation: IsolationLevel) -> ClientConfig {
    let mut config = ClientConfig::new();
    connection(&mut config, settings);
    promise(&mut config, isolation);
    fetching(&mut config, settings, FetchMemory { bytes: LOOK_BYTES }, 1);
    for (key, value) in &settings.librdkafka {
        config.set(key, value.expose_secret());
    }
    config
}

fn connection(config: &mut ClientConfig, settings: &KafkaSettings) {
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("client.id", "kafka-s3-sink")
        .set("log.queue", "true")
        // The vendored OpenSSL looks for authorities in its own build folder otherwise.
        .set("ssl.ca.location", "probe")
        // How long a hung broker holds a commit, and with it a rebalance (60 s by default).
        .set("socket.timeout.ms", "10000")
        // New topics that match, and new Kafka partitions, are found within this time.
        .set("topic.metadata.refresh.interval.ms", "30000");
    if settings.msk_iam_region.is_some() {
        config.set("security.protocol", "SASL_SSL").set("sasl.mechanism", "OAUTHBEARER");
    }
}

/// What the promise rests on; `config` refuses these keys in the user's own properties.
fn promise(config: &mut ClientConfig, isolation: IsolationLevel) {
    let isolation = match isolation {
        IsolationLevel::ReadCommitted => "read_committed",
        IsolationLevel::ReadUncommitted => "read_uncommitted",
    };
    config
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        // A batch that was damaged on its way stops its Kafka partition; unchecked it is parsed.
        .set("check.crcs", "true")
        .set("isolation.level", isolation);
}

fn group(config: &mut ClientConfig, settings: &KafkaSettings) {
    config.set("group.id", &settings.group_id);
    if settings.group_protocol == GroupProtocol::Classic {
        // A member learns of a rebalance by its heartbeat: what moves stands still for as long (3 s by
        // default). With KIP-848 the broker says how often, and `subscription` asks between.
        config.set("heartbeat.interval.ms", "1000");
    }
    match (settings.group_protocol, settings.assignor) {
        (GroupProtocol::Consumer, _) => config.set("group.protocol", "consumer"),
        (GroupProtocol::Classic, Assignor::CooperativeSticky) => {
            config.set("partition.assignment.strategy", "cooperative-sticky")
        }
        (GroupProtocol::Classic, Assignor::Eager) => {
            config.set("partition.assignment.strategy", "range,roundrobin")
        }
    };
    if let Some(instance) = &settings.group_instance_id {
        config.set("group.instance.id", instance);
    }
}

/// Half of the memory is for what waits in the lanes' queues, the rest for replies on their way
/// and for what decompression adds. The limit of a queue counts per **lane**, because
/// `rd_kafka_q_size` follows the forward of a Kafka partition's queue to its lane's.
fn fetching(
    config: &mut ClientConfig,
    settings: &KafkaSettings,
    memory: FetchMemory,
    lanes: usize,
) {
    let per_lane = (memory.bytes / 2 / lanes.max(1) as u64 / 1024).clamp(1024, 2_097_151);
    // librdkafka wants message.max.bytes <= fetch.max.bytes < receive.message.max.bytes.
    let set = |name: &str| settings.librdkafka.get(name)?.expose_secret().parse::<u64>().ok();
    let most = set("receive.message.max.bytes").map_or(MOST_REPLY, |most| most.saturating_sub(512));
    let least = set("message.max.bytes").unwrap_or(MESSAGE_MAX_BYTES);
    let reply = (memory.bytes / 8).clamp(MESSAGE_MAX_BYTES, MOST_REPLY).min(most).max(least);
    let per_partition = (reply / 2).clamp(512 * 1024, 4 * 1024 * 1024);
    config
        .set("queued.max.messages.kbytes", per_lane.to_string())
        // Bytes are the limit; the count is only there so that tiny records queue deep enough.
        .set("queued.min.messages", "1000000")
        .set("fetch.max.bytes", reply.to_string())
        .set("fetch.message.max.bytes", per_partition.to_string())
        // A full queue is looked at again soon, or small limits make fetching stutter (1 s).
        .set("fetch.queue.backoff.ms", "20");
}

/// What librdkafka refuses in the user's own properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The property; none where it is several together that do not fit, and none is named.
    pub property: Option<String>,
    /// What librdkafka says, without a value that may be secret.
    pub message: String,
}

/// All values that librdkafka refuses, or, with `together` and where it takes each by itself, why it
/// makes no client of them. It needs no broker, and none is asked.
pub fn refused(settings: &KafkaSettings, together: bool) -> Vec<Refusal> {
    let values: Vec<_> = settings.librdkafka.iter().filter_map(refused_value).collect();
    if values.is_empty() && together {
        return refused_together(settings).into_iter().collect();
    }
    values
}

fn refused_value((name, value): (&String, &SecretString)) -> Option<Refusal> {
    let refusal = |message| Some(Refusal { property: Some(name.clone()), message });
    let (key, exposed) = (CString::new(name.as_str()), CString::new(value.expose_secret()));
    let (Ok(key), Ok(exposed)) = (key, exposed) else { return refusal("a NUL in it".to_owned()) };
    let mut text = [0 as c_char; 512];
    // SAFETY: the configuration is ours and freed; all arguments outlive the calls.
    let (result, text) = unsafe {
        let conf = c::rd_kafka_conf_new();
        let (at, len) = (text.as_mut_ptr(), text.len());
        let result = c::rd_kafka_conf_set(conf, key.as_ptr(), exposed.as_ptr(), at, len);
        c::rd_kafka_conf_destroy(conf);
        (result, native::string(text.as_ptr()))
    };
    if result as i32 == 0 { None } else { refusal(shown(text, value)) }
}

/// A secret may stand in the wrong place, and librdkafka quotes what it refuses.
fn shown(text: String, value: &SecretString) -> String {
    match value.expose_secret() {
        secret if secret.len() > 3 => text.replace(secret, "..."),
        _ => text,
    }
}

/// Makes the clients of a run and of the other commands, without a broker.
fn refused_together(settings: &KafkaSettings) -> Option<Refusal> {
    let isolation = IsolationLevel::ReadCommitted;
    let memory = FetchMemory { bytes: LOOK_BYTES };
    let both = [consumer(settings, isolation, memory, 1), onlooker(settings, isolation)];
    let failed = both.into_iter().find_map(|mut config| {
        config.remove("bootstrap.servers");
        match native::Client::consumer(&config, None) {
            Err(KafkaError::Config(text)) => Some(text),
            _ => None,
        }
    })?;
    let message = settings.librdkafka.values().fold(failed, shown);
    // The longest name wins: one may stand within another.
    let named = settings.librdkafka.keys().filter(|name| message.contains(name.as_str()));
    let property = named.max_by_key(|name| name.len()).cloned();
    Some(Refusal { property, message })
}

/// How long the rebalance callback waits for commits in flight before the process stops.
///
/// A commit without a coordinator is answered after `session.timeout.ms` at the latest, so a
/// frozen broker alone does not restart every sink; and the group's patience, which is
/// `max.poll.interval.ms`, is never used up.
pub(super) fn fence_deadline(config: &ClientConfig) -> Duration {
    let read = |key, default| config.get(key).and_then(|v| v.parse().ok()).unwrap_or(default);
    let session: u64 = read("session.timeout.ms", SESSION_TIMEOUT_MS);
    let patience: u64 = read("max.poll.interval.ms", MAX_POLL_INTERVAL_MS);
    Duration::from_millis((session + 30_000).min(patience / 3 * 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LostOffsetsPolicy, OutOfRangePolicy, StartPosition};

    fn settings(protocol: GroupProtocol, assignor: Assignor) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "127.0.0.1:1".into(),
            topics: vec!["t".into()],
            group_id: "g".into(),
            group_protocol: protocol,
            assignor,
            group_instance_id: None,
            msk_iam_region: None,
            start: StartPosition::Earliest,
            on_lost_offsets: LostOffsetsPolicy::Error,
            on_offset_out_of_range: OutOfRangePolicy::Stop,
            lanes: 2,
            librdkafka: BTreeMap::new(),
        }
    }

    fn of(settings: &KafkaSettings, bytes: u64) -> ClientConfig {
        consumer(settings, IsolationLevel::ReadCommitted, FetchMemory { bytes }, settings.lanes)
    }

    #[test]
    fn librdkafka_takes_every_protocol_and_size() {
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            for assignor in [Assignor::CooperativeSticky, Assignor::Eager] {
                for bytes in [0, 64 << 20, 8 << 30] {
                    let config = of(&settings(protocol, assignor), bytes);
                    super::super::native::Client::consumer(&config, None).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_users_word_wins() {
        let mut settings = settings(GroupProtocol::Classic, Assignor::CooperativeSticky);
        settings.librdkafka.insert("socket.timeout.ms".into(), "777".to_owned().into());
        assert_eq!(of(&settings, 64 << 20).get("socket.timeout.ms"), Some("777"));
    }

    #[test]
    fn the_deadline_stays_within_the_groups_patience() {
        let mut settings = settings(GroupProtocol::Classic, Assignor::CooperativeSticky);
        assert_eq!(fence_deadline(&of(&settings, 1)), Duration::from_secs(75));
        settings.librdkafka.insert("max.poll.interval.ms".into(), "30000".to_owned().into());
        assert_eq!(fence_deadline(&of(&settings, 1)), Duration::from_secs(20));
    }

    fn of_properties(given: &[(&str, &str)]) -> KafkaSettings {
        let mut settings = settings(GroupProtocol::Classic, Assignor::Eager);
        for (name, value) in given {
            settings.librdkafka.insert((*name).to_owned(), (*value).to_owned().into());
        }
        settings
    }

    #[test]
    fn values_that_librdkafka_refuses_are_told_all_at_once() {
        let given = [("session.timeout.ms", "abc"), ("debug", "hunter2"), ("client.id", "fine")];
        let told = refused(&of_properties(&given), true);
        let names: Vec<_> = told.iter().map(|each| each.property.as_deref()).collect();
        assert_eq!(names, [Some("debug"), Some("session.timeout.ms")]);
        assert!(!told[0].message.contains("hunter2"), "{told:?}");
    }

    #[test]
    fn what_does_not_fit_together_is_told_without_a_broker() {
        let mechanism = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "NONSENSE")];
        let told = refused(&of_properties(&mechanism), true);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(!told[0].message.is_empty());
        let user = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")];
        assert_eq!(refused(&of_properties(&user), true).len(), 1, "neither user nor password");
        let answer = [("fetch.max.bytes", "2000000"), ("message.max.bytes", "3000000")];
        let told = refused(&of_properties(&answer), true);
        assert_eq!(told[0].property.as_deref(), Some("message.max.bytes"), "{told:?}");
        assert!(told[0].message.contains("fetch.max.bytes"), "{told:?}");
    }

    /// Ours make way for what the user sets beside them.
    #[test]
    fn our_own_sizes_fit_the_users() {
        for given in [("message.max.bytes", "40000000"), ("receive.message.max.bytes", "18000000")]
        {
            let settings = of_properties(&[given]);
            assert_eq!(refused(&settings, true), [], "{given:?}");
            native::Client::consumer(&of(&settings, 256 << 20), None).unwrap();
        }
    }
}
