//! `config/complete.toml`, written from the schema, so that it cannot say anything else.

use std::fmt::Write as _;

use super::schema::{Fallback, KeySpec, SECTIONS, SectionSpec};

const WIDTH: usize = 96;

const HEAD: &str = "\
# Every key of kafka-s3-sink. A key that is set here has its default, or is one that you must set
# (marked so); a key behind a # has no fixed default and shows an example.
#
# Each key can also be set by an environment variable, which wins over the file:
# KAFKA_S3_SINK__SECTION__KEY, for example KAFKA_S3_SINK__S3__BUCKET=lake. Lists are separated by
# commas there, or written as in JSON where they hold some.
#
# Durations are written like \"5m\", \"90s\", \"1h30m\", \"500ms\"; sizes like \"64MiB\" (powers of 1024),
# \"10MB\" (powers of 1000) or as a number of bytes.
#
# A running daemon that gets SIGHUP reads the file again, and takes up changes of the keys that say
# so; the others wait for a restart. A file that is wrong changes nothing.
#
# This file is written by the program itself, and a test keeps it so.
";

/// Not in the schema: librdkafka has its own.
const LIBRDKAFKA: &str = "
# Properties of librdkafka itself, by its own names: https://github.com/confluentinc/librdkafka,
# CONFIGURATION.md. Those that would break exactly-once are refused, with the reason. The sizes of
# the fetch queues (queued.max.messages.kbytes, queued.min.messages, fetch.max.bytes) follow
# memory.limit unless they stand here. Values are never printed where they may be secret.
# KAFKA_S3_SINK__KAFKA__LIBRDKAFKA__SASL_PASSWORD sets sasl.password, as a variable or as a file of
# that name in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=): keep secrets out of this file.
#[kafka.librdkafka]
#security.protocol = \"sasl_ssl\"
#sasl.mechanism = \"SCRAM-SHA-512\"
#sasl.username = \"sink\"
#session.timeout.ms = 45000
";

/// Sections by topic repeat the schema's, so a few lines stand for all.
const TOPIC: &str = "
# What differs for one topic: any key of layout, rotation and records.
# KAFKA_S3_SINK__TOPIC__orders__ROTATION__MAX_AGE=1m does the same as the first of these.
#[topic.\"orders\".rotation]
#max_age = \"1m\"
#[topic.\"orders\".layout]
#partition_by = [\"region=field:country\", \"dt\"]
#[topic.\"orders\".records]
#envelope = \"fields\"
";

/// The complete example.
pub fn complete_example() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        write_section(&mut text, section);
        if section.name == "kafka" {
            text += LIBRDKAFKA;
        }
    }
    text + TOPIC
}

fn write_section(text: &mut String, section: &SectionSpec) {
    text.push('\n');
    comment(text, section.doc);
    let _ = writeln!(text, "[{}]", section.name);
    for (index, key) in section.keys.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write_key(text, key);
    }
}

/// A key that has no fixed default is commented out: `#key`, without the space that words have.
fn write_key(text: &mut String, key: &KeySpec) {
    let (mark, note) = match key.fallback {
        Fallback::Required(_) => ("", " You must set it.".to_owned()),
        Fallback::Value(_) => ("", String::new()),
        Fallback::Unset(_) => ("#", String::new()),
        Fallback::Machine(words, _) => ("#", format!(" Default: {words}.")),
    };
    let live = if key.is_live() { " Taken up on SIGHUP." } else { "" };
    comment(text, &format!("{}{note}{live}", key.doc));
    let _ = writeln!(text, "{mark}{} = {}", key.name(), key.sample());
}

/// Words as comment lines of at most `WIDTH` characters.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    let _ = writeln!(text, "{line}");
}
