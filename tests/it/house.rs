//! The house rules that a compiler does not know, checked by reading the sources: which room may
//! name which, no machine's paths, no endless files, every metric's name once.

mod scan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scan::{Source, blank_comments_and_strings, rooms_named, strings};

const ROOMS: [&str; 9] =
    ["cli", "config", "daemon", "demo", "kafka", "pipeline", "record", "s3", "telemetry"];

/// A room, and the rooms that it must not name.
const CLOSED_DOORS: [(&str, &[&str]); 4] = [
    ("record", &["cli", "config", "daemon", "demo", "kafka", "pipeline", "s3", "telemetry"]),
    ("pipeline", &["cli", "config", "daemon", "demo", "kafka", "s3", "telemetry"]),
    ("kafka", &["cli", "daemon", "demo", "pipeline", "s3"]),
    ("s3", &["cli", "daemon", "demo", "kafka", "pipeline"]),
];

/// A library, as a pattern on a path's first part, and the only rooms that may name it.
const KEPT_LIBRARIES: [(&str, &[&str]); 7] = [
    ("rdkafka", &["kafka", "demo"]),
    ("aws_(?:config|sdk|smithy|credential|sig)[a-z0-9_]*", &["s3"]),
    ("aws_msk_[a-z0-9_]+", &["kafka"]),
    // The name of a region, for the same.
    ("aws_types", &["s3", "kafka"]),
    ("s3s", &["s3", "demo"]),
    ("prometheus", &["telemetry"]),
    ("isal_sys", &["pipeline"]),
];

/// What the pure rooms must not name: IO, threads, clocks, randomness, metrics and logging.
const IMPURE: &str = r"\b(tokio|axum|hyper|rdkafka|aws_\w+|s3s|tracing|prometheus|rand|uuid|libc)::|\b(Instant|SystemTime|Timestamp|Zoned)::now\b|\bstd::(fs|net|thread|process|env|io::std\w+)\b";
const PURE_ROOMS: [&str; 2] = ["pipeline", "record"];

/// What the name of every metric of ours begins with.
const METRICS: &str = "kafka_s3_sink_";

const MOST_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder whose name ends so.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !matches!(&*name, "target" | ".git" | ".venv") {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// Every source file of the product, with the room that it belongs to.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root().join("src"), &[".rs"], &mut paths);
    paths.sort();
    paths.iter().map(|path| Source::read(&root().join("src"), path)).collect()
}

/// What is wrong with the arrows of one file.
fn broken_arrows(source: &Source) -> Vec<String> {
    let code = blank_comments_and_strings(&source.text);
    let mut broken = Vec::new();
    for (room, closed) in CLOSED_DOORS {
        let named = rooms_named(&code, source.depth, &ROOMS);
        let wrong = named.iter().filter(|name| source.room == room && closed.contains(&&***name));
        broken.extend(wrong.map(|name| format!("{}: {room} names {name}", source.name)));
    }
    for (library, rooms) in KEPT_LIBRARIES {
        let pattern = regex::Regex::new(&format!(r"\b({library})\b\s*(::|;|as\b)")).expect("regex");
        if let Some(found) = pattern.captures(&code).filter(|_| !rooms.contains(&&*source.room)) {
            broken.push(format!("{}: {} names {}", source.name, source.room, &found[1]));
        }
    }
    let impure = regex::Regex::new(IMPURE).expect("regex");
    if let Some(found) = impure.find(&code).filter(|_| PURE_ROOMS.contains(&&*source.room)) {
        broken.push(format!("{}: {} is not pure: {}", source.name, source.room, found.as_str()));
    }
    broken
}

#[test]
fn rooms_see_only_what_the_arrows_say() {
    let sources = sources();
    for room in ROOMS {
        assert!(sources.iter().any(|source| source.room == room), "no room {room} found");
    }
    let broken: Vec<_> = sources.iter().flat_map(broken_arrows).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_broken_arrow_is_seen() {
    for (room, depth, text, wanted) in [
        ("pipeline", 2, "use crate::kafka::Edge;", "pipeline names kafka"),
        ("pipeline", 2, "use crate::{record::Offset, s3::{A, B}};", "pipeline names s3"),
        ("pipeline", 1, "fn f() { super::daemon::run() }", "pipeline names daemon"),
        ("pipeline", 2, "use super::super::config;", "pipeline names config"),
        ("pipeline", 2, "use tokio::sync;", "not pure: tokio::"),
        ("pipeline", 2, "let now = Instant::now();", "not pure: Instant::now"),
        ("kafka", 2, "use crate::s3::Store;", "kafka names s3"),
        ("s3", 1, "use super::pipeline::Sink;", "s3 names pipeline"),
        ("daemon", 2, "use rdkafka::Message;", "daemon names rdkafka"),
        ("daemon", 2, "use aws_sdk_s3 as sdk;", "daemon names aws_sdk_s3"),
        ("kafka", 2, "use s3s::S3;", "kafka names s3s"),
    ] {
        let found = broken_arrows(&Source::of(room, depth, text));
        assert!(found.iter().any(|found| found.contains(wanted)), "{text}: {found:?}");
    }
    for (room, depth, text) in [
        ("pipeline", 2, "use crate::record::{Offset, TopicPartition}; // not crate::kafka::Edge"),
        ("pipeline", 2, "let text = \"crate::kafka::Edge\"; use super::config;"),
        ("daemon", 2, "use crate::{kafka::Edge, pipeline::Sink, s3::Store};"),
        ("config", 2, "let section = \"rdkafka::x\"; let librdkafka = 1;"),
    ] {
        assert_eq!(broken_arrows(&Source::of(room, depth, text)), [""; 0], "{text}");
    }
}

#[test]
fn no_file_names_a_machine() {
    let mut paths = Vec::new();
    let endings =
        [".rs", ".sh", ".py", ".md", ".toml", ".yaml", ".yml", ".json", ".service", "run", "file"];
    files(root(), &endings, &mut paths);
    // In two parts each, for this file is looked at too.
    let pattern = concat!(r#"(^|["'\s=(:])/(wo"#, r"rk|ro", r"ot|ho", r"me/\w|Us", r"ers/\w)");
    let machine = regex::RegexBuilder::new(pattern).multi_line(true).build().expect("regex");
    assert!(machine.is_match(concat!("cd /wo", "rk/x")) && !machine.is_match("a/work/b"));
    let text = |path: &PathBuf| std::fs::read_to_string(path).expect("text");
    paths.retain(|path| machine.is_match(&text(path)));
    assert!(paths.is_empty(), "absolute paths of a machine: {paths:?}");
}

#[test]
fn no_file_is_endless() {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches", "deploy"] {
        files(&root().join(folder), &[".rs", ".sh", ".py"], &mut paths);
    }
    assert!(paths.len() > 20, "found the sources");
    let lines = |path: &PathBuf| std::fs::read_to_string(path).expect("text").lines().count();
    paths.retain(|path| lines(path) > MOST_LINES);
    assert!(paths.is_empty(), "over {MOST_LINES} lines, to be split: {paths:?}");
}

/// The names of the metrics that code defines, in whole.
fn metrics_of(code: &str) -> Vec<String> {
    let defined = r#"\bdefine\s*\.\s*\w+\(\s*"([a-z_]+)""#;
    let defined = regex::Regex::new(defined).expect("regex");
    let names = defined.captures_iter(code).map(|found| format!("{METRICS}{}", &found[1]));
    // One that is spelt in whole passed by the definer, or is spelt a second time.
    let whole = strings(code).into_iter().filter(|text| {
        let rest = text.strip_prefix(METRICS).unwrap_or_default();
        !rest.is_empty() && rest.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    });
    names.chain(whole).collect()
}

#[test]
fn every_metric_is_named_once() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for metric in metrics_of(source.product_code()) {
            found.entry(metric).or_default().push(source.name.clone());
        }
    }
    assert!(found.len() > 20, "found the definitions");
    found.retain(|_, files| files.len() > 1);
    assert!(found.is_empty(), "named more than once: {found:#?}");
}

#[test]
fn a_metric_named_twice_is_seen() {
    let code =
        "a: define.counters(\n\"a_total\", \"Help.\", &[]),\nb: f(\"kafka_s3_sink_a_total\")";
    assert_eq!(metrics_of(code), ["kafka_s3_sink_a_total"; 2]);
    assert_eq!(metrics_of("level(\"kafka_s3_sink=debug\")"), [""; 0]);
}
