//! The service at work: up, killed, hung, stopped, and shut down with its machine.

use super::site::{CONFIG, Site, UNIT};
use crate::support::http;
use crate::support::workdir::free_port;

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
    // The password is there for the process; that one of its kind counts, the next test shows.
    let said = site.machine.run(&["ls", &format!("/run/credentials/{UNIT}.service")]);
    assert!(said.contains("SASL_PASSWORD"), "{said}");
    let owner = site.machine.run(&["stat", "-c", "%U", &format!("/proc/{pid}")]);
    assert_ne!(owner.trim(), "root");
}

#[test]
fn a_credential_counts_as_the_variable_of_its_name() {
    let settings = [("rotation.max_age", "1s"), ("layout.prefix", "by-the-file")];
    let Some(mut site) = Site::installed("unit-credential", &settings) else { return };
    let credential = "KAFKA_S3_SINK__LAYOUT__PREFIX";
    site.machine.write(&format!("/etc/credstore/{credential}"), "raw\n");
    let path = format!("/etc/systemd/system/{UNIT}.service.d/prefix.conf");
    site.machine.write(&path, &format!("[Service]\nLoadCredential={credential}\n"));
    site.machine.run(&["systemctl", "daemon-reload"]);
    site.machine.run(&["systemctl", "start", UNIT]);
    site.produce();
    site.wait_committed();
    // That is below raw/.
    site.count();
    assert_eq!(site.bucket.list("by-the-file/"), []);
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
fn a_reload_takes_up_limits_and_a_wrong_file_changes_nothing() {
    let journal = ("log.format", "journald");
    let settings = [journal, ("rotation.max_age", "1h")];
    let Some(mut site) = Site::installed("unit-reloaded", &settings) else { return };
    site.machine.run(&["systemctl", "start", UNIT]);
    let pid = site.machine.show(UNIT, "MainPID");
    site.produce();
    site.machine.write(CONFIG, "[kafka]\n");
    site.machine.run(&["systemctl", "reload", UNIT]);
    let told = |what: &str| site.machine.read_journal().contains(what);
    site.wait("refused", || told("SIGHUP: nothing is changed"));
    site.configure(CONFIG, &[journal, ("rotation.max_age", "1s")]);
    site.machine.run(&["systemctl", "reload", UNIT]);
    site.wait_committed();
    site.wait("told", || told("SIGHUP: rotation.max_age"));
    assert_eq!(site.machine.show(UNIT, "MainPID"), pid);
    assert!(site.status(UNIT).contains("Active: active (running)"));
    // Lines in the journal itself have what lines on standard error lose.
    let errors = site.machine.run(&["journalctl", "-u", UNIT, "-p", "err", "-o", "cat"]);
    assert!(errors.contains("nothing is changed") && !errors.contains("max_age"), "{errors}");
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

impl Site {
    /// The machine shares the network with the tests, so it does not go. What stands for it is a way
    /// to the store that goes when a network would; returns where that begins.
    fn network_of_its_own(&self) -> String {
        let here = format!("127.0.0.1:{}", free_port());
        let store = self.bucket.endpoint().trim_start_matches("http://");
        let ordered = "[Unit]\nDefaultDependencies=no\nBefore=network.target network-online.target\n\
                       Conflicts=shutdown.target\nBefore=shutdown.target\n";
        let socket =
            format!("[Socket]\nListenStream={here}\n[Install]\nWantedBy=multi-user.target\n");
        let program = format!("/lib/systemd/systemd-socket-proxyd {store}");
        let service = format!("[Service]\nExecStart={program}\n");
        for (unit, text) in [("network.socket", socket), ("network.service", service)] {
            self.machine.write(&format!("/etc/systemd/system/{unit}"), &format!("{ordered}{text}"));
        }
        self.machine.run(&["systemctl", "daemon-reload"]);
        self.machine.run(&["systemctl", "enable", "--now", "network.socket"]);
        format!("http://{here}")
    }
}

#[test]
fn a_shutdown_of_the_machine_lands_it_before_the_network_goes() {
    let Some(mut site) = Site::installed("unit-shutdown", &[]) else { return };
    let store = site.network_of_its_own();
    let settings = [("rotation.max_age", "1h"), ("s3.endpoint", &store)];
    let address = site.configure(CONFIG, &settings);
    site.machine.run(&["systemctl", "enable", "--now", UNIT]);
    let count = site.produce();
    site.wait("read", || site.read(&address) >= count as f64);
    site.machine.power_off();
    site.count();
    let journal = site.machine.read_journal();
    let sink = journal.find("Stopped kafka-s3-sink.service").expect("the sink");
    let network = journal.find("Stopped network.service").expect("the network");
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
