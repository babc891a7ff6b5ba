//! The spool's volume, and what the configuration says of it.

use serde_json::json;

use super::Objects;
use crate::needs_servers;

#[test]
fn a_spool_is_a_volume_of_the_sink_that_its_configuration_names() {
    needs_servers!();
    let parts = |objects: &Objects| {
        let spool = |list: &serde_json::Value| {
            let found =
                list.as_array().and_then(|list| list.iter().find(|it| it["name"] == "spool"));
            found.cloned()
        };
        let mount = spool(&objects.container()["volumeMounts"]);
        let request = objects.container()["resources"]["requests"]["ephemeral-storage"].clone();
        (spool(&objects.pod()["spec"]["volumes"]), mount, request)
    };
    let (volume, mount, request) = parts(&Objects::of("minimal", &[]));
    assert!(volume.is_none() && mount.is_none() && request.is_null());

    let objects = Objects::of("minimal", &["spool.enabled=true"]);
    let (volume, mount, request) = parts(&objects);
    assert_eq!(volume, Some(json!({ "name": "spool", "emptyDir": { "sizeLimit": "10Gi" } })));
    let path = "/var/spool/kafka-s3-sink";
    assert_eq!(mount, Some(json!({ "name": "spool", "mountPath": path })));
    assert_eq!(request, "10Gi");
    assert!(objects.toml().contains(&format!("spool_dir = \"{path}\"")), "{}", objects.toml());

    let values = [
        "spool.enabled=true",
        r#"config.memory.spool_dir="/mnt/spool""#,
        r#"spool.volume={"hostPath":{"path":"/mnt/disk"}}"#,
    ];
    let (volume, mount, request) = parts(&Objects::of("minimal", &values));
    assert_eq!(volume, Some(json!({ "name": "spool", "hostPath": { "path": "/mnt/disk" } })));
    assert_eq!(mount, Some(json!({ "name": "spool", "mountPath": "/mnt/spool" })));
    assert!(request.is_null());
}
