//! What people read when something is wrong: file, line, column, key, and what is allowed.

use super::*;
use crate::config::{ConfigError, Place, load as load_file};

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let text = r#"
[kafka]
bootstrap_servers = "127.0.0.1"
topics = []
group_idd = "sink"
start = "newest"

[s3]
bucket = "s3://lake/raw"
force_path_style = "yes"

[rotaton]
max_age = "5m"

[rotation]
max_bytes = "64M"
max_age = 300
max_records = 0

[layout]
partition_by = [
  "dt",
  "month",
]
"#;
    let env = [("KAFKA_S3_SINK__RECORDS__MAX_BYTES", "1GiB"), ("KAFKA_S3_SINK__HTTP__PORT", "1")];
    let expected = [
        "sink.toml:2:2: kafka.group_id: missing; write group_id = \"kafka-s3-sink\" in [kafka], \
         or set KAFKA_S3_SINK__KAFKA__GROUP_ID",
        "sink.toml:3:1: kafka.bootstrap_servers: \"127.0.0.1\" has no port; write host:port, as \
         in 127.0.0.1:9092",
        "sink.toml:4:1: kafka.topics: empty; name at least one topic",
        "sink.toml:5:1: kafka.group_idd: unknown; did you mean group_id?",
        "sink.toml:6:1: kafka.start: \"newest\" is not allowed; allowed: earliest, latest",
        "sink.toml:9:1: s3.bucket: \"s3://lake/raw\" is a URL; write \"lake\", and the rest as \
         layout.prefix",
        "sink.toml:10:1: s3.force_path_style: a text is not true or false; write it like false",
        "sink.toml:12:2: rotaton: unknown; did you mean [rotation]?",
        "sink.toml:16:1: rotation.max_bytes: \"64M\" may mean two things; write \"64MiB\" (powers \
         of 1024) or \"64MB\" (powers of 1000)",
        "sink.toml:17:1: rotation.max_age: \"300\" has no unit; write \"300s\", \"300m\" or \
         \"300h\"",
        "sink.toml:18:1: rotation.max_records: 0 is not between 1 and 1000000000",
        "sink.toml:23:3: layout.partition_by: \"month\" is not allowed; allowed: dt, hour, \
         field:NAME, KEY=field:NAME",
        "environment variable KAFKA_S3_SINK__HTTP__PORT: http.port: unknown; [http] has listen, \
         token_file",
        "environment variable KAFKA_S3_SINK__RECORDS__MAX_BYTES: records.max_bytes: 1GiB is not \
         between 1KiB and 32MB",
    ];
    assert_eq!(report_both(text, &env), expected);
    let errors = load_both(text, &env).expect_err("many");
    assert_eq!(errors.errors().len(), 14);
    assert!(errors.to_string().starts_with("the configuration has 14 errors:\n  sink.toml:2:2: "));
}

#[test]
fn one_error_is_one() {
    let text = with("[log]\nformat = \"xml\"\n");
    let errors = load(&text).expect_err("no xml");
    assert_eq!(
        errors.to_string(),
        "the configuration has an error:\n  sink.toml:9:1: log.format: \"xml\" is not allowed; \
         allowed: text, json, journald"
    );
    let place = Place::Line { file: "sink.toml".into(), line: 9, column: 1 };
    let [ConfigError::Value { place: at, key, .. }] = errors.errors() else { panic!("{errors:?}") };
    assert_eq!((at, key.as_str()), (&place, "log.format"));
}

#[test]
fn what_is_missing_names_the_section_the_file_or_the_environment() {
    assert_eq!(report("").len(), 4);
    assert!(report("")[0].starts_with("sink.toml: kafka.bootstrap_servers: missing; write "));
    assert!(report("[s3]\n")[0].starts_with("sink.toml:1:2: s3.bucket: missing; "));
    let nothing =
        crate::config::load(None, std::iter::empty(), &|_, _| Vec::new()).expect_err("nothing");
    assert_eq!(
        nothing.errors()[3].to_string(),
        "environment: s3.bucket: missing; write bucket = \"lake\" in [s3], or set \
         KAFKA_S3_SINK__S3__BUCKET"
    );
}

#[test]
fn a_file_that_is_not_toml_gives_the_parsers_position_and_no_source() {
    let secret = "[kafka.librdkafka]\nsasl.password = hunter2 oops\n\n[s3\nbucket = \"lake\"\n";
    let report = report(secret);
    assert!(report.len() >= 2, "{report:#?}");
    assert!(report[0].starts_with("sink.toml:2:17: this is not TOML: "), "{report:#?}");
    assert!(report.iter().any(|line| line.starts_with("sink.toml:4:4: this is not TOML: ")));
    assert!(!format!("{report:?} {:?}", load(secret)).contains("hunter2"));

    let twice = load("[s3]\nbucket = \"a-b\"\nbucket = \"c-d\"\n").expect_err("twice");
    assert!(twice.to_string().contains("sink.toml:3:1: this is not TOML: duplicate key"));
    assert!(load("kafka-s3-sink: yaml\n").is_err());
}

#[test]
fn columns_count_characters_and_lines_end_both_ways() {
    let text = with("[log]\r\nformat = \"text\"\r\n\"lével\" = 1\r\n");
    assert!(report(&text)[0].starts_with("sink.toml:10:1: log.\"lével\": unknown; did you mean"));
}

#[test]
fn files_that_cannot_be_read() {
    let home = tempfile::tempdir().expect("a directory");
    let missing = home.path().join("none.toml");
    let error =
        load_file(Some(&missing), std::iter::empty(), &|_, _| Vec::new()).expect_err("missing");
    let expected = format!("{}: the configuration file cannot be read: ", missing.display());
    assert!(error.errors()[0].to_string().starts_with(&expected), "{error}");

    let binary = home.path().join("binary.toml");
    std::fs::write(&binary, b"[s3]\nbucket = \"\xff\"\n").expect("a file");
    let error =
        load_file(Some(&binary), std::iter::empty(), &|_, _| Vec::new()).expect_err("binary");
    let expected = format!("{}:2:1: this is not TOML: the line is not UTF-8", binary.display());
    assert_eq!(error.errors()[0].to_string(), expected);

    assert!(load_file(Some(home.path()), std::iter::empty(), &|_, _| Vec::new()).is_err());
}

#[test]
fn a_file_is_read_from_disk() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("sink.toml");
    std::fs::write(&path, LEAST).expect("a file");
    let settings =
        load_file(Some(&path), std::iter::empty(), &|_, _| Vec::new()).expect("settings");
    assert_eq!(settings.kafka.group_id, "sink");
    std::fs::write(&path, with("[log]\nlevel = \"loud\"\n")).expect("a file");
    let error = load_file(Some(&path), std::iter::empty(), &|_, _| Vec::new()).expect_err("loud");
    let expected = format!("{}:9:1: log.level: \"loud\" is not a filter", path.display());
    assert!(error.errors()[0].to_string().starts_with(&expected), "{error}");
}

#[test]
fn unknown_names_lead_to_the_right_ones() {
    let cases = [
        ("[s3]\nregoin = \"x\"", "s3.regoin: unknown; did you mean region?"),
        ("[log]\nprefix = \"x\"", "log.prefix: unknown; it belongs to [layout]"),
        ("[layout]\nmax_age = \"x\"", "layout.max_age: unknown; it belongs to [rotation]"),
        ("[layout]\nkey_prefix = \"x\"", "layout.key_prefix: unknown; here it is layout.prefix"),
        (
            "[rotation]\nflush_size = 1",
            "rotation.flush_size: unknown; here it is rotation.max_records (records) or \
             rotation.max_bytes (bytes)",
        ),
        ("[log]\nmax_recrods = 1", "log.max_recrods: unknown; did you mean rotation.max_records?"),
        ("[log]\nzzz = 1", "log.zzz: unknown; [log] has level, format"),
        ("[logs]\nlevel = \"x\"", "logs: unknown; did you mean [log]?"),
        ("[bucket]\nx = 1", "bucket: unknown; it belongs to [s3]"),
        ("[Kafka]\nx = 1", "Kafka: unknown; did you mean [kafka]?"),
        ("[layout]\nMax-Open.x = 1", "layout.Max-Open: unknown; "),
    ];
    for (more, expected) in cases {
        // The least has these sections already, so each case brings its own.
        let text = if more.starts_with("[s3]") { LEAST.replace("[s3]", more) } else { with(more) };
        let report = report(&text);
        assert!(report[0].contains(&format!(": {expected}")), "{report:#?}");
        assert!(report[0].starts_with("sink.toml:"), "{report:#?}");
    }
    let hint = only("[zzzzzzzzzz]\nx = 1");
    assert!(
        hint.ends_with(
            "there are [kafka], [s3], [layout], [rotation], [records], [memory], \
                            [http], [log], [shutdown], [topic]"
        ),
        "{hint}"
    );
}

#[test]
fn credentials_in_the_file_are_refused_and_not_shown() {
    let text =
        LEAST.replace("[s3]", "[s3]\nsecret_access_key = \"wJalr\"\naccess_key_id = \"AKI\"");
    let report = report(&text);
    assert_eq!(report.len(), 2);
    assert!(report.iter().all(|line| line.contains("credentials are not written here")));
    assert!(!format!("{report:?}").contains("wJalr"));
}

#[test]
fn keys_above_the_first_section_belong_somewhere() {
    let report = report(&format!("bucket = \"x\"\n{LEAST}"));
    assert_eq!(report, ["sink.toml:1:1: bucket: unknown; it belongs to [s3]"]);
}

#[test]
fn a_section_that_is_none_says_so() {
    let cases = [
        ("memory = \"1GiB\"\n", "sink.toml:1:1: memory: a text is not a section; write [memory]"),
        ("topic = \"orders\"\n", "sink.toml:1:1: topic: a text is not a section; write [topic]"),
        ("topic.orders = 1\n", "sink.toml:1:7: topic.orders: a number is not a section; "),
        ("[[log]]\n", "sink.toml:1:3: log: a list is not a section; write [log] above its keys"),
    ];
    for (head, expected) in cases {
        let report = report(&format!("{head}{LEAST}"));
        assert!(report[0].starts_with(expected), "{report:#?}");
        assert_eq!(report.len(), 1, "{report:#?}");
    }
}

#[test]
fn types_must_fit() {
    let cases = [
        ("[rotation]\nmax_records = \"1000\"", "a text is not a whole number; write it like "),
        ("[rotation]\nmax_records = 1.5", "a number with a point is not a whole number; "),
        ("[rotation]\nmax_records = -1", "-1 is not between 1 and 1000000000"),
        (
            "[rotation]\nmax_records = 99999999999999999999",
            "99999999999999999999 is not between 1 and 1000000000",
        ),
        ("[rotation]\nmax_age = true", "true or false is not a duration in quotes; "),
        ("[rotation]\nmax_bytes = [1]", "a list is not a size; write it like \"64MiB\""),
        ("[log]\nlevel = 3", "a number is not a text in quotes; write it like \"info\""),
        ("[log]\nlevel.x = 3", "a table is not a text in quotes; write it like \"info\""),
        ("[layout]\npartition_by = \"dt\"", "a text is not a list of texts; write it like "),
        ("[layout]\npartition_by = [1]", "a number is not a list of texts; "),
    ];
    for (more, expected) in cases {
        let error = only(more);
        assert!(error.starts_with("sink.toml:9:1: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn ranges_are_told_in_the_units_of_people() {
    let cases = [
        ("[rotation]\nmax_age = \"500ms\"", "500ms is not between 1s and 30d"),
        ("[rotation]\nmax_bytes = \"1B\"", "1B is not between 1KiB and 5GiB"),
        ("[records]\nmax_bytes = \"33MB\"", "33MB is not between 1KiB and 32MB"),
        ("[memory]\nlimit = \"1MiB\"", "1MiB is not between 64MiB and 1024TiB"),
        ("[shutdown]\ntimeout = \"2h\"", "2h is not between 1s and 1h"),
        ("[layout]\ncompression_level = 20", "20 is not between 1 and 19"),
    ];
    for (more, expected) in cases {
        assert!(only(more).ends_with(expected), "{}", only(more));
    }
}
