//! `config/*.toml` say the truth: the complete one is what the schema writes, its values are the
//! defaults, and all that it comments out can be commented in.

use std::path::PathBuf;

use super::*;
use crate::config::schema::{self, Fallback};
use crate::config::{complete_example, value};

const MINIMAL: &str = include_str!("../../../config/minimal.toml");
const COMPLETE: &str = include_str!("../../../config/complete.toml");

/// Commented settings begin with `#` and no space, words with `# `.
fn commented_in(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).fold(String::new(), |text, line| text + &line + "\n")
}

#[test]
fn the_complete_example_is_what_the_schema_writes() {
    let written = complete_example();
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/complete.toml");
        std::fs::write(path, &written).expect("the example is written");
        return;
    }
    let differing = COMPLETE.lines().zip(written.lines()).find(|(is, ought)| is != ought);
    assert!(COMPLETE == written, "{differing:?}: run the tests once with UPDATE_EXAMPLES=1");
}

#[test]
fn both_examples_load_and_mean_the_same() {
    let (minimal, complete) = (good(MINIMAL), good(COMPLETE));
    assert_eq!(format!("{minimal:?}"), format!("{complete:?}"));
    assert_eq!(minimal.redacted_toml(), complete.redacted_toml());
    assert_eq!(minimal.warnings(), Vec::<String>::new());
}

#[test]
fn the_minimal_example_says_no_more_than_it_must() {
    for key in schema::keys() {
        let line = format!("\n{} = ", key.name());
        let must = matches!(key.fallback, Fallback::Required(_));
        assert_eq!(MINIMAL.contains(&line), must, "{}", key.path);
    }
    for line in MINIMAL.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
        let without = MINIMAL.replace(&format!("{line}\n"), "");
        assert!(report(&without)[0].contains(": missing; write "), "{line}");
    }
}

#[test]
fn the_complete_example_has_every_key_with_its_default() {
    let plain: toml::Table = COMPLETE.parse().expect("TOML");
    let full: toml::Table = commented_in(COMPLETE).parse().expect("TOML");
    for key in schema::keys() {
        let at = |table: &toml::Table| table.get(key.section())?.get(key.name()).cloned();
        let set = matches!(key.fallback, Fallback::Required(_) | Fallback::Value(_));
        assert_eq!(at(&plain).is_some(), set, "{}", key.path);
        let sample: toml::Table = format!("it = {}", key.sample()).parse().expect("TOML");
        assert_eq!(at(&full).as_ref(), sample.get("it"), "{}", key.path);
    }
}

#[test]
fn everything_that_is_commented_out_can_be_commented_in() {
    let settings = good(&commented_in(COMPLETE));
    assert_eq!(settings.kafka.lanes, 2);
    assert_eq!(settings.kafka.librdkafka.len(), 4);
    assert_eq!(settings.topics.by_topic.len(), 1);
}

#[test]
fn every_default_passes_its_own_check() {
    for key in schema::keys() {
        if matches!(key.fallback, Fallback::Value(_)) {
            assert!(value::default_of(key).is_some(), "{}", key.path);
        }
    }
}

#[test]
fn every_key_stands_in_its_section_and_says_what_it_is_for() {
    for section in schema::SECTIONS {
        assert!(section.doc.ends_with('.'), "{}", section.name);
        for key in section.keys {
            assert_eq!(key.section(), section.name, "{}", key.path);
            assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}", key.path);
            assert_eq!(schema::keys().filter(|other| other.path == key.path).count(), 1);
        }
    }
}
