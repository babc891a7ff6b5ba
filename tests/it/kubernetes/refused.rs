//! Values that would not run are refused before anything is installed, with a sentence.

use super::{file, helm, try_render};
use crate::needs_servers;
use crate::support::workdir::WorkDir;

/// The example, more values, and a part of the sentence.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("minimal", &["config.s3={}"], "config.s3.bucket is missing"),
    ("minimal", &[r#"config.s3.bucket="""#], "config.s3.bucket is missing"),
    ("minimal", &["config.kafka.topics=[]"], "config.kafka.topics is empty"),
    (
        "minimal",
        &[r#"config.kafka.bootstrap_servers="""#],
        "config.kafka.bootstrap_servers is missing",
    ),
    (
        "minimal",
        &[r#"config.kafka.bootstrap_servers="a:9092, broker1""#],
        r#"config.kafka.bootstrap_servers: "broker1" has no port: write host:port"#,
    ),
    ("minimal", &[r#"config.kafka.bootstrap_servers="a:9092,""#], "\"\" has no port"),
    (
        "minio",
        &["networkPolicy.scrapers=[]"],
        "networkPolicy.scrapers is empty, so the Prometheus that podMonitor.enabled calls",
    ),
    ("minimal", &[r#"config.kafka.group_id="""#], "config.kafka.group_id is missing"),
    ("minimal", &[r#"config.http.listen="127.0.0.1:1""#], "config.http is written by the chart"),
    ("minimal", &[r#"config.http.token_file="/x""#], "http.tokenSecret in its place"),
    ("minimal", &[r#"config.kafka.group_instance_id="x""#], "would be the same for all replicas"),
    (
        "minimal",
        &[r#"config.kafka.librdkafka={"session.timeout.ms":1000}"#],
        "set membership.sessionTimeout in its place",
    ),
    (
        "minimal",
        &[r#"config.kafka.librdkafka={"sasl.password":"x"}"#],
        "set kafkaSecrets.\"sasl.password\" to the name and key of a Secret",
    ),
    ("minimal", &[r#"config.kafka.librdkafka={"ssl.key.pem":"x"}"#], "ssl.key.pem may be secret"),
    (
        "everything",
        &[r#"kafkaSecrets={"security.protocol":{"name":"a","key":"b"}}"#],
        "security.protocol stands in config.kafka.librdkafka too",
    ),
    ("everything", &["replicaCount=3"], "replicaCount and keda.enabled exclude each other"),
    ("everything", &["kafkaPartitions=11"], "keda.maxReplicas is 12, and there are 11"),
    ("everything", &["kafkaPartitions=null"], "kafkaPartitions is missing"),
    (
        "everything",
        &["keda.minReplicas=13"],
        "keda.minReplicas is 13, more than keda.maxReplicas (12)",
    ),
    ("everything", &[r#"keda.prometheusAddress="""#], "keda.prometheusAddress is missing"),
    ("msk", &["replicaCount=13"], "replicaCount is 13, and there are 12 Kafka partitions"),
    (
        "minimal",
        &["terminationGracePeriodSeconds=64"],
        "terminationGracePeriodSeconds is 64, and config.shutdown.timeout is 60 s",
    ),
    (
        "everything",
        &[r#"config.shutdown.timeout="2m""#],
        "terminationGracePeriodSeconds is 120, and config.shutdown.timeout is 120 s",
    ),
    (
        "minimal",
        &[r#"membership.sessionTimeout="6m""#],
        "more than max.poll.interval.ms (300000 ms)",
    ),
    (
        "minimal",
        &[r#"resources.limits.memory="64Mi""#],
        "the sink takes half of it, and needs 112MiB for records of 16MiB and kafka.lanes = 1, so give it 224Mi at least",
    ),
    ("minimal", &[r#"config.memory.limit="1000MiB""#], "the container needs 32Mi more than that"),
    (
        "minimal",
        &["serviceAccount.create=false", r#"serviceAccount.annotations={"a":"b"}"#],
        "serviceAccount.annotations would go nowhere",
    ),
    (
        "minimal",
        &[r#"extraEnv=[{"name":"KAFKA_S3_SINK__HTTP__LISTEN","value":"off"}]"#],
        "KAFKA_S3_SINK__HTTP__LISTEN is set by the chart",
    ),
    (
        "minimal",
        &[r#"secretFiles=[{"name":"a","mountPath":"/etc/kafka-s3-sink"}]"#],
        "is where the chart mounts its own files",
    ),
    (
        "minimal",
        &[r#"extraEnv=[{"name":"AWS_SECRET_ACCESS_KEY","value":"hunter2"}]"#],
        "the value of AWS_SECRET_ACCESS_KEY may be secret",
    ),
    ("minimal", &[r#"membership.sessionTimeout="5s""#], "brokers refuse less than 6s"),
    (
        "minimal",
        &[r#"resources.requests.memory="512Mi""#],
        "resources.requests.memory is 512Mi, and the limit 1Gi: take it out",
    ),
    (
        "minimal",
        &[r#"audit.resources.requests.memory="512Mi""#],
        "audit.resources.requests.memory is 512Mi",
    ),
    // These by the schema: what is misspelt is named.
    ("minimal", &["replicas=3"], "replicas"),
    ("minimal", &[r#"config.s3.buckett="x""#], "buckett"),
    ("minimal", &[r#"config.rotation.max_age="5 minutes""#], "max_age"),
    ("minimal", &["config.rotation.max_age=300"], "max_age"),
    ("minimal", &[r#"config.rotation.max_bytes="64 megs""#], "max_bytes"),
    ("minimal", &[r#"config.topic.orders.kafka.start="latest""#], "kafka"),
    ("minimal", &[r#"resources.limits={"cpu":1}"#, "resources.limits.memory=null"], "memory"),
    ("minimal", &[r#"http.tokenSecret={"key":""}"#], "tokenSecret"),
    ("everything", &["keda.minReplicas=0"], "minReplicas"),
    ("everything", &[r#"kafkaSecrets={"sasl.password":"hunter2"}"#], "sasl.password"),
];

#[test]
fn contradictions_are_refused_with_a_sentence() {
    needs_servers!();
    for (name, values, sentence) in REFUSED {
        for program in ["helm", "helm3"] {
            let said = try_render(program, name, values).expect_err(sentence);
            assert!(said.contains(sentence), "{program} {values:?}: {said}");
            assert!(!said.contains("hunter2"), "a secret is printed: {said}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    needs_servers!();
    let values =
        [r#"config.s3.bucket="""#, "config.kafka.topics=[]", r#"resources.limits.memory="64Mi""#];
    let said = try_render("helm", "minimal", &values).expect_err("three errors");
    assert_eq!(said.lines().filter(|line| line.starts_with("- ")).count(), 3, "{said}");
}

#[test]
fn without_values_it_says_what_must_be_set() {
    needs_servers!();
    let output = helm("helm", &["template", "lake", "."]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for key in ["config.kafka.bootstrap_servers", "config.kafka.topics", "config.s3.bucket"] {
        assert!(said.contains(&format!("- {key} is ")), "{said}");
    }
}

#[test]
fn the_readmes_values_are_taken() {
    needs_servers!();
    let readme = file("README.md");
    let (_, values) = readme.split_once("cat > values.yaml <<'X'\n").expect("values");
    let (values, _) = values.split_once("\nX\n").expect("their end");
    let dir = WorkDir::new("readme-values");
    let path = dir.path().join("values.yaml");
    std::fs::write(&path, values).expect("a file");
    let path = path.to_str().expect("text");
    let output = helm("helm", &["template", "lake", ".", "-f", path, "--kube-version", "1.33"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // As the readme's own commands have it.
    assert!(text.contains("kind: StatefulSet\nmetadata:\n  name: lake-kafka-s3-sink\n"), "{text}");
}

#[test]
fn a_cluster_that_is_too_old_is_refused() {
    needs_servers!();
    let args =
        ["template", "lake", ".", "-f", "ci/minimal-values.yaml", "--kube-version", "1.28.15"];
    let output = helm("helm", &args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("1.28.15"), "{said}");
}
