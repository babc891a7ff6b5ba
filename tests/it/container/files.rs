//! What is shipped, without an engine: linters, schemas, and what the files say of each other.

use std::process::Command;

use serde_json::Value;

use super::{compose, deploy, file, root, texts};
use crate::needs_servers;
use crate::support::prometheus::promtool;
use crate::support::tools;
use crate::support::workdir::WorkDir;

#[test]
fn hadolint_finds_nothing_in_the_dockerfile() {
    needs_servers!();
    let hadolint = |path: &std::path::Path| {
        let program = tools::dir().join("venv-container/bin/hadolint");
        let output = Command::new(program).arg("--no-color").arg(path).output().expect("hadolint");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(hadolint(&root().join("Dockerfile")), (true, String::new()));
    // It does look.
    let dir = WorkDir::new("dockerfile");
    let worse = dir.path().join("Dockerfile");
    std::fs::write(&worse, file("Dockerfile") + "USER root\n").expect("a file");
    let (good, found) = hadolint(&worse);
    assert!(!good && found.contains("DL3002"), "{found}");
}

/// What is copied from the sources must not be ignored on the way to the builder.
#[test]
fn the_builder_is_sent_what_it_copies_and_no_more() {
    let ignore = file(".dockerignore");
    let mut sent: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "{ignore}");
    let dockerfile = file("Dockerfile");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let mut sources: Vec<_> = copy.split_whitespace().collect();
        sources.pop();
        for source in sources {
            assert!(root().join(source).exists(), "{source} is not there");
            let one =
                sent.iter().any(|sent| source == *sent || source.starts_with(&format!("{sent}/")));
            assert!(one, "{source} is not sent");
        }
    }
    sent.retain(|sent| !dockerfile.contains(sent));
    assert!(sent.is_empty(), "sent for nothing: {sent:?}");
}

#[test]
fn the_stack_is_sound_and_shut_to_the_outside() {
    needs_servers!();
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    let wanted = ["grafana", "kafka", "minio", "producer", "prometheus", "sink", "topics"];
    assert_eq!(services.keys().collect::<Vec<_>>(), wanted);
    for (name, service) in services {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
        }
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        let ours = image == "kafka-s3-sink";
        assert!(ours || tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume["source"].as_str().expect("a source");
            assert!(volume["type"] != "bind" || std::path::Path::new(source).is_file(), "{volume}");
        }
        for (other, condition) in service["depends_on"].as_object().into_iter().flatten() {
            let healthy = condition["condition"] == "service_healthy";
            let tested = !services[other]["healthcheck"]["test"].is_null();
            assert!(!healthy || tested, "{name} waits for {other}, which nobody asks");
        }
    }
}

#[test]
fn the_sink_of_the_stack_is_bound_and_has_time_to_end() {
    needs_servers!();
    let compose = compose();
    for name in ["sink", "topics", "producer"] {
        let service = &compose["services"][name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
    }
    let sink = &compose["services"]["sink"];
    assert_eq!(sink["mem_limit"], "256m");
    // shutdown.timeout is 25 s.
    assert_eq!(sink["stop_grace_period"], "35s");
    let key = &sink["environment"]["AWS_ACCESS_KEY_ID"];
    assert_eq!(key, &compose["services"]["minio"]["environment"]["MINIO_ROOT_USER"]);
    assert!(!key.is_null());
}

/// The environment wins over the file, so a setting in the image could not be undone by a file.
#[test]
fn the_image_sets_nothing_that_a_file_may_set() {
    assert!(!file("Dockerfile").contains("KAFKA_S3_SINK__"));
    assert!(file("deploy/compose/sink.toml").contains("listen = \"0.0.0.0:9464\"\n"));
}

#[test]
fn compose_go_refuses_what_docker_would() {
    needs_servers!();
    let dir = WorkDir::new("compose");
    let worse = file("deploy/compose.yaml").replace("read_only:", "readonly:");
    std::fs::write(dir.path().join("compose.yaml"), worse).expect("a file");
    let mut command = Command::new(tools::dir().join("bin/compose-go"));
    let output = command.current_dir(dir.path()).arg("compose.yaml").output().expect("compose-go");
    assert!(!output.status.success());
}

#[test]
fn the_configurations_of_the_stack_are_taken() {
    needs_servers!();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"));
    command.args(["check", "--offline", "--config"]).arg(deploy().join("compose/sink.toml"));
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // As they stand beside each other in the container.
    let dir = WorkDir::new("prometheus-files");
    for (from, name) in [
        ("deploy/compose/prometheus.yml", "prometheus.yml"),
        ("deploy/prometheus/kafka-s3-sink.rules.yml", "kafka-s3-sink.rules.yml"),
    ] {
        std::fs::write(dir.path().join(name), file(from)).expect("a file");
    }
    let (code, text) = promtool(dir.path(), &["check", "config", "prometheus.yml"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("1 rule files found"), "{text}");
}

/// Each path that one file of Grafana's names is one that the stack puts there.
#[test]
fn grafana_finds_its_dashboard_and_its_source() {
    needs_servers!();
    let grafana = &compose()["services"]["grafana"];
    let targets: Vec<_> = grafana["volumes"].as_array().expect("volumes").iter().collect();
    let at = |end: &str| {
        let is_it =
            |volume: &&&Value| volume["target"].as_str().is_some_and(|it| it.ends_with(end));
        targets.iter().find(is_it).unwrap_or_else(|| panic!("nothing at {end}"))["target"].clone()
    };
    at("/provisioning/datasources/datasources.yaml");
    at("/provisioning/dashboards/dashboards.yaml");
    let dashboard = at("/dashboards/kafka-s3-sink.json");
    assert_eq!(dashboard, grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]);
    let folder = dashboard.as_str().and_then(|path| path.rsplit_once('/')).expect("a path").0;
    assert!(file("deploy/compose/grafana/dashboards.yaml").contains(&format!("path: {folder}\n")));
    assert!(
        file("deploy/compose/grafana/datasources.yaml").contains("url: http://prometheus:9090\n")
    );
}
