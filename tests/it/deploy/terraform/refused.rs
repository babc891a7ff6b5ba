//! Variables that contradict each other, or are of no use, are refused before anything is made.

use super::{MSK, Pipeline};
use crate::needs_servers;
use crate::support::cloud::Cloud;

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
                "Give package_sha256 together with package_url or package_s3_uri",
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
                ("vpc_id", "vpc-12345678"),
                ("subnet_id", "subnet-12345678"),
                ("availability_zone", "us-east-1b"),
                // Where package_url is wrong too, Terraform does not come to this one.
                ("package_s3_uri", "s3://packages/s.zip"),
            ],
            &[
                "s3://bucket/key of an object that ends in .rpm",
                "availability_zone is for the network that is made",
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
