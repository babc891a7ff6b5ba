//! Keys that do not go together.

use super::*;

#[test]
fn dead_letters_stand_beside_every_table() {
    let cases = [
        ("prefix = \"raw\"\ndead_letter_prefix = \"raw\"", "10:1", "lies inside layout.prefix"),
        (
            "prefix = \"raw\"\ndead_letter_prefix = \"raw/dead\"",
            "10:1",
            "lies inside layout.prefix",
        ),
        ("dead_letter_prefix = \"d\"\nprefix = \"d/raw\"", "9:1", "\"d\" holds layout.prefix"),
        ("prefix = \"dead-letters\"", "9:1", "\"dead-letters\" lies inside layout.prefix"),
        ("dead_letter_prefix = \"orders\"", "9:1", "\"orders\" lies inside \"orders\", the table"),
        ("dead_letter_prefix = \"orders/x\"", "9:1", "lies inside \"orders\", the table of topic"),
        ("dead_letter_prefix = \"clicks.x\"", "9:1", "lies inside \"clicks.x\", the table of"),
    ];
    for (lines, place, expected) in cases {
        let error = only(&format!("[layout]\n{lines}"));
        assert!(error.starts_with(&format!("sink.toml:{place}: layout.")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    good(&with("[layout]\nprefix = \"raw\"\ndead_letter_prefix = \"raw-dead\""));
    good(&with("[layout]\nprefix = \"a/raw\"\ndead_letter_prefix = \"a/dead\""));
    good(&with("[layout]\ndead_letter_prefix = \"orders2\""));
}

#[test]
fn a_topic_with_the_name_of_the_default_root() {
    let text = LEAST.replace("\"orders\"", "\"dead-letters\"");
    assert_eq!(
        report(&text),
        [
            "sink.toml:4:1: layout.dead_letter_prefix: \"dead-letters\" lies inside \"dead-letters\", \
          the table of topic \"dead-letters\", where Athena would read it; choose another, or give \
          the tables a layout.prefix of their own"
        ]
    );
    good(&format!("{text}[layout]\nprefix = \"raw\""));
    let all = LEAST.replace("\"orders\"", "\"^.*\"");
    assert!(report(&all)[0].contains("the table of topic \"dead-letters\""));
}

#[test]
fn a_topics_own_roots_stand_beside_the_others_tables() {
    let raw = "[layout]\nprefix = \"raw\"\n";
    let cases = [
        ("[topic.\"clicks.a\".layout]\nprefix = \"raw/orders\"", "lies inside \"raw/orders\", the"),
        (
            "[topic.\"clicks.a\".layout]\nprefix = \"raw/orders/x\"",
            "lies inside \"raw/orders\", the",
        ),
        (
            "[topic.orders.layout]\ndead_letter_prefix = \"raw/x\"",
            "lies inside layout.prefix \"raw\"",
        ),
        ("[topic.orders.layout]\nprefix = \"dead-letters\"", "lies inside layout.prefix"),
        ("[topic.orders.layout]\nprefix = \"dead-letters/x\"", "holds layout.prefix"),
        (
            "[topic.\"clicks.a\".layout]\nprefix = \"o\"\n[topic.orders.layout]\nprefix = \"o/clicks.a\"",
            "lies inside \"o/clicks.a\", the table of topic \"clicks.a\"",
        ),
    ];
    for (more, expected) in cases {
        let error = only(&format!("{raw}{more}"));
        assert!(error.contains(expected), "{error}");
    }
    good(&with(&format!("{raw}[topic.orders.layout]\nprefix = \"raw/sub\"")));
    good(&with(&format!("{raw}[topic.orders.layout]\nprefix = \"other\"")));
}

#[test]
fn levels_are_those_of_the_compression() {
    let cases = [
        ("compression_level = 10", "10 is not between 1 and 9, gzip's levels"),
        (
            "compression_level = 1\ncompression = \"none\"",
            "has no effect with compression = \"none\"",
        ),
    ];
    for (lines, expected) in cases {
        let error = only(&format!("[layout]\n{lines}"));
        let expected = format!("sink.toml:9:1: layout.compression_level: {expected}");
        assert_eq!(error, expected);
    }
    good(&with("[layout]\ncompression = \"zstd\"\ncompression_level = 19"));
}

#[test]
fn a_kms_key_wants_kms() {
    let text = |more: &str| LEAST.replace("[s3]", &format!("[s3]\nkms_key_id = \"k\"\n{more}"));
    let expected = "sink.toml:7:1: s3.kms_key_id: has no effect without server_side_encryption = \
                    \"aws:kms\" or \"aws:kms:dsse\"";
    assert_eq!(report(&text("")), [expected]);
    assert_eq!(report(&text("server_side_encryption = \"AES256\"")), [expected]);
    good(&text("server_side_encryption = \"aws:kms:dsse\""));
    // One error about the word is enough.
    assert_eq!(report(&text("server_side_encryption = \"kms\"")).len(), 1);
}

#[test]
fn what_is_wrong_by_itself_is_not_compared() {
    assert_eq!(report(&with("[layout]\nprefix = \"dead-letters/\"")).len(), 1);
    assert_eq!(report(&with("[layout]\ncompression = \"lz4\"\ncompression_level = 12")).len(), 1);
    let text = LEAST.replace("\"orders\"", "\"or ders\"");
    assert_eq!(report(&format!("{text}[topic.orders.rotation]\nmax_age = \"5m\"")).len(), 1);
}

#[test]
fn what_topics_inherit_is_told_once() {
    let error = report(&with(
        "[layout]\nprefix = \"raw\"\ndead_letter_prefix = \"raw/x\"\ncompression_level = 10\n\
         [topic.orders.rotation]\nmax_age = \"1m\"\n[topic.\"clicks.a\".rotation]\nmax_age = \"1m\"",
    ));
    assert_eq!(error.len(), 2, "{error:#?}");
}

#[test]
fn keys_stay_below_what_s3_takes() {
    let fields = |count: usize, length: usize| {
        let names = (0..count).map(|n| format!("\"field:{}\"", format!("{n}").repeat(length)));
        format!("[layout]\npartition_by = [{}]\n", names.collect::<Vec<_>>().join(", "))
    };
    // A topic that matches the expression may have 249 characters.
    good(&with(&fields(6, 52)));
    assert_eq!(
        only(&fields(6, 53)),
        "sink.toml:9:1: layout.partition_by: with a topic's name of 249 characters and \
         layout.prefix, keys would have up to 1027 bytes; S3 takes 1024; name fewer or shorter \
         fields"
    );
    let named = LEAST.replace(", \"^clicks\\\\..*\"", "");
    good(&format!("{named}{}", fields(6, 125)));
    let own = fields(6, 128).replace("[layout]", "[topic.orders.layout]");
    let error = report(&format!("{named}{own}prefix = \"{}\"", "p".repeat(200)));
    assert_eq!(error.len(), 1, "{error:#?}");
    assert!(error[0].starts_with(
        "sink.toml:9:1: topic.orders.layout.partition_by: with a topic's name of 6 characters"
    ));
}

#[test]
fn lanes_and_the_largest_records_fit_into_the_limit() {
    let of = |limit: &str, lanes: u32, largest: &str| {
        LEAST.replace("[s3]", &format!("lanes = {lanes}\n[s3]"))
            + &format!("[memory]\nlimit = \"{limit}\"\n[records]\nmax_bytes = \"{largest}\"")
    };
    for (limit, lanes, largest) in
        [("112MiB", 1, "16MiB"), ("64MiB", 7, "1MiB"), ("80MiB", 1, "8MiB"), ("1GiB", 8, "32MB")]
    {
        good(&of(limit, lanes, largest));
    }
    for (limit, lanes, largest, least) in [
        ("111MiB", 1, "16MiB", "1 lane, which need 112MiB"),
        ("128MiB", 2, "16MiB", "2 lanes, which need 144MiB: raise it, lower kafka.lanes, or"),
        ("64MiB", 1, "8MiB", "need 80MiB"),
    ] {
        let errors = report(&of(limit, lanes, largest));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("sink.toml:10:1: memory.limit: "), "{errors:?}");
        assert!(errors[0].contains(least), "{errors:?}");
    }
    // A topic of its own may have the largest.
    let own = "[memory]\nlimit = \"112MiB\"\n[topic.orders.records]\nmax_bytes = \"32MB\"";
    assert!(only(own).contains("records.max_bytes = 32MB"), "{}", only(own));
}

#[test]
fn a_machine_too_small_for_the_defaults_says_so() {
    let file = File { name: "sink.toml".into(), text: LEAST };
    let machine = Machine { memory: Some(160 << 20), cores: 2 };
    let errors = from_layers(Some(&file), std::iter::empty(), machine, &|_, _| Vec::new())
        .unwrap_err()
        .to_string();
    assert!(errors.contains("80MiB, half of the memory that there is, cannot"), "{errors}");
    assert!(
        errors.contains("need 112MiB: give the container or the machine 224MiB, or"),
        "{errors}"
    );
}
