//! Worlds that failed once: kept in a file beside this one, and run before all others.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::KINDS;
use crate::world::Fences;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/world/regressions.txt")
}

/// What was kept.
pub(crate) fn kept() -> Vec<(u64, &'static str, Fences)> {
    let text = std::fs::read_to_string(file()).expect("the file of regressions");
    text.lines().filter(|line| !line.starts_with('#')).map(read).collect()
}

fn read(line: &str) -> (u64, &'static str, Fences) {
    let mut words = line.split(' ');
    let seed = words.next().and_then(|word| word.parse().ok());
    let kind = words.next().and_then(|word| KINDS.iter().find(|(name, _)| *name == word));
    match (seed, kind) {
        (Some(seed), Some((name, fences))) => (seed, name, *fences),
        _ => panic!("regressions.txt: {line:?} is no world"),
    }
}

/// Keeps worlds that failed, each once.
pub(crate) fn keep(failed: &[(u64, &'static str, String)]) {
    let known = kept();
    let mut text = std::fs::read_to_string(file()).expect("the file of regressions");
    for (seed, name, wrong) in failed {
        if !known.iter().any(|(other, kind, _)| (other, kind) == (seed, name)) {
            let wrong = wrong.lines().next().unwrap_or_default();
            let _ = writeln!(text, "{seed} {name} {wrong:.100}");
        }
    }
    if std::fs::write(file(), text).is_err() {
        println!("tests/world/regressions.txt cannot be written: add the worlds by hand");
    }
}
