//! Whether bytes are one JSON object, at the speed of reading them.
//!
//! `decode` asks it first. It says yes only to what is one (RFC 8259, UTF-8); where it says no, or
//! cannot tell on this processor, serde_json is asked, which also knows the reason. So it may be wrong
//! in one way only, and the tests compare it with serde_json in that.
//!
//! ```text
//! blocks of 64 bytes --mask: a bit for each byte--> scan: where tokens begin --grammar: what follows what
//! ```

#[cfg(target_arch = "x86_64")]
mod avx512;
mod grammar;
mod mask;
#[cfg(target_arch = "aarch64")]
mod neon;
mod number;
mod scan;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Where it stands: white space may be around it.
    pub(super) range: Range<usize>,
    /// Whether there are control characters between its tokens: line breaks, tabs.
    pub(super) has_controls: bool,
}

/// The object, if `value` is one and nothing else.
pub(super) fn object(value: &[u8]) -> Option<Object> {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { with_avx512(value) };
    } else if mask::avx2::is_here() {
        // SAFETY: the same.
        return unsafe { with_avx2(value) };
    }
    #[cfg(target_arch = "aarch64")]
    return scan::scan::<neon::Neon>(value);
    #[cfg(not(target_arch = "aarch64"))]
    None
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,pclmulqdq")]
fn with_avx2(value: &[u8]) -> Option<Object> {
    scan::scan::<mask::avx2::Avx2>(value)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,avx512f,avx512bw")]
fn with_avx512(value: &[u8]) -> Option<Object> {
    scan::scan::<avx512::Avx512>(value)
}
