//! Masks by NEON, which each 64-bit ARM processor has: AWS's Graviton is one.

use std::arch::aarch64::*;

use super::mask::{BLOCK, BRACKETS, Masks, Vectors, WHITE};

pub(super) struct Neon;

impl Vectors for Neon {
    #[inline(always)]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: all of these processors have it.
        unsafe { masks(block) }
    }

    /// By shifts, for a product without carries takes an extension that some lack.
    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        [1, 2, 4, 8, 16, 32].into_iter().fold(bits, |sum, by| sum ^ sum << by)
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn masks(block: &[u8; BLOCK]) -> Masks {
    let (quarters, _) = block.as_chunks::<16>();
    let of = [0, 1, 2, 3].map(|at| load(&quarters[at]));
    let equal = |byte: u8| bits(of.map(|bytes| vceqq_u8(bytes, vdupq_n_u8(byte))));
    let any_of = |mask: u8| bits(of.map(|bytes| vtstq_u8(bytes, vdupq_n_u8(mask))));
    // As in AVX2's half a block.
    let (white, brackets) = (load(&WHITE), load(&BRACKETS));
    let found = |table, bytes| vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(0x0f)));
    let curly = of.map(|bytes| vorrq_u8(bytes, vdupq_n_u8(0x20)));
    Masks {
        quotes: equal(b'"'),
        backslashes: equal(b'\\'),
        controls: bits(of.map(|bytes| vcltq_u8(bytes, vdupq_n_u8(0x20)))),
        high: any_of(0x80),
        white: bits(of.map(|bytes| vceqq_u8(bytes, found(white, bytes)))),
        colons: equal(b':'),
        commas: equal(b','),
        brackets: bits(curly.map(|bytes| vceqq_u8(bytes, found(brackets, bytes)))),
        curly: any_of(0x20),
        closing: any_of(0x04),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: it has the 16 bytes that are read, and need not be aligned.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// A bit for each byte that is all ones: each keeps the bit of its place among eight, and neighbours
/// are added until eight of them are one byte.
#[inline]
#[target_feature(enable = "neon")]
fn bits(of: [uint8x16_t; 4]) -> u64 {
    let places = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let [a, b, c, d] = of.map(|bytes| vandq_u8(bytes, places));
    let halves = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(halves, halves)), 0)
}
