//! Parameters that contradict each other, or that no pattern lets through, are refused before
//! anything is made. ministack evaluates the template's Rules.

use super::{LAKE, with, without_instances};
use crate::needs_servers;
use crate::support::cloud::Cloud;

const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/12345678-1234-1234-1234-123456789012";

#[test]
fn contradictory_parameters_are_refused_with_a_sentence() {
    needs_servers!();
    let mut cloud = Cloud::ministack();
    let template = without_instances();
    let cases: [(&[(&str, &str)], &str); 16] = [
        (&[("VpcId", "vpc-12345678")], "Give both VpcId and SubnetId"),
        (&[("SubnetId", "subnet-12345678")], "Give both VpcId and SubnetId"),
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
        (&[("PackageUrl", "https://a.example/s.rpm")], "PackageUrl and PackageSha256 together"),
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
        ("QueryScanLimit", "1", "10485760"),
        ("KafkaMode", "raft", "kraft"),
    ] {
        let refused = cloud.deploy("of-no-use", &template, &with(&LAKE, &[(name, value)]));
        let refused = refused.expect_err(name);
        assert!(refused.message.contains(sentence), "{name}: {refused:?}");
    }
}
