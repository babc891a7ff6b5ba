//! Flags without a value that `cargo test -- ...` may pass to every test binary alike; those that
//! have a runner of their own pass over them.

/// Whether a flag is one of these.
pub(crate) fn is_of_the_test_runner(flag: &str) -> bool {
    const FLAGS: [&str; 9] = [
        "--list",
        "--nocapture",
        "--no-capture",
        "--exact",
        "--quiet",
        "--ignored",
        "--include-ignored",
        "--show-output",
        "--test",
    ];
    FLAGS.contains(&flag)
}
