//! A version over the one before, while that runs; removal, and what a purge takes.

use super::site::{CONFIG, Site, UNIT};

/// Whether these exist, in the same order.
fn are_there<const N: usize>(site: &Site, paths: [&str; N]) -> [bool; N] {
    paths.map(|path| site.machine.try_run(&["test", "-e", path]).0 == 0)
}

#[test]
fn an_upgrade_keeps_settings_and_begins_anew_with_the_new_files() {
    let settings = [("rotation.max_age", "1s")];
    let Some(mut site) = Site::installed("unit-upgrade", &settings) else { return };
    site.configure("/etc/kafka-s3-sink/other.toml", &settings);
    let units = [UNIT, "kafka-s3-sink@other"];
    site.machine.run(&["systemctl", "start", units[0], units[1]]);
    let before = units.map(|unit| site.machine.show(unit, "MainPID"));
    let edited = site.machine.run(&["cat", CONFIG]);
    site.produce();
    site.install("0.2.0");
    site.produce();
    for (unit, before) in units.iter().zip(&before) {
        site.wait("begun anew", || {
            site.machine.show(unit, "ActiveState") == "active"
                && site.machine.show(unit, "MainPID") != *before
        });
        // The program on the disk is the one that runs: an old one would show as deleted.
        let program = format!("/proc/{}/exe", site.machine.show(unit, "MainPID"));
        assert_eq!(site.machine.run(&["readlink", &program]).trim(), "/usr/bin/kafka-s3-sink");
    }
    assert_eq!(site.machine.run(&["cat", CONFIG]), edited);
    let new = site.machine.run(&["cat", &format!("{CONFIG}.dpkg-dist")]);
    assert!(new.ends_with(super::NEWS), "{new}");
    site.wait_committed();
    site.count();
}

#[test]
fn one_that_does_not_run_is_not_started_by_an_upgrade() {
    let Some(site) = Site::installed("unit-still", &[]) else { return };
    site.install("0.2.0");
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "inactive");
    assert_eq!(site.machine.try_run(&["systemctl", "is-enabled", UNIT]).1.trim(), "disabled");
}

#[test]
fn a_template_that_nobody_edited_is_the_new_versions() {
    let Some(site) = Site::bare("unit-template") else { return };
    for (version, has_news) in super::VERSIONS.into_iter().zip([false, true]) {
        site.install(version);
        let template = site.machine.run(&["cat", CONFIG]);
        assert_eq!(template.ends_with(super::NEWS), has_news, "{version}: {template}");
    }
    assert_eq!(are_there(&site, [&format!("{CONFIG}.dpkg-dist")]), [false]);
}

#[test]
fn settings_that_are_there_before_it_are_taken_and_it_runs() {
    let Some(site) = Site::bare("unit-before") else { return };
    site.give_credentials();
    site.configure(CONFIG, &[]);
    site.install("0.1.0");
    site.wait_active(UNIT);
    assert_eq!(site.machine.run(&["systemctl", "is-enabled", UNIT]).trim(), "enabled");
}

#[test]
fn a_removal_leaves_what_is_the_users_and_a_purge_leaves_nothing() {
    let Some(site) = Site::installed("unit-removal", &[]) else { return };
    site.configure("/etc/kafka-s3-sink/other.toml", &[]);
    let instance = "kafka-s3-sink@other";
    site.machine.run(&["systemctl", "enable", "--now", UNIT, instance]);
    let state = "/var/lib/private/kafka-s3-sink/kept";
    site.machine.run(&["touch", state]);
    // No instance has this name.
    let others = "/var/lib/kafka-s3-sink-archive";
    site.machine.run(&["mkdir", others]);
    site.machine.run(&["dpkg", "--remove", "kafka-s3-sink"]);
    for unit in [UNIT, instance] {
        let state = site.machine.show(unit, "ActiveState");
        assert!(state == "inactive", "{unit}: {state}");
    }
    let kept = [CONFIG, "/etc/kafka-s3-sink/other.toml", state];
    assert_eq!(are_there(&site, kept), [true; 3]);
    assert_eq!(
        are_there(&site, ["/usr/bin/kafka-s3-sink", "/usr/share/kafka-s3-sink"]),
        [false; 2]
    );
    // Back again, it goes on with what it had.
    site.install("0.2.0");
    site.machine.run(&["systemctl", "start", UNIT]);
    site.machine.run(&["dpkg", "--purge", "kafka-s3-sink"]);
    let wants = "/etc/systemd/system/multi-user.target.wants";
    let [wants, wants_instance] = [UNIT, instance].map(|unit| format!("{wants}/{unit}.service"));
    let gone = [
        "/etc/kafka-s3-sink",
        "/var/lib/private/kafka-s3-sink",
        "/var/lib/kafka-s3-sink",
        "/var/lib/private/kafka-s3-sink-other",
        "/var/lib/kafka-s3-sink-other",
        &wants,
        &wants_instance,
    ];
    assert_eq!(are_there(&site, gone), [false; 7]);
    assert_eq!(are_there(&site, [others]), [true]);
}
