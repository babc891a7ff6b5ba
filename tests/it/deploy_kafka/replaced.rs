//! An instance in the place of another, as after an update of the stack: the stack's user data, in the
//! mode with ZooKeeper, finds the data of the one before on its disk.

use super::first_boot::{Site, landed};

const BUCKET: &str = "lake-of-the-replaced";
const RECORDS: usize = 1_000;

/// As many more, and all that there are by then, in the bucket.
fn land(site: &Site, before: usize) {
    let (count, first) = (RECORDS.to_string(), before.to_string());
    let more = ["--count", &*count, "--first-sequence", &*first];
    site.sink(&[&["produce", "--topic", "orders"], &more[..]].concat());
    site.machine.run(&["systemctl", "stop", "kafka-s3-sink"]);
    site.sink(&["run", "--until-end"]);
    assert_eq!(landed(&site.bucket), before + RECORDS);
}

#[test]
fn a_new_instance_with_zookeeper_goes_on_with_the_data_of_the_old_one() {
    let Some(mut site) = Site::new(BUCKET) else { return };
    let [url, sha256] = site.package();
    let choice = [
        ("BucketName", BUCKET),
        ("KafkaMode", "zookeeper"),
        ("KafkaPartitions", "2"),
        (url.0, &*url.1),
        (sha256.0, &*sha256.1),
    ];
    let (text, policy) = crate::deploy::instances::first_boot(&choice);
    for before in [0, RECORDS] {
        let _world = site.world(&policy);
        site.set_clock(0);
        site.start_chrony();
        let (code, said) = site.boot_once("", &text);
        assert!(code == 0 && said.contains("user-data: done\n"), "{code}: {said}");
        for unit in ["zookeeper", "kafka", "kafka-topics", "kafka-s3-sink"] {
            assert_eq!(site.machine.show(unit, "ActiveState"), "active", "{unit}");
        }
        land(&site, before);
        site.sink(&["audit", "--no-cache", "--deep"]);
        if before == 0 {
            // The guide's words, by root.
            let guide = crate::guides::desk::block("aws-from-scratch.md", "sudo systemctl stop");
            site.machine.run(&["bash", "-euc", &guide.replace("sudo ", "")]);
            site.replace_machine();
            // Another number for the user that the files are of.
            site.machine.run(&["useradd", "--system", "somebody"]);
        }
    }
}
