//! A block of 64 bytes as bits: which of them are quotes, which white space, and so on.
//!
//! `scan` works on the bits alone. The processor's vectors make them; a twin without vectors says what
//! they ought to be.

/// The length of a block.
pub(super) const BLOCK: usize = 64;

/// One bit a byte, the lowest for the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`.
    pub(super) quotes: u64,
    /// `\`.
    pub(super) backslashes: u64,
    /// Below 0x20.
    pub(super) controls: u64,
    /// Above 0x7f: not ASCII.
    pub(super) high: u64,
    /// Space, tab, line feed, carriage return.
    pub(super) white: u64,
    /// `:`.
    pub(super) colons: u64,
    /// `,`.
    pub(super) commas: u64,
    /// `{ } [ ]`.
    pub(super) brackets: u64,
    /// Those of `{ }`; of other bytes anything.
    pub(super) curly: u64,
    /// Those of `} ]`; of other bytes anything.
    pub(super) closing: u64,
}

/// White space, each at the place of its low four bits; elsewhere what no byte of these low bits is.
pub(super) const WHITE: [u8; 16] = [b' ', 0, 0, 0, 0, 0, 0, 0, 0, b'\t', b'\n', 0, 0, b'\r', 0, 0];
/// The same of brackets, with the bit that `{` has and `[` has not.
pub(super) const BRACKETS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'{', 0, b'}', 0, 0];

/// How masks are made.
pub(super) trait Vectors {
    /// The masks of a block.
    fn masks(block: &[u8; BLOCK]) -> Masks;

    /// Each bit is the sum, modulo 2, of itself and all bits below it.
    fn prefix_xor(bits: u64) -> u64;
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    //! For processors with AVX2: all of Intel's and AMD's servers since 2015.

    use std::arch::x86_64::*;

    use super::{BLOCK, BRACKETS, Masks, Vectors, WHITE};

    /// Whether this processor has what it takes.
    pub(in super::super) fn is_here() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("pclmulqdq")
    }

    pub(in super::super) struct Avx2;

    impl Vectors for Avx2 {
        #[inline(always)]
        fn masks(block: &[u8; BLOCK]) -> Masks {
            // SAFETY: only `with_avx2` gets here, whose caller has asked the processor.
            unsafe { masks(block) }
        }

        #[inline(always)]
        fn prefix_xor(bits: u64) -> u64 {
            // SAFETY: the same.
            unsafe { prefix_xor(bits) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,pclmulqdq")]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        let (low, high) = block.split_at(BLOCK / 2);
        let (low, high) = (half(low), half(high));
        let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Masks {
            quotes: join(low[0], high[0]),
            backslashes: join(low[1], high[1]),
            controls: join(low[2], high[2]),
            high: join(low[3], high[3]),
            white: join(low[4], high[4]),
            colons: join(low[5], high[5]),
            commas: join(low[6], high[6]),
            brackets: join(low[7], high[7]),
            curly: join(low[8], high[8]),
            closing: join(low[9], high[9]),
        }
    }

    /// The masks of 32 bytes.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,pclmulqdq")]
    fn half(bytes: &[u8]) -> [u32; 10] {
        debug_assert_eq!(bytes.len(), BLOCK / 2);
        // SAFETY: it has the 32 bytes that are read, and need not be aligned.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let bits = |equal: __m256i| _mm256_movemask_epi8(equal) as u32;
        let equal = |byte: u8| bits(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8)));
        // The largest control is what stays when a byte is cut to it.
        let control = _mm256_set1_epi8(0x1f);
        let controls = bits(_mm256_cmpeq_epi8(_mm256_max_epu8(bytes, control), control));
        // A table by the low four bits holds the one character of these that ends in them.
        let white = _mm256_shuffle_epi8(table(WHITE), bytes);
        let brackets = _mm256_shuffle_epi8(table(BRACKETS), bytes);
        // This bit is all that `[` and `{` differ in, and `]` and `}`.
        let curly = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        // The mask is made of the highest bit of each byte.
        let bit_5 = _mm256_slli_epi16(bytes, 2);
        let bit_2 = _mm256_slli_epi16(bytes, 5);
        [
            equal(b'"'),
            equal(b'\\'),
            controls,
            bits(bytes),
            bits(_mm256_cmpeq_epi8(bytes, white)),
            equal(b':'),
            equal(b','),
            bits(_mm256_cmpeq_epi8(curly, brackets)),
            bits(bit_5),
            bits(bit_2),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(of: [u8; 16]) -> __m256i {
        // SAFETY: it has the 16 bytes that are read.
        let once = unsafe { _mm_loadu_si128(of.as_ptr().cast()) };
        _mm256_broadcastsi128_si256(once)
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    pub(in super::super) fn prefix_xor(bits: u64) -> u64 {
        // A product without carries with a number of ones only.
        let product =
            _mm_clmulepi64_si128(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1), 0);
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}

/// What the masks ought to be, byte by byte.
#[cfg(test)]
pub(super) struct Scalar;

#[cfg(test)]
impl Vectors for Scalar {
    fn masks(block: &[u8; BLOCK]) -> Masks {
        let mask = |is: fn(u8) -> bool| {
            (0..BLOCK).fold(0, |mask, at| mask | u64::from(is(block[at])) << at)
        };
        Masks {
            quotes: mask(|byte| byte == b'"'),
            backslashes: mask(|byte| byte == b'\\'),
            controls: mask(|byte| byte < 0x20),
            high: mask(|byte| byte > 0x7f),
            white: mask(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')),
            colons: mask(|byte| byte == b':'),
            commas: mask(|byte| byte == b','),
            brackets: mask(|byte| b"{}[]".contains(&byte)),
            curly: mask(|byte| byte & 0x20 != 0),
            closing: mask(|byte| byte & 0x04 != 0),
        }
    }

    fn prefix_xor(bits: u64) -> u64 {
        (0..64)
            .fold((0, 0), |(sum, all), at| {
                let sum = sum ^ (bits >> at & 1);
                (sum, all | sum << at)
            })
            .1
    }
}
