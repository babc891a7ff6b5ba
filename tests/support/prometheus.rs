//! A real Prometheus, and promtool: they judge what `deploy/prometheus` and `deploy/grafana` ship.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::process::Process;
use super::workdir::{WorkDir, free_port};
use super::{http, tools};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// One server. Dropping it kills it by process id.
pub(crate) struct Prometheus {
    address: String,
    process: Process,
    // After the process, so that it is dead before its folder goes.
    dir: WorkDir,
}

impl Prometheus {
    /// Starts it with `prometheus.yml` and the rules that this names.
    pub(crate) fn start(config: &str, rules: (&str, &str)) -> Self {
        let dir = WorkDir::new("prometheus");
        std::fs::write(dir.path().join("prometheus.yml"), config).expect("a file");
        std::fs::write(dir.path().join(rules.0), rules.1).expect("a file");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(tools::dir().join("prometheus/prometheus"));
        command
            .current_dir(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start("Prometheus", command, &dir.path().join("prometheus.log"));
        process.wait_ready(START_TIMEOUT, || {
            http::get(&address, "/-/ready").is_some_and(|(status, _)| status == 200)
        });
        Self { address, process, dir }
    }

    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// What an expression gives now: a vector's elements, each with its labels and its value.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("query={}", encoded(expression));
        let (status, answer) =
            http::request(&self.address, "POST /api/v1/query", &form, &body).ok_or("no answer")?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        if status != 200 || answer["status"] != "success" {
            return Err(format!("{status}: {}", answer["error"]));
        }
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// The names of the alerts that fire now.
    pub(crate) fn firing(&self) -> BTreeSet<String> {
        let (_, body) = http::get(&self.address, "/api/v1/alerts").expect("an answer");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let alerts = body["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
        firing.filter_map(name).collect()
    }
}

/// As a form wants it.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Runs promtool in a folder, with this text on its standard input; its exit code and what it says.
pub(crate) fn promtool(folder: &Path, args: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(tools::dir().join("prometheus/promtool"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    // Its end closes the pipe, which ends what promtool reads.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}
