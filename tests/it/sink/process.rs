//! The process itself: how many files it may open, and how its log reads.

use super::*;
use crate::support::kafka::RawRecord;
use crate::support::workdir::WorkDir;

#[test]
fn too_few_file_descriptors_are_refused_before_anything_is_done() {
    let folder = WorkDir::new("descriptors");
    let file = folder.path().join("sink.toml");
    let text = "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\ntopics = [\"t\"]\ngroup_id = \"g\"\n\
                [s3]\nbucket = \"lake\"\nregion = \"eu-central-1\"\n";
    std::fs::write(&file, text).expect("a configuration");
    let script = "ulimit -n 100; exec \"$0\" run --config \"$1\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_kafka-s3-sink")]).arg(&file);
    let output = command.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("100 files and sockets") && said.contains("LimitNOFILE="), "{said}");
}

/// As in a shell or a container whose soft limit is for programs that use select().
#[test]
fn a_low_soft_limit_of_file_descriptors_is_raised() {
    let Some(case) = Case::shared("e2e-descriptors", 1) else { return };
    let expected = case.produce(500);
    let mut sink = Sink::run_with_soft_limit(&case.config(), 100);
    sink.wait_for_metric("process_max_fds", 101.0, PATIENCE);
    case.wait_committed(&mut sink);
    case.assert_exact(&expected);
}

#[test]
fn every_line_of_a_log_in_json_is_json() {
    let Some(case) = Case::shared("e2e-json", 1) else { return };
    let config = case.config().set("log.format", "json").set("log.level", "debug");
    case.broker.produce_raw(&case.topic, &[RawRecord::of("no JSON")]);
    let mut sink = Sink::run(&config);
    case.wait_committed(&mut sink);
    // Its errors are of several lines.
    sink.reload(&SinkConfig::of_text("[kafka]\n[s3]\n"));
    sink.wait_for_log("nothing is changed", PATIENCE);
    sink.sigterm();
    sink.wait_success(PATIENCE);
    let log = sink.log();
    let mut levels = std::collections::BTreeSet::new();
    for line in log.lines() {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["timestamp", "target"] {
            assert!(read[field].is_string(), "{field}: {line}");
        }
        // Libraries have lines without one.
        let ours = read["target"].as_str().is_some_and(|it| it.starts_with("kafka_s3_sink"));
        assert!(!ours || read["message"].is_string(), "{line}");
        levels.insert(read["level"].as_str().expect("a level").to_owned());
    }
    assert!(["DEBUG", "INFO", "ERROR"].iter().all(|it| levels.contains(*it)), "{levels:?}");
}
