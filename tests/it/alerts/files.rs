//! What is shipped for Prometheus, as promtool and the runbook's readers find it.

use std::collections::BTreeSet;

use super::{alerts, file, folder};
use crate::needs_servers;
use crate::support::prometheus::promtool;

const UNIT_TESTS: &str = "kafka-s3-sink.test.yml";
const RUNBOOK: &str = "https://github.com/kafka-s3-sink/kafka-s3-sink/blob/main/docs/runbook.md#";

#[test]
fn promtool_takes_the_configuration_and_the_rules() {
    needs_servers!();
    let (code, text) = promtool(&folder(), &["check", "config", "prometheus.yml"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("{} rules found", alerts().len() + 8)), "{text}");
}

#[test]
fn each_alert_fires_and_keeps_quiet_where_it_should() {
    needs_servers!();
    let (code, text) = promtool(&folder(), &["test", "rules", UNIT_TESTS], "");
    assert_eq!(code, 0, "{text}");
    let tests = file(&format!("deploy/prometheus/{UNIT_TESTS}"));
    for (alert, _) in alerts() {
        let cases: Vec<_> =
            tests.split("alertname: ").filter(|case| case.starts_with(&*alert)).collect();
        let quiet = cases.iter().filter(|case| case.contains("exp_alerts: []")).count();
        assert!(quiet > 0, "{alert} has no case in which it does not fire");
        assert!(cases.len() > quiet, "{alert} has no case in which it fires");
    }
}

#[test]
fn promtool_finds_an_alert_that_never_fires() {
    needs_servers!();
    let dir = crate::support::workdir::WorkDir::new("rules");
    let rules = file(super::RULES).replace("> 0.1", "> 1.1");
    std::fs::write(dir.path().join("kafka-s3-sink.rules.yml"), rules).expect("a file");
    let tests = file(&format!("deploy/prometheus/{UNIT_TESTS}"));
    std::fs::write(dir.path().join(UNIT_TESTS), tests).expect("a file");
    let (code, text) = promtool(dir.path(), &["test", "rules", UNIT_TESTS], "");
    assert_ne!(code, 0, "{text}");
    assert!(text.contains("KafkaS3SinkRetries"), "{text}");
}

#[test]
fn each_alert_has_its_entry_in_the_runbook_and_each_entry_its_alert() {
    let runbook = file("docs/runbook.md");
    let entries = runbook.split("\n## ").skip(1);
    let entries: BTreeSet<_> =
        entries.clone().map(|entry| entry.lines().next().expect("a heading").to_owned()).collect();
    let named: BTreeSet<_> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(entries, named);
    for entry in runbook.split("\n## ").skip(1) {
        for part in ["**Means**", "**At stake**", "**Look**", "**Mend**"] {
            assert!(entry.contains(part), "no {part} in {entry}");
        }
    }
    for (name, text) in alerts() {
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(text.contains(part), "{name} has no {part}");
        }
        // An anchor is a heading in lower case.
        let url = format!("runbook_url: {RUNBOOK}{}\n", name.to_lowercase());
        assert!(text.contains(&url), "{name}: {text}");
    }
}
