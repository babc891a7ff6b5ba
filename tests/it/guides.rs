//! Every command of the guides is run: all `sh` blocks of a guide in one shell, in their order, in a
//! copy of `deploy/`. The first block holds what a reader puts in, and is followed by the test's own.
//!
//! AWS is ministack, which knows no instances: the stack's template goes there without them, and what
//! a reader does on the instance is done here, with a real Kafka; EC2 is moto, with an instance and a
//! volume of the stack's names. `guide_aws.py` makes the table that the crawler would make, and the
//! first query is DuckDB's (`athena` has a real Trino). Kafka's own scripts are stood in for by what
//! they are, one call of Java. What is not run is listed with the reason, and counted.

mod costs;
pub(crate) mod desk;

use serde_json::json;

use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::kafka::{Broker, Version};
use desk::{Desk, NotRun, USERS, broker_with_rights};

const OF_THE_STACK: [NotRun<'_>; 4] = [
    ("sudo tail -n 3 /var/log/cloud-init", "on the instance: deploy_kafka::first_boot"),
    ("sudo systemctl stop kafka-s3-sink kafka", "on the instance: deploy_kafka::replaced"),
    ("cd deploy/terraform\n", "deploy::terraform runs it, where the provider is"),
    ("terraform state rm", "deploy::terraform runs it, where the provider is"),
];

const OF_THE_CLUSTER: [NotRun<'_>; 1] =
    [("sudo install -m 644 sink.toml", "it wants the package and systemd: deploy_service")];

/// An instance and two volumes, of which one is the stack's: their ids.
fn machines(cloud: &mut Cloud) -> [String; 2] {
    let tags = |kind: &str, name: &str| {
        let tags = json!([{"Key": "Name", "Value": name}]);
        json!([{"ResourceType": kind, "Tags": tags}])
    };
    let image = cloud.call("ec2", "describe_images", json!({}))["Images"][0]["ImageId"].take();
    let instance = json!({"ImageId": image, "MinCount": 1, "MaxCount": 1,
        "TagSpecifications": tags("instance", "kafka-s3-sink-broker")});
    let made = cloud.call("ec2", "run_instances", instance);
    let mut volume = |name: &str| {
        let volume = json!({"AvailabilityZone": "us-east-1a", "Size": 50,
            "TagSpecifications": tags("volume", name)});
        cloud.call("ec2", "create_volume", volume)["VolumeId"].take()
    };
    let (volume, _) = (volume("kafka-s3-sink-kafka-data"), volume("somebody-else"));
    let instance = made["Instances"][0]["InstanceId"].clone();
    let attach = json!({"InstanceId": instance, "VolumeId": volume, "Device": "/dev/sdf"});
    cloud.call("ec2", "attach_volume", attach);
    [instance, volume].map(|id| id.as_str().expect("an id").to_owned())
}

/// The sum of the last column of the query's rows: dt, hour, records.
fn queried(said: &str) -> u64 {
    let row = regex::Regex::new(r"(?m)^\d{4}-\d\d-\d\d\t\d\d\t(\d+)$").expect("a pattern");
    row.captures_iter(said).map(|row| row[1].parse::<u64>().expect("a number")).sum()
}

#[test]
fn from_scratch() {
    needs_servers!();
    let mut desk = Desk::new(Broker::start(Version::V4));
    let mut machines_cloud = Cloud::moto();
    let [instance, volume] = machines(&mut machines_cloud);
    desk.environment = vec![("AWS_ENDPOINT_URL_EC2".into(), machines_cloud.endpoint.clone())];
    // What systemd does on the instance: the sink lands what is open.
    let config = "/etc/kafka-s3-sink/sink.toml";
    let sink = env!("CARGO_BIN_EXE_kafka-s3-sink");
    desk.put(
        "sink.toml",
        "[kafka]\nbootstrap_servers = \"b:1\"\ntopics = [\"orders\"]\ngroup_id = \"g\"\n\
         [s3]\nbucket = \"my-lake\"\nregion = \"us-east-1\"\n[layout]\nprefix = \"raw\"\n",
    );
    desk.program(
        "systemctl",
        &format!("#!/bin/sh\nexec {sink} run --until-end --config sink.toml\n"),
    );
    // The one file that a reader has and we do not.
    let named = format!(
        "#!/bin/sh\nset -- $(echo \"$@\" | sed s,{config},sink.toml,)\nexec {sink} \"$@\"\n"
    );
    desk.program("kafka-s3-sink", &named);
    desk.put("kafka-s3-sink.rpm", "not really a package");
    desk.broker.create_topic("orders", 3, &[]);
    let ids = [("vol-0123456789abcdef0", &*volume)];
    let said = desk.run("aws-from-scratch.md", "", &ids, &OF_THE_STACK);
    assert!(said.contains("Successfully created/updated stack - kafka-s3-sink"), "{said}");
    assert!(said.contains(&format!("a session on {instance}")), "{said}");
    assert!(said.contains("user-data: done"), "{said}");
    let objects = regex::Regex::new(r"Total Objects: ([1-9]\d*)").expect("a pattern");
    assert!(objects.is_match(&said), "{said}");
    assert!(said.contains("\nSUCCEEDED\n"), "{said}");
    assert_eq!(queried(&said), 50_000, "{said}");
    assert!(said.contains("remove_bucket: my-lake\n"), "{said}");
    let found = desk.cloud.call("s3", "list_buckets", json!({}));
    assert!(!found.to_string().contains("my-lake"), "{found}");
    let left = machines_cloud.call("ec2", "describe_volumes", json!({})).to_string();
    assert!(left.contains("somebody-else") && !left.contains(&volume), "{left}");
}

#[test]
fn an_existing_cluster() {
    needs_servers!();
    let (broker, at) = broker_with_rights();
    let mut desk = Desk::new(broker);
    desk.sign_in(&at, USERS[0]);
    desk.cloud.call("s3", "create_bucket", json!({"Bucket": "my-lake"}));
    let broker = &desk.broker;
    broker.create_topic("orders", 2, &[]);
    let events = ["{\"id\":1}"; 10].map(crate::support::kafka::RawRecord::of);
    broker.produce_raw("orders", &events);
    // Where another sink stood.
    broker.set_offset("connect-orders", "orders", 0, 4);
    let inputs = format!("export BROKERS={} ACCOUNT=000000000000\n", broker.bootstrap());
    let said = desk.run("existing-cluster.md", &inputs, &[], &OF_THE_CLUSTER);
    for words in [
        "ready to run",
        "all is there, once",
        "CREATE EXTERNAL TABLE",
        "Service is unable to assume role",
    ] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
    // The same without the rights that the guide has given.
    desk.sign_in(&at, USERS[1]);
    let mut command = desk.command("kafka-s3-sink");
    let output = command.args(["check", "--config", "sink.toml"]).output().expect("it starts");
    let refused = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && refused.contains("uthoriz"), "{refused}");
    let ends = desk.broker.log_bounds("orders", 0).1;
    assert_eq!(desk.broker.committed("kafka-s3-sink-2", "orders", 0).offset, Some(ends));
    let first = |cloud: &mut Cloud, prefix: &str| {
        let listing = json!({"Bucket": "my-lake", "Prefix": prefix});
        let found = cloud.call("s3", "list_objects_v2", listing);
        found["Contents"][0]["Key"].as_str().expect("an object").to_owned()
    };
    // Exactly where the other one stood.
    let key = first(&mut desk.cloud, "raw-2/orders/");
    assert!(key.ends_with("orders-0-00000000000000000004.json.gz"), "{key}");
    assert!(first(&mut desk.cloud, "raw/orders/").ends_with("-00000000000000000000.json.gz"));
    let found = desk.cloud.call("glue", "get_crawler", json!({"Name": "orders-crawler"}));
    assert_eq!(found["Crawler"]["Targets"]["S3Targets"][0]["Path"], "s3://my-lake/raw/orders/");
}
