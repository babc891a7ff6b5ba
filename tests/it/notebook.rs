//! `deploy/notebook/pipeline.ipynb` from its first cell to its last: on the embedded parts, and as on
//! somebody's own pipeline, with stand-ins for Kafka's cluster, S3, Glue and Athena.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::kafka::Broker;
use crate::support::tools;
use crate::support::workdir::WorkDir;

/// Figures that it draws.
const FIGURES: usize = 3;
/// A figure with nothing in it has a few kilobytes, in Base64.
const LEAST_FIGURE: usize = 20_000;

#[test]
fn the_notebook_runs_from_an_empty_machine_to_its_last_cell() {
    needs_servers!();
    let dir = WorkDir::new("notebook");
    let text = printed(&dir, &[]);
    assert!(text.contains("20,000 records, each of them once"), "{text}");
    assert!(text.contains("1 topic with 12 Kafka partitions: all is there, once"), "{text}");
    assert!(outputs_of(&notebook()).is_empty(), "the notebook is kept without its outputs");
}

/// Its table is the stack's, over a topic whose name SQL would not take.
#[test]
fn the_notebook_asks_athena_about_a_pipeline_that_is_there() {
    needs_servers!();
    let (dir, topic, broker) = (WorkDir::new("notebook"), "clicks.eu-a", Broker::shared_v4());
    broker.create_topic(topic, 3, &[]);
    let mut cloud = Cloud::ministack_with_queries();
    let choice = [
        ("KafkaMode", "none"),
        ("SinkPlacement", "none"),
        ("NamedQueries", "no"),
        ("CatalogMode", "projection"),
        ("BucketName", "lake"),
        ("Topic", topic),
    ];
    cloud.deploy("stack", &crate::deploy::template(), &choice).expect("a stack");
    // It lets nobody in without TLS.
    cloud.call("s3", "delete_bucket_policy", json!({"Bucket": "lake"}));
    let endpoint = cloud.endpoint.clone();
    let config = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ntopics = [\"{topic}\"]\ngroup_id = \"notebook\"\n\
         [s3]\nbucket = \"lake\"\nregion = \"us-east-1\"\nendpoint = \"{endpoint}\"\n\
         force_path_style = true\n[layout]\nprefix = \"raw\"\n[rotation]\nmax_age = \"2s\"\n",
        broker.bootstrap()
    );
    let file = dir.path().join("sink.toml");
    std::fs::write(&file, config).expect("a configuration file");
    let text = printed(
        &dir,
        &[
            ("KAFKA_S3_SINK_CONFIG", &file.to_string_lossy()),
            ("TOPIC", topic),
            ("PRODUCE", "1"),
            ("ATHENA_DATABASE", "kafka"),
            ("ATHENA_WORKGROUP", "stack"),
            ("AWS_ENDPOINT_URL_ATHENA", &endpoint),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ],
    );
    let found = regex::Regex::new(r"([\d,]+) events of clicks_eu_a since ([\d-]+)").expect("regex");
    let found = found.captures(&text).unwrap_or_else(|| panic!("no events in {text}"));
    let landed = records(&mut cloud, &format!("raw/{topic}/dt={}/", &found[2]));
    assert!(landed > 0);
    assert_eq!(found[1].replace(',', ""), landed.to_string());
    assert!(text.contains("1 topic with 3 Kafka partitions: all is there, once"), "{text}");
}

/// How many records the objects below a prefix say that they hold.
fn records(cloud: &mut Cloud, prefix: &str) -> u64 {
    let listing = json!({"Bucket": "lake", "Prefix": prefix});
    let listed = cloud.call("s3", "list_objects_v2", listing);
    let mut records = 0;
    for object in listed["Contents"].as_array().expect("objects") {
        let object = json!({"Bucket": "lake", "Key": object["Key"]});
        let head = cloud.call("s3", "head_object", object);
        let count = head["Metadata"]["records"].as_str().expect("metadata");
        records += count.parse::<u64>().expect("a number");
    }
    assert_eq!(listed["IsTruncated"], false);
    records
}

fn notebook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/notebook/pipeline.ipynb")
}

/// Runs it in this environment; all that its cells printed. Its figures are drawn.
#[track_caller]
fn printed(dir: &WorkDir, environment: &[(&str, &str)]) -> String {
    let done = dir.path().join("done.ipynb");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/run_notebook.py");
    let run = Command::new(tools::dir().join("venv-notebook/bin/python"))
        .arg(script)
        .args([&notebook(), &done])
        .env_remove("KAFKA_S3_SINK_CONFIG")
        .env("KAFKA_S3_SINK", env!("CARGO_BIN_EXE_kafka-s3-sink"))
        .env("TMPDIR", dir.path())
        .envs(environment.iter().copied())
        .output()
        .expect("python starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let outputs = outputs(&done);
    let figures: Vec<_> =
        outputs.iter().filter_map(|it| it["data"]["image/png"].as_str()).collect();
    assert_eq!(figures.len(), FIGURES);
    assert!(figures.iter().all(|figure| figure.len() > LEAST_FIGURE), "an empty figure");
    outputs.iter().map(|it| joined(&it["text"])).collect()
}

fn outputs(path: &Path) -> Vec<Value> {
    let outputs = outputs_of(path);
    assert!(outputs.iter().all(|it| it["output_type"] != "error"), "{outputs:?}");
    outputs
}

fn outputs_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the notebook");
    let notebook: Value = serde_json::from_str(&text).expect("JSON");
    let cells = notebook["cells"].as_array().expect("cells");
    cells.iter().filter_map(|cell| cell["outputs"].as_array()).flatten().cloned().collect()
}

/// Text stands as one string or as lines.
fn joined(text: &Value) -> String {
    match text {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => text.as_str().unwrap_or_default().to_owned(),
    }
}
