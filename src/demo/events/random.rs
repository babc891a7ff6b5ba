//! A tiny seeded generator (xorshift64*): quick, good enough for sample data, nothing else.

pub(super) struct Random(u64);

impl Random {
    /// Any seed will do: it is mixed first, for xorshift must not begin at 0.
    pub(super) fn new(seed: u64) -> Self {
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which must not be 0; the bias of the multiplication is no matter.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something of this probability happens; draws nothing where it never does, so that
    /// switching a share on changes only the events that it concerns as far as that is possible.
    pub(super) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= share
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
