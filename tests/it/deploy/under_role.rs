//! The real sink under the keys of the stack's role and nothing else, where IAM is enforced: landing,
//! dead letters, uploads in parts, and what it takes to go on after SIGKILL.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::BUCKET;
use super::rights::{lake, object};
use crate::needs_servers;
use crate::support::cloud::{Cloud, output};
use crate::support::kafka::{Broker, Bulk, RawRecord};
use crate::support::sink::{Sink, SinkConfig};

const PATIENCE: Duration = Duration::from_secs(90);
const TOPIC: &str = "deploy-role";
/// So many of 500 bytes make an object of 7 MB in each Kafka partition: two parts.
const RECORDS: u64 = 45_000;

fn config(broker: &Broker, cloud: &mut Cloud, role: &str) -> SinkConfig {
    let [id, secret, token] = cloud.assume(role).map(Option::unwrap);
    let text = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ntopics = [\"{TOPIC}\"]\ngroup_id = \"{TOPIC}\"\n\
         [kafka.librdkafka]\n\"session.timeout.ms\" = 3000\n\"heartbeat.interval.ms\" = 500\n\
         [s3]\nbucket = \"{BUCKET}\"\nregion = \"us-east-1\"\nendpoint = \"{}\"\n\
         force_path_style = true\nmultipart_threshold = \"5MiB\"\nmultipart_part_size = \"5MiB\"\n\
         [layout]\nprefix = \"raw\"\ncompression = \"none\"\n[http]\nlisten = \"off\"\n",
        broker.bootstrap(),
        cloud.endpoint
    );
    SinkConfig::of_text(&text)
        .env("AWS_ACCESS_KEY_ID", &id)
        .env("AWS_SECRET_ACCESS_KEY", &secret)
        .env("AWS_SESSION_TOKEN", &token)
}

/// What stands below a prefix: the objects as HEAD tells of them, and the records that they hold.
fn landed(cloud: &mut Cloud, prefix: &str) -> (Vec<Value>, u64) {
    let listed = cloud.call("s3", "list_objects_v2", json!({"Bucket": BUCKET, "Prefix": prefix}));
    let listed = listed["Contents"].as_array().cloned().unwrap_or_default();
    let key = |listed: &Value| listed["Key"].as_str().expect("a key").to_owned();
    let heads: Vec<_> = listed
        .iter()
        .map(|listed| cloud.call("s3", "head_object", object(BUCKET, &key(listed))))
        .collect();
    let records = |head: &Value| head["Metadata"]["records"].as_str()?.parse::<u64>().ok();
    let records = heads.iter().map(|head| records(head).expect("metadata")).sum();
    (heads, records)
}

/// Waits until an upload of a batch in parts is under way, so it is pinned, and nothing is committed.
/// The probe at the start is one too, elsewhere.
fn wait_for_upload(cloud: &mut Cloud, sink: &mut Sink) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = cloud.call("s3", "list_multipart_uploads", json!({"Bucket": BUCKET}));
        let is_batch = |upload: &Value| upload["Key"].to_string().contains("raw/");
        if open["Uploads"].as_array().is_some_and(|uploads| uploads.iter().any(is_batch)) {
            return;
        }
        assert!(sink.ended().is_none(), "it has ended before\n{}", sink.log());
        assert!(Instant::now() < deadline, "no upload in parts\n{}", sink.log());
    }
}

#[test]
fn the_sink_runs_under_its_role() {
    needs_servers!();
    let broker = Broker::shared_v4();
    broker.create_topic(TOPIC, 3, &[]);
    broker.produce_many(&Bulk::new(TOPIC, 3, RECORDS));
    broker.produce_raw(TOPIC, &[RawRecord::of("no JSON")]);
    let (mut cloud, stack) = lake(&[("Topic", TOPIC)]);
    let config = config(broker, &mut cloud, &output(&stack, "SinkRoleArn"));
    Sink::spawn(&config, &["check"]).wait_success(PATIENCE);
    let mut killed = Sink::run_until_end(&config);
    wait_for_upload(&mut cloud, &mut killed);
    killed.kill9();
    let mut next = Sink::run_until_end(&config);
    next.wait_success(PATIENCE);
    assert!(next.log().contains("replays a pinned batch"), "{}", next.log());
    Sink::spawn(&config, &["audit", "--no-cache", "--deep"]).wait_success(PATIENCE);

    let (heads, records) = landed(&mut cloud, &format!("raw/{TOPIC}/"));
    assert_eq!(records, RECORDS);
    // The tag of what went up in parts says in how many.
    let in_parts = heads.iter().filter(|head| head["ETag"].to_string().contains("-2"));
    assert_eq!(in_parts.count(), 3, "{heads:#?}");
    assert_eq!(landed(&mut cloud, &format!("dead-letters/raw/{TOPIC}/")).1, 1);
}
