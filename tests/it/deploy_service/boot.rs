//! A start that waits for what is away: for how long, what waits for it, and what ends it.

use std::time::Duration;

use super::site::{CONFIG, PATIENCE, Site, UNIT};
use crate::support::workdir::free_port;

/// With a broker that is away.
fn site(topic: &str) -> Option<Site> {
    let site = Site::installed(topic, &[])?;
    let nobody = format!("127.0.0.1:{}", free_port());
    site.configure(CONFIG, &[("kafka.bootstrap_servers", &nobody)]);
    Some(site)
}

impl Site {
    /// The service waits, and has never done anything else since it was started.
    fn waits_for_its_broker(&self) -> bool {
        self.machine.show(UNIT, "ActiveState") == "activating"
            && self.machine.show(UNIT, "NRestarts") == "0"
            && self.machine.show(UNIT, "StatusText").contains("broker_reachable")
    }
}

#[test]
fn the_boot_of_the_machine_does_not_wait_for_a_broker() {
    let Some(mut site) = site("unit-boot") else { return };
    assert_eq!(site.machine.show(UNIT, "JobRunningTimeoutUSec"), "15min");
    let hurried = format!("/etc/systemd/system/{UNIT}.service.d/hurried.conf");
    site.machine.write(&hurried, "[Unit]\nJobRunningTimeoutSec=30s\n");
    site.machine.run(&["systemctl", "enable", UNIT]);
    site.machine.power_off();
    site.machine.power_on();
    site.wait("waiting", || site.waits_for_its_broker());
    site.machine.wait_active("multi-user.target", PATIENCE);
    // A boot is over when no job is left, that of the start included.
    let state = || site.machine.try_run(&["systemctl", "is-system-running"]).1;
    site.wait("over", || ["running", "degraded"].contains(&state().trim()));
    assert!(site.waits_for_its_broker(), "{}", site.status(UNIT));
    // It goes on, and what it waited for comes.
    site.configure(CONFIG, &[]);
    site.machine.run(&["systemctl", "restart", UNIT]);
    site.wait_active(UNIT);
}

#[test]
fn a_start_that_waits_goes_on_and_one_that_hangs_is_killed() {
    let Some(site) = site("unit-hangs") else { return };
    assert_eq!(site.machine.show(UNIT, "TimeoutStartUSec"), "1min");
    // It would end the process too, once that has fed it.
    let blind = format!("/etc/systemd/system/{UNIT}.service.d/blind.conf");
    site.machine.write(&blind, "[Service]\nWatchdogSec=0\n");
    site.machine.run(&["systemctl", "daemon-reload"]);
    site.machine.run(&["systemctl", "start", "--no-block", UNIT]);
    site.wait("waiting", || site.waits_for_its_broker());
    // Longer than the unit's own limit, and than what the process asks for at a time.
    std::thread::sleep(Duration::from_secs(80));
    assert!(site.waits_for_its_broker(), "{}", site.status(UNIT));
    site.signal(UNIT, "STOP");
    let journal = site.machine.read_journal();
    assert!(journal.contains("start operation timed out. Killing."), "{journal}");
    site.configure(CONFIG, &[]);
    site.machine.run(&["systemctl", "restart", UNIT]);
    site.wait_active(UNIT);
}
