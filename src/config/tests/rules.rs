//! What each text must look like.

use proptest::prelude::*;

use super::*;
use crate::config::rules::{kafka, layout, process, s3};

/// Each of these is refused with these words.
fn refuses(check: fn(&str) -> Result<(), String>, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = check(text).expect_err(text);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

fn takes(check: fn(&str) -> Result<(), String>, texts: &[&str]) {
    for text in texts {
        assert_eq!(check(text), Ok(()), "{text:?}");
    }
}

#[test]
fn bootstrap_servers() {
    takes(kafka::bootstrap_servers, &["k:9092", "a:1, b:2 ,c:65535", "[::1]:9092", "10.0.0.1:1"]);
    refuses(
        kafka::bootstrap_servers,
        &[
            ("", "empty; write host:port"),
            (" ", "empty; write host:port"),
            ("k", "\"k\" has no port; write host:port, as in k:9092"),
            ("k:0", "the port is not a number from 1 to 65535"),
            ("k:65536", "the port is not a number from 1 to 65535"),
            ("k:", "the port is not a number from 1 to 65535"),
            (":1", "has no host"),
            ("a:1,,b:2", "\"\" has no port"),
            ("a b:1", "has no host"),
            ("http://k:1", "is a URL; write host:port alone"),
            ("::1:9092", "write an IPv6 address as [::1]:9092"),
        ],
    );
    let error = kafka::bootstrap_servers("user:hunter2@k:1").expect_err("a password");
    assert!(error.contains("sasl.username") && !error.contains("hunter2"), "{error}");
}

#[test]
fn topics() {
    takes(kafka::topic, &["orders", "a.b_c-D9", "^clicks\\..*", "^[a-z]+$", "^(a|b)\\w*"]);
    takes(kafka::topic, &["^[[:alnum:]_]+x", "^a\\.b\\^", "^a{1,3}$"]);
    refuses(
        kafka::topic,
        &[
            ("", "empty"),
            (".", "is not a topic's name"),
            ("..", "is not a topic's name"),
            ("a b", "allowed: letters, digits, . _ - (a regular expression begins with ^)"),
            ("clicks.*", "a regular expression begins with ^"),
            ("ä", "is not a topic's name"),
            ("a/b", "is not a topic's name"),
            ("^(", "is not a regular expression: unclosed group"),
            ("^[a", "is not a regular expression: unclosed character class"),
            // POSIX reads \d as the letter d, and would subscribe to other topics.
            ("^clicks\\d+", "\\d means something else to librdkafka"),
            ("^[\\w.]+", "\\w means something else to librdkafka"),
            ("^(?i)clicks", "(? means something else to librdkafka"),
        ],
    );
    refuses(kafka::topic, &[(&"x".repeat(250), "longer than 249")]);
    takes(kafka::topic, &[&"x".repeat(249)]);
    let list = |topics: &[&str]| topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>();
    assert_eq!(kafka::topics(&list(&[])), Err("empty; name at least one topic".to_owned()));
    assert_eq!(kafka::topics(&list(&["b", "a", "b"])), Err("\"b\" stands twice".to_owned()));
    assert_eq!(kafka::topics(&list(&["b", "a", "^b"])), Ok(()));
}

#[test]
fn group_ids() {
    takes(kafka::group_id, &["kafka-s3-sink", "grüppe:1"]);
    refuses(
        kafka::group_id,
        &[("", "empty"), ("a b", "a space or a control character"), ("a\n", "control character")],
    );
    refuses(kafka::group_instance_id, &[("", "empty"), (&"x".repeat(256), "longer than 255")]);
}

#[test]
fn prefixes() {
    takes(layout::prefix, &["", "raw", "raw/v1", "a-b_c.d/E!@,(1)"]);
    refuses(
        layout::prefix,
        &[
            ("/raw", "begins or ends with a slash; write \"raw\""),
            ("raw/", "begins or ends with a slash; write \"raw\""),
            ("/", "begins or ends with a slash; write \"\""),
            ("a//b", "has // in it"),
            ("dt=1/x", "has a = in it"),
            ("a%b", "has '%' in it; allowed: "),
            ("a\\b", "has '\\\\' in it"),
            ("a{b}", "has '{' in it"),
            ("a:b", "has ':' in it"),
            ("a\tb", "has '\\t' in it"),
            ("a b", "has ' ' in it"),
            ("ä", "has 'ä' in it"),
            ("a/../b", "a step of dots alone"),
            (".", "a step of dots alone"),
        ],
    );
    takes(layout::prefix, &[&"x".repeat(200)]);
    refuses(layout::prefix, &[(&"x".repeat(201), "longer than 200 bytes")]);
    refuses(
        layout::dead_letter_prefix,
        &[("", "empty; dead letters need a root of their own"), ("dead/", "write \"dead\"")],
    );
}

#[test]
fn hive_keys() {
    takes(
        layout::hive_key,
        &["dt", "hour", "field:country", "field:userID_2", "a_1=field:user.id", "C=field:größe"],
    );
    refuses(
        layout::hive_key,
        &[
            ("day", "\"day\" is not allowed; allowed: dt, hour, field:NAME, KEY=field:NAME"),
            ("DT", "is not allowed"),
            ("field:", "has 1 to 128 bytes"),
            ("field:a.b", "may have letters, digits and _ alone"),
            ("field:größe", "may have letters, digits and _ alone"),
            // The Kelvin sign is k in lower case, and yet no letter that a path should have.
            ("field:\u{212A}", "may have letters, digits and _ alone"),
            ("field:DT", "would have the name of the record's own day or hour"),
            ("dt=field:day", "would have the name of the record's own day or hour"),
            ("=field:day", "may have letters, digits and _ alone"),
            ("a.b=field:day", "may have letters, digits and _ alone"),
            ("a=field:", "has 1 to 128 bytes"),
            ("field:hour", "would have the name of the record's own day or hour"),
        ],
    );
    refuses(layout::hive_key, &[(&format!("field:{}", "x".repeat(129)), "has 1 to 128 bytes")]);
    assert!(
        only("[layout]\npartition_by = [\"field:Country\", \"field:country\"]")
            .ends_with("\"country\" stands twice (names of Hive partitions are lower case)")
    );
    assert!(
        only("[layout]\npartition_by = [\"dt\", \"dt\"]")
            .ends_with("\"dt\" stands twice (names of Hive partitions are lower case)")
    );
    let seven = "\"dt\",\"hour\",\"field:a\",\"field:b\",\"field:c\",\"field:d\",\"field:e\"";
    assert!(
        only(&format!("[layout]\npartition_by = [{seven}]"))
            .ends_with("layout.partition_by: 7 Hive partitions; at most 6")
    );
}

#[test]
fn usable_time() {
    let cases = [
        ("[\"2000-01-01\"]", "sink.toml:9:1: ", "1 days; write two, as in [\"2000-01-01\", "),
        ("[\"2000-01-01\", \"2000-01-01\"]", "sink.toml:9:1: ", "\"2000-01-01\" is not after"),
        ("[\"2001-01-01\", \"2000-01-01\"]", "sink.toml:9:1: ", "is not after \"2001-01-01\""),
        ("[\"1970-01-01\", \"2000-01-01\"]", "sink.toml:9:1: ", "begins before 1970-01-02"),
        ("[\"2000-01-01\", \"2000-02-30\"]", "sink.toml:9:30: ", "is not a day; write it like "),
        ("[\"2000-01-01\", \"2000-1-2\"]", "sink.toml:9:30: ", "is not a day"),
        ("[\"20000101\", \"2001-01-01\"]", "sink.toml:9:16: ", "is not a day"),
        ("[\"2000-01-01T00\", \"2001-01-01\"]", "sink.toml:9:16: ", "is not a day"),
    ];
    for (list, place, expected) in cases {
        let error = only(&format!("[layout]\nusable_time = {list}"));
        assert!(error.starts_with(place) && error.contains(expected), "{error}");
    }
    let last = good(&with("[layout]\nusable_time = [1970-01-02, 9999-12-31]"));
    let policy = &last.topics.default;
    assert_eq!(policy.layout.usable_time, (86_400_000, 253_402_214_400_000));
}

#[test]
fn buckets() {
    takes(s3::bucket, &["lake", "my.lake-1", "Old_Bucket", "abc"]);
    refuses(
        s3::bucket,
        &[
            ("", "empty"),
            ("s3://lake/raw", "is a URL; write \"lake\", and the rest as layout.prefix"),
            ("lake/raw/v1", "has a slash in it; write \"lake\", and \"raw/v1\" as layout.prefix"),
            ("arn:aws:s3:eu-central-1:1:accesspoint/x", "is an ARN"),
            ("ab", "has 2 characters; a bucket's name has 3 to 63"),
            ("a lake", "allowed: letters, digits, . - _"),
            ("läke", "allowed: letters, digits, . - _"),
        ],
    );
    refuses(s3::bucket, &[(&"x".repeat(256), "has 256 characters")]);
    for name in ["lake", "a.b-c", "1ab"] {
        assert!(s3::is_aws_bucket(name), "{name}");
    }
    for name in ["Lake", "a_b", "-ab", "ab-", "a..b", &"x".repeat(64)] {
        assert!(!s3::is_aws_bucket(name), "{name}");
    }
}

#[test]
fn endpoints() {
    let good = ["https://s3.example.com", "http://127.0.0.1:9000", "http://[::1]:9000/base"];
    takes(s3::endpoint, &good);
    refuses(
        s3::endpoint,
        &[
            ("", "is not a URL"),
            ("127.0.0.1:9000", "does not begin with http:// or https://"),
            ("/x", "does not begin with http:// or https://"),
            ("s3://lake", "is neither http nor https"),
            ("ftp://x", "is neither http nor https"),
            ("http://", "is not a URL"),
            ("http://a b", "is not a URL"),
            ("http://h:0", "has a port that is not a number from 1 to 65535"),
            ("http://h:", "has a port that is not"),
            ("http://h:99999", "has a port that is not"),
            ("http://h/?x=1", "has a query"),
        ],
    );
    let error = s3::endpoint("http://AKIA:hunter2@h").expect_err("credentials");
    assert!(error.contains("default chain") && !error.contains("hunter2"), "{error}");
}

#[test]
fn open_roads() {
    for endpoint in ["http://minio:9000", "http://10.0.0.1"] {
        assert!(s3::is_open_road(endpoint), "{endpoint}");
    }
    for endpoint in ["https://minio", "http://localhost:9000", "http://127.0.0.2", "http://[::1]:1"]
    {
        assert!(!s3::is_open_road(endpoint), "{endpoint}");
    }
}

#[test]
fn other_texts() {
    takes(s3::region, &["eu-central-1", "us-east-1", "auto"]);
    refuses(s3::region, &[("", "is not a region's name"), ("eu central", "such as")]);
    refuses(s3::storage_class, &[("", "empty"), ("A B", "a space")]);
    refuses(s3::kms_key_id, &[("", "empty")]);
    takes(process::listen, &["127.0.0.1:0", "0.0.0.0:9464", "[::]:1", "off"]);
    refuses(
        process::listen,
        &[("9464", "is not an address with a port"), (":9464", "\"0.0.0.0:9464\""), ("OFF", "off")],
    );
    refuses(process::file, &[("", "empty")]);
    takes(process::folder, &["/", "/var/lib/kafka-s3-sink", "/a b"]);
    refuses(process::folder, &[("", "whole path"), ("spool", "/var/lib"), ("./x", "whole path")]);
    takes(process::level, &["info", "INFO", "warn,kafka_s3_sink=debug", "off", "a=trace, info"]);
    refuses(
        process::level,
        &[
            ("inof", "is not a filter; allowed: off, error, warn, info, debug, trace"),
            ("", "is not a filter"),
            ("a=", "is not a filter"),
            ("=info", "is not a filter"),
            ("info,", "is not a filter"),
        ],
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_check_panic(text in "\\PC{0,30}") {
        let checks = [
            kafka::bootstrap_servers, kafka::topic, kafka::topic_name, kafka::group_id,
            layout::prefix, layout::dead_letter_prefix, layout::hive_key, layout::date,
            s3::bucket, s3::region, s3::endpoint, s3::storage_class, process::listen,
            process::level,
        ];
        for check in checks {
            let _ = check(&text);
        }
        let _ = check_expression(&text);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "[a-z0-9\\[\\]\\.\"=\n #{},_-]{0,120}") {
        let _ = load(&text);
        let _ = load(&with(&text));
    }

    #[test]
    fn a_prefix_passes_or_holds_what_a_key_should_not(text in "[a-z/.%\\\\{}:=+'\" -]{0,6}") {
        let awkward = ['%', '\\', '{', '}', ':', '=', ' ', '+', '\'', '"'];
        let steps = text.split('/').any(|step| matches!(step, "" | "." | ".."));
        let wrong = !text.is_empty() && (steps || text.contains(awkward));
        prop_assert_eq!(layout::prefix(&text).is_err(), wrong);
    }
}

fn check_expression(text: &str) -> Result<(), String> {
    kafka::topic(&format!("^{text}"))
}
