//! The order in which tokens may stand.
//!
//! `scan` hands over where each begins. What depends on the token before alone is a table; objects and
//! arrays within each other are bits on a stack.

/// What a token is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Token {
    Text,
    Colon,
    Comma,
    /// A number or a word, or what is none.
    Scalar,
    OpenObject,
    OpenArray,
    CloseObject,
    CloseArray,
}

/// How many kinds of tokens there are.
const TOKENS: usize = 8;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Next {
    /// The object that all stands in.
    Start,
    /// A name, or the object's end.
    FirstName,
    Name,
    Colon,
    Member,
    /// A comma, or the object's end.
    AfterMember,
    /// A value, or the array's end.
    FirstElement,
    Element,
    /// A comma, or the array's end.
    AfterElement,
    /// Nothing more.
    End,
    /// What came was wrong.
    Wrong,
}

const NEXTS: usize = 11;

/// The kind of token that begins with a byte.
pub(super) static TOKEN: [Token; 256] = {
    let mut all = [Token::Scalar; 256];
    all[b'"' as usize] = Token::Text;
    all[b':' as usize] = Token::Colon;
    all[b',' as usize] = Token::Comma;
    all[b'{' as usize] = Token::OpenObject;
    all[b'[' as usize] = Token::OpenArray;
    all[b'}' as usize] = Token::CloseObject;
    all[b']' as usize] = Token::CloseArray;
    all
};

/// What comes after a token. Of a closing one it says only whether it may stand there: `Wrong`, or
/// anything else.
static AFTER: [[Next; TOKENS]; NEXTS] = {
    let mut table = [[Next::Wrong; TOKENS]; NEXTS];
    table[Next::Start as usize][Token::OpenObject as usize] = Next::FirstName;
    table[Next::FirstName as usize][Token::Text as usize] = Next::Colon;
    table[Next::FirstName as usize][Token::CloseObject as usize] = Next::End;
    table[Next::Name as usize][Token::Text as usize] = Next::Colon;
    table[Next::Colon as usize][Token::Colon as usize] = Next::Member;
    table[Next::AfterMember as usize][Token::Comma as usize] = Next::Name;
    table[Next::AfterMember as usize][Token::CloseObject as usize] = Next::End;
    table[Next::FirstElement as usize][Token::CloseArray as usize] = Next::End;
    table[Next::AfterElement as usize][Token::Comma as usize] = Next::Element;
    table[Next::AfterElement as usize][Token::CloseArray as usize] = Next::End;
    let values = [
        (Next::Member, Next::AfterMember),
        (Next::FirstElement, Next::AfterElement),
        (Next::Element, Next::AfterElement),
    ];
    let mut at = 0;
    while at < values.len() {
        let (before, after) = (values[at].0 as usize, values[at].1);
        table[before][Token::Text as usize] = after;
        table[before][Token::Scalar as usize] = after;
        table[before][Token::OpenObject as usize] = Next::FirstName;
        table[before][Token::OpenArray as usize] = Next::FirstElement;
        at += 1;
    }
    table
};

/// A reader of tokens.
pub(super) struct Grammar {
    next: Next,
    /// What the containers around are, the innermost in the lowest bit: 1 for an object.
    around: u64,
    depth: usize,
    /// What did not fit, 64 at a time.
    deeper: Vec<u64>,
}

impl Grammar {
    pub(super) const fn new() -> Self {
        Self { next: Next::Start, around: 0, depth: 0, deeper: Vec::new() }
    }

    /// Takes a token. Whether it may stand here is told by `is_whole`, once.
    #[inline(always)]
    pub(super) fn take(&mut self, token: Token) {
        let after = AFTER[self.next as usize][token as usize];
        self.next = match token {
            Token::Text | Token::Colon | Token::Comma | Token::Scalar => after,
            Token::OpenObject | Token::OpenArray => {
                self.open(token == Token::OpenObject);
                after
            }
            Token::CloseObject | Token::CloseArray if after == Next::End => self.close(),
            Token::CloseObject | Token::CloseArray => Next::Wrong,
        };
    }

    #[inline(always)]
    fn open(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.deeper.push(self.around);
        }
        self.depth += 1;
        self.around = self.around << 1 | u64::from(is_object);
    }

    /// Only where something is open, for only then a closing token may stand.
    #[inline(always)]
    fn close(&mut self) -> Next {
        self.depth -= 1;
        self.around >>= 1;
        if self.depth == 0 {
            return Next::End;
        }
        if self.depth.is_multiple_of(64) {
            self.around = self.deeper.pop().unwrap_or_default();
        }
        if self.around & 1 == 1 { Next::AfterMember } else { Next::AfterElement }
    }

    /// Whether one object was read, and nothing else.
    pub(super) fn is_whole(&self) -> bool {
        self.next == Next::End
    }

    /// Whether it is of no use to go on.
    #[inline(always)]
    pub(super) fn is_wrong(&self) -> bool {
        self.next == Next::Wrong
    }
}
