//! The folder of its state: full, or not to be had.

use super::site::{Site, UNIT};

#[test]
fn a_full_folder_of_state_stops_nothing() {
    let Some(mut site) = Site::installed("unit-full", &[("rotation.max_age", "1s")]) else {
        return;
    };
    let fill = "mkdir -p /var/lib/private && chmod 700 /var/lib/private && \
                mount -t tmpfs -o size=64k,mode=700 none /var/lib/private && \
                mkdir /var/lib/private/kafka-s3-sink && \
                ! dd if=/dev/zero of=/var/lib/private/kafka-s3-sink/full status=none";
    site.machine.run(&["bash", "-c", fill]);
    site.machine.run(&["systemctl", "start", UNIT]);
    site.produce();
    site.wait_committed();
    site.count();
}

#[test]
fn a_file_in_the_place_of_its_state_is_told() {
    let Some(site) = Site::installed("unit-file", &[]) else { return };
    site.machine.run(&["bash", "-c", "mkdir -p /var/lib/private && touch /var/lib/kafka-s3-sink"]);
    let (code, _) = site.machine.try_run(&["systemctl", "start", UNIT]);
    let status = site.status(UNIT);
    assert!(
        code == 1 && status.contains("Failed to set up special execution directory"),
        "{status}"
    );
    assert!(status.contains("File exists"), "{status}");
}
