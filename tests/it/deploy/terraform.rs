//! The pipeline in Terraform: judged, planned, and applied on moto with the real provider; what it
//! makes is what the stack makes.
//!
//! moto cannot switch a running instance to one-minute figures, so an override takes that out. It can
//! delete no named query, and forgets the descriptions of two rules and an instance's security groups.
//! It enforces no rights, so that they are the stack's is compared text by text; what such rights
//! allow is tried with the stack's, in `rights`. It boots nothing: see `deploy_kafka::first_boot`.

mod look;
mod refused;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::instances::{machines, rules};
use super::{finds_nothing, folder};
use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::tools;
use crate::support::workdir::WorkDir;
use look::{
    assert_alarms, assert_closed_bucket, assert_crawler_and_workgroup, assert_endpoint,
    assert_instances_of_the_stack, assert_lifecycle, assert_profiles, assert_queries,
    assert_rights_of_the_stack, assert_tables, inputs, rights, ways_out,
};

const NAME: &str = "pipe";
const BUCKET: &str = "lake-of-terraform";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012";
/// In a bucket that the guide makes; it is not looked at before an instance boots.
const PACKAGE: &str = "s3://packages/sink/sink.rpm";
const SHA256: &str = "8a6c1e1b6ae8b1a1ee2a4b3eaf6ae9c1ff1e7e2b3c3a4f4a0a3c6e6c0a9e2d11";
const MSK: &str = "arn:aws:kafka:us-east-1:123456789012:cluster/c/u-1";

/// A copy of the folder, which Terraform writes into, with its neighbours.
struct Pipeline {
    dir: WorkDir,
}

impl Pipeline {
    fn new(endpoint: &str) -> Option<Self> {
        let plugins = tools::terraform_plugins()?;
        let dir = WorkDir::new("terraform");
        std::fs::create_dir(dir.path().join("deploy")).expect("a folder");
        for part in ["terraform", "cloudformation", "athena"] {
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(folder().with_file_name(part)).arg(dir.path().join("deploy"));
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
        self.dir.path().join("deploy/terraform")
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("terraform");
        self.end_of(command.current_dir(self.folder()).args(args))
    }

    fn end_of(&self, command: &mut Command) -> (bool, String) {
        command.env("TF_CLI_CONFIG_FILE", self.dir.path().join("terraform.rc"));
        let output = command.env("TF_IN_AUTOMATION", "1").output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs the guide's block that begins so, as it is, in this folder; the variables are those that
    /// it leaves at their defaults. Nobody is asked.
    #[track_caller]
    fn follow_guide(&self, begin: &str, folder: &Path, variables: &[(&str, &str)]) {
        let block = crate::guides::desk::block("aws-from-scratch.md", begin);
        let given: String =
            variables.iter().map(|(name, value)| format!(" '-var={name}={value}'")).collect();
        let more = format!("-auto-approve -input=false -no-color -var=name={NAME}{given}");
        let mut command = Command::new("bash");
        command.args(["-euc", &block]).current_dir(folder);
        command.env("TF_CLI_ARGS_apply", &more).env("TF_CLI_ARGS_destroy", &more);
        command.env("BUCKET", BUCKET).env("PACKAGE", PACKAGE).env("PACKAGE_SHA256", SHA256);
        let (done, said) = self.end_of(&mut command);
        assert!(done, "{said}");
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

/// The form takes no provider, so it is looked at wherever Terraform is.
#[test]
fn terraform_finds_it_formatted() {
    let mut command = Command::new("terraform");
    command.current_dir(folder().with_file_name("terraform"));
    match command.args(["fmt", "-check", "-recursive", "-diff", "-no-color"]).output() {
        Ok(output) => {
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{said}");
        }
        Err(_) => tools::leave_out("needs terraform"),
    }
}

#[test]
fn terraform_finds_it_valid() {
    needs_servers!();
    let Some(pipeline) = Pipeline::new("http://127.0.0.1:9") else { return };
    std::fs::remove_file(pipeline.folder().join("test_override.tf")).expect("removed");
    pipeline.must(&["validate"]);
}

#[test]
fn what_is_applied_is_what_the_stack_makes_and_the_bucket_outlives_it() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let Some(pipeline) = Pipeline::new(&cloud.endpoint) else { return };
    let ann = "arn:aws:iam::123456789012:user/ann";
    let topic = "arn:aws:sns:us-east-1:123456789012:ops";
    let more = [
        ("analyst_arn", ann),
        ("alarm_topic_arn", topic),
        ("crawler_schedule", "cron(10 * * * ? *)"),
    ];
    let choice = [&more[..], &[("package_s3_uri", PACKAGE), ("package_sha256", SHA256)]].concat();
    pipeline.follow_guide("cd deploy/terraform\n", pipeline.dir.path(), &more);
    let same = [("AnalystArn", ann), ("PackageS3Uri", PACKAGE), ("PackageSha256", SHA256)];
    assert_rights_of_the_stack(&mut cloud, &same);
    assert_instances_of_the_stack(&mut cloud, &same);
    assert_eq!(rules(&mut cloud), [("client".to_owned(), "broker".to_owned(), 9092)]);
    assert_closed_bucket(&mut cloud, "AES256", "Enabled");
    assert_lifecycle(&mut cloud);
    assert_crawler_and_workgroup(&mut cloud);
    assert_queries(&mut cloud);
    assert_alarms(&mut cloud, 4, topic);
    assert_endpoint(&mut cloud);
    assert_profiles(&mut cloud, &["sink"]);
    assert_eq!(ways_out(&mut cloud, "broker"), [("0.0.0.0/0".to_owned(), 443)]);
    let to_broker = ways_out(&mut cloud, "client");
    assert_eq!(to_broker.iter().map(|(_, port)| *port).collect::<Vec<_>>(), [443, 9092]);
    let (done, said) = pipeline.with(&["plan"], &choice);
    // A second run would change nothing but what moto forgets.
    assert!(done && said.contains("Plan: 0 to add, 3 to change, 0 to destroy."), "{said}");

    let destroy = ["destroy", "-auto-approve"];
    let (done, said) = pipeline.with(&destroy, &choice);
    for kept in ["module.bucket.aws_s3_bucket.this", "aws_ebs_volume.data[0]"] {
        let refused = format!("Resource {kept} has lifecycle.prevent_destroy set");
        assert!(!done && said.contains(&refused), "{kept} is not let go of: {said}");
    }
    pipeline.must(&["state", "rm", "aws_athena_named_query.this"]);
    pipeline.follow_guide("terraform state rm", &pipeline.folder(), &choice);
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
        "-target=aws_iam_instance_profile.sink",
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
    let out = [("0.0.0.0/0".to_owned(), 443), (group.clone(), 9098)];
    assert_eq!(ways_out(&mut cloud, "sink"), out);
    assert_profiles(&mut cloud, &["sink"]);
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
