//! `[kafka.librdkafka]`.

use secrecy::ExposeSecret;

use super::*;
use crate::config::librdkafka::*;

fn property(line: &str) -> String {
    only(&format!("[kafka.librdkafka]\n{line}"))
}

#[test]
fn properties_pass_as_texts_however_they_are_written() {
    let settings = good(&with(
        r#"
[kafka.librdkafka]
"sasl.mechanism" = "PLAIN"
sasl.password = "0123"
socket.timeout.ms = 10_000
check.crcs = true
client.rack = "eu-central-1a"
[kafka.librdkafka.ssl.ca]
location = "probe"
"#,
    ));
    let passed: Vec<(&str, &str)> = settings
        .kafka
        .librdkafka
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    let expected = [
        ("check.crcs", "true"),
        ("client.rack", "eu-central-1a"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.password", "0123"),
        ("socket.timeout.ms", "10000"),
        ("ssl.ca.location", "probe"),
    ];
    assert_eq!(passed, expected);
}

#[test]
fn every_property_that_breaks_the_promise_is_refused_with_the_reason() {
    assert!(REFUSED.len() > 15);
    for (name, reason) in REFUSED {
        let error = property(&format!("\"{name}\" = \"hunter2\""));
        let expected = format!("sink.toml:9:1: kafka.librdkafka.{name}: refused: {reason}");
        assert_eq!(error, expected);
    }
    for name in [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "enable.partition.eof",
        "group.id",
        "bootstrap.servers",
        "metadata.broker.list",
        "group.protocol",
        "partition.assignment.strategy",
        "group.instance.id",
        "isolation.level",
    ] {
        assert!(REFUSED.iter().any(|(refused, _)| *refused == name), "{name}");
    }
}

#[test]
fn what_is_harmless_passes() {
    let names = [
        "check.crcs",
        "client.id",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "max.poll.interval.ms",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
        "topic.blacklist",
        "enable.idempotence",
        "security.protocol",
    ];
    for name in names {
        let settings = good(&with(&format!("[kafka.librdkafka]\n{name} = \"1\"")));
        assert!(settings.kafka.librdkafka.contains_key(name), "{name}");
    }
}

#[test]
fn unknown_names_get_a_suggestion_and_no_value_is_shown() {
    let cases = [
        (
            "sasl.pasword = \"hunter2\"",
            "sasl.pasword: unknown to librdkafka; did you mean sasl.password?",
        ),
        (
            "sasl_password = \"hunter2\"",
            "sasl_password: unknown to librdkafka; did you mean sasl.password?",
        ),
        (
            "zzzzzzzzzz = \"hunter2\"",
            "zzzzzzzzzz: unknown to librdkafka; its CONFIGURATION.md has the list",
        ),
        (
            "rebalance_cb = \"hunter2\"",
            "rebalance_cb: refused: only a program can set it, never a text",
        ),
        (
            "sasl.password = [\"hunter2\"]",
            "sasl.password: a list is not a text; write lists as one text with commas",
        ),
        (
            "socket.timeout.ms = 60001",
            "socket.timeout.ms: at most 60000: a rebalance waits for commits in flight, ",
        ),
        ("socket.timeout.ms = \"hunter2\"", "socket.timeout.ms: at most 60000: "),
    ];
    for (line, expected) in cases {
        let error = property(line);
        let expected = format!("kafka.librdkafka.{expected}");
        assert!(error.contains(&expected), "{error}\n{expected}");
        assert!(error.starts_with("sink.toml:9:") && !error.contains("hunter2"), "{error}");
    }
    assert!(
        good(&with("[kafka.librdkafka]\nsocket.timeout.ms = 60000")).kafka.librdkafka.len() == 1
    );
}

#[test]
fn one_property_twice() {
    assert_eq!(
        property("\"client.id\" = \"a\"\nclient.id = \"b\""),
        "sink.toml:10:1: kafka.librdkafka.client.id: set twice; keep one of the two"
    );
    assert_eq!(
        property("sasl.mechanism = \"PLAIN\"\nsasl.mechanisms = \"PLAIN\""),
        "sink.toml:9:1: kafka.librdkafka.sasl.mechanism: is another name of sasl.mechanisms, \
         which is set too; keep one"
    );
}

#[test]
fn it_must_be_a_section() {
    let text = LEAST.replace("[s3]", "librdkafka = \"x\"\n[s3]");
    assert_eq!(
        report(&text),
        ["sink.toml:6:1: kafka.librdkafka: a text is not a section; write [kafka.librdkafka] \
          above its keys"]
    );
}

#[test]
fn the_two_group_protocols_want_different_properties() {
    let consumer = LEAST.replace("[s3]", "group_protocol = \"consumer\"\n[s3]");
    let error = report(&format!("{consumer}[kafka.librdkafka]\nsession.timeout.ms = 10000"));
    assert_eq!(
        error,
        ["sink.toml:10:1: kafka.librdkafka.session.timeout.ms: with kafka.group_protocol = \
          \"consumer\" the broker decides this (group.consumer.session.timeout.ms)"]
    );
    good(&format!("{consumer}[kafka.librdkafka]\ngroup.remote.assignor = \"uniform\""));
    assert!(property("group.remote.assignor = \"uniform\"").ends_with(
        "needs kafka.group_protocol = \"consumer\"; with \"classic\" set kafka.assignor"
    ));
}

#[test]
fn an_answer_must_hold_the_largest_record() {
    let more = "[records]\nmax_bytes = \"1MiB\"\n[topic.orders.records]\nmax_bytes = \"10MiB\"\n";
    let with_limit = |bytes: u64| {
        with(&format!("{more}[kafka.librdkafka]\nreceive.message.max.bytes = {bytes}"))
    };
    good(&with_limit(11 << 20));
    assert_eq!(
        report(&with_limit((11 << 20) - 1)),
        [
            "sink.toml:13:1: kafka.librdkafka.receive.message.max.bytes: at least 11534336: a record \
          of records.max_bytes (10MiB) must fit, or its Kafka partition would never go on"
        ]
    );
}

#[test]
fn names_of_variables_lead_to_one_property_each() {
    assert_eq!(name_of_variable("sasl_password"), "sasl.password");
    assert_eq!(name_of_variable("log_level"), "log_level");
    assert_eq!(name_of_variable("no_such_thing"), "no.such.thing");
    for (name, _) in names::NAMES {
        assert_eq!(&name_of_variable(&name.replace('.', "_")), name);
    }
}

#[test]
fn the_list_is_sorted_for_the_search_and_knows_the_names_used_here() {
    assert!(names::NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let known = |name: &str| names::NAMES.iter().any(|(known, _)| *known == name);
    assert!(REFUSED.iter().all(|(name, _)| known(name)));
    assert!(ALIASES.iter().all(|(alias, name)| known(alias) && known(name)));
}

#[test]
fn secrets_are_told_from_the_rest() {
    for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.username", "ssl.ca.pem"]
    {
        assert!(!is_public(name), "{name}");
    }
    for name in ["client.id", "security.protocol", "sasl.mechanism", "socket.keepalive.enable"] {
        assert!(is_public(name), "{name}");
    }
    let secret = |name: &str| {
        ["password", "secret", "passphrase", "pem", "oauthbearer.config", "token"]
            .iter()
            .any(|word| name.contains(word))
    };
    for (name, _) in names::NAMES.iter().filter(|(name, _)| secret(name)) {
        assert!(!is_public(name), "{name}");
    }
}

#[test]
fn what_is_not_built_in_is_told_before_the_start() {
    let oidc = property("sasl.oauthbearer.token.endpoint.url = \"https://hunter2\"");
    assert_eq!(
        oidc,
        "sink.toml:9:1: kafka.librdkafka.sasl.oauthbearer.token.endpoint.url: refused: the \
         librdkafka that is built in lacks it (OIDC)"
    );
    assert_eq!(
        property("sasl.mechanism = \"gssapi\""),
        "sink.toml:9:1: kafka.librdkafka.sasl.mechanism: Kerberos is not built in; allowed: \
         PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    );
    assert_eq!(
        property("security.protocol = \"SASL_SSL\""),
        "sink.toml:9:1: kafka.librdkafka.security.protocol: needs sasl.mechanism beside it: \
         PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
    );
    good(&with(
        "[kafka.librdkafka]\nsecurity.protocol = \"sasl_ssl\"\nsasl.mechanisms = \"PLAIN\"",
    ));
}

#[test]
fn msk_iam_brings_its_own_mechanism() {
    const KEY: &str = "[kafka]\nmsk_iam_region = \"eu-central-1\"\n";
    let with_region = |rest: &str| with(rest).replace("[kafka]\n", KEY);
    let settings = good(&with_region(""));
    assert_eq!(settings.kafka.msk_iam_region.as_deref(), Some("eu-central-1"));
    assert_eq!(settings.warnings(), Vec::<String>::new());
    let other = good(&with_region("[kafka.librdkafka]\nsasl.mechanism = \"PLAIN\"")).warnings();
    assert!(other[0].starts_with("kafka.msk_iam_region: has no effect unless"), "{other:?}");
    let protocol = "[kafka.librdkafka]\nsecurity.protocol = \"sasl_plaintext\"";
    assert!(good(&with_region(protocol)).kafka.librdkafka.len() == 1);
}

/// What librdkafka itself says stands where the property was written, beside all other errors.
#[test]
fn what_librdkafka_refuses_has_a_place() {
    let text = with("[kafka.librdkafka]\n\"client.id\" = \"x\"\nlinger = 1\n");
    let text = text.replace("linger = 1", "\"session.timeout.ms\" = \"soon\"");
    let file = File { name: "sink.toml".into(), text: &text };
    let read = |refused: super::super::RefusedProperties<'_>| {
        from_layers(Some(&file), std::iter::empty(), MACHINE, refused).unwrap_err().to_string()
    };
    let one = read(&|_, together| {
        assert!(together, "nothing else is wrong");
        vec![(Some("session.timeout.ms".to_owned()), "no number".to_owned())]
    });
    assert!(
        one.contains(
            "sink.toml:10:1: kafka.librdkafka.session.timeout.ms: librdkafka refuses it: no number"
        ),
        "{one}"
    );
    let all = read(&|_, _| vec![(None, "no user".to_owned())]);
    assert!(
        all.contains("sink.toml:9:1: kafka.librdkafka: librdkafka refuses it: no user"),
        "{all}"
    );
}
