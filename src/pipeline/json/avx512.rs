//! Masks for processors with AVX-512, whose comparisons give bits: a third of the instructions that
//! AVX2 takes.

use std::arch::x86_64::*;

use super::mask::{BLOCK, BRACKETS, Masks, Vectors, WHITE, avx2};

/// Whether this processor has what it takes.
pub(super) fn is_here() -> bool {
    avx2::is_here() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

pub(super) struct Avx512;

impl Vectors for Avx512 {
    #[inline(always)]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: only `with_avx512` gets here, whose caller has asked the processor.
        unsafe { masks(block) }
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: the same.
        unsafe { avx2::prefix_xor(bits) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn masks(block: &[u8; BLOCK]) -> Masks {
    // SAFETY: it has the 64 bytes that are read, and need not be aligned.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    let all = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, all(byte));
    // As in AVX2's half a block.
    let white = _mm512_shuffle_epi8(table(WHITE), bytes);
    let brackets = _mm512_shuffle_epi8(table(BRACKETS), bytes);
    Masks {
        quotes: equal(b'"'),
        backslashes: equal(b'\\'),
        controls: _mm512_cmplt_epu8_mask(bytes, all(0x20)),
        high: _mm512_movepi8_mask(bytes),
        white: _mm512_cmpeq_epi8_mask(bytes, white),
        colons: equal(b':'),
        commas: equal(b','),
        brackets: _mm512_cmpeq_epi8_mask(_mm512_or_si512(bytes, all(0x20)), brackets),
        curly: _mm512_test_epi8_mask(bytes, all(0x20)),
        closing: _mm512_test_epi8_mask(bytes, all(0x04)),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn table(of: [u8; 16]) -> __m512i {
    // SAFETY: it has the 16 bytes that are read.
    let once = unsafe { _mm_loadu_si128(of.as_ptr().cast()) };
    _mm512_broadcast_i32x4(once)
}
