//! The environment above the file.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use secrecy::ExposeSecret;

use super::*;
use crate::config::environment;
use crate::config::source::with_credentials;

fn from_env(more: &[(&str, &str)]) -> Settings {
    load_both(LEAST, more).unwrap_or_else(|errors| panic!("{errors}"))
}

fn wrong(name: &str, value: &str) -> String {
    let report = report_both(LEAST, &[(name, value)]);
    assert_eq!(report.len(), 1, "{report:#?}");
    report.into_iter().next().unwrap_or_default()
}

#[test]
fn a_list_with_commas_in_it_is_written_as_json() {
    const TOPICS: &str = "KAFKA_S3_SINK__KAFKA__TOPICS";
    let settings = from_env(&[(TOPICS, r#"["orders", "^a{1,2}$"]"#)]);
    assert_eq!(settings.kafka.topics, ["orders", "^a{1,2}$"]);
    assert!(wrong(TOPICS, "[orders]").contains("no list of texts in JSON"));
    // The file has such a list too, whose elements have places.
    let said = wrong(TOPICS, "orders,a b");
    assert!(said.contains(TOPICS) && !said.contains("sink.toml:"), "{said}");
}

#[test]
fn it_wins_over_the_file_and_needs_none() {
    let env = [
        ("KAFKA_S3_SINK__KAFKA__BOOTSTRAP_SERVERS", "k:1"),
        ("KAFKA_S3_SINK__KAFKA__TOPICS", "a, b ,^c.*"),
        ("KAFKA_S3_SINK__KAFKA__GROUP_ID", "0123"),
        ("KAFKA_S3_SINK__S3__BUCKET", "other"),
        ("KAFKA_S3_SINK__S3__FORCE_PATH_STYLE", "true"),
        ("KAFKA_S3_SINK__ROTATION__MAX_RECORDS", "1_000"),
        ("KAFKA_S3_SINK__ROTATION__MAX_BYTES", "1048576"),
        ("KAFKA_S3_SINK__ROTATION__RECORD_TIME", "1h"),
        ("KAFKA_S3_SINK__LAYOUT__USABLE_TIME", "2020-01-01,2030-01-01"),
    ];
    let alone = from_layers(None, env.map(Into::into).into_iter(), MACHINE, &|_, _| Vec::new())
        .expect("settings");
    for settings in [alone, from_env(&env)] {
        // A group named 0123 is not the number 123.
        assert_eq!(settings.kafka.group_id, "0123");
        assert_eq!(settings.kafka.topics, ["a", "b", "^c.*"]);
        assert_eq!(settings.s3.bucket, "other");
        assert!(settings.s3.force_path_style);
        let policy = &settings.topics.default;
        assert_eq!(policy.rotation.max_records, 1000);
        assert_eq!(policy.rotation.max_bytes, 1 << 20);
        assert_eq!(policy.layout.usable_time, (1_577_836_800_000, 1_893_456_000_000));
    }
}

#[test]
fn an_empty_list_and_an_empty_text_are_values() {
    let settings = load_both(
        &with("[layout]\nprefix = \"raw\""),
        &[("KAFKA_S3_SINK__LAYOUT__PREFIX", ""), ("KAFKA_S3_SINK__LAYOUT__PARTITION_BY", "")],
    )
    .expect("settings");
    assert_eq!(&*settings.topics.default.layout.prefix, "");
    assert!(settings.topics.default.layout.partition_by.is_empty());
    let error = wrong("KAFKA_S3_SINK__S3__BUCKET", "");
    assert_eq!(error, "environment variable KAFKA_S3_SINK__S3__BUCKET: s3.bucket: empty");
}

#[test]
fn librdkafka_properties_by_their_names_with_underscores() {
    let settings = load_both(
        &with("[kafka.librdkafka]\nsasl.password = \"old\"\nsasl.username = \"u\""),
        &[
            ("KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD", "0123"),
            ("KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__LOG_LEVEL", "7"),
        ],
    )
    .expect("settings");
    let shown: Vec<_> = settings
        .kafka
        .librdkafka
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    let expected = [("log_level", "7"), ("sasl.password", "0123"), ("sasl.username", "u")];
    assert_eq!(shown, expected);
}

#[test]
fn a_topic_keeps_its_case_and_its_dots() {
    let settings = from_env(&[
        ("KAFKA_S3_SINK__TOPIC__clicks.EU__ROTATION__MAX_AGE", "1m"),
        ("KAFKA_S3_SINK__TOPIC__clicks.a__b__LAYOUT__PREFIX", "p"),
    ]);
    let names: Vec<_> = settings.topics.by_topic.keys().collect();
    assert_eq!(names, ["clicks.EU", "clicks.a__b"]);
    assert_eq!(settings.topics.of("clicks.EU").rotation.max_age.as_secs(), 60);
    assert_eq!(&*settings.topics.of("clicks.a__b").layout.prefix, "p");
}

#[test]
fn names_that_are_somebody_elses_are_left_alone() {
    let settings = from_env(&[
        ("KAFKA_S3_SINK_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_S3_SINK_CONFIG", "x"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(settings.s3.bucket, "lake");
}

#[test]
fn errors_name_the_variable() {
    let cases = [
        ("S3__BUCKTE", "s3.buckte: unknown; did you mean bucket?"),
        ("S4__BUCKET", "s4: unknown; did you mean [s3]?"),
        ("BUCKET", "bucket: not the name of a key; write KAFKA_S3_SINK__S3__BUCKET"),
        ("S3_BUCKET", "s3_bucket: not the name of a key; write KAFKA_S3_SINK__S3__BUCKET"),
        ("S3__", "s3.: not the name of a key; write KAFKA_S3_SINK__SECTION__KEY"),
        ("S3__A__B", "s3.a.b: not the name of a key; write KAFKA_S3_SINK__SECTION__KEY"),
        (
            "TOPIC__orders__MAX_AGE",
            "topic.orders.max_age: not the name of a key; write \
             KAFKA_S3_SINK__TOPIC__NAME__SECTION__KEY",
        ),
        (
            "KAFKA__LIBRDKAFKA",
            "kafka.librdkafka: not the name of a key; write \
             KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__PROPERTY",
        ),
        (
            "KAFKA__LIBRDKAFKA__SASL_PASWORD",
            "kafka.librdkafka.sasl.pasword: unknown to librdkafka; did you mean sasl.password?",
        ),
        (
            "KAFKA__LIBRDKAFKA__ENABLE_AUTO_COMMIT",
            "kafka.librdkafka.enable.auto.commit: refused: offsets are committed by the sink \
             alone, after the objects are in S3",
        ),
        ("ROTATION__MAX_RECORDS", "rotation.max_records: \"hunter2\" is not a whole number, such"),
        ("S3__FORCE_PATH_STYLE", "s3.force_path_style: \"hunter2\" is neither true nor false"),
        ("TOPIC__orders__LOG__LEVEL", "topic.orders.log: unknown; a topic may have layout, "),
    ];
    for (name, expected) in cases {
        let name = format!("KAFKA_S3_SINK__{name}");
        let error = wrong(&name, "hunter2");
        let expected = format!("environment variable {name}: {expected}");
        assert!(error.starts_with(&expected), "{error}\n{expected}");
    }
}

#[test]
fn two_variables_for_one_key_are_one_too_many() {
    let report = report_both(
        LEAST,
        &[("KAFKA_S3_SINK__S3__bucket", "a-b"), ("KAFKA_S3_SINK__S3__BUCKET", "c-d")],
    );
    assert_eq!(
        report,
        ["environment variable KAFKA_S3_SINK__S3__bucket: s3.bucket: sets the same key as \
          environment variable KAFKA_S3_SINK__S3__BUCKET; keep one of the two"]
    );
}

/// The least, under variables as the system gives them.
fn from_system(variables: &[(&str, &[u8])]) -> Result<Settings, ConfigErrors> {
    let system =
        |(name, value): &(&str, &[u8])| ((*name).into(), OsString::from_vec((*value).to_vec()));
    let env = with_credentials(variables.iter().map(system).collect());
    let file = File { name: "sink.toml".into(), text: LEAST };
    from_layers(Some(&file), env, MACHINE, &|_, _| Vec::new())
}

const PASSWORD: &str = "KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD";

#[test]
fn a_value_that_was_not_utf_8_is_refused_unseen() {
    let error = from_system(&[(PASSWORD, b"pass\xFFword")]).expect_err("refused").to_string();
    let wanted = "sasl_password: the value is not UTF-8";
    assert!(error.trim().ends_with(wanted), "{error}");
    assert!(!error.contains("pass\u{FFFD}") && !error.contains("FFword"));
}

#[test]
fn a_credential_counts_as_the_variable_of_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().as_os_str().as_bytes();
    let write = |name: &str, value: &[u8]| {
        std::fs::write(folder.path().join(name), value).expect("a credential");
    };
    write(PASSWORD, b" 0123\n");
    write("KAFKA_S3_SINK__S3__BUCKET", b"of-a-file");
    write("somebody.elses", b"\xFF");
    let variables = [("CREDENTIALS_DIRECTORY", credentials), ("KAFKA_S3_SINK__S3__BUCKET", b"won")];
    let settings = from_system(&variables).expect("settings");
    assert_eq!(settings.kafka.librdkafka["sasl.password"].expose_secret(), " 0123");
    assert_eq!(settings.s3.bucket, "won");

    write(PASSWORD, b"\xFF");
    let folder_in_its_place = folder.path().join("KAFKA_S3_SINK__S3__REGION");
    std::fs::create_dir(folder_in_its_place).expect("a folder");
    let error = from_system(&variables).expect_err("refused").to_string();
    let wanted = format!("credential {PASSWORD}: kafka.librdkafka.sasl_password: the value is not");
    assert!(error.contains(&wanted), "{error}");
    assert!(error.contains("S3__REGION: s3.region: cannot be read: Is a directory"), "{error}");
}

#[test]
fn a_folder_of_credentials_that_is_not_there_gives_none() {
    let settings = from_system(&[("CREDENTIALS_DIRECTORY", b"/no/such/folder")]);
    assert_eq!(settings.expect("settings").s3.bucket, "lake");
}

#[test]
fn the_process_environment_gives_our_names_alone() {
    assert!(environment().all(|variable| variable.name.starts_with("KAFKA_S3_SINK__")));
}

#[test]
fn a_variable_mends_what_is_wrong_in_the_file() {
    let text = LEAST.replace("bucket = \"lake\"", "bucket = 7");
    let settings = load_both(&text, &[("KAFKA_S3_SINK__S3__BUCKET", "lake")]).expect("settings");
    assert_eq!(settings.s3.bucket, "lake");
}
