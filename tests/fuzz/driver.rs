//! A fuzz target under libFuzzer: `FUZZ_TARGET=key fuzz [libFuzzer's options] [folders]`. Built by
//! `tests/fuzz/run.sh` with the counters that lead libFuzzer, which starts itself again with the
//! same arguments: so the target is no argument.

mod targets;

use std::ffi::{CString, c_char, c_int};
use std::process::exit;
use std::sync::OnceLock;

// Links libFuzzer itself.
use libfuzzer_sys as _;

type Callback = extern "C" fn(*const u8, usize) -> c_int;

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        callback: Callback,
    ) -> c_int;
}

static TARGET: OnceLock<targets::Target> = OnceLock::new();

extern "C" fn one(data: *const u8, len: usize) -> c_int {
    // SAFETY: libFuzzer hands over `len` bytes that live as long as the call.
    let data = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } };
    TARGET.get().expect("set before")(data);
    0
}

fn main() {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = targets::TARGETS.into_iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<_> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("FUZZ_TARGET = {wanted:?}; there are {}", names.join(" "));
        exit(2);
    };
    TARGET.get_or_init(|| target);
    let args: Vec<CString> =
        std::env::args().map(|arg| CString::new(arg).expect("no zero byte")).collect();
    let mut pointers: Vec<*mut c_char> = args.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    pointers.push(std::ptr::null_mut());
    let mut argc = c_int::try_from(args.len()).expect("few arguments");
    let mut argv = pointers.as_mut_ptr();
    // SAFETY: argv is a list of C strings that ends with a null and outlives the call.
    exit(unsafe { LLVMFuzzerRunDriver(&mut argc, &mut argv, one) });
}
