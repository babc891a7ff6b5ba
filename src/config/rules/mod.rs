//! What a text must look like, key by key. The schema names these checks.
//!
//! Each says what is wrong and what is allowed. None knows any key but its own: `cross` compares.

pub(super) mod kafka;
pub(super) mod layout;
pub(super) mod process;
pub(super) mod s3;

/// The first item that stands twice.
fn repeated<T: Ord>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    let at = items.windows(2).position(|pair| pair[0] == pair[1])?;
    Some(items.swap_remove(at))
}

/// A text that is neither empty nor has space or control characters in it.
fn plain(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("{text:?} has a space or a control character in it"));
    }
    Ok(())
}
