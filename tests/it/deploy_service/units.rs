//! The units in front of systemd's own judges.

use std::process::Command;

use super::{repository, said};
use crate::needs_servers;
use crate::support::workdir::WorkDir;

#[test]
fn systemd_finds_nothing_wrong_with_them_and_little_exposed() {
    needs_servers!();
    let dir = WorkDir::new("units");
    for (unit, instance) in [
        ("kafka-s3-sink.service", "kafka-s3-sink.service"),
        ("kafka-s3-sink@.service", "kafka-s3-sink@orders.service"),
    ] {
        let text = std::fs::read_to_string(repository().join("deploy/systemd").join(unit));
        // The program is not installed here, and one that is missing is complained of.
        let text = text.expect("a unit").replace("/usr/bin/kafka-s3-sink", "/bin/true");
        let path = dir.path().join(instance);
        std::fs::write(&path, text).expect("written");
        for args in [
            &["verify", "--man=no", "--recursive-errors=yes"][..],
            // Of 100.
            &["security", "--offline=true", "--threshold=20", "--no-pager"],
        ] {
            let (code, said) = said(Command::new("systemd-analyze").args(args).arg(&path));
            assert_eq!(code, 0, "{args:?}: {said}");
            let complaint =
                said.lines().find(|line| line.contains("Unknown") || line.contains("ignor"));
            assert_eq!(complaint, None);
        }
    }
}

#[test]
fn the_two_differ_only_in_the_instance() {
    let read = |unit: &str| {
        let text = std::fs::read_to_string(repository().join("deploy/systemd").join(unit));
        let text = text.expect("a unit");
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = |line: &String| {
        let line = line.replace(" (%i)", "").replace("/%i.toml", "/sink.toml");
        line.replace("/%i.env", "/env").replace("-%i", "")
    };
    let instance: Vec<_> = read("kafka-s3-sink@.service").iter().map(plain).collect();
    assert_eq!(instance, read("kafka-s3-sink.service"));
}
