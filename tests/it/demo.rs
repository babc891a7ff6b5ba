//! The demo, as the README's first command runs it: no server, no account.

use std::process::Command;

use crate::support::workdir::WorkDir;

#[test]
fn the_demo_counts_every_record() {
    let dir = WorkDir::new("demo");
    let run = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"))
        .args(["demo", "--records", "3000", "--dir"])
        .arg(dir.path().join("lake"))
        // Settings for another sink, which must not matter.
        .env("KAFKA_S3_SINK__LAYOUT__PREFIX", "elsewhere")
        .env("AWS_PROFILE", "nobody")
        .output()
        .expect("the demo runs");
    let text = String::from_utf8_lossy(&run.stdout);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}\n{said}");
    assert!(text.contains("every record is there exactly once"), "{text}");
    assert!(text.contains("0 missing, 0 doubled, 0 strange"), "{text}");
    assert!(!text.contains(" 0 dead letters"), "{text}");
}
