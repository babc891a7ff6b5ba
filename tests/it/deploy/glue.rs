//! The files of `deploy/glue`, for those who have no stack: what the stack makes, in other words.

use serde_json::{Value, json};

use super::{BUCKET, LAKE, template, with};
use crate::needs_servers;
use crate::support::cloud::Cloud;

/// A file, made out to the test's bucket and account.
fn file(name: &str) -> Value {
    let path = super::folder().with_file_name("glue").join(name);
    let text = std::fs::read_to_string(path).expect("a file");
    let text = text.replace("my-lake", BUCKET).replace("123456789012", "000000000000");
    serde_json::from_str(&text).expect("JSON")
}

/// What is written differently and means the same.
fn bare(crawler: &Value) -> [Value; 5] {
    let text = crawler["Configuration"].as_str().expect("text");
    let paths = crawler["Targets"]["S3Targets"].as_array().expect("targets");
    let paths: Vec<_> = paths.iter().map(|target| &target["Path"]).collect();
    [
        serde_json::from_str(text).expect("JSON"),
        json!(paths),
        crawler["DatabaseName"].clone(),
        crawler["SchemaChangePolicy"].clone(),
        crawler["RecrawlPolicy"].clone(),
    ]
}

#[test]
fn the_crawler_of_the_files_is_that_of_the_stack() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    cloud.deploy("lake", &template(), &with(&LAKE, &[])).expect("a stack");
    let of = |cloud: &mut Cloud, name: &str| {
        cloud.call("glue", "get_crawler", json!({"Name": name}))["Crawler"].take()
    };
    let stacks = of(&mut cloud, "lake-crawler");
    let (trust, policy) = (file("crawler-trust.json"), file("crawler-policy.json"));
    let role = json!({"RoleName": "kafka-s3-sink-crawler",
        "AssumeRolePolicyDocument": trust.to_string()});
    cloud.call("iam", "create_role", role);
    let own = json!({"RoleName": "kafka-s3-sink-crawler", "PolicyName": "crawl",
        "PolicyDocument": policy.to_string()});
    cloud.call("iam", "put_role_policy", own);
    cloud.call("glue", "create_crawler", file("crawler.json"));
    let made = of(&mut cloud, "orders-crawler");
    assert_eq!(bare(&made), bare(&stacks));
    let name = stacks["Role"].as_str().and_then(|role| role.rsplit('/').next()).expect("a role");
    let role = cloud.call("iam", "get_role", json!({"RoleName": name}));
    assert_eq!(role["Role"]["AssumeRolePolicyDocument"], trust);
    let found = json!({"RoleName": name, "PolicyName": "crawl"});
    assert_eq!(cloud.call("iam", "get_role_policy", found)["PolicyDocument"], policy);
}
