//! What Terraform made, read back one by one, some of it beside what the stack makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::instances::{assert_data_outlives, endpoint_statements, machines, statements};
use super::super::{folder, queries, template, without_instances};
use super::{BUCKET, NAME};
use crate::support::cloud::Cloud;

/// The inputs of an instance's user data, line by line.
pub(super) fn inputs(script: &str) -> BTreeSet<&str> {
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
pub(super) fn rights(cloud: &mut Cloud) -> BTreeMap<String, BTreeSet<String>> {
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

/// What both let whom do must be the same.
pub(super) fn assert_rights_of_the_stack(cloud: &mut Cloud, parameters: &[(&str, &str)]) {
    // From a stack moto takes instances, and ministack takes roles.
    let mut other = Cloud::ministack();
    let choice = [&[("BucketName", BUCKET), ("NamedQueries", "no")], parameters].concat();
    other.deploy(NAME, &without_instances(), &choice).expect("a stack");
    assert_eq!(rights(cloud), rights(&mut other));
}

/// What both run at a first boot must be the same.
pub(super) fn assert_instances_of_the_stack(cloud: &mut Cloud, parameters: &[(&str, &str)]) {
    let all = [&[("BucketName", BUCKET)], parameters].concat();
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
        if name == "broker" {
            let volume = assert_data_outlives(cloud, &ours.shape);
            assert_eq!(
                (&volume["VolumeType"], &volume["Encrypted"]),
                (&json!("gp3"), &json!(true))
            );
            let name = json!({"Key": "Name", "Value": format!("{NAME}-kafka-data")});
            assert!(volume["Tags"].as_array().is_some_and(|tags| tags.contains(&name)), "{volume}");
        }
        assert_eq!(ours.shape["MetadataOptions"]["HttpTokens"], "required");
    }
}

pub(super) fn assert_closed_bucket(cloud: &mut Cloud, encryption: &str, versioning: &str) {
    let mut of = |method: &str| cloud.call("s3", method, json!({"Bucket": BUCKET}));
    let block = of("get_public_access_block")["PublicAccessBlockConfiguration"].take();
    assert!(block.as_object().expect("a block").values().all(|value| *value == true), "{block}");
    assert_eq!(of("get_bucket_versioning")["Status"], versioning);
    let found = of("get_bucket_encryption");
    let rule = &found["ServerSideEncryptionConfiguration"]["Rules"][0];
    assert_eq!(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], encryption);
    let found = of("get_bucket_ownership_controls");
    assert_eq!(found["OwnershipControls"]["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    let policy = of("get_bucket_policy");
    let policy: Value =
        serde_json::from_str(policy["Policy"].as_str().expect("text")).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    let sids: Vec<_> = statements.iter().map(|statement| &statement["Sid"]).collect();
    assert_eq!(sids, ["TlsOnly", "ModernTls"]);
    assert!(statements.iter().all(|statement| statement["Effect"] == "Deny"));
}

pub(super) fn assert_lifecycle(cloud: &mut Cloud) {
    let bucket = json!({"Bucket": BUCKET});
    let found = cloud.call("s3", "get_bucket_lifecycle_configuration", bucket);
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
}

pub(super) fn assert_queries(cloud: &mut Cloud) {
    let found = cloud.call("athena", "list_named_queries", json!({"WorkGroup": NAME}));
    let ids = found["NamedQueryIds"].as_array().expect("a list").clone();
    let query = |id| {
        let found = cloud.call("athena", "get_named_query", json!({"NamedQueryId": id}));
        found["NamedQuery"]["QueryString"].as_str().expect("text").to_owned()
    };
    let found: BTreeSet<String> = ids.into_iter().map(query).collect();
    let wanted = queries()
        .into_iter()
        .map(|(_, text)| text.replace("${DatabaseName}", "kafka").replace("${Table}", "orders"));
    assert_eq!(found, wanted.collect());
}

pub(super) fn assert_crawler_and_workgroup(cloud: &mut Cloud) {
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
    assert_eq!(crawler["Schedule"]["ScheduleExpression"], "cron(10 * * * ? *)");
    let found = cloud.call("athena", "get_work_group", json!({"WorkGroup": NAME}));
    let group = &found["WorkGroup"]["Configuration"];
    assert_eq!(group["EnforceWorkGroupConfiguration"], true);
    assert_eq!(group["BytesScannedCutoffPerQuery"], 10_737_418_240_i64);
    let results = format!("s3://{BUCKET}/athena-results/");
    assert_eq!(group["ResultConfiguration"]["OutputLocation"], *results);
}

pub(super) fn assert_endpoint(cloud: &mut Cloud) {
    let found = cloud.call("ec2", "describe_vpc_endpoints", json!({}));
    let endpoint = &found["VpcEndpoints"][0];
    assert_eq!(endpoint["ServiceName"], "com.amazonaws.us-east-1.s3");
    assert_eq!(statements(endpoint), endpoint_statements("123456789012"));
}

/// Each profile has the one role of its name, and each instance has a profile.
pub(super) fn assert_profiles(cloud: &mut Cloud, wanted: &[&str]) {
    let found = cloud.call("iam", "list_instance_profiles", json!({}));
    let profiles = found["InstanceProfiles"].as_array().expect("profiles");
    let mut names: Vec<_> = profiles
        .iter()
        .map(|profile| {
            let name = profile["InstanceProfileName"].as_str().expect("a name");
            assert_eq!(profile["Roles"][0]["RoleName"], name);
            name.trim_start_matches(NAME).trim_start_matches('-')
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, wanted);
    for (name, machine) in machines(cloud, NAME) {
        let profile = machine.shape["IamInstanceProfile"]["Arn"].to_string();
        let own = if wanted.contains(&&*name) { &*name } else { "sink" };
        assert!(profile.contains(&format!("instance-profile/{NAME}-{own}\"")), "{name}: {profile}");
    }
}

/// Where a group's instances may go: the group or addresses, and the port.
pub(super) fn ways_out(cloud: &mut Cloud, group: &str) -> Vec<(String, i64)> {
    let filter =
        json!({"Filters": [{"Name": "group-name", "Values": [format!("{NAME}-{group}")]}]});
    let found = cloud.call("ec2", "describe_security_groups", filter);
    let rules = found["SecurityGroups"][0]["IpPermissionsEgress"].as_array().expect("rules");
    let mut ways = Vec::new();
    for rule in rules {
        let port = rule["FromPort"].as_i64().expect("a port");
        assert_eq!(rule["ToPort"], port);
        let of = |list: &str, name: &str| {
            let list = rule[list].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|it| it[name].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let to = [of("IpRanges", "CidrIp"), of("UserIdGroupPairs", "GroupId")].concat();
        ways.extend(to.into_iter().map(|to| (to, port)));
    }
    ways.sort_by_key(|(_, port)| *port);
    ways
}

pub(super) fn assert_alarms(cloud: &mut Cloud, count: usize, topic: &str) {
    let found = cloud.call("cloudwatch", "describe_alarms", json!({}));
    let alarms = found["MetricAlarms"].as_array().expect("alarms");
    let metrics = alarms.iter().map(|alarm| alarm["MetricName"].as_str().expect("a metric"));
    let metrics: BTreeSet<_> = metrics.collect();
    assert_eq!((alarms.len(), metrics.len()), (count, 4), "{metrics:?}");
    let hears = |alarm: &Value| {
        alarm["AlarmActions"].as_array().is_some_and(|all| all.contains(&json!(topic)))
    };
    assert!(alarms.iter().all(hears), "{alarms:#?}");
}

pub(super) fn assert_tables(cloud: &mut Cloud) {
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
