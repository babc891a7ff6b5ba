//! `kafka-s3-sink topics apply`, the real binary against real brokers of both lines.

use std::process::Command;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::needs_servers;
use crate::support::kafka::{Broker, RawRecord};
use crate::support::process::Process;
use crate::support::workdir::{WorkDir, free_port};

/// Exit code, standard output and standard error together.
fn apply(bootstrap: &str, text: &str, args: &[&str]) -> (i32, String) {
    let dir = WorkDir::new("topics");
    std::fs::write(dir.path().join("topics.toml"), text).expect("topic file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
    command.current_dir(dir.path()).args(["topics", "apply", "topics.toml"]);
    command.args(["--bootstrap-servers", bootstrap]).args(args);
    let mut process = Process::start("topics apply", command, &dir.path().join("log"));
    let end = process.wait(Duration::from_secs(60)).expect("an end");
    (end.status.code().expect("an exit code"), process.output())
}

/// A property of a topic as the broker tells it.
fn property(broker: &Broker, topic: &str, name: &str) -> String {
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().expect("admin");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer = runtime.block_on(admin.describe_configs(&asked, &AdminOptions::new()));
    let resource = answer.expect("an answer").remove(0).expect("a configuration");
    resource.get(name).and_then(|entry| entry.value.clone()).expect("the property")
}

fn is_applied_once(broker: &Broker) {
    let at = &broker.bootstrap();
    let file = "[topic.apply-a]\npartitions = 3\nretention = \"7d\"\nreplication_factor = 1\n\
                [topic.apply-b]\npartitions = 1\ncleanup_policy = \"compact\"\n\
                max_message_bytes = \"2MiB\"\n\
                [topic.apply-b.properties]\nmin.cleanable.dirty.ratio = 0.25\n";
    let (code, said) = apply(at, file, &["--dry-run"]);
    assert!(
        code == 0 && said.contains("apply-a: would be created, with 3 Kafka"),
        "{code}: {said}"
    );
    let (code, said) = apply(at, file, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("apply-a: created, with 3 Kafka partitions\n"), "{said}");
    assert_eq!(property(broker, "apply-b", "cleanup.policy"), "compact");
    assert_eq!(property(broker, "apply-b", "max.message.bytes"), "2097152");
    assert_eq!(property(broker, "apply-b", "min.cleanable.dirty.ratio"), "0.25");
    let again = apply(at, file, &[]);
    assert_eq!(again, (0, "apply-a: unchanged\napply-b: unchanged\n".to_owned()));

    let more = file.replace("partitions = 3", "partitions = 6").replace("7d", "forever");
    let (code, said) = apply(at, &more, &[]);
    let wanted = "apply-a: partitions 3 -> 6; retention.ms 604800000 -> -1\napply-b: unchanged\n";
    assert_eq!((code, said.as_str()), (0, wanted));
    assert_eq!(broker.log_bounds("apply-a", 5), (0, 0));
    assert_eq!(property(broker, "apply-a", "retention.ms"), "-1");
    // What the file no longer says stays as it is.
    let less = "[topic.apply-b]\npartitions = 1\n";
    assert_eq!(apply(at, less, &[]), (0, "apply-b: unchanged\n".to_owned()));
    assert_eq!(property(broker, "apply-b", "max.message.bytes"), "2097152");
}

#[test]
fn a_file_is_applied_once_on_kafka_4() {
    needs_servers!();
    is_applied_once(Broker::shared_v4());
}

#[test]
fn a_file_is_applied_once_on_kafka_3() {
    needs_servers!();
    is_applied_once(Broker::shared_v3());
}

fn refuses_before_it_does_anything(broker: &Broker) {
    let at = &broker.bootstrap();
    broker.create_topic("apply-full", 4, &[]);
    broker.produce_raw("apply-full", &[RawRecord::of("{}")]);
    let file = "[topic.apply-new]\npartitions = 1\n\
                [topic.apply-full]\npartitions = 2\ncleanup_policy = \"compact\"\n\
                [topic.apply-wide]\npartitions = 1\nreplication_factor = 3\n\
                [topic.apply-odd]\npartitions = 1\n\
                [topic.apply-odd.properties]\ntiers.of.gold = true\n\
                [topic.apply-wild]\npartitions = 1\n\
                [topic.apply-wild.properties]\nsegment.bytes = \"many\"\n";
    let (code, said) = apply(at, file, &[]);
    assert_eq!(code, 2, "{said}");
    for words in [
        "5 reasons why",
        "topics.toml:4:1: topic.apply-full.partitions: it has 4 Kafka partitions, and Kafka cannot",
        "topics.toml:5:1: topic.apply-full.cleanup_policy: the topic is cleaned by \"delete\"",
        "topics.toml:8:1: topic.apply-wide.replication_factor: 3 brokers cannot hold it",
        "topics.toml:12:1: topic.apply-odd.properties.\"tiers.of.gold\": the broker refuses it",
        "topics.toml:16:1: topic.apply-wild.properties.\"segment.bytes\": the broker refuses it",
    ] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
    let (_, said) = apply(at, "[topic.apply-new]\npartitions = 1\n", &["--dry-run"]);
    assert!(said.contains("apply-new: would be created"), "it was made all the same: {said}");

    let file = "[topic.apply-full]\npartitions = 4\ncleanup_policy = \"compact\"\n";
    let (code, said) = apply(at, file, &["--allow-cleanup-change"]);
    assert_eq!((code, said.as_str()), (0, "apply-full: cleanup.policy delete -> compact\n"));
}

#[test]
fn what_would_lose_or_break_is_refused_on_kafka_4() {
    needs_servers!();
    refuses_before_it_does_anything(Broker::shared_v4());
}

#[test]
fn what_would_lose_or_break_is_refused_on_kafka_3() {
    needs_servers!();
    refuses_before_it_does_anything(Broker::shared_v3());
}

#[test]
fn more_kafka_partitions_of_a_keyed_topic_are_warned_of() {
    needs_servers!();
    let (broker, file) =
        (Broker::shared_v4(), |topic| format!("[topic.{topic}]\npartitions = 2\n"));
    for (topic, key) in [("apply-keyed", Some("k")), ("apply-plain", None)] {
        broker.create_topic(topic, 1, &[]);
        let record =
            RawRecord { key: key.map(|key| key.as_bytes().to_vec()), ..RawRecord::of("{}") };
        broker.produce_raw(topic, &[record]);
        let (code, said) = apply(&broker.bootstrap(), &file(topic), &[]);
        assert!(code == 0 && said.contains("partitions 1 -> 2"), "{said}");
        assert_eq!(said.contains("move keys"), key.is_some(), "{said}");
    }
}

#[test]
fn a_broker_that_is_away_and_a_file_that_is_wrong_have_codes_of_their_own() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, said) = apply(&nobody, "[topic.a]\npartitions = 1", &[]);
    assert!(code == 5 && said.contains("cannot be reached"), "{code}: {said}");
    // The file is looked at first.
    let (code, said) = apply(&nobody, "[topic.a]\npartitons = 1", &[]);
    assert!(code == 2 && said.contains("did you mean partitions?"), "{code}: {said}");
    let (code, said) = apply("127.0.0.1", "[topic.a]\npartitions = 1", &[]);
    assert!(code == 2 && said.contains("has no port"), "{code}: {said}");
}
