//! What the roles of the stack may do, where IAM is enforced: what they need, and nothing else.

use serde_json::{Value, json};

use super::{BUCKET, LAKE, template, with};
use crate::needs_servers;
use crate::support::cloud::{Cloud, Keys, TEMPLATES, output};

/// A stack over plain HTTP: the bucket's policy refuses that, and is taken off so that the roles'
/// own rights decide.
pub(super) fn lake(more: &[(&str, &str)]) -> (Cloud, Value) {
    let mut cloud = Cloud::ministack();
    let stack = cloud.deploy("lake", &template(), &with(&LAKE, more)).expect("a stack");
    cloud.call("s3", "delete_bucket_policy", json!({"Bucket": BUCKET}));
    (cloud, stack)
}

struct Actor<'a>(&'a mut Cloud, Keys);

impl Actor<'_> {
    #[track_caller]
    fn may(&mut self, method: &str, params: Value) -> Value {
        let (service, method) = method.split_once('.').expect("service.method");
        let done = self.0.call_as(&self.1, service, method, params.clone());
        done.unwrap_or_else(|refused| panic!("{method} {params}: {refused:?}"))
    }

    #[track_caller]
    fn may_not(&mut self, method: &str, params: Value) {
        let (service, method) = method.split_once('.').expect("service.method");
        match self.0.call_as(&self.1, service, method, params.clone()) {
            Ok(_) => panic!("{method} {params} is allowed"),
            // HEAD has no body to name the code in.
            Err(refused) => assert!(
                ["AccessDenied", "AccessDeniedException", "403"].contains(&&*refused.code),
                "{method} {params}: {refused:?}"
            ),
        }
    }
}

/// A new user who may ask for any role, so that the role itself decides, and the user's keys.
fn user(cloud: &mut Cloud, name: &str) -> Keys {
    cloud.call("iam", "create_user", json!({"UserName": name}));
    let ask = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]});
    let policy = json!({"UserName": name, "PolicyName": "ask", "PolicyDocument": ask.to_string()});
    cloud.call("iam", "put_user_policy", policy);
    let made = cloud.call("iam", "create_access_key", json!({"UserName": name}));
    let part = |part: &str| made["AccessKey"][part].as_str().map(str::to_owned);
    [part("AccessKeyId"), part("SecretAccessKey"), None]
}

fn session(role: &str) -> Value {
    json!({"RoleArn": role, "RoleSessionName": "test"})
}

/// A bucket of somebody else, with an object that would be the table's in ours.
fn others(cloud: &mut Cloud) -> &'static str {
    const OTHERS: &str = "somebody-elses";
    cloud.call("s3", "create_bucket", json!({"Bucket": OTHERS}));
    cloud.call("s3", "put_object", object(OTHERS, "raw/orders/a"));
    OTHERS
}

pub(super) fn object(bucket: &str, key: &str) -> Value {
    json!({"Bucket": bucket, "Key": key})
}

#[test]
fn the_sinks_role_puts_below_its_prefixes_and_no_more() {
    needs_servers!();
    let (mut cloud, stack) = lake(&[]);
    cloud.call("s3", "put_object", object(BUCKET, "elsewhere/there"));
    let role = output(&stack, "SinkRoleArn");
    // It is for instances, and for nobody who merely may ask for roles.
    let eve = user(&mut cloud, "eve");
    Actor(&mut cloud, eve).may_not("sts.assume_role", session(&role));
    let keys = cloud.assume(&role);
    let mut sink = Actor(&mut cloud, keys);
    for key in ["raw/orders/dt=2026-11-22/hour=16/a.json.gz", "dead-letters/raw/orders/a.json.gz"] {
        sink.may("s3.put_object", object(BUCKET, key));
        sink.may("s3.head_object", object(BUCKET, key));
        sink.may_not("s3.delete_object", object(BUCKET, key));
    }
    let begun = sink.may("s3.create_multipart_upload", object(BUCKET, "raw/orders/b"));
    let upload = json!({"Bucket": BUCKET, "Key": "raw/orders/b", "UploadId": begun["UploadId"]});
    sink.may("s3.list_multipart_uploads", json!({"Bucket": BUCKET}));
    sink.may("s3.abort_multipart_upload", upload);
    for prefix in ["raw/orders/", "dead-letters/raw/orders/"] {
        sink.may("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": prefix}));
    }
    sink.may("s3.put_object", object(BUCKET, "dead-letters/.kafka-s3-sink-probe"));
    sink.may("s3.delete_object", object(BUCKET, "dead-letters/.kafka-s3-sink-probe"));

    for key in ["elsewhere/a", "rawer/a", "a", "athena-results/a"] {
        sink.may_not("s3.put_object", object(BUCKET, key));
    }
    sink.may_not("s3.head_object", object(BUCKET, "elsewhere/there"));
    sink.may_not("s3.list_objects_v2", json!({"Bucket": BUCKET}));
    sink.may_not("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": "elsewhere/"}));
    sink.may_not("s3.put_object", object(TEMPLATES, "raw/orders/a"));
    sink.may_not("s3.head_object", object(TEMPLATES, "lake"));
    sink.may_not("s3.list_objects_v2", json!({"Bucket": TEMPLATES, "Prefix": "raw/"}));
    sink.may_not("s3.delete_bucket_policy", json!({"Bucket": BUCKET}));
    sink.may_not(
        "s3.put_bucket_versioning",
        json!({"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Suspended"}}),
    );
    sink.may_not("iam.list_users", json!({}));
    sink.may_not("glue.get_databases", json!({}));
}

/// The control: without the stack's policy the same calls are refused, so it is the policy that
/// allows them; over plain HTTP they are refused even with it.
#[test]
fn without_the_policy_or_without_tls_nothing_is_put() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let stack = cloud.deploy("lake", &template(), &LAKE).expect("a stack");
    let role = output(&stack, "SinkRoleArn");
    let keys = cloud.assume(&role);
    Actor(&mut cloud, keys.clone()).may_not("s3.put_object", object(BUCKET, "raw/orders/a"));
    cloud.call("s3", "delete_bucket_policy", json!({"Bucket": BUCKET}));
    Actor(&mut cloud, keys.clone()).may("s3.put_object", object(BUCKET, "raw/orders/a"));
    let name = role.rsplit('/').next().expect("a name");
    let policy = json!({"RoleName": name, "PolicyArn": output(&stack, "SinkPolicyArn")});
    cloud.call("iam", "detach_role_policy", policy);
    Actor(&mut cloud, keys).may_not("s3.put_object", object(BUCKET, "raw/orders/b"));
}

#[test]
fn the_crawlers_role_reads_tables_and_writes_one_database() {
    needs_servers!();
    let (mut cloud, _) = lake(&[]);
    let others = others(&mut cloud);
    for key in ["raw/orders/a", "dead-letters/raw/orders/a", "athena-results/a", "elsewhere/a"] {
        cloud.call("s3", "put_object", object(BUCKET, key));
    }
    cloud.call("glue", "create_database", json!({"DatabaseInput": {"Name": "other"}}));
    let crawler = cloud.call("glue", "get_crawler", json!({"Name": "lake-crawler"}));
    let role = crawler["Crawler"]["Role"].as_str().expect("a role");
    // Only Glue may take this role, and only for this account.
    let eve = user(&mut cloud, "eve");
    Actor(&mut cloud, eve).may_not("sts.assume_role", session(role));
    let found = cloud.call("iam", "get_role", json!({"RoleName": role.rsplit('/').next()}));
    let trust = &found["Role"]["AssumeRolePolicyDocument"]["Statement"];
    let own = json!({"StringEquals": {"aws:SourceAccount": "000000000000"}});
    let wanted = json!([{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"},
        "Action": "sts:AssumeRole", "Condition": own}]);
    assert_eq!(*trust, wanted);
    // The test opens it, for its rights are what is looked at.
    let everyone = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}]});
    let name = role.rsplit('/').next().expect("a name");
    let trust = json!({"RoleName": name, "PolicyDocument": everyone.to_string()});
    cloud.call("iam", "update_assume_role_policy", trust);
    let keys = cloud.assume(role);
    let mut crawler = Actor(&mut cloud, keys);
    crawler.may("s3.head_object", object(BUCKET, "raw/orders/a"));
    crawler.may("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": "raw/orders/"}));
    let table =
        |database: &str| json!({"DatabaseName": database, "TableInput": {"Name": "orders"}});
    crawler.may("glue.create_table", table("kafka"));
    crawler.may("glue.get_table", json!({"DatabaseName": "kafka", "Name": "orders"}));
    crawler.may("glue.update_table", table("kafka"));
    crawler.may_not("glue.create_table", table("other"));
    crawler.may_not("glue.delete_table", json!({"DatabaseName": "kafka", "Name": "orders"}));
    crawler.may_not("s3.put_object", object(BUCKET, "raw/orders/b"));
    crawler.may_not("s3.delete_object", object(BUCKET, "raw/orders/a"));
    for key in ["dead-letters/raw/orders/a", "athena-results/a", "elsewhere/a"] {
        crawler.may_not("s3.head_object", object(BUCKET, key));
    }
    for prefix in ["dead-letters/", "athena-results/", "elsewhere/", ""] {
        crawler.may_not("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": prefix}));
    }
    crawler.may_not("s3.head_object", object(others, "raw/orders/a"));
    crawler.may_not("s3.list_objects_v2", json!({"Bucket": others, "Prefix": "raw/orders/"}));
    crawler.may_not("athena.get_work_group", json!({"WorkGroup": "lake"}));
}

#[test]
fn the_analysts_role_queries_and_changes_nothing() {
    needs_servers!();
    let choice =
        [("AnalystArn", "arn:aws:iam::000000000000:user/ann"), ("CatalogMode", "projection")];
    let (mut cloud, stack) = lake(&choice);
    let others = others(&mut cloud);
    for key in ["raw/orders/a", "dead-letters/raw/orders/a", "elsewhere/a"] {
        cloud.call("s3", "put_object", object(BUCKET, key));
    }
    cloud.call("athena", "create_work_group", json!({"Name": "other"}));
    cloud.call("glue", "create_database", json!({"DatabaseInput": {"Name": "other"}}));
    let role = output(&stack, "AnalystRoleArn");
    let bob = user(&mut cloud, "bob");
    Actor(&mut cloud, bob).may_not("sts.assume_role", session(&role));
    let ann = user(&mut cloud, "ann");
    let keys = cloud.assume_as(&ann, &role);
    let mut analyst = Actor(&mut cloud, keys);
    for key in ["raw/orders/a", "dead-letters/raw/orders/a"] {
        analyst.may("s3.head_object", object(BUCKET, key));
    }
    analyst.may("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": "raw/"}));
    analyst.may("s3.put_object", object(BUCKET, "athena-results/a"));
    analyst.may("glue.get_table", json!({"DatabaseName": "kafka", "Name": "orders"}));
    let query = |group: &str| json!({"QueryString": "SELECT 1", "WorkGroup": group});
    // Of a query that runs ministack does not know the workgroup, so it refuses to tell how it goes.
    analyst.may("athena.start_query_execution", query("lake"));
    analyst.may("athena.get_work_group", json!({"WorkGroup": "lake"}));
    analyst.may_not("athena.start_query_execution", query("other"));
    analyst.may_not("athena.update_work_group", json!({"WorkGroup": "lake"}));
    analyst.may_not("glue.delete_table", json!({"DatabaseName": "kafka", "Name": "orders"}));
    for key in ["raw/orders/b", "dead-letters/b", "elsewhere/b"] {
        analyst.may_not("s3.put_object", object(BUCKET, key));
    }
    analyst.may_not("s3.delete_object", object(BUCKET, "raw/orders/a"));
    analyst.may_not("s3.delete_object", object(BUCKET, "athena-results/a"));
    analyst.may_not("s3.head_object", object(BUCKET, "elsewhere/a"));
    analyst.may_not("s3.list_objects_v2", json!({"Bucket": BUCKET, "Prefix": "elsewhere/"}));
    analyst.may_not("s3.list_objects_v2", json!({"Bucket": BUCKET}));
    analyst.may_not("s3.head_object", object(others, "raw/orders/a"));
    analyst.may_not("s3.put_object", object(others, "athena-results/a"));
    analyst.may_not("s3.list_objects_v2", json!({"Bucket": others, "Prefix": "raw/"}));
    analyst.may_not("glue.get_database", json!({"Name": "other"}));
    analyst.may_not("iam.list_users", json!({}));
}
