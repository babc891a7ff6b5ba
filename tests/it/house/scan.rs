//! Reads Rust just well enough to tell code from comments and strings, and which rooms it names.

use std::collections::BTreeSet;
use std::path::Path;

/// One source file.
pub(super) struct Source {
    /// Its path below `src`.
    pub(super) name: String,
    /// The first folder of that path; empty for files of the root.
    pub(super) room: String,
    /// How many `super`s lead from the file's own module to the crate's root.
    pub(super) depth: usize,
    /// Its text.
    pub(super) text: String,
}

impl Source {
    pub(super) fn read(src: &Path, path: &Path) -> Self {
        let below = path.strip_prefix(src).expect("below src");
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let is_mod = parts.last().is_some_and(|name| name == "mod.rs");
        let room = if parts.len() > 1 { parts[0].to_string() } else { String::new() };
        Self {
            name: below.display().to_string(),
            room,
            depth: parts.len() - usize::from(is_mod),
            text: std::fs::read_to_string(path).expect("text"),
        }
    }

    pub(super) fn of(room: &str, depth: usize, text: &str) -> Self {
        let name = "planted.rs".to_owned();
        Self { name, room: room.to_owned(), depth, text: text.to_owned() }
    }

    /// The text up to the unit tests, which stand last in a file; nothing of a file of tests.
    pub(super) fn product_code(&self) -> &str {
        if self.name.split(['/', '.']).any(|part| part == "tests") {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
    }
}

/// A piece of source text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Text,
}

/// The pieces of a source text, in order.
fn pieces(source: &str) -> Vec<(Piece, &str)> {
    // A string, raw or plain; a letter, told from a lifetime by its closing quote; a comment.
    let pattern = r##"(?s)(?P<text>\bb?r#".*?"#|\bb?r"[^"]*"|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])')|(?P<comment>//[^\n]*|/\*.*?\*/)"##;
    let pattern = regex::Regex::new(pattern).expect("regex");
    let (mut found, mut at) = (Vec::new(), 0);
    for piece in pattern.captures_iter(source) {
        let whole = piece.get(0).expect("a match");
        let kind = if piece.name("text").is_some() { Piece::Text } else { Piece::Comment };
        found.push((Piece::Code, &source[at..whole.start()]));
        found.push((kind, whole.as_str()));
        at = whole.end();
    }
    found.push((Piece::Code, &source[at..]));
    found
}

/// The code alone.
pub(super) fn blank_comments_and_strings(source: &str) -> String {
    let code = pieces(source).into_iter().filter(|(kind, _)| *kind == Piece::Code);
    code.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// The contents of all strings.
pub(super) fn strings(source: &str) -> Vec<String> {
    let texts = pieces(source).into_iter().filter(|(kind, _)| *kind == Piece::Text);
    texts.map(|(_, text)| text.trim_matches(['b', 'r', '#', '"', '\'']).to_owned()).collect()
}

/// The rooms that code reaches through `crate::` or through `super`s up to the crate's root.
pub(super) fn rooms_named(code: &str, depth: usize, rooms: &[&str]) -> BTreeSet<String> {
    let pattern =
        r"\b(?:(?P<crate>crate|kafka_s3_sink)|(?P<supers>super(?:\s*::\s*super)*))\s*::\s*";
    let pattern = regex::Regex::new(pattern).expect("regex");
    let mut named = BTreeSet::new();
    for found in pattern.captures_iter(code) {
        let supers =
            found.name("supers").map_or(depth, |path| path.as_str().matches("super").count());
        if supers >= depth {
            named.extend(first_names(&code[found.get(0).expect("a match").end()..]));
        }
    }
    named.retain(|name| rooms.contains(&&**name));
    named
}

/// The name that stands here, or the first name of each branch of a group in braces.
fn first_names(code: &str) -> Vec<String> {
    let name = |code: &str| -> String {
        code.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = code.strip_prefix('{') else { return vec![name(code)] };
    let (mut names, mut level) = (vec![name(group)], 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}
