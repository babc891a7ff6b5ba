//! Every command of the guides is run: all `sh` blocks of a guide in one shell, in their order, in a
//! copy of `deploy/`. The first block holds what a reader puts in, and is followed by the test's own.
//!
//! AWS is ministack, which knows no instances: the stack's template goes there without them, and what
//! a reader does on the instance is done here, with a real Kafka. Its crawler finds nothing, so a
//! query's words are tried and not its answer, which `athena` has from a real Trino. Kafka's own
//! scripts are stood in for by what they are, one call of Java. What is not run is listed with the
//! reason, and counted.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::deploy::without_instances;
use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::kafka::{Broker, Version};
use crate::support::process::Process;
use crate::support::tools;
use crate::support::workdir::WorkDir;

/// What a block that is not run begins with, and why.
type NotRun<'a> = (&'a str, &'a str);

const OF_THE_STACK: [NotRun<'_>; 5] = [
    ("aws ssm start-session", "it wants an instance and a terminal"),
    ("sudo tail -n 3 /var/log/cloud-init", "on the instance: deploy_kafka::first_boot"),
    ("cd deploy/terraform\n", "deploy::terraform runs the same with its provider"),
    ("terraform state rm", "deploy::terraform runs the same with its provider"),
    ("aws ec2 delete-volume", "the id is the reader's"),
];

const OF_THE_CLUSTER: [NotRun<'_>; 2] = [
    ("kafka-acls.sh", "the tests' brokers ask nobody who they are"),
    ("sudo install -m 644 sink.toml", "it wants the package and systemd: deploy_service"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The `sh` blocks of a guide.
fn blocks(guide: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs").join(guide)).expect("a guide");
    let block = regex::Regex::new(r"(?ms)^```sh\n(.*?)^```$").expect("a pattern");
    block.captures_iter(&text).map(|found| found[1].to_owned()).collect()
}

/// A place to run a guide in.
struct Desk {
    dir: WorkDir,
    cloud: Cloud,
    broker: Broker,
}

impl Desk {
    fn new() -> Self {
        let dir = WorkDir::new("guide");
        let mut copy = Command::new("cp");
        assert!(copy.arg("-r").arg(root().join("deploy")).arg(dir.path()).status().is_ok());
        let desk = Self { dir, cloud: Cloud::ministack(), broker: Broker::start(Version::V4) };
        desk.put("deploy/cloudformation/pipeline.yaml", &without_instances());
        // Kafka's script for it does the same, from its own folder.
        let libs = tools::dir().join("kafka-4.2.0/libs");
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let groups = format!("#!/bin/sh\nexec java -cp '{}/*' {class} \"$@\"\n", libs.display());
        desk.program("kafka-consumer-groups.sh", &groups);
        // What a reader does as root, one does here as oneself; no unit runs here.
        desk.program("sudo", "#!/bin/sh\nexec \"$@\"\n");
        desk
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn program(&self, name: &str, text: &str) {
        let name = format!("bin/{name}");
        self.put(&name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.dir.path().join(name), mode).expect("rights");
    }

    /// Runs a guide with these inputs, and gives all that was printed.
    fn run(&self, guide: &str, inputs: &str, not_run: &[NotRun<'_>]) -> String {
        let blocks = blocks(guide);
        let left = |block: &&String| !not_run.iter().any(|(begin, _)| block.starts_with(begin));
        let run: Vec<&String> = blocks.iter().filter(left).collect();
        // One that is not listed is run; one that is listed must be there.
        assert_eq!(run.len() + not_run.len(), blocks.len(), "{guide}: {not_run:?}");
        assert!(run[0].lines().all(|line| line.starts_with("export ")), "{}", run[0]);
        let mut script = format!("{}{inputs}", run[0]);
        for block in &run[1..] {
            script += &format!(
                "echo '--- {}'\n{block}",
                block.lines().next().unwrap_or_default().replace('\'', "")
            );
        }
        self.put("guide.sh", &script);
        let paths = [
            self.dir.path().join("bin"),
            tools::dir().join("venv-aws-cli/bin"),
            Path::new(env!("CARGO_BIN_EXE_kafka-s3-sink")).parent().expect("a folder").to_owned(),
        ];
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let path = std::env::var("PATH").expect("a PATH");
        let mut command = Command::new("bash");
        command.args(["-eu", "-o", "pipefail", "guide.sh"]).current_dir(self.dir.path());
        command.env("PATH", format!("{}:{path}", paths.join(":")));
        command.env("AWS_ENDPOINT_URL", &self.cloud.endpoint).env("AWS_PAGER", "");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("KAFKA_S3_SINK__KAFKA__BOOTSTRAP_SERVERS", self.broker.bootstrap());
        command.env("KAFKA_S3_SINK__S3__ENDPOINT", &self.cloud.endpoint);
        command.env("KAFKA_S3_SINK__S3__FORCE_PATH_STYLE", "true");
        command.env("KAFKA_S3_SINK__HTTP__LISTEN", "off");
        let log = self.dir.path().join("guide.log");
        let mut process = Process::start(guide, command, &log);
        let end = process.wait(Duration::from_secs(300)).expect("an end");
        let said = process.output();
        assert!(end.status.success(), "{said}");
        said
    }
}

#[test]
fn from_scratch() {
    needs_servers!();
    let mut desk = Desk::new();
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
    desk.broker.create_topic("orders", 3, &[]);
    let said = desk.run("aws-from-scratch.md", "", &OF_THE_STACK);
    assert!(said.contains("Successfully created/updated stack - kafka-s3-sink"), "{said}");
    assert!(said.contains("Total Objects: "), "{said}");
    assert!(said.contains("SUCCEEDED") || said.contains("FAILED"), "the query has ended: {said}");
    assert!(said.contains("remove_bucket: my-lake"), "{said}");
    let found = desk.cloud.call("s3", "list_buckets", json!({}));
    assert!(!found.to_string().contains("my-lake"), "{found}");
}

#[test]
fn an_existing_cluster() {
    needs_servers!();
    let mut desk = Desk::new();
    desk.cloud.call("s3", "create_bucket", json!({"Bucket": "my-lake"}));
    let broker = &desk.broker;
    broker.create_topic("orders", 2, &[]);
    let events = ["{\"id\":1}"; 10].map(crate::support::kafka::RawRecord::of);
    broker.produce_raw("orders", &events);
    // Where another sink stood.
    broker.set_offset("connect-orders", "orders", 0, 4);
    let inputs = format!("export BROKERS={} ACCOUNT=000000000000\n", broker.bootstrap());
    let said = desk.run("existing-cluster.md", &inputs, &OF_THE_CLUSTER);
    for words in ["ready to run", "all is there, once", "CREATE EXTERNAL TABLE"] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
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
