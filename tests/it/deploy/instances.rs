//! Instances, network and the bucket's encryption, deployed on moto and read back one by one. moto
//! takes neither a group's own outgoing rules nor the metadata options from a stack: the former are
//! read back on ministack (`lake`), for the latter there is only a look at the text.

use base64::Engine as _;
use serde_json::{Value, json};

use super::template;
use crate::needs_servers;
use crate::support::cloud::Cloud;

pub(super) struct Machine {
    pub(super) shape: Value,
    pub(super) script: String,
}

impl Machine {
    fn has(&self, line: &str) -> bool {
        self.script.lines().any(|found| found == line)
    }
}

/// The instances of a stack by the end of their names, with what their user data says.
pub(super) fn machines(cloud: &mut Cloud, stack: &str) -> Vec<(String, Machine)> {
    let found = cloud.call("ec2", "describe_instances", json!({}));
    let mut machines = Vec::new();
    for shape in found["Reservations"].as_array().expect("a list") {
        let shape = shape["Instances"][0].clone();
        if shape["State"]["Name"] == "terminated" {
            continue;
        }
        let name = shape["Tags"].as_array().expect("tags").iter().find(|tag| tag["Key"] == "Name");
        let name = name.and_then(|tag| tag["Value"].as_str()).expect("a name").to_owned();
        let Some(name) = name.strip_prefix(&format!("{stack}-")) else { continue };
        let what = json!({"InstanceId": shape["InstanceId"], "Attribute": "userData"});
        let data = cloud.call("ec2", "describe_instance_attribute", what);
        let data = data["UserData"]["Value"].as_str().expect("user data");
        let script = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        assert!(script.len() <= 16 * 1024, "EC2 takes 16 KiB, not {}", script.len());
        let script = String::from_utf8(script).expect("text");
        machines.push((name.to_owned(), Machine { shape, script }));
    }
    machines.sort_by(|one, other| one.0.cmp(&other.0));
    machines
}

/// What a stack with these parameters gives its one instance to run, and the rights of its sink.
pub(crate) fn first_boot(parameters: &[(&str, &str)]) -> (String, Value) {
    let mut cloud = Cloud::moto();
    cloud.deploy("boot", &template(), parameters).expect("a stack");
    let (_, machine) = machines(&mut cloud, "boot").remove(0);
    (machine.script, policy(&mut cloud, "SinkPolicy"))
}

/// The document of a policy by a part of its name.
fn policy(cloud: &mut Cloud, name: &str) -> Value {
    let found = cloud.call("iam", "list_policies", json!({"Scope": "Local"}));
    let policies = found["Policies"].as_array().expect("policies");
    let found = policies.iter().find(|policy| policy["PolicyName"].to_string().contains(name));
    let version = json!({"PolicyArn": found.expect("a policy")["Arn"], "VersionId": "v1"});
    cloud.call("iam", "get_policy_version", version)["PolicyVersion"]["Document"].take()
}

/// A rule that lets one group of the stack into another: from, to, port.
pub(super) fn rules(cloud: &mut Cloud) -> Vec<(String, String, i64)> {
    let found = cloud.call("ec2", "describe_security_groups", json!({}));
    let groups = found["SecurityGroups"].as_array().expect("groups");
    let name = |id: &Value| {
        let group = groups.iter().find(|group| group["GroupId"] == *id).expect("a group of ours");
        group["GroupName"].as_str().expect("a name").split('-').nth(1).unwrap_or("").to_owned()
    };
    let mut rules = Vec::new();
    for group in groups {
        for rule in group["IpPermissions"].as_array().expect("rules") {
            assert_eq!(rule["IpRanges"], json!([]), "nobody from outside: {group}");
            for from in rule["UserIdGroupPairs"].as_array().expect("pairs") {
                let port = rule["FromPort"].as_i64().expect("a port");
                rules.push((name(&from["GroupId"]), name(&group["GroupId"]), port));
            }
        }
    }
    rules.sort();
    rules
}

/// Through the network's way to S3 only buckets of the account can be written, and all be read.
pub(super) fn endpoint_statements(account: &str) -> Value {
    let own = json!({"StringEquals": {"aws:ResourceAccount": account}});
    json!([
        {"Sid": "OwnBuckets", "Effect": "Allow", "Principal": "*", "Action": "s3:*",
            "Resource": "*", "Condition": own},
        {"Sid": "Packages", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "*"},
    ])
}

/// The statements of an endpoint's policy, which is told as text.
pub(super) fn statements(endpoint: &Value) -> Value {
    let text = endpoint["PolicyDocument"].as_str().expect("a policy");
    // moto tells that of a stack as Python writes it.
    let json = text.replace('\'', "\"");
    serde_json::from_str::<Value>(&json).expect("JSON")["Statement"].take()
}

fn rule(from: &str, to: &str) -> (String, String, i64) {
    (format!("{from}SecurityGroup"), format!("{to}SecurityGroup"), 9092)
}

/// Kafka's disk is a resource of its own, in the instance's zone, attached to it, and goes with
/// nobody. What is told of it.
pub(super) fn assert_data_outlives(cloud: &mut Cloud, instance: &Value) -> Value {
    let disks = instance["BlockDeviceMappings"].as_array().expect("disks").iter();
    let disks: Vec<_> = disks
        .map(|disk| (disk["DeviceName"].as_str().unwrap(), &disk["Ebs"]["DeleteOnTermination"]))
        .collect();
    assert_eq!(disks, [("/dev/xvda", &json!(true)), ("/dev/sdf", &json!(false))]);
    let mut found = cloud.call("ec2", "describe_volumes", json!({}));
    let volumes = found["Volumes"].as_array_mut().expect("volumes");
    let is_its = |volume: &&mut Value| {
        let attached = &volume["Attachments"][0];
        attached["InstanceId"] == instance["InstanceId"] && attached["Device"] == "/dev/sdf"
    };
    let volume = volumes.iter_mut().find(is_its).expect("a volume").take();
    assert_eq!(volume["Size"], 50);
    assert_eq!(volume["AvailabilityZone"], instance["Placement"]["AvailabilityZone"]);
    volume
}

/// The role that an instance has by its profile.
fn role_of(cloud: &mut Cloud, machine: &Machine) -> String {
    let profile = machine.shape["IamInstanceProfile"]["Arn"].as_str().expect("a profile");
    let name = json!({"InstanceProfileName": profile.rsplit('/').next()});
    let found = cloud.call("iam", "get_instance_profile", name);
    let role = found["InstanceProfile"]["Roles"][0]["RoleName"].as_str().expect("a role");
    role.split('-').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn one_instance_holds_broker_and_sink() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    cloud.deploy("one", &template(), &[]).expect("a stack");
    let machines = machines(&mut cloud, "one");
    assert_eq!(machines.len(), 1);
    let (name, machine) = &machines[0];
    assert_eq!(name, "broker");
    assert_eq!(machine.shape["InstanceType"], "t3.medium");
    assert!(machine.has("KAFKA_MODE='kraft'") && machine.has("KAFKA_VERSION='4.2.0'"));
    assert!(machine.has("RUNS_SINK='yes'") && machine.has("TOPICS='orders'"));
    // Its own setup finds out where the broker listens.
    assert!(machine.has("BOOTSTRAP_SERVERS=''") && machine.has("KAFKA_PARTITIONS='6'"));
    assert_data_outlives(&mut cloud, &machine.shape);
    assert_eq!(role_of(&mut cloud, machine), "SinkRole");
    assert_eq!(rules(&mut cloud), [rule("Client", "Broker")]);
    let found = cloud.call("ec2", "describe_vpc_endpoints", json!({}));
    let endpoint = &found["VpcEndpoints"][0];
    assert_eq!(endpoint["ServiceName"], "com.amazonaws.us-east-1.s3");
    assert_eq!(statements(endpoint), endpoint_statements("123456789012"));
    let filter = json!({"Filters": [{"Name": "cidr", "Values": ["10.80.0.0/24"]}]});
    let found = cloud.call("ec2", "describe_vpcs", filter);
    assert_eq!(found["Vpcs"].as_array().map(Vec::len), Some(1));
    // What cannot be reached from outside still finds its way out.
    let found = cloud.call("ec2", "describe_route_tables", json!({}));
    let tables = found["RouteTables"].as_array().expect("tables");
    let routes = tables.iter().filter_map(|table| table["Routes"].as_array()).flatten();
    let mut out = routes.filter(|route| route["DestinationCidrBlock"] == "0.0.0.0/0");
    assert!(out.any(|route| route["GatewayId"].to_string().contains("igw-")), "{found:#}");
}

#[test]
fn a_sink_of_its_own_is_let_into_the_broker() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let choice = [
        ("KafkaMode", "zookeeper"),
        ("SinkPlacement", "own"),
        ("SecondTopic", "clicks"),
        ("AvailabilityZone", "us-east-1b"),
    ];
    cloud.deploy("two", &template(), &choice).expect("a stack");
    let machines = machines(&mut cloud, "two");
    let [(broker, first), (sink, second)] = &machines[..] else { panic!("two instances") };
    assert_eq!((&**broker, &**sink), ("broker", "sink"));
    for (machine, role) in [(first, "BrokerRole"), (second, "SinkRole")] {
        assert_eq!(role_of(&mut cloud, machine), role);
    }
    // moto forgets that an instance is where its subnet is.
    let found = cloud.call("ec2", "describe_subnets", json!({}));
    let subnets = found["Subnets"].as_array().expect("subnets").iter();
    let mut ours =
        subnets.filter(|it| it["CidrBlock"].as_str().is_some_and(|it| it.starts_with("10.80.")));
    assert_eq!(ours.next().expect("a subnet")["AvailabilityZone"], "us-east-1b");
    assert_data_outlives(&mut cloud, &first.shape);
    assert!(first.has("KAFKA_MODE='zookeeper'") && first.has("KAFKA_VERSION='3.9.1'"));
    assert!(first.has("RUNS_SINK='no'"));
    assert!(second.has("KAFKA_MODE='none'") && second.has("RUNS_SINK='yes'"));
    assert!(second.has("TOPICS='orders,clicks'"));
    let address = first.shape["PrivateIpAddress"].as_str().expect("an address");
    assert!(second.has(&format!("BOOTSTRAP_SERVERS='{address}:9092'")), "{}", second.script);
    assert_eq!(rules(&mut cloud), [rule("Client", "Broker"), rule("Sink", "Broker")]);
}

#[test]
fn an_msk_cluster_is_used_as_it_is() {
    needs_servers!();
    let mut cloud = Cloud::moto();
    let first = |cloud: &mut Cloud, method: &str, list: &str, id: &str| {
        let found = cloud.call("ec2", method, json!({}));
        found[list][0][id].as_str().expect("one that is there").to_owned()
    };
    let vpc = first(&mut cloud, "describe_vpcs", "Vpcs", "VpcId");
    let subnet = first(&mut cloud, "describe_subnets", "Subnets", "SubnetId");
    let group = first(&mut cloud, "describe_security_groups", "SecurityGroups", "GroupId");
    let choice = [
        ("KafkaMode", "none"),
        ("SinkPlacement", "own"),
        ("BootstrapServers", "b-1.msk.example:9098"),
        ("ClusterPort", "9098"),
        ("ClusterSecurityGroupId", &*group),
        ("VpcId", &*vpc),
        ("SubnetId", &*subnet),
        ("MskClusterArn", "arn:aws:kafka:us-east-1:123456789012:cluster/c/u-1"),
    ];
    let vpcs = |cloud: &mut Cloud| {
        let found = cloud.call("ec2", "describe_vpcs", json!({}));
        found["Vpcs"].as_array().expect("a list").len()
    };
    let before = vpcs(&mut cloud);
    cloud.deploy("msk", &template(), &choice).expect("a stack");
    assert_eq!(vpcs(&mut cloud), before, "no network is made");
    let machines = machines(&mut cloud, "msk");
    let [(name, machine)] = &machines[..] else { panic!("one instance") };
    assert_eq!(name, "sink");
    assert!(machine.has("BOOTSTRAP_SERVERS='b-1.msk.example:9098'"));
    assert!(machine.has("MSK_IAM_REGION='us-east-1'"));
    assert_eq!(rules(&mut cloud), [], "nobody reaches the sink");
    let text = policy(&mut cloud, "MskPolicy").to_string();
    for arn in ["cluster/c/u-1", "topic/c/u-1/orders", "group/c/u-1/kafka-s3-sink"] {
        let arn = format!("\"arn:aws:kafka:us-east-1:123456789012:{arn}\"");
        assert!(text.contains(&arn), "{arn} in {text}");
    }
}

/// A bucket's name, the parameters, and how the bucket is then encrypted.
type Choice<'a> = (&'a str, &'a [(&'a str, &'a str)], Value);

#[test]
fn the_bucket_is_encrypted_with_the_key_that_was_chosen() {
    needs_servers!();
    let key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012";
    let lake = [("KafkaMode", "none"), ("SinkPlacement", "none")];
    let choices: [Choice; 2] = [
        ("lake-s3", &[], json!({"SSEAlgorithm": "AES256"})),
        (
            "lake-kms",
            &[("Encryption", "aws:kms"), ("KmsKeyArn", key)],
            json!({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}),
        ),
    ];
    let mut cloud = Cloud::moto();
    for (name, choice, wanted) in choices {
        let choice = [&lake[..], choice, &[("BucketName", name)]].concat();
        cloud.deploy(name, &template(), &choice).expect("a stack");
        let found = cloud.call("s3", "get_bucket_encryption", json!({"Bucket": name}));
        let rule = &found["ServerSideEncryptionConfiguration"]["Rules"][0];
        assert_eq!(rule["ApplyServerSideEncryptionByDefault"], wanted, "{name}");
    }
}

#[test]
fn a_deleted_stack_leaves_what_cannot_be_had_again_and_lets_go_of_the_rest() {
    let text = template();
    let kept = "    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n";
    for name in ["Bucket", "DataVolume", "DataAttachment"] {
        let (_, block) = text.split_once(&format!("\n  {name}:\n")).expect(name);
        assert!(block.split("    Properties:\n").next().expect("a head").contains(kept), "{name}");
    }
    // The stand-ins delete a workgroup in any case, AWS refuses one in which queries ran.
    let (_, group) = text.split_once("Type: AWS::Athena::WorkGroup\n").expect("a workgroup");
    let group = group.split("Type: AWS::").next().expect("its block");
    assert!(group.contains("\n      RecursiveDeleteOption: true\n"));
}

#[test]
fn every_instance_is_closed_by_the_text() {
    let text = template();
    let instances = text.matches("Type: AWS::EC2::Instance\n").count();
    let metadata = "MetadataOptions: { HttpEndpoint: enabled, HttpTokens: required, HttpPutResponseHopLimit: 1 }";
    assert_eq!(text.matches(metadata).count(), instances);
    let volumes = text.matches("Ebs: {").count() + text.matches("Type: AWS::EC2::Volume\n").count();
    assert_eq!(volumes, text.matches("Encrypted: true").count());
    // moto forgets a volume's tags, by which the guide finds it.
    assert!(text.contains("Tags: [{ Key: Name, Value: !Sub \"${AWS::StackName}-kafka-data\" }]"));
    // Neither stand-in takes a lifecycle from a stack; cfn-lint knows its form.
    assert!(text.contains("AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 }"));
    for never in
        ["AdministratorAccess", "AWS::IAM::AccessKey", "AWS::IAM::User", "KeyName", "FromPort: 22"]
    {
        assert!(!text.contains(never), "{never}");
    }
}
