//! The Helm chart: rendered by Helm 4 and 3, judged by the schemas of Kubernetes, KEDA and the
//! Prometheus operator, and what it makes of values is read by the real program. There is no cluster
//! here: nothing is scheduled, no controller acts.

mod configuration;
mod network;
mod refused;
mod rendered;
mod security;
mod spool;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::tools;

/// The values that come with the chart, for its tests and as examples.
const EXAMPLES: [&str; 4] = ["minimal", "everything", "msk", "minio"];

/// The oldest that Chart.yaml takes, and others up to the newest whose schemas are to be had.
const VERSIONS: [&str; 5] = ["1.29", "1.31", "1.33", "1.35", "1.37"];

/// What KEDA asks a Prometheus, for pods named `lake-sink-...` in the namespace `data`.
pub(crate) fn keda_query() -> String {
    let objects = Objects::of("everything", &[]);
    let trigger = &objects.one("ScaledObject")["spec"]["triggers"][0]["metadata"];
    trigger["query"].as_str().expect("a query").to_owned()
}

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/kafka-s3-sink")
}

fn file(path: &str) -> String {
    std::fs::read_to_string(chart().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn example(name: &str) -> String {
    format!("ci/{name}-values.yaml")
}

fn helm(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(tools::dir().join("bin").join(program));
    command.args(args).current_dir(chart()).output().expect("Helm")
}

/// What Helm renders of an example, with more values in the form `path=JSON`; or what it says.
fn try_render(program: &str, name: &str, values: &[&str]) -> Result<String, String> {
    let file = example(name);
    let mut args =
        vec!["template", "lake", ".", "--namespace", "data", "--kube-version", "1.33", "-f", &file];
    values.iter().for_each(|value| args.extend(["--set-json", value]));
    let output = helm(program, &args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[track_caller]
fn render(name: &str, values: &[&str]) -> String {
    try_render("helm", name, values).unwrap_or_else(|error| panic!("{name} {values:?}: {error}"))
}

/// Runs a program on a text; whether it was content, and what it wrote.
fn fed(mut command: Command, text: &str) -> (bool, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
    child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
    (child.wait().expect("it ends").success(), out + &err)
}

/// Manifests as data, and what is wrong with those of kinds that are not Kubernetes' own.
fn read(manifests: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/manifests.py");
    let mut command = Command::new(tools::dir().join("venv-kubernetes/bin/python"));
    command.arg(script).arg(tools::dir().join("crds"));
    let (content, text) = fed(command, manifests);
    assert!(content, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The objects that an example makes.
struct Objects(Vec<Value>);

impl Objects {
    #[track_caller]
    fn of(name: &str, values: &[&str]) -> Self {
        let read = read(&render(name, values));
        Self(read["documents"].as_array().expect("documents").clone())
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.0.iter().find(|object| object["kind"] == kind)
    }

    /// The only one of its kind.
    #[track_caller]
    fn one(&self, kind: &str) -> &Value {
        assert_eq!(self.0.iter().filter(|object| object["kind"] == kind).count(), 1, "{kind}");
        self.find(kind).expect("one")
    }

    /// The sink's pod.
    #[track_caller]
    fn pod(&self) -> &Value {
        &self.one("StatefulSet")["spec"]["template"]
    }

    #[track_caller]
    fn container(&self) -> &Value {
        let containers = self.pod()["spec"]["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    #[track_caller]
    fn toml(&self) -> &str {
        self.one("ConfigMap")["data"]["sink.toml"].as_str().expect("a file")
    }

    /// Where a variable of the sink's container comes from.
    fn variable(&self, name: &str) -> Option<&Value> {
        let env = self.container()["env"].as_array()?;
        env.iter().find(|variable| variable["name"] == name)
    }
}
