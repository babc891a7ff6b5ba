//! The service at work: up, killed, hung, stopped, and shut down with its machine.

use super::site::{CONFIG, Site, UNIT};
use crate::support::http;

#[test]
fn it_is_active_when_it_is_ready_and_keeps_its_secrets() {
    let Some(site) = Site::installed("unit-ready", &[]) else { return };
    let address = site.configure(CONFIG, &[]);
    site.machine.run(&["systemctl", "start", UNIT]);
    // `start` waits for the unit to be active, so it is ready already.
    let (code, said) = http::get(&address, "/readyz").expect("an answer");
    assert_eq!(code, 200, "{said}");
    site.wait("told", || site.machine.show(UNIT, "StatusText").starts_with("ready; Kafka part"));
    assert!(site.status(UNIT).contains("Active: active (running)"));

    let pid = site.machine.show(UNIT, "MainPID");
    let environment = site.machine.run(&["cat", &format!("/proc/{pid}/environ")]);
    assert!(environment.contains("CREDENTIALS_DIRECTORY="), "{environment}");
    let shown = site.machine.run(&["systemctl", "show", UNIT]);
    let journal = site.machine.read_journal();
    for secret in site.secrets() {
        for place in [&environment, &shown, &journal] {
            assert!(!place.contains(secret), "{secret} is in {place}");
        }
    }
    // The password came through: librdkafka is told of it, and it is named without its value.
    let said = site.machine.run(&["ls", &format!("/run/credentials/{UNIT}.service")]);
    assert!(said.contains("SASL_PASSWORD"), "{said}");
    let owner = site.machine.run(&["stat", "-c", "%U", &format!("/proc/{pid}")]);
    assert_ne!(owner.trim(), "root");
}

#[test]
fn killed_or_hung_it_comes_back_and_every_record_counts_once() {
    let Some(mut site) = Site::installed("unit-killed", &[("rotation.max_age", "1s")]) else {
        return;
    };
    site.machine.run(&["systemctl", "start", UNIT]);
    site.produce();
    site.signal(UNIT, "KILL");
    site.produce();
    // The group forgets the dead one meanwhile, so it may take a while to be ready.
    site.wait_active(UNIT);
    site.produce();
    site.signal(UNIT, "STOP");
    let journal = site.machine.read_journal();
    assert!(journal.contains("Watchdog timeout (limit 30s)!"), "{journal}");
    site.produce();
    site.wait_committed();
    site.wait_active(UNIT);
    site.count();
}

#[test]
fn a_stop_lands_what_was_read() {
    let settings = [("rotation.max_age", "1h")];
    let Some(mut site) = Site::installed("unit-stopped", &settings) else { return };
    let address = site.configure(CONFIG, &settings);
    site.machine.run(&["systemctl", "start", UNIT]);
    let count = site.produce();
    site.wait("read", || site.read(&address) >= count as f64);
    assert_eq!(site.bucket.list("raw/"), [], "nothing is due yet");
    site.machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(site.machine.show(UNIT, "Result"), "success");
    site.count();
}

#[test]
fn a_shutdown_of_the_machine_lands_it_before_the_network_goes() {
    let settings = [("rotation.max_age", "1h")];
    let Some(mut site) = Site::installed("unit-shutdown", &settings) else { return };
    let address = site.configure(CONFIG, &settings);
    site.machine.run(&["systemctl", "enable", "--now", UNIT]);
    let count = site.produce();
    site.wait("read", || site.read(&address) >= count as f64);
    site.machine.power_off();
    site.count();
    let journal = site.machine.read_journal();
    let sink = journal.find("Stopped kafka-s3-sink.service").expect("the sink");
    let network = journal.find("Stopped target network-online.target").expect("the network");
    assert!(sink < network, "{journal}");
    // And it starts with the machine.
    site.machine.power_on();
    site.wait_active(UNIT);
}

#[test]
fn a_shutdown_that_takes_longer_than_the_units_limit_is_waited_for() {
    let settings = [("rotation.max_age", "1h"), ("shutdown.timeout", "80s")];
    let Some(mut site) = Site::installed("unit-long", &settings) else { return };
    // The store is away for longer than the unit's own 45 s, then it is back.
    let minio = crate::support::minio::Minio::start().expect("it is here");
    let own = crate::support::bucket::Bucket::create(&minio, "unit-long");
    let endpoint = minio.endpoint();
    let settings = [settings[0], settings[1], ("s3.endpoint", &*endpoint)];
    let address = site.configure(CONFIG, &settings);
    site.bucket = own;
    site.machine.run(&["systemctl", "start", UNIT]);
    let count = site.produce();
    site.wait("read", || site.read(&address) >= count as f64);
    minio.stop();
    site.machine.run(&["systemctl", "stop", "--no-block", UNIT]);
    std::thread::sleep(std::time::Duration::from_secs(50));
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "deactivating");
    minio.start_again();
    site.wait("stopped", || site.machine.show(UNIT, "ActiveState") == "inactive");
    assert_eq!(site.machine.show(UNIT, "Result"), "success");
    site.count();
}
