//! From masks to tokens: what is within strings, what is escaped, where tokens begin.

use super::Object;
use super::grammar::{Grammar, TOKEN, Token};
use super::mask::{BLOCK, Masks, Vectors};
use super::number::is_scalar;

/// What one block hands on to the next.
#[derive(Default)]
struct Carry {
    /// All bits if the block ended within a string.
    in_string: u64,
    /// 1 if the next byte is escaped.
    escaped: u64,
    /// 1 if the block ended within a scalar.
    in_scalar: u64,
}

/// The object in `value`, if it is one and nothing else.
#[inline(always)]
pub(super) fn scan<V: Vectors>(value: &[u8]) -> Option<Object> {
    let (mut carry, mut grammar) = (Carry::default(), Grammar::new());
    let (mut controls, mut high, mut last) = (0, 0, 0);
    let (blocks, rest) = value.as_chunks::<BLOCK>();
    let mut tail = [b' '; BLOCK];
    tail[..rest.len()].copy_from_slice(rest);
    let tail = (!rest.is_empty()).then_some(&tail);
    for (number, block) in blocks.iter().chain(tail).enumerate() {
        let base = number * BLOCK;
        let masks = V::masks(block);
        controls |= masks.controls;
        high |= masks.high;
        let tokens = tokens::<V>(&masks, &mut carry, value, base)?;
        last = take(&mut grammar, tokens, value, base, last)?;
    }
    if !grammar.is_whole() || carry.in_string != 0 {
        return None;
    }
    // Of an object the last token is its end.
    let first = value.iter().position(|byte| *byte == b'{')?;
    let is_text = high == 0 || std::str::from_utf8(value).is_ok();
    is_text.then_some(Object { range: first..last + 1, has_controls: controls != 0 })
}

/// Where tokens begin in a block; none if a string holds what it must not.
#[inline(always)]
fn tokens<V: Vectors>(masks: &Masks, carry: &mut Carry, value: &[u8], base: usize) -> Option<u64> {
    let escaped = escaped(masks.backslashes, carry);
    let quotes = masks.quotes & !escaped;
    // From an opening quote up to, without, the closing one.
    let in_string = V::prefix_xor(quotes) ^ carry.in_string;
    carry.in_string = (in_string.cast_signed() >> 63).cast_unsigned();
    if masks.controls & in_string != 0 || !escapes_are_good(escaped & in_string, value, base) {
        return None;
    }
    let scalars = !(masks.marks | masks.white | quotes | in_string);
    let begin = scalars & !(scalars << 1 | carry.in_scalar);
    carry.in_scalar = scalars >> 63;
    Some((masks.marks & !in_string) | begin | (quotes & in_string))
}

/// The bytes after a backslash that is not escaped itself.
#[inline(always)]
fn escaped(backslashes: u64, carry: &mut Carry) -> u64 {
    if backslashes == 0 {
        return std::mem::take(&mut carry.escaped);
    }
    let mut escaped = 0;
    let mut left = backslashes & !carry.escaped;
    let first = carry.escaped;
    carry.escaped = 0;
    while left != 0 {
        let at = left.trailing_zeros();
        if at == 63 {
            carry.escaped = 1;
            break;
        }
        escaped |= 2 << at;
        left &= !(3 << at);
    }
    escaped | first
}

/// Whether each of these bytes may stand behind a backslash.
#[inline(always)]
fn escapes_are_good(mut escaped: u64, value: &[u8], base: usize) -> bool {
    while escaped != 0 {
        let at = base + escaped.trailing_zeros() as usize;
        escaped &= escaped - 1;
        let good = match value.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') => {
                value.get(at + 1..at + 5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            }
            _ => false,
        };
        if !good {
            return false;
        }
    }
    true
}

/// Hands the tokens of a block to the grammar; where the last one of all began.
#[inline(always)]
fn take(
    grammar: &mut Grammar,
    mut tokens: u64,
    value: &[u8],
    base: usize,
    mut last: usize,
) -> Option<usize> {
    while tokens != 0 {
        last = base + tokens.trailing_zeros() as usize;
        tokens &= tokens - 1;
        // Beyond the end there is only white space, which is no token.
        let token = TOKEN[usize::from(*value.get(last)?)];
        if token == Token::Scalar && !is_scalar(value, last) {
            return None;
        }
        grammar.take(token);
    }
    (!grammar.is_wrong()).then_some(last)
}
