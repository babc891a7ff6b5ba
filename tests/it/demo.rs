//! The demo, as the README's first command runs it: no server, no account.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

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

/// The parts alone: what it says can be pasted, and does what it says.
#[test]
fn the_demo_holds_its_parts_ready_for_trials() {
    let dir = WorkDir::new("demo-serve");
    let mut server = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink"))
        .args(["demo", "--serve", "--dir"])
        .arg(dir.path().join("parts"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let mut lines =
        BufReader::new(server.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("until Ctrl-C")).collect();
    let to_paste: Vec<_> = said.iter().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(to_paste.len(), 3, "{said:?}");
    let script = format!("set -e\n{}", to_paste.join("\n"))
        .replace("kafka-s3-sink produce", concat!(env!("CARGO_BIN_EXE_kafka-s3-sink"), " produce"))
        .replace("kafka-s3-sink run", concat!(env!("CARGO_BIN_EXE_kafka-s3-sink"), " run"));
    let run = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let log = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{log}");
    assert!(log.contains("records=20000"), "{log}");
    // SAFETY: it is our child, and has not been waited for.
    unsafe { libc::kill(server.id() as i32, libc::SIGTERM) };
    assert!(server.wait().expect("it ends").success());
    assert!(lines.any(|line| line.contains("rm -r")));
}
