//! A look at the cluster from outside: nothing is joined, nothing is committed.
//!
//! Fed by `check`, which wants to know before a start what a start would meet, and by `audit` and
//! `recover`. Only `apply` commits, and only where the group has no member.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::facts::{self, Answers, LogBounds};
use super::native::{self, Client, Event, Queue, millis};
use super::report::NO_TOKENS;
use super::{KafkaError, properties};
use crate::config::{GroupProtocol, KafkaSettings};
use crate::record::{Committed, IsolationLevel, Offset, TimestampMs, TopicFacts, TopicPartition};

/// How long one try of the metadata takes before the client's errors are looked at.
const ONE_TRY: Duration = Duration::from_secs(1);

/// How librdkafka (2.12.1, `rd_kafka_handle_ApiVersion`) begins to list what a broker knows, and
/// how it names the request that KIP-848 rests on.
const LIST: &str = "Broker API support:";
const HEARTBEAT: &str = "ApiKey ConsumerGroupHeartbeat (68) Versions ";
/// The version of it that librdkafka speaks; Kafka 3.9 has version 0 alone.
const HEARTBEAT_VERSION: u16 = 1;

/// Asks one server alone for the cluster's brokers, which come as `host:port`. Blocks, at most
/// about `patience`.
pub fn reach(
    settings: &KafkaSettings,
    server: &str,
    patience: Duration,
) -> Result<Vec<String>, KafkaError> {
    let mut config = properties::onlooker(settings, IsolationLevel::ReadCommitted);
    config.set("bootstrap.servers", server);
    Ok(ask(settings, server, &config, patience)?.0)
}

/// Whether the brokers know `kafka.group_protocol`. To librdkafka's member one that does not is
/// a coordinator that is away, for ever. Blocks, at most about `patience`.
pub fn knows_group_protocol(
    settings: &KafkaSettings,
    patience: Duration,
) -> Result<(), KafkaError> {
    if settings.group_protocol == GroupProtocol::Classic {
        return Ok(());
    }
    let server = &settings.bootstrap_servers;
    let mut config = properties::onlooker(settings, IsolationLevel::ReadCommitted);
    // What a broker knows is told in these lines alone.
    config.set("debug", "feature");
    let (_, heard) = ask(settings, server, &config, patience)?;
    if heard.lists && !heard.knows_heartbeat {
        return Err(KafkaError::GroupProtocol { server: server.clone() });
    }
    Ok(())
}

fn ask(
    settings: &KafkaSettings,
    server: &str,
    config: &ClientConfig,
    patience: Duration,
) -> Result<(Vec<String>, Heard), KafkaError> {
    let client = Arc::new(Client::consumer(config, settings.msk_iam_region.as_deref())?);
    let queue = Queue::replies(&client);
    let deadline = Instant::now() + patience;
    let mut heard = Heard::default();
    loop {
        let answer = brokers(&client, ONE_TRY);
        while let Some(event) = queue.poll(Duration::ZERO) {
            heard.event(&event);
        }
        match answer {
            Ok(brokers) => return Ok((brokers, heard)),
            Err(reason) => heard.reason = heard.reason.or(Some(reason)),
        }
        if heard.refused.is_some() || Instant::now() >= deadline {
            return Err(heard.into_error(server));
        }
    }
}

/// What the client said while it tried.
#[derive(Default)]
struct Heard {
    /// The server is there and will not have us.
    refused: Option<String>,
    /// The last reason why there is no connection.
    connection: Option<String>,
    /// Why the request failed; mostly just the time.
    reason: Option<String>,
    /// Whether a broker has listed what it knows.
    lists: bool,
    /// Whether the request of KIP-848 was among that.
    knows_heartbeat: bool,
}

impl Heard {
    fn event(&mut self, event: &Event) {
        match event.kind() {
            c::RD_KAFKA_EVENT_ERROR => self.error(event.error(), event.error_text()),
            c::RD_KAFKA_EVENT_LOG => {
                if let Some((_, text, _)) = event.log_line() {
                    self.line(&text);
                }
            }
            c::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH => {
                self.refused = Some(NO_TOKENS.to_owned());
            }
            _ => {}
        }
    }

    /// A line about what a broker knows, such as `... Versions 0..1`.
    fn line(&mut self, text: &str) {
        self.lists |= text.contains(LIST);
        let versions = text.split_once(HEARTBEAT).and_then(|(_, rest)| rest.split_once(".."));
        let newest = versions.and_then(|(_, newest)| newest.trim().parse::<u16>().ok());
        self.knows_heartbeat |= newest.is_some_and(|newest| newest >= HEARTBEAT_VERSION);
    }

    fn error(&mut self, code: Code, text: String) {
        match code {
            Code::RD_KAFKA_RESP_ERR__AUTHENTICATION
            | Code::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
            | Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM
            | Code::RD_KAFKA_RESP_ERR__SSL => self.refused = Some(text),
            // Says only how many there are.
            Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN => {}
            // A listener without TLS just hangs up, which the code alone calls a cut connection.
            _ if text.contains("SSL handshake failed") => self.refused = Some(text),
            _ => self.connection = Some(text),
        }
    }

    fn into_error(self, server: &str) -> KafkaError {
        let server = server.to_owned();
        if let Some(reason) = self.refused {
            return KafkaError::Refused { server, reason };
        }
        let reason = self.connection.or(self.reason).unwrap_or_else(|| "no answer".to_owned());
        KafkaError::Unreachable { server, reason }
    }
}

fn brokers(client: &Client, timeout: Duration) -> Result<Vec<String>, String> {
    let mut found = ptr::null();
    // SAFETY: the client is alive; the object is ours, read while it lives, and freed.
    unsafe {
        let no_topic = ptr::null_mut();
        let code = c::rd_kafka_metadata(client.ptr(), 0, no_topic, &mut found, millis(timeout));
        native::check_code(code)?;
        let list = (*found).brokers;
        let brokers = (0..(*found).broker_cnt as usize).map(|index| {
            let broker = list.add(index);
            format!("{}:{}", native::string((*broker).host), (*broker).port)
        });
        let brokers = brokers.collect();
        c::rd_kafka_metadata_destroy(found);
        Ok(brokers)
    }
}

/// Knows the group's name, so that it may ask for its offsets, and never becomes a member.
pub struct Onlooker {
    client: Arc<Client>,
    group: String,
}

impl Onlooker {
    /// Makes the client; no broker is needed yet.
    pub fn connect(
        settings: &KafkaSettings,
        isolation: IsolationLevel,
    ) -> Result<Self, KafkaError> {
        let mut config = properties::onlooker(settings, isolation);
        config.set("group.id", &settings.group_id);
        let region = settings.msk_iam_region.as_deref();
        let client = Arc::new(Client::consumer(&config, region)?);
        Ok(Self { client, group: settings.group_id.clone() })
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// The cluster's id; empty if no broker tells it. Blocks.
    pub fn cluster_id(&self) -> String {
        facts::cluster_id(&self.client)
    }

    /// All topics that this user may see, with the number of their Kafka partitions. Blocks.
    pub fn topics(&self) -> Result<BTreeMap<String, i32>, KafkaError> {
        facts::topics(&self.client)
    }

    /// The number of Kafka partitions of a topic; an error if there is no such topic. Blocks.
    pub fn partition_count(&self, topic: &str) -> Result<i32, KafkaError> {
        facts::partition_count(&self.client, topic)
    }

    /// What is known of these Kafka partitions, as `KafkaEdge::topic_facts` tells it. Blocks.
    pub fn topic_facts(
        &self,
        partitions: &[TopicPartition],
        prefix_empty: &BTreeMap<Arc<str>, bool>,
    ) -> Answers<TopicFacts> {
        facts::topic_facts(&self.client, partitions, prefix_empty)
    }

    /// What the group holds, whoever committed it. Blocks.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Answers<Committed>, KafkaError> {
        facts::committed(&self.client, partitions)
    }

    /// Start and readable end of logs. Blocks.
    pub fn log_bounds(&self, partitions: &[TopicPartition]) -> Answers<LogBounds> {
        facts::log_bounds(&self.client, partitions)
    }

    /// The first offsets whose records are of this time or later; where there is none, the
    /// readable end. Blocks.
    pub fn offsets_at(&self, partitions: &[TopicPartition], time: TimestampMs) -> Answers<Offset> {
        facts::offsets_at(&self.client, partitions, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errors: &[(Code, &str)]) -> KafkaError {
        let mut heard = Heard { reason: Some("timed out".to_owned()), ..Heard::default() };
        for (code, text) in errors {
            heard.error(*code, (*text).to_owned());
        }
        heard.into_error("b:1")
    }

    #[test]
    fn the_reason_of_the_connection_is_told_and_a_refusal_wins() {
        let down = (Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down");
        let refused = (Code::RD_KAFKA_RESP_ERR__TRANSPORT, "Connection refused");
        let password = (Code::RD_KAFKA_RESP_ERR__AUTHENTICATION, "wrong password");
        let text = |errors: &[_]| after(errors).to_string();
        assert_eq!(text(&[refused, down]), "b:1 cannot be reached: Connection refused");
        let no_tls = (Code::RD_KAFKA_RESP_ERR__TRANSPORT, "SSL handshake failed: Disconnected");
        assert!(after(&[no_tls]).is_to_be_mended());
        assert_eq!(text(&[down]), "b:1 cannot be reached: timed out");
        assert_eq!(text(&[password, refused]), "b:1 refuses this client: wrong password");
        assert!(after(&[password]).is_to_be_mended() && !after(&[refused]).is_to_be_mended());
    }

    #[test]
    fn the_heartbeat_counts_from_the_version_that_is_spoken() {
        let knows = |versions: &str| {
            let mut heard = Heard::default();
            heard.line("[thrd:b]: b:9092/1: Broker API support:");
            heard.line(&format!(
                "[thrd:b]: b:9092/1:   ApiKey ConsumerGroupHeartbeat (68) Versions {versions}"
            ));
            heard.lists && heard.knows_heartbeat
        };
        assert!(knows("0..1") && knows("1..12") && !knows("0..0"));
    }
}
