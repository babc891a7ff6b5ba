//! The pipeline in Terraform: judged, planned, and applied on moto with the real provider; what it
//! makes is what the stack makes.
//!
//! moto cannot switch a running instance to one-minute figures, so an override takes that out. It can
//! delete no named query, and forgets the descriptions of two rules and an instance's security groups.
//! It enforces no rights, so that they are the stack's is compared text by text; what such rights
//! allow is tried with the stack's, in `rights`. It boots nothing: see `deploy_kafka::first_boot`.

mod look;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::instances::{machines, rules};
use super::{finds_nothing, folder};
use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::tools;
use crate::support::workdir::WorkDir;
use look::{
    assert_alarms, assert_closed_bucket, assert_crawler_and_workgroup,
    assert_instances_of_the_stack, assert_lifecycle, assert_queries, assert_rights_of_the_stack,
    assert_tables, inputs, rights,
};

const NAME: &str = "pipe";
const BUCKET: &str = "lake-of-terraform";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012";
const MSK: &str = "arn:aws:kafka:us-east-1:123456789012:cluster/c/u-1";

/// A copy of the folder, which Terraform writes into, with its neighbours.
struct Pipeline {
    dir: WorkDir,
}

impl Pipeline {
    fn new(endpoint: &str) -> Option<Self> {
        let plugins = tools::terraform_plugins()?;
        let dir = WorkDir::new("terraform");
        for part in ["terraform", "cloudformation", "athena"] {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(folder().with_file_name(part)).arg(dir.path());
            assert!(copy.status().expect("cp").success());
        }
        let settings = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    \
             path = {plugins:?}\n  }}\n}}\n"
        );
        std::fs::write(dir.path().join("terraform.rc"), settings).expect("settings");
        let services = ["athena", "cloudwatch", "ec2", "glue", "iam", "s3", "ssm", "sts"];
        let endpoints = services.map(|service| format!("{service} = \"{endpoint}\"\n"));
        let text = format!(
            "provider \"aws\" {{\nregion = \"us-east-1\"\naccess_key = \"test\"\n\
             secret_key = \"test\"\ns3_use_path_style = true\nskip_metadata_api_check = true\n\
             endpoints {{\n{}}}\n}}\nresource \"aws_instance\" \"broker\" {{\nmonitoring = false\n}}\n\
             resource \"aws_instance\" \"sink\" {{\nmonitoring = false\n}}\n",
            endpoints.concat()
        );
        let this = Self { dir };
        std::fs::write(this.folder().join("test_override.tf"), text).expect("an override");
        this.must(&["init", "-input=false"]);
        Some(this)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("terraform")
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("terraform");
        command.current_dir(self.folder()).args(args);
        command.env("TF_CLI_CONFIG_FILE", self.dir.path().join("terraform.rc"));
        let output = command.env("TF_IN_AUTOMATION", "1").output().expect("terraform");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn must(&self, args: &[&str]) -> String {
        let (done, said) = self.run(args);
        assert!(done, "{args:?}: {said}");
        said
    }

    /// Runs a command that takes variables.
    fn with(&self, args: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
        let mut all = vec![("name", NAME), ("bucket_name", BUCKET)];
        all.retain(|(name, _)| variables.iter().all(|(own, _)| own != name));
        let all = all.iter().chain(variables);
        let given: Vec<_> = all.map(|(name, value)| format!("-var={name}={value}")).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        self.run(&[args, &["-input=false", "-no-color"], &given].concat())
    }

    #[track_caller]
    fn apply(&self, targets: &[&str], variables: &[(&str, &str)]) {
        let (done, said) = self.with(&[&["apply", "-auto-approve"], targets].concat(), variables);
        assert!(done, "{said}");
    }
}

#[test]
fn checkov_finds_nothing_in_terraform() {
    needs_servers!();
    let what = ["--framework", "terraform", "-d", "../terraform", "--quiet", "--compact"];
    finds_nothing("venv-checkov/bin/checkov", &[&["--skip-download"], &what[..]].concat());
}

#[test]
fn terraform_finds_it_formatted_and_valid() {
    needs_servers!();
    let Some(pipeline) = Pipeline::new("http://127.0.0.1:9") else { return };
    std::fs::remove_file(pipeline.folder().join("test_override.tf")).expect("removed");
    pipeline.must(&["fmt", "-check", "-recursive", "-diff"]);
    pipeline.must(&["validate"]);
}

#[test]
fn contradictory_variables_are_refused_with_a_sentence() {
    needs_servers!();
    let cloud = Cloud::moto();
    let Some(pipeline) = Pipeline::new(&cloud.endpoint) else { return };
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (
            &[
                ("kafka_mode", "none"),
                ("vpc_id", "vpc-12345678"),
                ("dead_letter_prefix", "raw"),
                ("second_topic", "orders"),
                ("package_url", "https://a.example/s.rpm"),
                ("architecture", "arm64"),
                ("catalog_mode", "projection"),
                ("crawler_schedule", "cron(1 * * * ? *)"),
            ],
            &[
                "there is no broker's instance for sink_placement same",
                "Give both vpc_id and subnet_id",
                "must differ, for Athena reads all",
                "second_topic must be another one than topic",
                "Give package_url and package_sha256 together",
                "choose an instance_type of t4g or m7g",
                "A projected table needs no crawler",
            ],
        ),
        (
            &[("kafka_mode", "none"), ("sink_placement", "own")],
            &["the sink needs bootstrap_servers", "the sink needs cluster_security_group_id"],
        ),
        (
            &[("kafka_mode", "none"), ("sink_placement", "own"), ("bootstrap_servers", "broker")],
            &["host:port, separated by commas"],
        ),
        (
            &[
                ("bootstrap_servers", "b:9092"),
                ("cluster_security_group_id", "sg-12345678"),
                ("msk_cluster_arn", MSK),
                ("instance_type", "t4g.large"),
            ],
            &[
                "bootstrap_servers is for a cluster that exists",
                "cluster_security_group_id is for a cluster that exists",
                "msk_cluster_arn is for a cluster that exists",
                "choose an instance_type of t3 or m7i",
            ],
        ),
        (
            &[
                ("kafka_mode", "raft"),
                ("topic", "Orders"),
                ("layout_prefix", "raw/deep"),
                ("kms_key_arn", "alias/lake"),
                ("package_url", "http://a.example/s.rpm"),
                ("query_scan_limit", "1"),
                ("bucket_name", "My_Lake"),
                ("projection_from", "yesterday"),
            ],
            &[
                "kafka_mode is kraft, zookeeper or none",
                "topic: lower-case letters",
                "layout_prefix: one folder",
                "the ARN of a key, not of an alias",
                "an https URL that ends in .rpm",
                "query_scan_limit is at least 10485760",
                "bucket_name: 3 to 63",
                "projection_from: a day",
            ],
        ),
    ];
    for (variables, sentences) in cases {
        let (done, said) = pipeline.with(&["plan", "-json"], variables);
        assert!(!done, "{variables:?} are taken");
        for sentence in sentences {
            assert!(said.contains(sentence), "no {sentence} in\n{said}");
        }
    }
}

#[test]
fn what_is_applied_is_what_the_stack_makes_and_the_bucket_outlives_it() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let Some(pipeline) = Pipeline::new(&cloud.endpoint) else { return };
    let ann = "arn:aws:iam::123456789012:user/ann";
    let choice = [("analyst_arn", ann)];
    pipeline.apply(&[], &choice);
    assert_rights_of_the_stack(&mut cloud, &[("AnalystArn", ann)]);
    assert_instances_of_the_stack(&mut cloud, &[("AnalystArn", ann)]);
    assert_eq!(rules(&mut cloud), [("client".to_owned(), "broker".to_owned(), 9092)]);
    assert_closed_bucket(&mut cloud, "AES256", "Enabled");
    assert_lifecycle(&mut cloud);
    assert_crawler_and_workgroup(&mut cloud);
    assert_queries(&mut cloud);
    assert_alarms(&mut cloud, 4);
    let (done, said) = pipeline.with(&["plan"], &choice);
    // A second run would change nothing but what moto forgets.
    assert!(done && said.contains("Plan: 0 to add, 3 to change, 0 to destroy."), "{said}");

    let destroy = ["destroy", "-auto-approve"];
    let (done, said) = pipeline.with(&destroy, &choice);
    assert!(!done && said.contains("prevent_destroy"), "the bucket is not let go of: {said}");
    pipeline.must(&["state", "rm", "module.bucket"]);
    pipeline.must(&["state", "rm", "aws_athena_named_query.this"]);
    let (done, said) = pipeline.with(&destroy, &choice);
    assert!(done, "{said}");
    assert_closed_bucket(&mut cloud, "AES256", "Enabled");
    assert_eq!(rights(&mut cloud), BTreeMap::new(), "the roles are gone");
}

/// A cluster and a network that exist, a key of one's own, and tables in place of a crawler. What
/// would take minutes here, or is as before, is not asked for.
#[test]
fn a_cluster_that_exists_is_used_as_it_is() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let Some(pipeline) = Pipeline::new(&cloud.endpoint) else { return };
    let first = |cloud: &mut Cloud, method: &str, list: &str, id: &str| {
        let found = cloud.call("ec2", method, json!({}));
        found[list][0][id].as_str().expect("one that is there").to_owned()
    };
    let vpc = first(&mut cloud, "describe_vpcs", "Vpcs", "VpcId");
    let subnet = first(&mut cloud, "describe_subnets", "Subnets", "SubnetId");
    let group = first(&mut cloud, "describe_security_groups", "SecurityGroups", "GroupId");
    let targets = [
        "-target=aws_instance.sink",
        "-target=aws_vpc_security_group_egress_rule.to_cluster",
        "-target=aws_glue_catalog_table.this",
        "-target=module.bucket.aws_s3_bucket_server_side_encryption_configuration.this",
        "-target=module.bucket.aws_s3_bucket_versioning.this",
        "-target=module.bucket.aws_s3_bucket_ownership_controls.this",
    ];
    let choice = [
        ("kafka_mode", "none"),
        ("sink_placement", "own"),
        ("bootstrap_servers", "b-1.msk.example:9098"),
        ("cluster_port", "9098"),
        ("cluster_security_group_id", &*group),
        ("vpc_id", &*vpc),
        ("subnet_id", &*subnet),
        ("msk_cluster_arn", MSK),
        ("kms_key_arn", KEY),
        ("versioning", "false"),
        ("second_topic", "clicks.of-all"),
        ("catalog_mode", "projection"),
        ("envelope", "none"),
    ];
    pipeline.apply(&targets, &choice);
    let same = [
        ("KafkaMode", "none"),
        ("SinkPlacement", "own"),
        ("BootstrapServers", "b-1.msk.example:9098"),
        ("ClusterSecurityGroupId", "sg-12345678"),
        ("MskClusterArn", MSK),
        ("Encryption", "aws:kms"),
        ("KmsKeyArn", KEY),
        ("SecondTopic", "clicks.of-all"),
        ("CatalogMode", "projection"),
    ];
    assert_rights_of_the_stack(&mut cloud, &same);
    assert_closed_bucket(&mut cloud, "aws:kms", "Suspended");
    assert_tables(&mut cloud);
    assert_eq!(rules(&mut cloud), [], "nobody reaches the sink");
    let machines = machines(&mut cloud, NAME);
    let [(name, machine)] = &machines[..] else { panic!("one instance") };
    assert_eq!(name, "sink");
    let found = inputs(&machine.script);
    for line in [
        "KAFKA_MODE='none'",
        "RUNS_SINK='yes'",
        "BOOTSTRAP_SERVERS='b-1.msk.example:9098'",
        "MSK_IAM_REGION='us-east-1'",
        "TOPICS='orders,clicks.of-all'",
        "ENVELOPE='none'",
    ] {
        assert!(found.contains(line), "no {line} in {found:?}");
    }
}
