//! The project's package in a bucket that nobody else can read: an instance of the stack fetches it
//! with the rights of its role, by the script's own words and AWS's own command.

use std::process::Command;

use serde_json::json;

use super::{LAKE, folder, with, without_instances};
use crate::needs_servers;
use crate::support::cloud::{Cloud, Keys, output, role};
use crate::support::tools;
use crate::support::workdir::WorkDir;

const PACKAGES: &str = "packages-of-somebody";
const URL: &str = "s3://packages-of-somebody/sink/kafka-s3-sink.rpm";
const TEXT: &str = "not really a package";

/// What `user-data.sh package` does under these keys.
fn fetched(cloud: &Cloud, keys: &Keys, url: &str, sha256: &str) -> (bool, String) {
    let dir = WorkDir::new("package");
    let inputs = dir.path().join("stack.env");
    let lines = format!("REGION='us-east-1'\nPACKAGE_URL='{url}'\nPACKAGE_SHA256='{sha256}'\n");
    std::fs::write(&inputs, lines).expect("inputs");
    let path = tools::dir().join("venv-aws-cli/bin").display().to_string();
    let mut command = Command::new("bash");
    command.arg(folder().join("user-data.sh")).arg("package").arg(&inputs);
    command.env("PATH", format!("{path}:{}", std::env::var("PATH").expect("a PATH")));
    command.env("TMPDIR", dir.path()).env("AWS_ENDPOINT_URL", &cloud.endpoint).env("TRIES", "1");
    for (name, key) in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].iter().zip(keys)
    {
        command.env(name, key.as_ref().expect("a session's key"));
    }
    let output = command.output().expect("bash");
    if !output.status.success() {
        return (false, String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let path = String::from_utf8(output.stdout).expect("a path");
    (true, std::fs::read_to_string(path.trim_end()).expect("the package"))
}

#[test]
fn a_private_package_is_fetched_with_the_rights_of_either_role() {
    needs_servers!();
    let sha256 = "ad25bc0f144b930b9468833a0c80eaf41212e76ec10e170d7a7e16b6acff4078";
    let mut cloud = Cloud::ministack();
    cloud.call("s3", "create_bucket", json!({"Bucket": PACKAGES}));
    for key in ["sink/kafka-s3-sink.rpm", "sink/other.rpm"] {
        let object = json!({"Bucket": PACKAGES, "Key": key, "Body": TEXT});
        cloud.call("s3", "put_object", object);
    }
    let two = [("KafkaMode", "kraft"), ("SinkPlacement", "own")];
    let package = [("PackageS3Uri", URL), ("PackageSha256", sha256)];
    let choice = with(&LAKE, &[&two[..], &package].concat());
    let stack = cloud.deploy("lake", &without_instances(), &choice).expect("a stack");
    for role in [output(&stack, "SinkRoleArn"), role(&mut cloud, "BrokerRole")] {
        let keys = cloud.assume(&role);
        let found = fetched(&cloud, &keys, URL, sha256);
        assert_eq!(found, (true, TEXT.to_owned()), "{role}");
        let (done, said) = fetched(&cloud, &keys, URL, &"0".repeat(64));
        assert!(!done && said.contains("is not the one whose SHA-256 was given"), "{said}");
        // Exactly that object.
        let other = URL.replace("kafka-s3-sink", "other");
        let (done, said) = fetched(&cloud, &keys, &other, sha256);
        assert!(!done && said.contains("could not be fetched from s3://"), "{role}: {said}");
        assert!(said.contains("403"), "{said}");
        let put = json!({"Bucket": PACKAGES, "Key": "sink/kafka-s3-sink.rpm", "Body": ""});
        let refused = cloud.call_as(&keys, "s3", "put_object", put).expect_err("a put");
        assert_eq!(refused.code, "AccessDenied");
    }
}

/// Where anybody can have it, no role gets a right for it.
#[test]
fn a_public_package_takes_no_right() {
    needs_servers!();
    let sha256 = "0".repeat(64);
    let mut cloud = Cloud::ministack();
    let package = [("PackageUrl", "https://a.example/s.rpm"), ("PackageSha256", &*sha256)];
    let one = [("KafkaMode", "kraft"), ("SinkPlacement", "same")];
    let choice = with(&LAKE, &[&one[..], &package].concat());
    cloud.deploy("lake", &without_instances(), &choice).expect("a stack");
    let found = cloud.call("iam", "list_policies", json!({"Scope": "Local"}));
    assert!(found.to_string().contains("SinkPolicy"), "{found}");
    assert!(!found.to_string().contains("PackagePolicy"), "{found}");
}
