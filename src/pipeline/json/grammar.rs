//! The order in which tokens may stand, for all tokens of a block at once.
//!
//! `scan` says where tokens begin, as bits. The token after each of a kind is found by an addition: its
//! carry runs through the bits between two tokens. So what may follow what is a few operations a block,
//! and only brackets are looked at one by one.
//!
//! | after | may stand |
//! |---|---|
//! | `{` | a name, `}` |
//! | `[` | a value, `]` |
//! | `:` or `,` | a value; of an object's comma a name, see below |
//! | a name | `:` |
//! | another text, a scalar, `}`, `]` | `,` `}` `]` |
//!
//! A text after `{` is a name. A text after a comma is one if a colon follows: in an object each comma
//! must have such a colon, in an array none, which is told by counting both between two brackets.

/// Where the tokens of a block begin, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) texts: u64,
    pub(super) scalars: u64,
    pub(super) colons: u64,
    pub(super) commas: u64,
    pub(super) brackets: Brackets,
}

/// Tokens whose successor is in the next block: one bit for each kind.
struct Pending {
    colon: u64,
    comma: u64,
    /// A scalar or a closing bracket.
    ended: u64,
    object: u64,
    array: u64,
    first_name: u64,
    text_after_comma: u64,
    other_text: u64,
}

impl Pending {
    const fn new() -> Self {
        Self {
            colon: 0,
            comma: 0,
            ended: 0,
            object: 0,
            array: 0,
            first_name: 0,
            text_after_comma: 0,
            other_text: 0,
        }
    }
}

/// Reads tokens, a block at a time.
pub(super) struct Grammar {
    pending: Pending,
    around: Around,
    /// Commas, and colons of names that stand after one, since the last bracket.
    commas: u32,
    named: u32,
    /// Behind the object, once it was closed.
    end: Option<usize>,
}

/// The brackets of a block, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brackets {
    pub(super) open_object: u64,
    pub(super) open_array: u64,
    pub(super) close_object: u64,
    pub(super) close_array: u64,
}

impl Grammar {
    pub(super) const fn new() -> Self {
        Self { pending: Pending::new(), around: Around::new(), commas: 0, named: 0, end: None }
    }

    /// Takes the tokens of a block that begins at `base`; whether they may stand so.
    #[inline(always)]
    pub(super) fn take(&mut self, tokens: Tokens, base: usize) -> bool {
        let Tokens { texts, scalars, colons, commas, brackets: of } = tokens;
        let open = of.open_object | of.open_array;
        let close = of.close_object | of.close_array;
        let all = texts | scalars | colons | commas | open | close;
        if self.end.is_some() {
            return all == 0;
        }
        let between = !all;
        let (value, end) = (texts | scalars | open, commas | close);
        let pending = &mut self.pending;
        let after_object = after(of.open_object, between, &mut pending.object);
        let after_array = after(of.open_array, between, &mut pending.array);
        let after_colon = after(colons, between, &mut pending.colon);
        let after_comma = after(commas, between, &mut pending.comma);
        let after_ended = after(scalars | close, between, &mut pending.ended);
        let first_names = after_object & texts;
        let texts_after_comma = after_comma & texts;
        let other_texts = texts & !(first_names | texts_after_comma);
        let after_first = after(first_names, between, &mut pending.first_name);
        let after_text = after(texts_after_comma, between, &mut pending.text_after_comma);
        let after_other = after(other_texts, between, &mut pending.other_text);
        let wrong = (after_object & !(texts | of.close_object))
            | (after_array & !(value | of.close_array))
            | ((after_colon | after_comma) & !value)
            | ((after_ended | after_other) & !end)
            | (after_first & !colons)
            | (after_text & !(colons | end));
        if wrong != 0 || !self.nest(of, commas, after_text & colons) {
            return false;
        }
        // Whoever closes the object is the last token.
        let Some(end) = self.end else { return true };
        let behind = u64::MAX.checked_shl(end as u32).unwrap_or_default();
        self.end = Some(base + end);
        all & behind == 0
    }

    /// Follows the brackets, and counts between them; whether they match.
    #[inline(always)]
    fn nest(&mut self, of: Brackets, commas: u64, named: u64) -> bool {
        let open = of.open_object | of.open_array;
        let mut brackets = open | of.close_object | of.close_array;
        let mut from = u64::MAX;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            brackets ^= bit;
            let region = from & (bit - 1);
            from = !(bit | (bit - 1));
            self.count(commas & region, named & region);
            let expected = if self.around.is_object() { self.commas } else { 0 };
            if self.named != expected {
                return false;
            }
            (self.commas, self.named) = (0, 0);
            if open & bit != 0 {
                self.around.open(of.open_object & bit != 0);
            } else if !self.around.close(of.close_object & bit != 0) {
                return false;
            } else if self.around.depth == 0 {
                self.end = Some(bit.trailing_zeros() as usize + 1);
                return true;
            }
        }
        self.count(commas & from, named & from);
        true
    }

    #[inline(always)]
    const fn count(&mut self, commas: u64, named: u64) {
        self.commas += commas.count_ones();
        self.named += named.count_ones();
    }

    /// Where the object ends, if it does.
    pub(super) const fn end(&self) -> Option<usize> {
        self.end
    }
}

/// The tokens that follow these, which are among all: `between` is what is no token.
#[inline(always)]
fn after(these: u64, between: u64, pending: &mut u64) -> u64 {
    let (sum, over) = between.overflowing_add(these << 1 | *pending);
    *pending = these >> 63 | u64::from(over);
    sum & !between
}

/// What the containers around are.
struct Around {
    /// The innermost in the lowest bit: 1 for an object.
    kinds: u64,
    depth: usize,
    /// What did not fit, 64 at a time.
    deeper: Vec<u64>,
}

impl Around {
    const fn new() -> Self {
        Self { kinds: 0, depth: 0, deeper: Vec::new() }
    }

    #[inline(always)]
    const fn is_object(&self) -> bool {
        self.kinds & 1 == 1
    }

    #[inline(always)]
    fn open(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.deeper.push(self.kinds);
        }
        self.depth += 1;
        self.kinds = self.kinds << 1 | u64::from(is_object);
    }

    /// Whether the innermost is of this kind and was closed.
    #[inline(always)]
    fn close(&mut self, is_object: bool) -> bool {
        if self.depth == 0 || self.is_object() != is_object {
            return false;
        }
        self.depth -= 1;
        self.kinds >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.kinds = self.deeper.pop().unwrap_or_default();
        }
        true
    }
}
