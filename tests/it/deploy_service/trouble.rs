//! What keeps the service down, and what must not.

use std::time::Duration;

use super::site::{CONFIG, Site, UNIT};
use crate::support::bucket::Bucket;
use crate::support::minio::Minio;
use crate::support::workdir::free_port;

/// What an administrator does to the configuration, and what `systemctl status` then says.
const BROKEN: &[(&str, &str)] = &[
    ("true", "kafka.bootstrap_servers: missing"),
    ("rm sink.toml", "sink.toml: the configuration file cannot be read: No such file"),
    ("echo nonsense > sink.toml", "sink.toml:1:9: this is not TOML"),
    ("echo '[kafka]' > sink.toml; chmod 0 sink.toml", "cannot be read: Permission denied"),
];

#[test]
fn a_broken_configuration_fails_at_once_and_is_told() {
    let Some(site) = Site::bare("unit-broken") else { return };
    let said = site.install("0.1.0");
    assert!(said.contains(&format!("write {CONFIG}, then: systemctl enable --now")), "{said}");
    assert_eq!(site.machine.try_run(&["systemctl", "is-enabled", UNIT]).1.trim(), "disabled");
    for (deed, wanted) in BROKEN {
        site.machine.run(&["bash", "-c", &format!("cd /etc/kafka-s3-sink && {deed}")]);
        let (code, said) = site.machine.try_run(&["systemctl", "start", UNIT]);
        assert_eq!(code, 1, "{deed}: {said}");
        let status = site.status(UNIT);
        assert!(status.contains("Active: failed") && status.contains(wanted), "{deed}: {status}");
    }
    // Longer than RestartSec: nobody tries it again.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "failed");
    assert_eq!(site.machine.show(UNIT, "NRestarts"), "0");
    site.machine.run(&["rm", CONFIG]);
    site.give_credentials();
    site.configure(CONFIG, &[]);
    site.machine.run(&["systemctl", "start", UNIT]);
}

#[test]
fn what_is_wrong_in_the_environments_file_is_told_too() {
    let Some(site) = Site::installed("unit-env", &[]) else { return };
    let environment = "KAFKA_S3_SINK__ROTATION__MAX_RECORDS=many\n";
    site.machine.write("/etc/kafka-s3-sink/env", environment);
    let (code, _) = site.machine.try_run(&["systemctl", "start", UNIT]);
    let status = site.status(UNIT);
    let wanted = "environment variable KAFKA_S3_SINK__ROTATION__MAX_RECORDS: rotation.max_records";
    assert!(code == 1 && status.contains(wanted), "{status}");
}

/// The one error that only the process itself can find, and that a start may mend: it is tried again.
#[test]
fn an_address_that_is_taken_is_tried_again() {
    let Some(site) = Site::installed("unit-taken", &[]) else { return };
    let address = site.configure(CONFIG, &[]);
    let taken = std::net::TcpListener::bind(&address).expect("it is free");
    site.machine.run(&["systemctl", "start", "--no-block", UNIT]);
    site.wait("tried again", || site.machine.show(UNIT, "NRestarts") != "0");
    let journal = site.machine.read_journal();
    let told = |line: &str| line.contains(&address) && line.contains("Address already in use");
    assert!(journal.lines().any(told), "{journal}");
    drop(taken);
    site.wait_active(UNIT);
}

#[test]
fn an_outage_keeps_it_waiting_and_not_down() {
    let Some(mut site) = Site::installed("unit-outage", &[]) else { return };
    let minio = Minio::start().expect("it is here");
    site.bucket = Bucket::create(&minio, "unit-outage");
    minio.stop();
    let endpoint = minio.endpoint();
    site.configure(CONFIG, &[("s3.endpoint", &endpoint), ("rotation.max_age", "1s")]);
    site.machine.run(&["systemctl", "start", "--no-block", UNIT]);
    let told = || site.machine.show(UNIT, "StatusText");
    site.wait("told", || told().contains("store_reachable"));
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "activating");
    // One that waits can be stopped, and started again.
    site.machine.run(&["systemctl", "stop", UNIT]);
    site.machine.run(&["systemctl", "start", "--no-block", UNIT]);
    minio.start_again();
    site.wait_active(UNIT);
    assert_eq!(site.machine.show(UNIT, "NRestarts"), "0");
    site.produce();
    site.wait_committed();
    site.count();
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_named() {
    let Some(site) = Site::installed("unit-broker", &[]) else { return };
    let nobody = format!("127.0.0.1:{}", free_port());
    site.configure(CONFIG, &[("kafka.bootstrap_servers", &nobody)]);
    site.machine.run(&["systemctl", "start", "--no-block", UNIT]);
    let told = || site.machine.show(UNIT, "StatusText");
    site.wait("told", || told().contains("broker_reachable (Local: All broker"));
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "activating");
    assert_eq!(site.machine.show(UNIT, "NRestarts"), "0");
    site.machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(site.machine.show(UNIT, "Result"), "success");
}
