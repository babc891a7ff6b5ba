//! `deploy/compose.yaml` as far as it can be run without its images: Kafka and MinIO of the tests with
//! the settings that it gives theirs, a real Prometheus with its configuration, and its own services in
//! the real image, by the commands, mounts and environment that it has for them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::{compose, file, texts};
use crate::support::container::{Container, Wish, image};
use crate::support::http;
use crate::support::kafka::{Broker, Version};
use crate::support::process::Process;
use crate::support::prometheus::Prometheus;
use crate::support::tools;
use crate::support::workdir::{WorkDir, free_port};

const RECORDS: &str = "3000";

/// Its services, and where what they name is to be found here.
struct Stack {
    services: Value,
    kafka: String,
    minio: String,
}

impl Stack {
    fn new() -> Self {
        let services = compose()["services"].clone();
        let address = || format!("127.0.0.1:{}", free_port());
        Self { services, kafka: address(), minio: address() }
    }

    fn environment(&self, service: &str) -> Vec<(String, String)> {
        let pairs = self.services[service]["environment"].as_object().expect("an environment");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        pairs.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// As the image makes them: KAFKA_A_B is a.b; what is the Java program's own is none of them.
    fn start_kafka(&self) -> Broker {
        let dir = WorkDir::new("kafka");
        let (controller, outside) = (free_port(), free_port());
        let here = |value: &str| {
            let port =
                Regex::new(r"(?:kafka|127\.0\.0\.1)?:(9092|9093|19092)\b").expect("a pattern");
            let address = |found: &regex::Captures<'_>| match &found[1] {
                "9092" => self.kafka.clone(),
                "9093" => format!("127.0.0.1:{controller}"),
                _ => format!("127.0.0.1:{outside}"),
            };
            let logs = dir.path().join("data");
            let value = port.replace_all(value, address);
            value.replace("/var/lib/kafka/data", &logs.display().to_string())
        };
        let environment = self.environment("kafka");
        let cluster = environment.iter().find(|(name, _)| name == "CLUSTER_ID").expect("an id");
        let properties = environment.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("KAFKA_").filter(|name| *name != "HEAP_OPTS")?;
            Some(format!("{}={}\n", name.to_lowercase().replace('_', "."), here(value)))
        });
        let properties: String = properties.collect();
        std::fs::write(dir.path().join("server.properties"), properties).expect("a file");
        Broker::start_from(Version::V4, dir, self.kafka.clone(), &cluster.1)
    }

    /// Its own command line, in a folder of ours.
    fn start_minio(&self, dir: &Path) -> Process {
        let service = &self.services["minio"];
        let script = texts(&service["command"]).concat();
        let script = script.replace("/data", &dir.join("data").display().to_string());
        let program = tools::dir().join("bin/minio").display().to_string();
        let script = script.replace("exec minio", &format!("exec {program}"));
        let script = script.replace(":9001", &format!("127.0.0.1:{}", free_port()));
        let shell = texts(&service["entrypoint"]);
        let mut command = Command::new(&shell[0]);
        command.args(&shell[1..]).arg(format!("{script} --address {}", self.minio));
        command.envs(self.environment("minio")).env("MINIO_UPDATE", "off");
        let mut process = Process::start("MinIO", command, &dir.join("minio.log"));
        process.wait_ready(Duration::from_secs(120), || {
            http::get(&self.minio, "/").is_some_and(|(status, _)| status == 403)
        });
        process
    }

    /// One of its own services, with the addresses that hold here.
    fn wish(&self, service: &str) -> Wish {
        let there = &self.services[service];
        let mut wish = Wish::new()
            .with(&format!("--env=KAFKA_S3_SINK__KAFKA__BOOTSTRAP_SERVERS={}", self.kafka))
            // By a name, which is looked up in the image.
            .with(&format!(
                "--env=KAFKA_S3_SINK__S3__ENDPOINT=http://{}",
                self.minio.replace("127.0.0.1", "localhost")
            ));
        for (name, value) in self.environment(service) {
            wish = wish.with(&format!("--env={name}={value}"));
        }
        for volume in there["volumes"].as_array().expect("volumes") {
            let part = |name: &str| volume[name].as_str().expect("a path").to_owned();
            wish = wish.with(&format!("--volume={}:{}:ro", part("source"), part("target")));
        }
        match there["mem_limit"].as_str() {
            Some(limit) => wish.with(&format!("--memory={limit}")),
            None => wish,
        }
    }

    fn run(&self, image: &str, service: &str, args: &[String]) {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let (code, text, said) = self.wish(service).run(image, &args);
        assert_eq!(code, 0, "{service} {args:?}: {text}\n{said}");
    }

    fn command(&self, service: &str) -> Vec<String> {
        texts(&self.services[service]["command"])
    }
}

#[test]
fn the_services_of_the_stack_carry_records_together() {
    let Some(image) = image() else { return };
    let stack = Stack::new();
    let _kafka = stack.start_kafka();
    let dir = WorkDir::new("stack");
    let _minio = stack.start_minio(dir.path());
    stack.run(image, "topics", &stack.command("topics"));
    let sink = stack.wish("sink").start(image, &[]);
    let healthcheck = texts(&stack.services["sink"]["healthcheck"]["test"]);
    assert_eq!(healthcheck[..2], ["CMD", "/usr/bin/kafka-s3-sink"]);
    let healthcheck: Vec<_> = healthcheck[2..].iter().map(String::as_str).collect();
    sink.wait_until("ready", |sink| sink.exec(&healthcheck).0 == 0);
    let prometheus = watched(&sink);
    stack.run(image, "producer", &counted(stack.command("producer")));
    let read = "kafka_s3_sink_consumed_records_total";
    sink.wait_until("all to be read", |sink| sink.metric(read) >= 3000.0);
    sink.wait_until("a scrape", |_| prometheus.query(read).is_ok_and(|found| !found.is_empty()));
    assert_eq!(prometheus.query("kafka_s3_sink_ready").expect("an answer").len(), 1);
    sink.signal("TERM");
    assert_eq!(sink.wait(), 0, "{}", sink.log());
    stack.run(image, "sink", &["audit", "--no-cache", "--deep"].map(str::to_owned));
    let objects = dir.path().join("data/lake/raw/orders");
    assert!(objects.is_dir(), "nothing in {}", objects.display());
}

/// The producer's own arguments, but for an end.
fn counted(args: Vec<String>) -> Vec<String> {
    let mut args = args;
    for (name, value) in [("--count", RECORDS), ("--rate", "0")] {
        let at = args.iter().position(|arg| arg == name).expect("the argument");
        args[at + 1] = value.to_owned();
    }
    args
}

/// A Prometheus as the stack has it.
fn watched(sink: &Container) -> Prometheus {
    let config = file("deploy/compose/prometheus.yml").replace("sink:9464", &sink.address);
    let rules = file("deploy/prometheus/kafka-s3-sink.rules.yml");
    Prometheus::start(&config, ("kafka-s3-sink.rules.yml", &rules))
}
