//! Parameters that contradict each other, or that no pattern lets through, are refused before
//! anything is made. ministack evaluates the template's Rules.

use super::{LAKE, with, without_instances};
use crate::needs_servers;
use crate::support::cloud::Cloud;

const SHA256: &str = "8a6c1e1b6ae8b1a1ee2a4b3eaf6ae9c1ff1e7e2b3c3a4f4a0a3c6e6c0a9e2d11";
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/12345678-1234-1234-1234-123456789012";

#[test]
fn contradictory_parameters_are_refused_with_a_sentence() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let template = without_instances();
    let cases: [(&[(&str, &str)], &str); 18] = [
        (&[("VpcId", "vpc-12345678")], "Give both VpcId and SubnetId"),
        (&[("SubnetId", "subnet-12345678")], "Give both VpcId and SubnetId"),
        (
            &[
                ("VpcId", "vpc-12345678"),
                ("SubnetId", "subnet-12345678"),
                ("AvailabilityZone", "us-east-1b"),
            ],
            "is for the network that is made",
        ),
        (&[("SinkPlacement", "same")], "there is no broker's instance"),
        (&[("SinkPlacement", "own")], "needs BootstrapServers"),
        (
            &[("SinkPlacement", "own"), ("BootstrapServers", "b:9092")],
            "needs ClusterSecurityGroupId",
        ),
        (
            &[("KafkaMode", "kraft"), ("BootstrapServers", "b:9092")],
            "are for a cluster that exists",
        ),
        (&[("KafkaMode", "zookeeper"), ("ClusterSecurityGroupId", "sg-12345678")], "that exists"),
        (&[("Encryption", "aws:kms")], "needs KmsKeyArn"),
        (&[("KmsKeyArn", KEY)], "AES256 takes none"),
        (&[("DeadLetterPrefix", "raw")], "must differ"),
        (&[("ResultsPrefix", "dead-letters")], "must differ"),
        (&[("SecondTopic", "orders")], "another one than Topic"),
        (&[("PackageUrl", "https://a.example/s.rpm")], "Give PackageSha256 together with"),
        (
            &[
                ("PackageUrl", "https://a.example/s.rpm"),
                ("PackageS3Uri", "s3://packages/s.rpm"),
                ("PackageSha256", SHA256),
            ],
            "PackageUrl or PackageS3Uri, not both",
        ),
        (
            &[("CatalogMode", "projection"), ("CrawlerSchedule", "cron(1 * * * ? *)")],
            "needs no crawler",
        ),
        (&[("Architecture", "arm64")], "choose an InstanceType of t4g"),
        (&[("InstanceType", "t4g.large")], "choose an InstanceType of t3"),
    ];
    for (number, (parameters, sentence)) in cases.into_iter().enumerate() {
        let name = format!("contradictory-{number}");
        let refused = cloud.deploy(&name, &template, &with(&LAKE[..2], parameters));
        let refused = refused.expect_err(sentence);
        assert!(refused.message.contains(sentence), "{parameters:?}: {refused:?}");
    }
}

#[test]
fn values_of_no_use_are_refused_with_a_sentence() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let template = without_instances();
    for (name, value, sentence) in [
        ("BootstrapServers", "broker", "host:port"),
        ("Topic", "Orders", "lower-case"),
        ("LayoutPrefix", "raw/deep", "one folder"),
        ("KmsKeyArn", "alias/lake", "the ARN of a key"),
        ("PackageUrl", "http://a.example/s.rpm", "https URL"),
        ("PackageUrl", "s3://packages/s.rpm", "https URL"),
        ("PackageS3Uri", "s3://Packages/s.rpm", "s3://bucket/key"),
        ("PackageS3Uri", "s3://packages/s.rpm?versionId=1", "s3://bucket/key"),
        ("AvailabilityZone", "1a", "such as us-east-1a"),
        ("QueryScanLimit", "1", "10485760"),
        ("KafkaMode", "raft", "kraft"),
    ] {
        let refused = cloud.deploy("of-no-use", &template, &with(&LAKE, &[(name, value)]));
        let refused = refused.expect_err(name);
        assert!(refused.message.contains(sentence), "{name}: {refused:?}");
    }
}
