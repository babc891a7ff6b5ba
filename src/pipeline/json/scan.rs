//! From masks to tokens: what is within strings, what is escaped, where tokens begin.

use super::Object;
use super::grammar::{Brackets, Grammar, Tokens};
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
    let mut controls = 0;
    // From the first block that is not ASCII to the last: what lies around needs no second look.
    let (mut from, mut to) = (0, 0);
    let (blocks, rest) = value.as_chunks::<BLOCK>();
    let mut tail = [b' '; BLOCK];
    tail[..rest.len()].copy_from_slice(rest);
    let tail = (!rest.is_empty()).then_some(&tail);
    for (number, block) in blocks.iter().chain(tail).enumerate() {
        let base = number * BLOCK;
        let masks = V::masks(block);
        controls |= masks.controls;
        if masks.high != 0 {
            from = if to == 0 { base } else { from };
            to = base + BLOCK;
        }
        let tokens = tokens::<V>(&masks, &mut carry, value, base)?;
        if !grammar.take(tokens, base) {
            return None;
        }
    }
    let first = value.iter().position(|byte| *byte == b'{')?;
    let is_alone = value[..first].iter().all(|byte| b" \t\n\r".contains(byte));
    let is_text = simdutf8::basic::from_utf8(&value[from..to.min(value.len())]).is_ok();
    let end = grammar.end().filter(|_| is_alone && is_text)?;
    Some(Object { range: first..end, has_controls: controls != 0 })
}

/// Where tokens begin in a block; none if a string holds what it must not, or a scalar is none.
#[inline(always)]
fn tokens<V: Vectors>(
    masks: &Masks,
    carry: &mut Carry,
    value: &[u8],
    base: usize,
) -> Option<Tokens> {
    let escaped = escaped(masks.backslashes, carry);
    let quotes = masks.quotes & !escaped;
    // From an opening quote up to, without, the closing one.
    let in_string = V::prefix_xor(quotes) ^ carry.in_string;
    carry.in_string = (in_string.cast_signed() >> 63).cast_unsigned();
    if masks.controls & in_string != 0 || !escapes_are_good(escaped & in_string, value, base) {
        return None;
    }
    let marks = masks.colons | masks.commas | masks.brackets;
    let scalars = !(marks | masks.white | quotes | in_string);
    let begin = scalars & !(scalars << 1 | carry.in_scalar);
    carry.in_scalar = scalars >> 63;
    let (brackets, curly, closing) = (masks.brackets & !in_string, masks.curly, masks.closing);
    scalars_are_good(begin, value, base).then_some(Tokens {
        texts: quotes & in_string,
        scalars: begin,
        colons: masks.colons & !in_string,
        commas: masks.commas & !in_string,
        brackets: Brackets {
            open_object: brackets & curly & !closing,
            open_array: brackets & !(curly | closing),
            close_object: brackets & curly & closing,
            close_array: brackets & !curly & closing,
        },
    })
}

/// Whether a number or a word begins at each of these.
#[inline(always)]
fn scalars_are_good(mut begin: u64, value: &[u8], base: usize) -> bool {
    while begin != 0 {
        let at = base + begin.trailing_zeros() as usize;
        begin &= begin - 1;
        // Beyond the end there is only white space, in which none begins.
        if at >= value.len() || !is_scalar(value, at) {
            return false;
        }
    }
    true
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
