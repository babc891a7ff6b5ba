//! Several instances on one machine.

use super::site::{Site, UNIT};
use crate::support::http;

#[test]
fn two_instances_share_the_work_side_by_side() {
    let Some(mut site) = Site::installed("unit-two", &[]) else { return };
    let names = ["kafka-s3-sink@a", "kafka-s3-sink@b"];
    let settings = [("rotation.max_age", "1s")];
    let [one, two] = ["a", "b"]
        .map(|name| site.configure(&format!("/etc/kafka-s3-sink/{name}.toml"), &settings));
    site.machine.run(&["systemctl", "start", names[0], names[1]]);
    let partitions = |address: &str| {
        let (_, text) = http::get(address, "/status").expect("an answer");
        let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        status["kafka_partitions"].as_array().expect("a list").len()
    };
    site.wait("shared", || partitions(&one) == 2 && partitions(&two) == 2);
    site.produce();
    site.signal(names[0], "KILL");
    site.produce();
    site.wait_active(names[0]);
    site.wait_committed();
    site.count();
    assert_eq!(site.machine.show(UNIT, "ActiveState"), "inactive");
    let folders = site.machine.run(&["ls", "/var/lib/private"]);
    assert_eq!(folders, "kafka-s3-sink-a\nkafka-s3-sink-b\n");
}
