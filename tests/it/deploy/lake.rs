//! Bucket, catalogue, workgroup and alarms, deployed on ministack and read back one by one. What it
//! drops (encryption) is read back on moto, see `instances`; the lifecycle is dropped by both.

use serde_json::{Value, json};

use super::{BUCKET, LAKE, template, with, without_instances};
use crate::needs_servers;
use crate::support::cloud::{Cloud, owner};

fn named(name: &str) -> Value {
    json!({"Name": name})
}

#[test]
fn the_bucket_is_closed_and_versioned() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    cloud.deploy("lake", &template(), &LAKE).expect("a stack");
    let bucket = json!({"Bucket": BUCKET});
    let found = cloud.call("s3", "get_public_access_block", bucket.clone());
    let block = found["PublicAccessBlockConfiguration"].as_object().expect("a block");
    assert!(block.len() == 4 && block.values().all(|value| *value == true), "{found}");
    assert_eq!(cloud.call("s3", "get_bucket_versioning", bucket.clone())["Status"], "Enabled");
    let found = cloud.call("s3", "get_bucket_ownership_controls", bucket);
    let rule = &found["OwnershipControls"]["Rules"][0];
    assert_eq!(rule["ObjectOwnership"], "BucketOwnerEnforced");
}

#[test]
fn a_key_of_ones_own_encrypts_results_too() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let made = cloud.call("kms", "create_key", json!({}));
    let key = made["KeyMetadata"]["Arn"].as_str().expect("a key").to_owned();
    let choice = [("Encryption", "aws:kms"), ("KmsKeyArn", &*key), ("Versioning", "no")];
    cloud.deploy("lake", &template(), &with(&LAKE, &choice)).expect("a stack");
    let found = cloud.call("s3", "get_bucket_versioning", json!({"Bucket": BUCKET}));
    assert_ne!(found["Status"], "Enabled");
    let found = cloud.call("athena", "get_work_group", json!({"WorkGroup": "lake"}));
    let results = &found["WorkGroup"]["Configuration"]["ResultConfiguration"];
    assert_eq!(results["EncryptionConfiguration"]["EncryptionOption"], "SSE_KMS");
    assert_eq!(results["EncryptionConfiguration"]["KmsKey"], *key);
    let found = cloud.call("iam", "list_policies", json!({"Scope": "Local"}));
    let policies = found["Policies"].as_array().expect("policies");
    let arns = policies.iter().filter_map(|policy| policy["Arn"].as_str());
    let keys: Vec<String> = arns.filter(|arn| arn.contains("Key")).map(str::to_owned).collect();
    assert_eq!(keys.len(), 2, "{policies:#?}");
    for arn in keys {
        let version = json!({"PolicyArn": arn, "VersionId": "v1"});
        let found = cloud.call("iam", "get_policy_version", version);
        assert!(found.to_string().contains(&*key), "{found}");
    }
}

#[test]
fn the_crawler_keeps_one_table_a_topic() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let choice = [("SecondTopic", "clicks"), ("CrawlerSchedule", "cron(10 * * * ? *)")];
    cloud.deploy("lake", &template(), &with(&LAKE, &choice)).expect("a stack");
    assert_eq!(cloud.call("glue", "get_database", named("kafka"))["Database"]["Name"], "kafka");
    let crawler = cloud.call("glue", "get_crawler", named("lake-crawler"))["Crawler"].take();
    let targets = crawler["Targets"]["S3Targets"].as_array().expect("targets");
    let paths: Vec<_> = targets.iter().filter_map(|target| target["Path"].as_str()).collect();
    assert_eq!(paths, ["raw/orders/", "raw/clicks/"].map(|path| format!("s3://{BUCKET}/{path}")));
    assert_eq!(crawler["DatabaseName"], "kafka");
    assert_eq!(crawler["Schedule"]["ScheduleExpression"], "cron(10 * * * ? *)");
    assert_eq!(crawler["SchemaChangePolicy"]["DeleteBehavior"], "LOG");
    let text = crawler["Configuration"].as_str().expect("text");
    let configuration: Value = serde_json::from_str(text).expect("JSON");
    let grouping =
        json!({"TableGroupingPolicy": "CombineCompatibleSchemas", "TableLevelConfiguration": 3});
    assert_eq!(configuration["Grouping"], grouping);
    let keys = &configuration["CrawlerOutput"]["Partitions"]["AddOrUpdateBehavior"];
    assert_eq!(*keys, "InheritFromTable");
    // The level is counted from the bucket, which is the first.
    let levels =
        |path: &&str| path.trim_start_matches("s3://").trim_end_matches('/').split('/').count();
    assert!(paths.iter().all(|path| levels(path) == 3), "{paths:?}");
    let table = json!({"DatabaseName": "kafka", "Name": "orders"});
    let refused =
        cloud.call_as(&owner(), "glue", "get_table", table).expect_err("the crawler's to make");
    assert_eq!(refused.code, "EntityNotFoundException");
}

#[test]
fn a_crawler_of_new_folders_changes_no_schema() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    cloud
        .deploy("lake", &template(), &with(&LAKE, &[("CrawlerScope", "new-folders")]))
        .expect("a stack");
    let crawler = cloud.call("glue", "get_crawler", named("lake-crawler"))["Crawler"].take();
    assert_eq!(crawler["RecrawlPolicy"]["RecrawlBehavior"], "CRAWL_NEW_FOLDERS_ONLY");
    assert_eq!(
        crawler["SchemaChangePolicy"],
        json!({"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"})
    );
}

#[test]
fn the_projected_tables_cover_every_place_that_the_sink_writes_to() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let choice = [("CatalogMode", "projection"), ("SecondTopic", "clicks.of-all")];
    cloud.deploy("lake", &template(), &with(&LAKE, &choice)).expect("a stack");
    for (topic, table) in [("orders", "orders"), ("clicks.of-all", "clicks_of_all")] {
        let mut made = |name: String| {
            let params = json!({"DatabaseName": "kafka", "Name": name});
            cloud.call("glue", "get_table", params)["Table"].take()
        };
        let (unusable, table) = (made(format!("{table}_unusable_time")), made(table.to_owned()));
        let keys = json!([{"Name": "dt", "Type": "string"}, {"Name": "hour", "Type": "string"}]);
        assert_eq!(table["PartitionKeys"], keys);
        let location = format!("s3://{BUCKET}/raw/{topic}/");
        assert_eq!(table["StorageDescriptor"]["Location"], *location);
        for (name, value) in [
            ("projection.enabled", "true"),
            ("projection.dt.range", "NOW-1YEARS,NOW+1DAYS"),
            ("projection.dt.format", "yyyy-MM-dd"),
            ("projection.hour.range", "0,23"),
            ("projection.hour.digits", "2"),
            ("storage.location.template", &format!("{location}dt=${{dt}}/hour=${{hour}}/")),
        ] {
            assert_eq!(table["Parameters"][name], *value, "{name}");
        }
        let columns = table["StorageDescriptor"]["Columns"].as_array().expect("columns");
        assert!(columns.len() == 13 && columns.iter().all(|column| column["Name"] != "dt"));
        // The same, but for the place of records without a usable timestamp.
        for part in ["PartitionKeys", "StorageDescriptor"] {
            assert_eq!(unusable[part], table[part]);
        }
        for (name, value) in [("dt.values", "1970-01-01"), ("hour.values", "00")] {
            assert_eq!(unusable["Parameters"][format!("projection.{name}")], *value);
        }
    }
}

#[test]
fn the_workgroup_enforces_its_limit() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    cloud.deploy("lake", &template(), &LAKE).expect("a stack");
    let found = cloud.call("athena", "get_work_group", json!({"WorkGroup": "lake"}));
    let group = &found["WorkGroup"]["Configuration"];
    assert_eq!(group["EnforceWorkGroupConfiguration"], true);
    assert_eq!(group["BytesScannedCutoffPerQuery"].to_string().trim_matches('"'), "10737418240");
    let results = &group["ResultConfiguration"];
    assert_eq!(results["OutputLocation"], format!("s3://{BUCKET}/athena-results/"));
    assert_eq!(results["EncryptionConfiguration"]["EncryptionOption"], "SSE_S3");
}

#[test]
fn alarms_watch_each_instance_and_groups_let_nobody_in() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let topic = "arn:aws:sns:us-east-1:000000000000:ops";
    let choice = [("KafkaMode", "kraft"), ("SinkPlacement", "own"), ("AlarmTopicArn", topic)];
    cloud.deploy("lake", &without_instances(), &choice).expect("a stack");
    let found = cloud.call("cloudwatch", "describe_alarms", json!({}));
    let alarms = found["MetricAlarms"].as_array().expect("alarms");
    let watched = |id: &str, metric: &str| {
        let dimension = json!([{"Name": "InstanceId", "Value": id}]);
        alarms
            .iter()
            .find(|alarm| alarm["MetricName"] == metric && alarm["Dimensions"] == dimension)
    };
    for id in ["i-0123456789abcdef0", "i-0123456789abcdef1"] {
        let host = watched(id, "StatusCheckFailed_System").expect("an alarm");
        assert_eq!(host["AlarmActions"], json!(["arn:aws:automate:us-east-1:ec2:recover", topic]));
        let system = watched(id, "StatusCheckFailed_Instance").expect("an alarm");
        assert_eq!(system["AlarmActions"], json!(["arn:aws:automate:us-east-1:ec2:reboot", topic]));
        let volume = watched(id, "StatusCheckFailed_AttachedEBS").expect("an alarm");
        assert_eq!(volume["AlarmActions"], json!([topic]));
    }
    let scan = alarms.iter().find(|alarm| alarm["MetricName"] == "ProcessedBytes");
    assert_eq!(scan.expect("an alarm")["AlarmActions"], json!([topic]));
    assert_eq!(alarms.len(), 7, "{alarms:#?}");
    let found = cloud.call("ec2", "describe_security_groups", json!({}));
    let groups = found["SecurityGroups"].as_array().expect("groups");
    let ours = groups.iter().filter(|group| group["GroupName"] != "default");
    let mut seen = 0;
    for group in ours {
        assert_eq!(group["IpPermissions"], json!([]), "{group}");
        let out = group["IpPermissionsEgress"].as_array().expect("rules");
        assert!(out.len() == 1 && out[0]["FromPort"] == 443 && out[0]["ToPort"] == 443, "{group}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}
