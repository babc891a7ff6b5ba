//! `deploy/notebook/pipeline.ipynb` from its first cell to its last, on the embedded parts.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::needs_servers;
use crate::support::tools;
use crate::support::workdir::WorkDir;

/// Figures that it draws.
const FIGURES: usize = 3;
/// A figure with nothing in it has a few kilobytes, in Base64.
const LEAST_FIGURE: usize = 20_000;

#[test]
fn the_notebook_runs_from_an_empty_machine_to_its_last_cell() {
    needs_servers!();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let notebook = root.join("deploy/notebook/pipeline.ipynb");
    let dir = WorkDir::new("notebook");
    let done = dir.path().join("done.ipynb");
    let run = Command::new(tools::dir().join("venv-notebook/bin/python"))
        .arg(root.join("tests/support/run_notebook.py"))
        .args([&notebook, &done])
        .env("KAFKA_S3_SINK", env!("CARGO_BIN_EXE_kafka-s3-sink"))
        .env("TMPDIR", dir.path())
        .env_remove("KAFKA_S3_SINK_CONFIG")
        .output()
        .expect("python starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let outputs = outputs(&done);
    let figures: Vec<_> =
        outputs.iter().filter_map(|it| it["data"]["image/png"].as_str()).collect();
    assert_eq!(figures.len(), FIGURES);
    assert!(figures.iter().all(|figure| figure.len() > LEAST_FIGURE), "an empty figure");
    let text: String = outputs.iter().map(|it| joined(&it["text"])).collect();
    assert!(text.contains("20,000 records, each of them once"), "{text}");
    assert!(text.contains("1 topic with 12 Kafka partitions: all is there, once"), "{text}");
    assert!(outputs_of(&notebook).is_empty(), "the notebook is kept without its outputs");
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
