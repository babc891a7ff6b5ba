//! What people get wrong: each has a clear message, nothing is lost, and what can be mended from
//! outside is mended without a restart.

use aws_sdk_s3::config::{Credentials, Region};

use super::*;

/// Runs to the end with a working configuration, as the message asked for.
fn works_once_mended(case: &Case<'_>, expected: &Expected) {
    case.run_to_end(&case.config());
    case.assert_exact(expected);
}

#[test]
fn a_configuration_that_is_wrong() {
    let Some(case) = Case::shared("e2e-config", 1) else { return };
    let wrong = [
        (SinkConfig::of_text("[kafka\nbootstrap"), "sink.toml:1"),
        (case.config().set("layout.compresion", "gzip"), "compression"),
        (case.config().set("rotation.max_age", "soon"), "rotation.max_age"),
        (case.config().set(&librdkafka("enable.auto.commit"), "true"), "enable.auto.commit"),
        (case.config().env("KAFKA_S3_SINK__S3__BUKET", "x"), "bucket"),
    ];
    for (config, word) in wrong {
        let mut sink = Sink::run(&config);
        let end = sink.wait(PATIENCE);
        assert_eq!(end.status.code(), Some(2), "{}", sink.log());
        assert!(sink.log().contains(word), "{word}: {}", sink.log());
    }
}

#[test]
fn a_wrong_broker_address() {
    let Some(case) = Case::shared("e2e-no-broker", 1) else { return };
    let port = crate::support::workdir::free_port();
    let config = case.config().set("kafka.bootstrap_servers", format!("127.0.0.1:{port}"));
    for mut sink in [Sink::run(&config), Sink::run_until_end(&config)] {
        wait_not_ready(&mut sink, "broker_reachable");
        sink.wait_for_log("kafka.bootstrap_servers", PATIENCE);
        assert!(sink.ended().is_none(), "it keeps trying");
        let asked = Instant::now();
        sink.sigterm();
        sink.wait_success(PATIENCE);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    }
}

/// A sink whose store refuses it: it says so with these words, is not ready, and goes on trying.
fn refused(config: &SinkConfig, words: &[&str]) -> Sink {
    let mut sink = Sink::run(config);
    let line = sink.wait_for_log("ERROR", PATIENCE);
    let reason = wait_not_ready(&mut sink, "store_reachable");
    for word in words {
        assert!(line.contains(word) && reason.contains(word), "{word}: {line}\n{reason}");
    }
    assert!(!sink.log().contains(Minio::SECRET_KEY), "a secret is in the log");
    sink
}

#[test]
fn a_bucket_that_does_not_exist_until_somebody_makes_it() {
    let Some(case) = Case::shared("e2e-no-bucket", 2) else { return };
    let expected = case.produce(1000);
    let config = case.config().set("s3.bucket", "e2e-made-later").set("rotation.max_age", "1s");
    let mut sink = refused(&config, &["e2e-made-later", "s3.bucket"]);
    let minio = Minio::shared().expect("servers");
    let later = Case { bucket: Bucket::create(minio, "e2e-made-later"), ..case };
    later.wait_committed(&mut sink);
    sink.wait_ready(PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    later.assert_exact(&expected);
}

#[test]
fn wrong_keys() {
    let Some(case) = Case::shared("e2e-wrong-keys", 1) else { return };
    let expected = case.produce(300);
    let config = case.config().env("AWS_SECRET_ACCESS_KEY", "wrong-secret-value");
    let mut sink = refused(&config, &["SignatureDoesNotMatch"]);
    assert!(!sink.log().contains("wrong-secret-value"));
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let config = case.config().env("AWS_ACCESS_KEY_ID", "nobody");
    refused(&config, &["InvalidAccessKeyId"]);
    works_once_mended(&case, &expected);
}

/// Values, and combinations of them: each command says where it stands, before it asks a server.
#[test]
fn what_librdkafka_refuses() {
    let text = |properties: &str| {
        SinkConfig::of_text(&format!(
            "[kafka]\nbootstrap_servers = \"127.0.0.1:9\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
             [s3]\nbucket = \"lake\"\nregion = \"us-east-1\"\n[kafka.librdkafka]\n{properties}"
        ))
    };
    let cases = [
        (
            "\"session.timeout.ms\" = \"soon\"",
            "sink.toml:9:1: kafka.librdkafka.session.timeout.ms: ",
        ),
        (
            "\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"NONSENSE\"",
            "kafka.librdkafka",
        ),
        (
            "\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"PLAIN\"",
            "kafka.librdkafka",
        ),
        (
            "\"fetch.max.bytes\" = 2000000\n\"message.max.bytes\" = 3000000",
            "sink.toml:10:1: kafka.librdkafka.message.max.bytes: ",
        ),
    ];
    let commands: [&[&str]; 6] = [
        &["run"],
        &["run", "--until-end"],
        &["check", "--offline"],
        &["audit"],
        &["recover"],
        &["produce", "--topic", "t"],
    ];
    for (properties, words) in cases {
        for command in commands {
            let mut sink = Sink::spawn(&text(properties), command);
            let code = sink.wait(PATIENCE).status.code();
            let log = sink.log();
            assert_eq!(code, Some(2), "{command:?} with {properties}: {log}");
            assert!(
                log.contains(words) && log.contains("[kafka.librdkafka]"),
                "{command:?}: {log}"
            );
        }
    }
}

/// Many a unit and a container unset a variable like this.
#[test]
fn an_empty_variable_names_no_file() {
    let mut check = Sink::spawn(
        &SinkConfig::of_text("[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n[s3]\nbucket = \"lake\"\n")
            .env("KAFKA_S3_SINK_CONFIG", ""),
        &["check", "--offline"],
    );
    assert_eq!(check.wait(PATIENCE).status.code(), Some(0), "{}", check.log());
    let alone = std::process::Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"))
        .args(["check", "--offline"])
        .env("KAFKA_S3_SINK_CONFIG", "")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(said.contains("KAFKA_S3_SINK__S3__BUCKET"), "the environment alone is read: {said}");
}

/// A job waits for nobody to mend something, and not for ever for a server.
#[test]
fn a_run_with_an_end_ends_where_waiting_does_not_help() {
    let Some(case) = Case::shared("e2e-job", 1) else { return };
    let port = crate::support::workdir::free_port();
    let nobody = format!("127.0.0.1:{port}");
    let cases = [
        (case.config().set("s3.bucket", "e2e-never-made"), 2, "NoSuchBucket"),
        (case.config().env("AWS_SECRET_ACCESS_KEY", "wrong"), 2, "SignatureDoesNotMatch"),
        (case.config().set("kafka.bootstrap_servers", nobody.as_str()), 5, nobody.as_str()),
        (case.config().set("s3.endpoint", format!("http://{nobody}")), 5, nobody.as_str()),
    ];
    let started = cases.map(|(config, code, word)| (Sink::run_until_end(&config), code, word));
    for (mut sink, code, word) in started {
        assert_eq!(sink.wait(PATIENCE).status.code(), Some(code), "{}", sink.log());
        let log = sink.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("ERROR") && last.contains(word), "{word}: {log}");
        assert!(!last.contains("tried again"), "{last}");
    }
}

/// Keys of a session that may do only this.
fn session_keys(minio: &Minio, bucket: &str, actions: &[&str]) -> [(&'static str, String); 3] {
    let resources = [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")];
    let statement =
        serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": resources});
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [statement]});
    let root = Credentials::new(Minio::ACCESS_KEY, Minio::SECRET_KEY, None, None, "tests");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(minio.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(root)
            .load()
            .await;
        let role = aws_sdk_sts::Client::new(&shared).assume_role();
        let role = role.role_arn("arn:aws:iam::000000000000:role/sink").role_session_name("sink");
        let answer = role.policy(policy.to_string()).send().await.expect("a session");
        let keys = answer.credentials.expect("keys");
        [
            ("AWS_ACCESS_KEY_ID", keys.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key),
            ("AWS_SESSION_TOKEN", keys.session_token),
        ]
    })
}

fn with_rights(case: &Case<'_>, actions: &[&str]) -> SinkConfig {
    let minio = Minio::shared().expect("servers");
    let keys = session_keys(minio, case.bucket.name(), actions);
    keys.iter().fold(case.config(), |config, (name, value)| config.env(name, value))
}

#[test]
fn rights_that_lack_putobject() {
    let Some(case) = Case::shared("e2e-no-put", 1) else { return };
    let expected = case.produce(300);
    let config = with_rights(&case, &["s3:GetObject", "s3:ListBucket"]);
    let mut sink = refused(&config, &["s3:PutObject"]);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    works_once_mended(&case, &expected);
}

#[test]
fn the_least_rights_are_enough() {
    let Some(case) = Case::shared("e2e-least", 2) else { return };
    let expected = case.produce(2000);
    let rights = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListBucket"];
    let config = with_rights(&case, &rights);
    case.run_to_end(&config.set("rotation.max_records", 100));
    case.read(&expected).assert_exact();
}

#[test]
fn a_full_store() {
    let Some(minio) = Minio::start_on_small_disk(48 << 20) else { return };
    let broker = Broker::shared_v4();
    broker.create_topic("e2e-full", 2, &[]);
    let case = Case::at(broker, &minio, "e2e-full", 2);
    let ballast = minio.fill();
    let expected = case.produce(3000);
    let config = case.config().set("rotation.max_age", "1s").set("rotation.max_records", 200);
    let mut sink = Sink::run(&config);
    let reason = wait_not_ready(&mut sink, "store_reachable");
    assert!(sink.wait_for_log("full", PATIENCE).contains("full"), "{reason}");
    drop(ballast);
    case.wait_committed(&mut sink);
    sink.wait_ready(PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.assert_exact(&expected);
}

/// A topic made again under a running sink, with so many records.
fn made_again(topic: &str, records: u64) {
    let Some(case) = Case::shared(topic, 2) else { return };
    let first = case.produce(1000);
    let config = case.config().set("rotation.max_age", "1h").set("rotation.max_records", 500);
    let mut sink = Sink::run(&config);
    case.wait_committed(&mut sink);
    case.broker.delete_topic(topic);
    case.broker.create_topic(topic, 2, &[]);
    let again = case.produce(records);
    // By its id, or by its offsets, which Kafka has forgotten with the old topic; whether the
    // client sees the topic gone in between is chance.
    let line = sink.wait_for_log("made again", PATIENCE);
    let known = ["topic_recreated", "lost_offsets"].iter().any(|code| line.contains(code));
    assert!(known, "{line}");
    wait_not_ready(&mut sink, "no_kafka_partition_stopped");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.read(&first).assert_exact();

    let mut sink = Sink::run(&config);
    let line = wait_stopped(&mut sink, "lost_offsets");
    assert!(line.contains("made again"), "{line}");
    sink.sigterm();
    sink.wait_success(PATIENCE);
    case.read(&first).assert_exact();
    case.run_to_end(&config.set("layout.prefix", "again"));
    let reading = Reading { table: format!("again/{topic}/"), ..Reading::of(topic) };
    case.bucket.read(&reading, &again).assert_exact();
    case.read(&first).assert_exact();
    case.assert_committed();
}

#[test]
fn a_topic_that_is_made_again_with_fewer_records() {
    made_again("e2e-again-fewer", 400);
}

#[test]
fn a_topic_that_is_made_again_with_more_records() {
    made_again("e2e-again-more", 1900);
}
