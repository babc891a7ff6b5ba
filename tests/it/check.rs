//! `kafka-s3-sink check`, the real binary against real servers: what is well, what is wrong, and
//! the exit codes.

use std::time::Duration;

use crate::needs_servers;
use crate::support::bucket::Bucket;
use crate::support::kafka::{Broker, Bulk, RawRecord, Version};
use crate::support::minio::Minio;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::free_port;

const PATIENCE: Duration = Duration::from_secs(90);

/// What a check printed, and its exit code.
struct Checked {
    code: i32,
    text: String,
}

impl Checked {
    fn of(config: &SinkConfig, args: &[&str]) -> Self {
        let args: Vec<&str> = ["check"].iter().chain(args).copied().collect();
        let mut sink = Sink::spawn(config, &args);
        let end = sink.wait(PATIENCE);
        Self { code: end.status.code().expect("an exit code"), text: sink.log() }
    }

    /// The lines about one thing, each as `word text`.
    fn lines(&self, what: &str) -> Vec<String> {
        let of = |line: &str| {
            let (word, rest) = line.split_at_checked(6)?;
            let (name, text) = rest.split_at_checked(18)?;
            (name.trim_end() == what).then(|| format!("{} {text}", word.trim_end()))
        };
        self.text.lines().filter_map(of).collect()
    }

    /// Fails unless a line about `what` begins with `word` and holds all of `texts`.
    #[track_caller]
    fn says(&self, word: &str, what: &str, texts: &[&str]) {
        let lines = self.lines(what);
        let fits = |line: &String| {
            line.starts_with(&format!("{word} ")) && texts.iter().all(|text| line.contains(text))
        };
        assert!(lines.iter().any(fits), "no {word} {what} with {texts:?} in:\n{}", self.text);
    }

    #[track_caller]
    fn ends(&self, code: i32) {
        assert_eq!(self.code, code, "{}", self.text);
    }

    /// Everything that can be said about a good set-up.
    #[track_caller]
    fn all_is_well(&self) {
        self.ends(0);
        assert!(!self.text.contains("FAIL") && !self.text.contains("skip"), "{}", self.text);
    }
}

/// A topic with records and a bucket of the same name.
fn set_up(name: &str) -> (&'static Broker, Bucket, SinkConfig) {
    let broker = Broker::shared_v4();
    broker.create_topic(name, 3, &[]);
    let bucket = Bucket::create(Minio::shared().expect("MinIO"), name);
    let config = SinkConfig::new(broker, &bucket, name);
    (broker, bucket, config)
}

#[test]
fn all_is_well_before_and_after_a_run() {
    needs_servers!();
    let (broker, bucket, config) = set_up("check-well");
    let yesterday = jiff::Timestamp::now().as_millisecond() - 86_400_000;
    broker.produce_many(&Bulk { first_ms: yesterday, ..Bulk::new("check-well", 3, 3_000) });
    let checked = Checked::of(&config, &[]);
    checked.all_is_well();
    checked.says("ok", "configuration", &["sink.toml", "of 4,096 bytes"]);
    checked.says("ok", "brokers", &["1 broker: 127.0.0.1:"]);
    checked.says("ok", "topics", &["1 topic with 3 Kafka partitions: check-well (3)"]);
    checked.says("ok", "conditional put", &["If-None-Match is honoured"]);
    for what in ["bucket", "put", "HEAD", "delete", "clock", "objects a day"] {
        checked.says("ok", what, &[]);
    }
    checked.says("ok", "LIST", &["nothing has landed yet"]);
    checked.says("ok", "group", &["begins: first start (3 Kafka partitions, 3,000 offsets wait)"]);
    checked.says("ok", "records", &["100 records looked at, 100 of them a line, 500 B each"]);
    assert!(checked.text.ends_with("ready to run\n"), "{}", checked.text);
    assert_eq!(bucket.list(""), [], "the probe's object is deleted");
    assert_eq!(broker.committed("check-well-sink", "check-well", 0).offset, None);

    Sink::run_until_end(&config).wait_success(PATIENCE);
    let after = Checked::of(&config, &[]);
    after.all_is_well();
    let continues = "continues where it was (3 Kafka partitions, 0 offsets wait)";
    after.says("ok", "group", &[continues]);
    after.says("ok", "LIST", &["1 of 1 topics have objects"]);
}

#[test]
fn a_wrong_broker_address_ends_with_5_and_the_store_is_tried_all_the_same() {
    needs_servers!();
    let (_, _, config) = set_up("check-away");
    let nobody = format!("127.0.0.1:{}", free_port());
    let checked = Checked::of(&config.set("kafka.bootstrap_servers", nobody.as_str()), &[]);
    checked.ends(5);
    checked.says("FAIL", "brokers", &["kafka.bootstrap_servers", &nobody, "Connection refused"]);
    checked.says("skip", "topics", &["brokers"]);
    checked.says("skip", "objects a day", &["brokers"]);
    checked.says("ok", "put", &[]);
}

#[test]
fn one_wrong_broker_of_two_is_a_warning() {
    needs_servers!();
    let (broker, _, config) = set_up("check-half");
    let both = format!("{}, 127.0.0.1:{}", broker.bootstrap(), free_port());
    let checked = Checked::of(&config.set("kafka.bootstrap_servers", both), &[]);
    checked.all_is_well();
    checked.says("warn", "brokers", &["cannot be reached"]);
    checked.says("ok", "topics", &["check-half (3)"]);
}

#[test]
fn an_advertised_address_that_nobody_answers_is_named() {
    needs_servers!();
    let nobody = free_port();
    let advertised = format!("PLAINTEXT://127.0.0.1:{nobody}");
    let broker = Broker::start_with(Version::V4, &[("advertised.listeners", &advertised)]);
    let bucket = Bucket::create(Minio::shared().expect("MinIO"), "check-advertised");
    let checked = Checked::of(&SinkConfig::new(&broker, &bucket, "t"), &[]);
    checked.ends(5);
    let address = format!("127.0.0.1:{nobody}");
    checked.says("FAIL", "brokers", &[&address, "advertised.listeners"]);
}

#[test]
fn tls_where_the_listener_has_none_must_be_mended() {
    needs_servers!();
    let (_, _, config) = set_up("check-tls");
    let config = config.set("kafka.librdkafka.\"security.protocol\"", "ssl");
    let checked = Checked::of(&config, &[]);
    checked.ends(2);
    checked.says("FAIL", "brokers", &["refuses this client", "security.protocol"]);
}

/// A real listener takes OAUTHBEARER tokens, but only Amazon's own brokers can tell whether a
/// token of theirs is good. So this one refuses what it was given, and says that it was a token.
#[test]
fn msk_iam_signs_in_with_a_token_of_the_credentials() {
    needs_servers!();
    let sasl = free_port();
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{second_port}},\
         SASL://127.0.0.1:{sasl}"
    );
    let advertised = format!("PLAINTEXT://127.0.0.1:{{port}},SASL://127.0.0.1:{sasl}");
    let protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT";
    let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                unsecuredLoginStringClaim_sub=\"x\";";
    let broker = Broker::start_with(
        Version::V4,
        &[
            ("listeners", &listeners),
            ("advertised.listeners", &advertised),
            ("listener.security.protocol.map", protocols),
            ("sasl.enabled.mechanisms", "OAUTHBEARER"),
            ("listener.name.sasl.oauthbearer.sasl.jaas.config", jaas),
        ],
    );
    let bucket = Bucket::create(Minio::shared().expect("MinIO"), "check-msk");
    let config = SinkConfig::new(&broker, &bucket, "check-msk")
        .set("kafka.bootstrap_servers", format!("127.0.0.1:{sasl}"))
        .set("kafka.msk_iam_region", "eu-central-1")
        .set("kafka.librdkafka.\"security.protocol\"", "sasl_plaintext");
    let refused = Checked::of(&config, &[]);
    refused.ends(2);
    refused.says("FAIL", "brokers", &["refuses this client", "invalid_token"]);

    let without = config.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let unsigned = Checked::of(&without, &[]);
    unsigned.says("FAIL", "brokers", &["kafka.msk_iam_region: no token", "credentials"]);
}

#[test]
fn all_is_well_on_kafka_3() {
    needs_servers!();
    let broker = Broker::shared_v3();
    broker.create_topic("check-v3", 2, &[]);
    broker.produce_many(&Bulk::new("check-v3", 2, 100));
    let bucket = Bucket::create(Minio::shared().expect("MinIO"), "check-v3");
    let config = SinkConfig::new(broker, &bucket, "check-v3").set("rotation.max_age", "1h");
    let checked = Checked::of(&config, &[]);
    checked.all_is_well();
    checked.says("ok", "group", &["begins: first start (2 Kafka partitions, 100 offsets wait)"]);
    checked.says("ok", "records", &["100 records looked at"]);
}

#[test]
fn a_store_that_is_away_ends_with_5() {
    needs_servers!();
    let (_, _, config) = set_up("check-no-store");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let checked = Checked::of(&config.set("s3.endpoint", nobody.as_str()), &[]);
    checked.ends(5);
    checked.says("FAIL", "bucket", &[&nobody, "s3.endpoint"]);
    checked.says("skip", "put", &[]);
    checked.says("skip", "group", &["LIST of the bucket"]);
    checked.says("ok", "brokers", &[]);
    assert!(!checked.text.contains("tried again"), "{}", checked.text);
}

#[test]
fn a_missing_bucket_and_wrong_keys_end_with_2() {
    needs_servers!();
    let (_, _, config) = set_up("check-keys");
    let missing = Checked::of(&config.clone().set("s3.bucket", "check-nowhere"), &[]);
    missing.ends(2);
    missing.says("FAIL", "bucket", &["check-nowhere", "s3.bucket"]);
    missing.says("FAIL", "put", &["s3.bucket"]);
    missing.says("skip", "LIST", &["bucket"]);

    let secret = "wrong-secret-of-a-test";
    let wrong = Checked::of(&config.env("AWS_SECRET_ACCESS_KEY", secret), &[]);
    wrong.ends(2);
    wrong.says("FAIL", "put", &["SignatureDoesNotMatch", "secret"]);
    wrong.says("ok", "clock", &[]);
    assert!(!wrong.text.contains(secret), "{}", wrong.text);
}

#[test]
fn a_missing_topic_ends_with_2_and_the_others_are_looked_at() {
    needs_servers!();
    let (_, _, config) = set_up("check-there");
    let topics = vec!["check-there".to_owned(), "check-not-there".to_owned()];
    let checked = Checked::of(&config.clone().set("kafka.topics", topics), &[]);
    checked.ends(2);
    checked.says("FAIL", "topics", &["check-not-there", "create it"]);
    checked.says("ok", "topics", &["1 topic with 3 Kafka partitions"]);
    checked.says("ok", "records", &["check-there: none to look at yet"]);

    let nothing = vec!["^check-nothing-.*".to_owned()];
    let checked = Checked::of(&config.clone().set("kafka.topics", nothing), &[]);
    checked.ends(2);
    checked.says("FAIL", "topics", &["no topic matches \"^check-nothing-.*\""]);

    let one_of_two = vec!["check-there".to_owned(), "^check-nothing-.*".to_owned()];
    let checked = Checked::of(&config.set("kafka.topics", one_of_two), &[]);
    checked.all_is_well();
    checked.says("warn", "topics", &["no topic matches"]);
}

#[test]
fn fields_that_readers_stumble_over_are_warnings() {
    needs_servers!();
    let (broker, _, config) = set_up("check-fields");
    let values = [r#"{"dt":"x"}"#, r#"{"Id":1,"id":2}"#, "[1]", r#"{"plain":1}"#];
    broker.produce_raw("check-fields", &values.map(RawRecord::of));
    let checked = Checked::of(&config, &[]);
    checked.all_is_well();
    checked.says("warn", "records", &["1 of 4 records have a field \"dt\"", "Hive partition"]);
    checked.says("warn", "records", &["\"Id\" and \"id\""]);
    checked.says("warn", "records", &["not_an_object 1", "dead letters", "records.on_invalid"]);
    checked.says("ok", "records", &["4 records looked at, 3 of them a line"]);
}

#[test]
fn many_small_objects_are_a_warning_with_the_setting_that_helps() {
    needs_servers!();
    let (broker, _, config) = set_up("check-small");
    let now = jiff::Timestamp::now().as_millisecond();
    let bulk = Bulk {
        first_ms: now - 2 * 3_600_000,
        step_us: 3_600_000,
        ..Bulk::new("check-small", 3, 5_700)
    };
    broker.produce_many(&bulk);
    let checked = Checked::of(&config, &[]);
    checked.all_is_well();
    let texts = ["0.75 records/s over the last hour", "rotation.max_age = \"1h\"", "small objects"];
    checked.says("warn", "objects a day", &texts);
}

#[test]
fn offsets_that_somebody_else_set_end_with_2() {
    needs_servers!();
    let (broker, _, config) = set_up("check-lost");
    broker.produce_many(&Bulk::new("check-lost", 3, 30));
    broker.set_offset("check-lost-sink", "check-lost", 1, 5);
    let checked = Checked::of(&config.clone(), &[]);
    checked.ends(2);
    checked.says(
        "FAIL",
        "group",
        &["check-lost[1]", "the committed offset 5 was not set by this sink"],
    );
    checked.says("ok", "group", &["begins: first start (2 Kafka partitions, 20 offsets wait)"]);
    let start = Checked::of(&config.set("kafka.on_lost_offsets", "start"), &[]);
    start.all_is_well();
    start.says("ok", "group", &["an offset that somebody set"]);
}

#[test]
fn offline_looks_at_the_configuration_alone() {
    let text = "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
                [s3]\nbucket = \"lake\"\n[layout]\ncompression = \"zstd\"\n";
    let checked = Checked::of(&SinkConfig::of_text(text), &["--offline"]);
    checked.ends(0);
    checked.says("ok", "configuration", &["a pin takes at most"]);
    checked.says("warn", "configuration", &["zstd"]);
    assert!(checked.text.ends_with("the configuration is sound, 1 warning\n"), "{}", checked.text);
    assert!(!checked.text.contains("brokers"), "{}", checked.text);

    let wrong = text.replace("group_id", "group_ide").replace("\"zstd\"", "\"zstandard\"");
    let checked = Checked::of(&SinkConfig::of_text(&wrong), &["--offline"]);
    checked.ends(2);
    checked.says("FAIL", "configuration", &["kafka.group_ide", "group_id"]);
    checked.says("FAIL", "configuration", &["layout.compression"]);
    assert!(!checked.text.contains('\u{1b}'), "no colours in a file");
}
