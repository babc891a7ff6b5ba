//! The alerts, and what else watches the sink: the metrics and their reference,
//! `deploy/prometheus`, `deploy/grafana` and the runbook. They are compared with each other, judged
//! by promtool, and run on a real Prometheus that scrapes a real daemon.

mod crowd;
mod dashboard;
mod files;
mod live;
mod reference;
mod stage;

use std::path::{Path, PathBuf};

/// A file of the project.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

const RULES: &str = "deploy/prometheus/kafka-s3-sink.rules.yml";

/// The alerts of the rules, each with its text.
fn alerts() -> Vec<(String, String)> {
    let rules = file(RULES);
    let blocks = rules.split("      - alert: ").skip(1);
    let named = blocks.map(|block| {
        let name = block.lines().next().expect("a name").trim();
        (name.to_owned(), block.to_owned())
    });
    named.collect()
}
