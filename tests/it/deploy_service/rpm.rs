//! The .rpm, installed with the real `rpm` in a machine that is booted: its scripts talk to the
//! machine's own systemd. What it depends on are Debian's packages here, so rpm is not asked.

use super::rpm_package;
use super::site::{CONFIG, Site, UNIT};

/// Presets as Fedora and Amazon Linux have them: what nobody names stays off.
const PRESETS: &str = "/etc/systemd/system-preset/99-default-disable.preset";

impl Site {
    fn rpm(&self, how: &str, version: &str) -> String {
        let package = rpm_package(version);
        let package = package.file_name().expect("a name").to_string_lossy().into_owned();
        self.machine.run(&["rpm", "--nodeps", how, &format!("/srv/packages/{package}")])
    }
}

fn site(topic: &str) -> Option<Site> {
    let site = Site::bare(topic)?;
    site.machine.write(PRESETS, "disable *\n");
    Some(site)
}

#[test]
fn it_is_installed_upgraded_and_removed() {
    let Some(mut site) = site("rpm-life") else { return };
    let said = site.rpm("-i", "0.1.0");
    // What the stack's user data asks, before it writes settings of its own.
    let (code, _) = site.machine.try_run(&["grep", "-q", "^bootstrap_servers", CONFIG]);
    assert_eq!(code, 1, "the template is taken for settings");
    assert!(said.contains(&format!("write {CONFIG}, then: systemctl enable --now")), "{said}");
    assert_eq!(site.machine.try_run(&["systemctl", "is-enabled", UNIT]).1.trim(), "disabled");
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "inactive");
    site.give_credentials();
    site.configure(CONFIG, &[("rotation.max_age", "1s")]);
    let edited = site.machine.run(&["cat", CONFIG]);
    site.machine.run(&["systemctl", "enable", "--now", UNIT]);
    let before = site.machine.show(UNIT, "MainPID");
    site.produce();

    site.rpm("-U", "0.2.0");
    site.wait("begun anew", || site.machine.show(UNIT, "MainPID") != before);
    site.wait_active(UNIT);
    assert_eq!(site.machine.run(&["cat", CONFIG]), edited);
    let new = site.machine.run(&["cat", &format!("{CONFIG}.rpmnew")]);
    assert!(new.ends_with(super::NEWS), "{new}");
    site.produce();
    site.wait_committed();
    site.count();
    is_removed(&site);
    assert_eq!(site.machine.run(&["cat", &format!("{CONFIG}.rpmsave")]), edited);
}

/// With an instance beside it: nothing of the two runs, and nothing would be started by a boot.
fn is_removed(site: &Site) {
    let instance = "kafka-s3-sink@other";
    site.configure("/etc/kafka-s3-sink/other.toml", &[]);
    site.machine.run(&["systemctl", "enable", "--now", instance]);
    let links = || {
        site.machine.run(&["find", "/etc/systemd/system", "-name", "kafka-s3-sink*", "-type", "l"])
    };
    assert_eq!(links().lines().count(), 2, "{}", links());
    site.machine.run(&["touch", "/var/lib/private/kafka-s3-sink/kept"]);
    site.machine.run(&["rpm", "-e", "--nodeps", "kafka-s3-sink"]);
    for unit in [UNIT, instance] {
        assert_eq!(site.machine.show(unit, "ActiveState"), "inactive");
    }
    assert_eq!(links(), "");
    site.machine.run(&["test", "-e", "/var/lib/private/kafka-s3-sink/kept"]);
}

/// As tools that manage configurations do it. Where nobody has, the stack's user data writes them.
#[test]
fn settings_that_were_written_before_it_stay() {
    let Some(site) = site("rpm-before") else { return };
    site.give_credentials();
    site.configure(CONFIG, &[]);
    let written = site.machine.run(&["cat", CONFIG]);
    site.rpm("-i", "0.1.0");
    assert_eq!(site.machine.run(&["cat", CONFIG]), written);
    site.machine.run(&["test", "-e", &format!("{CONFIG}.rpmnew")]);
    site.machine.run(&["systemctl", "enable", "--now", UNIT]);
    site.machine.run(&["test", "-x", "/usr/share/kafka-s3-sink/kafka/install.sh"]);
}
