//! What the chart makes of `config` is read by the real program, with the environment and the files
//! that its pod would have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{EXAMPLES, Objects, file, render, try_render};
use crate::needs_servers;
use crate::support::workdir::WorkDir;

const COMPLETE: &str = include_str!("../../../config/complete.toml");
const MIB: u64 = 1 << 20;

/// A quantity of Kubernetes in MiB.
fn mebibytes(quantity: &str) -> u64 {
    let digits = quantity.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().expect("a number");
    match &quantity[digits.len()..] {
        "Mi" => number,
        "Gi" => number * 1024,
        unit => panic!("{unit}"),
    }
}

/// Folders in place of a pod's mounts.
struct Pod {
    dir: WorkDir,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl Pod {
    fn of(objects: &Objects) -> Self {
        let container = objects.container();
        let mut pod = Self { dir: WorkDir::new("pod"), env: Vec::new(), args: Vec::new() };
        let toml = pod.mount(objects);
        std::fs::write(pod.dir.path().join("sink.toml"), &toml).expect("a file");
        let variables = container["env"].as_array().cloned().unwrap_or_default();
        pod.env = variables.iter().map(variable).collect();
        let table: toml::Table = toml.parse().expect("TOML");
        if table.get("memory").and_then(|memory| memory.get("limit")).is_none() {
            // As the container's control group would have it.
            let limit = container["resources"]["limits"]["memory"].as_str().expect("a limit");
            let half = mebibytes(limit) * MIB / 2;
            pod.env.push(("KAFKA_S3_SINK__MEMORY__LIMIT".into(), half.to_string()));
        }
        let args = container["args"].as_array().expect("args").iter();
        pod.args = args.map(|arg| arg.as_str().expect("text").to_owned()).collect();
        pod
    }

    /// Makes the files of Secrets, and lets `sink.toml` name them where they are.
    fn mount(&self, objects: &Objects) -> String {
        let mut toml = objects.toml().to_owned();
        let volumes = objects.pod()["spec"]["volumes"].as_array().expect("volumes");
        let secrets = volumes.iter().filter(|volume| volume.get("secret").is_some());
        for volume in secrets {
            let name = volume["name"].as_str().expect("a name");
            let folder = self.dir.path().join(name);
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::write(folder.join("token"), "s3cret\n").expect("a file");
            std::fs::copy(certificates(), folder.join("ca.crt")).expect("a file");
            let mounts = objects.container()["volumeMounts"].as_array().expect("mounts");
            let mount = mounts.iter().find(|mount| mount["name"] == name).expect("it is mounted");
            let path = mount["mountPath"].as_str().expect("a path");
            assert!(toml.contains(&format!("\"{path}/")), "nothing names {path}: {toml}");
            toml = toml.replace(&format!("\"{path}/"), &format!("\"{}/", folder.display()));
        }
        let table: toml::Table = toml.parse().expect("TOML");
        if let Some(spool) = table.get("memory").and_then(|memory| memory.get("spool_dir")) {
            let folder = self.dir.path().join("spool");
            std::fs::create_dir(&folder).expect("a folder");
            toml = toml.replace(&spool.to_string(), &format!("\"{}\"", folder.display()));
        }
        toml
    }

    /// Runs `check --offline` with what the pod gives to `run`; whether it is sound, and what it says.
    fn check(&self) -> (bool, String) {
        assert_eq!(self.args, ["run", "--config", "/etc/kafka-s3-sink/sink.toml"]);
        let mounted = Path::new("/etc/kafka-s3-sink/sink.toml").file_name().expect("a name");
        let config: PathBuf = self.dir.path().join(mounted);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        command.env_clear().envs(self.env.iter().cloned());
        let output = command.args(["check", "--offline", "--config"]).arg(config).output();
        let output = output.expect("the sink");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The machine's own certificates, which stand in for a cluster's.
fn certificates() -> &'static str {
    let known = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("certificates")
}

fn variable(variable: &Value) -> (String, String) {
    let from = &variable["valueFrom"];
    let value = if from["fieldRef"]["fieldPath"] == "metadata.name" {
        "lake-kafka-s3-sink-0"
    } else if from.get("secretKeyRef").is_some() {
        "s3cret"
    } else {
        variable["value"].as_str().expect("a value")
    };
    (variable["name"].as_str().expect("a name").to_owned(), value.to_owned())
}

#[test]
fn the_sink_takes_what_the_chart_writes() {
    needs_servers!();
    for name in EXAMPLES {
        let (sound, text) = Pod::of(&Objects::of(name, &[])).check();
        assert!(sound, "{name}: {text}");
        // A store in the cluster without TLS is worth a word.
        let warned = text.lines().filter(|line| line.starts_with("warn"));
        assert!(warned.clone().all(|line| line.contains("s3.endpoint: plain http")), "{text}");
        assert_eq!(warned.count(), usize::from(name == "minio"), "{name}: {text}");
    }
}

#[test]
fn the_sink_reads_the_environment_and_the_files_of_its_pod() {
    needs_servers!();
    let mut pod = Pod::of(&Objects::of("everything", &[]));
    std::fs::write(pod.dir.path().join("token/token"), "").expect("a file");
    let (sound, text) = pod.check();
    assert!(!sound && text.contains("http.token_file: the first line of"), "{text}");
    pod.env.push(("KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASWORD".into(), "x".into()));
    let (sound, text) = pod.check();
    assert!(!sound && text.contains("SASL_PASWORD"), "{text}");
}

#[test]
fn secrets_stand_in_no_config_map() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    for (property, key) in [("SASL_USERNAME", "username"), ("SASL_PASSWORD", "password")] {
        let name = format!("KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__{property}");
        let from = &objects.variable(&name).expect("a variable")["valueFrom"]["secretKeyRef"];
        assert_eq!(from, &json!({ "name": "kafka-credentials", "key": key }));
    }
    assert!(!objects.toml().contains("sasl.username"), "{}", objects.toml());
    assert!(objects.find("Secret").is_none(), "the chart makes none");
    let objects = Objects::of("minio", &[]);
    let from = &objects.variable("AWS_SECRET_ACCESS_KEY").expect("a variable")["valueFrom"];
    assert_eq!(from["secretKeyRef"], json!({ "name": "minio", "key": "secret-access-key" }));
}

/// Every key of config/complete.toml, those in comments too.
fn complete() -> toml::Table {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text = COMPLETE.lines().map(line).collect::<Vec<_>>().join("\n");
    text.parse().expect("TOML")
}

#[test]
fn every_key_of_the_sink_goes_through_and_comes_out_as_it_was() {
    needs_servers!();
    let mut wanted = complete();
    wanted.remove("http");
    let kafka = wanted["kafka"].as_table_mut().expect("a table");
    kafka.remove("group_instance_id");
    // As dotted keys these are tables in tables; a map of values has them as names.
    let flat = kafka["librdkafka"].as_table_mut().expect("a table");
    flat.clear();
    for (name, value) in [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "sink"),
    ] {
        flat.insert(name.into(), value.into());
    }
    let values = [
        format!("config={}", serde_json::to_string(&wanted).expect("JSON")),
        r#"resources={"limits":{"memory":"3Gi"}}"#.to_owned(),
        "membership.static=false".to_owned(),
        r#"kafkaSecrets={"sasl.password":{"name":"kafka","key":"password"}}"#.to_owned(),
    ];
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let objects = Objects::of("minimal", &values);
    let mut written: toml::Table = objects.toml().parse().expect("TOML");
    assert!(written.remove("http").is_some());
    assert_eq!(written, wanted);
    let (sound, text) = Pod::of(&objects).check();
    assert!(sound, "{text}");
}

/// The keys of a schema's object, references followed, as `section.key`.
fn keys(schema: &Value, object: &Value, path: &str, found: &mut BTreeSet<String>) {
    let name = object["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/"));
    let object = name.map_or(object, |name| &schema["$defs"][name]);
    assert!(object.is_object(), "{path}");
    match object["properties"].as_object() {
        Some(properties) => properties.iter().for_each(|(name, inner)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            keys(schema, inner, &path, found);
        }),
        None => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn the_schema_of_values_has_every_key_of_the_sink_and_no_other() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).expect("JSON");
    let mut found = BTreeSet::new();
    keys(&schema, &schema["properties"]["config"], "", &mut found);
    let mut wanted = BTreeSet::new();
    for (section, table) in complete() {
        match table {
            // The chart writes the one; the other is by topic, of keys that are here already.
            _ if section == "http" || section == "topic" => drop(wanted.insert(section)),
            table => wanted.extend(
                table.as_table().expect("a table").keys().map(|key| format!("{section}.{key}")),
            ),
        }
    }
    assert_eq!(found, wanted);
}

#[test]
fn the_values_file_names_every_value_and_the_schema_too() {
    needs_servers!();
    let schema: Value = serde_json::from_str(&file("values.schema.json")).expect("JSON");
    let known: BTreeSet<&String> =
        schema["properties"].as_object().expect("properties").keys().collect();
    let values = file("values.yaml");
    let top = values.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let named: BTreeSet<String> =
        top.map(|line| line.split(':').next().expect("a key").to_owned()).collect();
    let expected: BTreeSet<&String> = known.into_iter().filter(|name| *name != "global").collect();
    assert_eq!(named.iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn chart_and_sink_agree_on_the_least_memory() {
    needs_servers!();
    for (values, takes) in [
        (&[r#"resources.limits.memory="224Mi""#][..], true),
        (&[r#"resources.limits.memory="222Mi""#], false),
        (&[r#"resources.limits.memory="128Mi""#, r#"config.records.max_bytes="4MiB""#], true),
        (&[r#"resources.limits.memory="126Mi""#, r#"config.records.max_bytes="4MiB""#], false),
        (&[r#"resources.limits.memory="288Mi""#, "config.kafka.lanes=2"], true),
        (&[r#"resources.limits.memory="286Mi""#, "config.kafka.lanes=2"], false),
        (
            &[
                r#"resources.limits.memory="128Mi""#,
                r#"config.records.max_bytes="1MiB""#,
                r#"config.topic.orders.records.max_bytes="24MiB""#,
            ],
            false,
        ),
    ] {
        let chart = try_render("helm", "minimal", values);
        assert_eq!(chart.is_ok(), takes, "{values:?}: {chart:?}");
        // The sink is asked about what the chart refuses, too: with room, then with that little.
        let limit = values[0].split('"').nth(1).expect("a quantity");
        let roomy: Vec<&str> = [&values[1..], &[r#"resources.limits.memory="4Gi""#]].concat();
        let mut pod = Pod::of(&Objects::of("minimal", &roomy));
        let half = (mebibytes(limit) * MIB / 2).to_string();
        pod.env.last_mut().expect("the limit").1 = half;
        let (sound, text) = pod.check();
        assert_eq!(sound, takes, "{values:?}: {text}");
    }
}

#[test]
fn the_audit_knows_its_arguments() {
    needs_servers!();
    let objects = Objects::of("everything", &[]);
    let job = &objects.one("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let args = job["containers"][0]["args"].as_array().expect("args");
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str().expect("text")).collect();
    let takes = |args: &[&str]| {
        // It stops at what it does not know, before it comes to --help.
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
        command.args(args).arg("--help").output().expect("the sink").status.success()
    };
    assert!(takes(&args), "{args:?}");
    assert!(!takes(&[&args[..], &["--sinse"]].concat()));
}

#[test]
fn the_charts_version_of_the_program_is_the_crates() {
    let chart = file("Chart.yaml");
    let line = format!("\nappVersion: \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(chart.contains(&line), "{chart}");
}

#[test]
fn names_and_texts_that_toml_would_misread_are_quoted() {
    needs_servers!();
    let values = [
        r#"config.kafka.topics=["^a\\.\"b\" #&<é"]"#,
        r#"config.topic={"a.b":{"rotation":{"max_records":12345678901}}}"#,
        r#"config.layout.prefix="true""#,
    ];
    let text = render("minimal", &values);
    assert!(text.contains(r#"[topic."a.b".rotation]"#), "{text}");
    let objects = Objects::of("minimal", &values);
    let written: toml::Table = objects.toml().parse().expect("TOML");
    assert_eq!(written["kafka"]["topics"][0].as_str(), Some("^a\\.\"b\" #&<é"));
    let records = &written["topic"]["a.b"]["rotation"]["max_records"];
    assert_eq!(records.as_integer(), Some(12_345_678_901));
    assert_eq!(written["layout"]["prefix"].as_str(), Some("true"));
}
