//! The pipeline in Terraform: judged, planned, and applied on moto with the real provider; what it
//! makes is what the stack makes.
//!
//! moto cannot switch a running instance to one-minute figures, so an override takes that out. It can
//! delete no named query, and forgets the descriptions of two rules and an instance's security groups.
//! It enforces no rights, so that they are the stack's is compared text by text; what such rights
//! allow is tried with the stack's, in `rights`. It boots nothing: see `deploy_kafka::first_boot`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::instances::{machines, rules};
use super::{finds_nothing, folder, template, without_instances};
use crate::needs_servers;
use crate::support::cloud::Cloud;
use crate::support::tools;
use crate::support::workdir::WorkDir;

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
    fn apply(&self, variables: &[(&str, &str)]) {
        let (done, said) = self.with(&["apply", "-auto-approve"], variables);
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

/// The inputs of an instance's user data, line by line.
fn inputs(script: &str) -> BTreeSet<&str> {
    let (_, inputs) = script.split_once("<<'STACK'\n").expect("inputs");
    inputs.split_once("\nSTACK\n").expect("their end").0.lines().collect()
}

/// With what stands alone as a list of one, and lists in order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items
                .iter()
                .map(|item| if item.is_string() { item.clone() } else { plain(item) })
                .collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        Value::String(_) => json!([value]),
        other => other.clone(),
    }
}

/// Who may take each role, and what it may then do.
fn rights(cloud: &mut Cloud) -> BTreeMap<String, BTreeSet<String>> {
    let found = cloud.call("iam", "list_roles", json!({}));
    let mut rights = BTreeMap::new();
    for role in found["Roles"].as_array().expect("roles") {
        let name = role["RoleName"].as_str().expect("a name");
        let kinds = ["analyst", "broker", "crawler", "sink"];
        let of = |kind: &&str| name.to_lowercase().contains(*kind);
        let kind = kinds.into_iter().find(of).expect("a role of ours");
        let mut documents = vec![role["AssumeRolePolicyDocument"].clone()];
        let role = json!({"RoleName": name});
        let attached = cloud.call("iam", "list_attached_role_policies", role.clone());
        for policy in attached["AttachedPolicies"].as_array().expect("policies") {
            let version = json!({"PolicyArn": policy["PolicyArn"], "VersionId": "v1"});
            let found = cloud.call("iam", "get_policy_version", version);
            documents.push(found["PolicyVersion"]["Document"].clone());
        }
        let own = cloud.call("iam", "list_role_policies", role);
        for policy in own["PolicyNames"].as_array().expect("policies") {
            let policy = json!({"RoleName": name, "PolicyName": policy});
            documents.push(cloud.call("iam", "get_role_policy", policy)["PolicyDocument"].clone());
        }
        let text = |document: &Value| plain(document).to_string();
        // Each stand-in has a number of its own for the account.
        let documents = documents.iter().map(text);
        let documents = documents.map(|text| text.replace("000000000000", "123456789012"));
        rights.insert(kind.to_owned(), documents.collect());
    }
    rights
}

/// What both make of the same choice must be the same.
fn assert_as_the_stack(cloud: &mut Cloud, parameters: &[(&str, &str)]) {
    let all = [&[("BucketName", BUCKET)], parameters].concat();
    // From a stack moto takes instances, and ministack takes roles.
    let mut other = Cloud::ministack();
    let choice = [&all[..], &[("NamedQueries", "no")]].concat();
    other.deploy(NAME, &without_instances(), &choice).expect("a stack");
    assert_eq!(rights(cloud), rights(&mut other));
    let mut other = Cloud::moto();
    other.deploy(NAME, &template(), &all).expect("a stack");
    let (ours, theirs) = (machines(cloud, NAME), machines(&mut other, NAME));
    assert_eq!(ours.len(), theirs.len());
    for ((name, ours), (other, theirs)) in ours.iter().zip(&theirs) {
        assert_eq!(name, other);
        assert_eq!(inputs(&ours.script), inputs(&theirs.script));
        let script = std::fs::read_to_string(folder().join("user-data.sh")).expect("the script");
        assert!(ours.script.contains(&script), "the script as it is");
        assert_eq!(ours.shape["InstanceType"], theirs.shape["InstanceType"]);
        let disks = |shape: &Value| shape["BlockDeviceMappings"].as_array().map(Vec::len);
        assert_eq!(disks(&ours.shape), disks(&theirs.shape));
        assert_eq!(ours.shape["MetadataOptions"]["HttpTokens"], "required");
    }
}

fn assert_closed_bucket(cloud: &mut Cloud, encryption: &str, versioning: &str) {
    let mut of = |method: &str| cloud.call("s3", method, json!({"Bucket": BUCKET}));
    let block = of("get_public_access_block")["PublicAccessBlockConfiguration"].take();
    assert!(block.as_object().expect("a block").values().all(|value| *value == true), "{block}");
    assert_eq!(of("get_bucket_versioning")["Status"], versioning);
    let found = of("get_bucket_encryption");
    let rule = &found["ServerSideEncryptionConfiguration"]["Rules"][0];
    assert_eq!(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], encryption);
    let found = of("get_bucket_ownership_controls");
    assert_eq!(found["OwnershipControls"]["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    let found = of("get_bucket_lifecycle_configuration");
    let rules = found["Rules"].as_array().expect("rules");
    let days: Vec<_> = rules
        .iter()
        .map(|rule| {
            let unfinished = &rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"];
            let old = &rule["NoncurrentVersionExpiration"]["NoncurrentDays"];
            [unfinished.as_i64(), rule["Expiration"]["Days"].as_i64(), old.as_i64()]
        })
        .collect();
    assert_eq!(days, [[Some(1), None, None], [None, Some(30), None], [None, None, Some(30)]]);
    let policy = of("get_bucket_policy");
    let policy: Value =
        serde_json::from_str(policy["Policy"].as_str().expect("text")).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    let sids: Vec<_> = statements.iter().map(|statement| &statement["Sid"]).collect();
    assert_eq!(sids, ["TlsOnly", "ModernTls"]);
    assert!(statements.iter().all(|statement| statement["Effect"] == "Deny"));
}

fn assert_queries(cloud: &mut Cloud) {
    let found = cloud.call("athena", "list_named_queries", json!({"WorkGroup": NAME}));
    let ids = found["NamedQueryIds"].as_array().expect("a list").clone();
    let query = |id| {
        let found = cloud.call("athena", "get_named_query", json!({"NamedQueryId": id}));
        found["NamedQuery"]["QueryString"].as_str().expect("text").to_owned()
    };
    let found: BTreeSet<String> = ids.into_iter().map(query).collect();
    let wanted = super::queries()
        .into_iter()
        .map(|(_, text)| text.replace("${DatabaseName}", "kafka").replace("${Table}", "orders"));
    assert_eq!(found, wanted.collect());
}

fn assert_crawler_and_workgroup(cloud: &mut Cloud) {
    let crawler = json!({"Name": "pipe-crawler"});
    let crawler = cloud.call("glue", "get_crawler", crawler)["Crawler"].take();
    let path = format!("s3://{BUCKET}/raw/orders/");
    assert_eq!(crawler["Targets"]["S3Targets"][0]["Path"], *path);
    let file = folder().with_file_name("glue").join("crawler.json");
    let file = std::fs::read_to_string(file).expect("a file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let configuration = |of: &Value| {
        let text = of["Configuration"].as_str().expect("text");
        serde_json::from_str::<Value>(text).expect("JSON")
    };
    let ours = configuration(&crawler);
    for part in ["Grouping", "CrawlerOutput"] {
        assert_eq!(ours[part], configuration(&file)[part]);
    }
    for part in ["SchemaChangePolicy", "RecrawlPolicy"] {
        assert_eq!(crawler[part], file[part]);
    }
    let found = cloud.call("athena", "get_work_group", json!({"WorkGroup": NAME}));
    let group = &found["WorkGroup"]["Configuration"];
    assert_eq!(group["EnforceWorkGroupConfiguration"], true);
    assert_eq!(group["BytesScannedCutoffPerQuery"], 10_737_418_240_i64);
    let results = format!("s3://{BUCKET}/athena-results/");
    assert_eq!(group["ResultConfiguration"]["OutputLocation"], *results);
}

fn assert_alarms(cloud: &mut Cloud, count: usize) {
    let found = cloud.call("cloudwatch", "describe_alarms", json!({}));
    let alarms = found["MetricAlarms"].as_array().expect("alarms");
    let metrics = alarms.iter().map(|alarm| alarm["MetricName"].as_str().expect("a metric"));
    let metrics: BTreeSet<_> = metrics.collect();
    assert_eq!((alarms.len(), metrics.len()), (count, 4), "{metrics:?}");
}

fn assert_tables(cloud: &mut Cloud) {
    let found = cloud.call("glue", "get_tables", json!({"DatabaseName": "kafka"}));
    let tables = found["TableList"].as_array().expect("tables");
    let of = |name: &str| tables.iter().find(|table| table["Name"] == name).expect("a table");
    for (table, topic) in [("orders", "orders"), ("clicks_of_all", "clicks.of-all")] {
        let parameters = &of(table)["Parameters"];
        assert_eq!(parameters["projection.dt.range"], "NOW-1YEARS,NOW+1DAYS");
        assert_eq!(parameters["projection.hour.digits"], "2");
        let place = format!("s3://{BUCKET}/raw/{topic}/dt=${{dt}}/hour=${{hour}}/");
        assert_eq!(parameters["storage.location.template"], *place);
        let lost = of(&format!("{table}_unusable_time"));
        assert_eq!(lost["Parameters"]["projection.dt.values"], "1970-01-01");
        assert_eq!(lost["StorageDescriptor"]["Columns"].as_array().map(Vec::len), Some(12));
    }
    assert_eq!(tables.len(), 4);
}

/// One place, changed and then taken down, for a bucket takes the provider a minute to be sure of.
#[test]
fn what_is_applied_is_what_the_stack_makes_and_the_bucket_outlives_it() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let Some(pipeline) = Pipeline::new(&cloud.endpoint) else { return };
    let ann = "arn:aws:iam::123456789012:user/ann";
    pipeline.apply(&[("analyst_arn", ann)]);
    assert_as_the_stack(&mut cloud, &[("AnalystArn", ann)]);
    let of = |from: &str| (from.to_owned(), "broker".to_owned(), 9092);
    assert_eq!(rules(&mut cloud), [of("client")]);
    assert_closed_bucket(&mut cloud, "AES256", "Enabled");
    assert_crawler_and_workgroup(&mut cloud);
    assert_queries(&mut cloud);
    assert_alarms(&mut cloud, 4);
    let (done, said) = pipeline.with(&["plan"], &[("analyst_arn", ann)]);
    // A second run would change nothing but what moto forgets.
    assert!(done && said.contains("Plan: 0 to add, 3 to change, 0 to destroy."), "{said}");

    let first = |cloud: &mut Cloud, method: &str, list: &str, id: &str| {
        let found = cloud.call("ec2", method, json!({}));
        let all = found[list].as_array().expect("a list");
        let default =
            all.iter().find(|one| one["IsDefault"] == true || one["DefaultForAz"] == true);
        default.unwrap_or(&all[0])[id].as_str().expect("one that is there").to_owned()
    };
    let vpc = first(&mut cloud, "describe_vpcs", "Vpcs", "VpcId");
    let subnet = first(&mut cloud, "describe_subnets", "Subnets", "SubnetId");
    let found = json!({"Filters": [{"Name": "vpc-id", "Values": [vpc]}]});
    let found = cloud.call("ec2", "describe_security_groups", found);
    let group = found["SecurityGroups"][0]["GroupId"].as_str().expect("a group").to_owned();
    // moto keeps queries for ever.
    pipeline.must(&["state", "rm", "aws_athena_named_query.this"]);
    let cluster = [
        ("kafka_mode", "none"),
        ("sink_placement", "own"),
        ("bootstrap_servers", "b-1.msk.example:9098"),
        ("cluster_port", "9098"),
        ("cluster_security_group_id", &*group),
        ("named_queries", "false"),
        ("vpc_id", &*vpc),
        ("subnet_id", &*subnet),
        ("msk_cluster_arn", MSK),
        ("kms_key_arn", KEY),
        ("versioning", "false"),
        ("second_topic", "clicks.of-all"),
        ("catalog_mode", "projection"),
        ("envelope", "none"),
    ];
    pipeline.apply(&cluster);
    assert_closed_bucket(&mut cloud, "aws:kms", "Suspended");
    assert_tables(&mut cloud);
    assert_eq!(rules(&mut cloud), [], "nobody reaches the sink");

    let (done, said) = pipeline.with(&["destroy", "-auto-approve"], &cluster);
    assert!(!done && said.contains("prevent_destroy"), "the bucket is not let go of: {said}");
    pipeline.must(&["state", "rm", "module.bucket"]);
    let (done, said) = pipeline.with(&["destroy", "-auto-approve"], &cluster);
    assert!(done, "{said}");
    assert_closed_bucket(&mut cloud, "aws:kms", "Suspended");
    assert_eq!(rights(&mut cloud), BTreeMap::new(), "the roles are gone");
}
