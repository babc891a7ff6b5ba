//! Numbers and the three words.

/// Whether what begins at `at` is a number or `true`, `false` or `null`, to its end.
#[inline(always)]
pub(super) fn is_scalar(text: &[u8], at: usize) -> bool {
    let rest = &text[at..];
    let end = match rest[0] {
        b't' => word(rest, b"true"),
        b'f' => word(rest, b"false"),
        b'n' => word(rest, b"null"),
        _ => number(rest),
    };
    end.is_some_and(|end| rest.get(end).is_none_or(|byte| ends(*byte)))
}

/// Whether a scalar ends before this byte.
const fn ends(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b':' | b',' | b'{' | b'}' | b'[' | b']')
}

fn word(rest: &[u8], word: &[u8]) -> Option<usize> {
    rest.starts_with(word).then_some(word.len())
}

/// Where a number ends: `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`.
#[inline(always)]
fn number(rest: &[u8]) -> Option<usize> {
    let mut at = usize::from(rest[0] == b'-');
    at = match rest.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits(rest, at),
        _ => return None,
    };
    if rest.get(at) == Some(&b'.') {
        at = some_digits(rest, at + 1)?;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        at += 1;
        at += usize::from(matches!(rest.get(at), Some(b'+' | b'-')));
        at = some_digits(rest, at)?;
    }
    Some(at)
}

#[inline(always)]
fn digits(rest: &[u8], mut at: usize) -> usize {
    while rest.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn some_digits(rest: &[u8], from: usize) -> Option<usize> {
    let end = digits(rest, from);
    (end > from).then_some(end)
}
