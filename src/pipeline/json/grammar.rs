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
//! A text after `{` is a name, and one after a comma of an object; so before that the brackets say what
//! stands in objects. Containers more than 63 deep are left to whoever is asked next.

/// Where the tokens of a block begin, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) texts: u64,
    pub(super) scalars: u64,
    pub(super) colons: u64,
    pub(super) commas: u64,
    pub(super) brackets: Brackets,
}

/// Reads tokens, a block at a time.
pub(super) struct Grammar {
    /// Tokens whose successor is in the next block: one bit for each kind.
    open: u64,
    mark: u64,
    member: u64,
    name: u64,
    /// What the containers around are, the innermost in the lowest bit: 1 for an object. Above all of
    /// them stands a 1.
    around: u64,
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
        // The object stands where a value is wanted, as after a colon.
        Self { open: 0, mark: 1, member: 0, name: 0, around: 1, end: None }
    }

    /// Takes the tokens of a block that begins at `base`; whether they may stand so.
    #[inline(always)]
    pub(super) fn take(&mut self, tokens: Tokens, base: usize) -> bool {
        let Tokens { texts, scalars, colons, commas, brackets: of } = tokens;
        let open = of.open_object | of.open_array;
        let close = of.close_object | of.close_array;
        let marks = colons | commas;
        let values = texts | scalars | open;
        let all = values | marks | close;
        if self.end.is_some() {
            return all == 0;
        }
        let Some(in_objects) = self.nest(of) else { return false };
        let between = !all;
        let after_open = after(open, between, &mut self.open);
        let after_mark = after(marks, between, &mut self.mark);
        let begins_member = after(of.open_object | commas & in_objects, between, &mut self.member);
        let after_name = after(texts & begins_member, between, &mut self.name);
        let wants_value = after_open | after_mark;
        let wrong = (values & !wants_value)
            | (marks & wants_value)
            | (close & after_mark)
            | (begins_member & !(texts | close))
            | (colons ^ after_name);
        if wrong != 0 {
            return false;
        }
        // Whoever closes the object is the last token.
        let Some(end) = self.end else { return true };
        let behind = u64::MAX.checked_shl(end as u32).unwrap_or_default();
        self.end = Some(base + end);
        all & behind == 0
    }

    /// Follows the brackets; what stands in an object, and not in an array in it, if they match.
    #[inline(always)]
    fn nest(&mut self, of: Brackets) -> Option<u64> {
        let open = of.open_object | of.open_array;
        let objects = of.open_object | of.close_object;
        let mut brackets = open | of.close_object | of.close_array;
        let (mut in_objects, mut from) = (0, u64::MAX);
        let mut around = self.around;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            brackets ^= bit;
            in_objects |= from & (bit - 1) & (around & 1).wrapping_neg();
            from = !(bit | (bit - 1));
            let is_object = u64::from(objects & bit != 0);
            if open & bit != 0 {
                if around >> 63 != 0 {
                    return None;
                }
                around = around << 1 | is_object;
            } else {
                if around & 1 != is_object {
                    return None;
                }
                around >>= 1;
                // 0 where nothing was open: the order of tokens refuses it.
                if around <= 1 {
                    self.end = Some(bit.trailing_zeros() as usize + 1);
                    break;
                }
            }
        }
        self.around = around;
        Some(in_objects | from & (around & 1).wrapping_neg())
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
