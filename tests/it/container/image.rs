//! The image as it was built, and what it says to whom it is run by wrongly.

use serde_json::Value;

use super::file;
use crate::support::container::{Wish, image, podman};
use crate::support::workdir::WorkDir;

const MOST_BYTES: u64 = 60_000_000;

#[test]
fn the_image_is_small_and_has_what_it_should() {
    let Some(image) = image() else { return };
    let text = podman(&["image", "inspect", image]);
    let about = &serde_json::from_str::<Value>(&text).expect("JSON")[0];
    let size = about["Size"].as_u64().expect("bytes");
    eprintln!("the image has {size} bytes");
    assert!(size < MOST_BYTES, "{size} bytes");
    let config = &about["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Entrypoint"][0], "/usr/bin/kafka-s3-sink");
    assert_eq!(config["Cmd"][0], "run");
    let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("licenses"), "Apache-2.0");
    for name in ["version", "revision", "source", "title", "description"] {
        assert!(label(name).is_string(), "no {name}");
    }
}

/// Nothing in it could be started but the program.
#[test]
fn the_image_has_no_shell_and_brings_its_papers() {
    let Some(image) = image() else { return };
    let dir = WorkDir::new("image");
    let tar = dir.path().join("image.tar");
    let container = podman(&["create", image]);
    podman(&["export", "--output", &tar.display().to_string(), &container]);
    podman(&["rm", &container]);
    let output = std::process::Command::new("tar").arg("-tf").arg(&tar).output().expect("tar");
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let has = |path: &str| list.lines().any(|line| line.trim_end_matches('/') == path);
    for path in ["bin/sh", "usr/bin/sh", "bin/bash", "usr/bin/bash", "usr/bin/apt", "usr/bin/perl"]
    {
        assert!(!has(path), "{path} is in the image");
    }
    for name in ["LICENSE", "LICENSES.txt.gz", "sbom.cdx.json", "complete.toml", "minimal.toml"] {
        assert!(has(&format!("usr/share/doc/kafka-s3-sink/{name}")), "no {name}");
    }
    assert!(has("etc/ssl/certs/ca-certificates.crt"));
    let mut tar_of = std::process::Command::new("tar");
    tar_of.args(["-xOf"]).arg(&tar).arg("usr/share/doc/kafka-s3-sink/sbom.cdx.json");
    let sbom: Value = serde_json::from_slice(&tar_of.output().expect("tar").stdout).expect("JSON");
    let parts = sbom["components"].as_array().expect("components");
    let has =
        |name: &str| parts.iter().any(|part| part["name"] == name && part["version"].is_string());
    assert!(has("rdkafka-sys") && has("aws-sdk-s3") && has("tokio"), "{} parts", parts.len());
}

#[test]
fn the_demo_runs_in_it() {
    let Some(image) = image() else { return };
    let (code, text, said) = Wish::new().with("--tmpfs=/tmp").run(image, &["demo"]);
    assert_eq!(code, 0, "{text}\n{said}");
    assert!(text.contains("0 missing, 0 doubled, 0 strange"), "{text}");
}

/// What the test of memory rests on: this engine does kill, by SIGKILL, what goes beyond its limit.
#[test]
fn a_container_beyond_its_memory_is_killed() {
    let Some(image) = image() else { return };
    let container = Wish::new().with("--tmpfs=/tmp").with("--memory=12m").start(image, &["demo"]);
    assert_eq!(container.wait(), 128 + 9, "{}", container.log());
}

#[test]
fn a_container_that_cannot_run_says_why_and_ends_with_2() {
    let Some(image) = image() else { return };
    let dir = WorkDir::new("container");
    let mounted = |text: &str| {
        let path = dir.path().join("sink.toml");
        std::fs::write(&path, text).expect("a file");
        Wish::new().with(&format!("--volume={}:/etc/kafka-s3-sink/sink.toml:ro", path.display()))
    };
    let minimal = file("config/minimal.toml");
    let wrong = minimal.replace("topics", "topcs");
    for (wish, sentence) in [
        (Wish::new(), "/etc/kafka-s3-sink/sink.toml: the configuration file cannot be read"),
        (Wish::new().with("--env=KAFKA_S3_SINK_CONFIG="), "kafka.topics: missing; write topics ="),
        (mounted(&wrong), "kafka.topcs: unknown; did you mean topics?"),
    ] {
        let (code, _, said) = wish.run(image, &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    let (code, _, said) = mounted(&minimal).with("--memory=64m").run(image, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("32MiB, half of the memory that there is"), "{said}");
    assert!(said.contains("give the container or the machine 224MiB"), "{said}");
    // With what it asks for it lives, though nobody is there to work with.
    let wish = mounted(&minimal).with("--memory=224m").with("--env=AWS_REGION=us-east-1");
    wish.start(image, &[]).wait_until("alive", |container| container.healthcheck() == 0);
}
