use std::time::Duration;

use proptest::prelude::*;

use crate::config::units::*;

fn ms(text: &str) -> u128 {
    parse_duration(text).unwrap_or_else(|error| panic!("{error}")).as_millis()
}

#[test]
fn durations_as_people_write_them() {
    let cases = [
        ("500ms", 500),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1d", 86_400_000),
        ("1.5h", 5_400_000),
        ("0.25s", 250),
        ("5 minutes", 300_000),
        ("2 Hours", 7_200_000),
        ("1_000ms", 1_000),
        (" 5m ", 300_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
    ];
    for (text, expected) in cases {
        assert_eq!(ms(text), expected, "{text}");
    }
}

#[test]
fn durations_that_nobody_can_read() {
    for text in ["", " ", "m", "5x", "-5m", "5m!", "1..5h", "5m 3", "1e3s", "99999999999999999d"] {
        let error = parse_duration(text).expect_err(text);
        assert!(
            error.ends_with("write it like \"5m\", \"90s\", \"1h30m\" or \"500ms\""),
            "{error}"
        );
    }
    assert_eq!(
        parse_duration("300").expect_err("no unit"),
        "\"300\" has no unit; write \"300s\", \"300m\" or \"300h\""
    );
    for text in ["30m1h", "5m5m", "1ms1s"] {
        let error = parse_duration(text).expect_err(text);
        assert!(error.contains("units out of order"), "{error}");
    }
    // Nothing finer than a millisecond is kept, so nothing finer is taken.
    assert!(parse_duration("0.0001s").is_err());
}

#[test]
fn sizes_as_people_write_them() {
    let cases = [
        ("64MiB", 64 << 20),
        ("64 MiB", 64 << 20),
        ("64mib", 64 << 20),
        ("64Mi", 64 << 20),
        ("10MB", 10_000_000),
        ("1.5GiB", 3 << 29),
        ("256KiB", 256 << 10),
        ("1kB", 1000),
        ("1TiB", 1 << 40),
        ("1_000_000", 1_000_000),
        ("512B", 512),
        ("12 bytes", 12),
        ("0", 0),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_size(text), Ok(expected), "{text}");
    }
}

#[test]
fn sizes_that_nobody_can_read() {
    for text in ["", "MiB", "-1", "1XB", "1MiB2", "1.5", "0.1B", "1__0", "_1", "1MiB 2KiB"] {
        let error = parse_size(text).expect_err(text);
        assert!(error.contains("is not a size; write it like"), "{error}");
    }
    assert_eq!(
        parse_size("64M").expect_err("two meanings"),
        "\"64M\" may mean two things; write \"64MiB\" (powers of 1024) or \"64MB\" (powers of 1000)"
    );
    assert!(parse_size("99999999999TiB").is_err());
}

#[test]
fn counts() {
    assert_eq!(parse_count("1_000_000"), Ok(1_000_000));
    assert_eq!(parse_count(" 7 "), Ok(7));
    for text in ["", "-1", "1.0", "one", "1__0", "1_", "0x10", "18446744073709551616"] {
        assert!(parse_count(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_duration_that_was_written_reads_back(millis in 0u64..=u64::MAX / 2) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn a_size_that_was_written_reads_back(bytes: u64) {
        prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,40}") {
        let _ = (parse_duration(&text), parse_size(&text), parse_count(&text));
    }

    #[test]
    fn near_misses_do_not_panic(text in "[0-9._ a-zA-Z-]{0,20}") {
        let _ = (parse_duration(&text), parse_size(&text), parse_count(&text));
    }

    #[test]
    fn parts_add_up(h in 0u64..100, m in 0u64..100, s in 0u64..100) {
        let sum = Duration::from_secs(h * 3600 + m * 60 + s);
        let text = format!("{}h{}m{}s", h, m, s);
        prop_assert_eq!(parse_duration(&text), Ok(sum));
    }

    #[test]
    fn decimals_are_exact(whole in 0u64..1000, thousandths in 0u64..1000) {
        let text = format!("{}.{:03}s", whole, thousandths);
        let expected = Duration::from_millis(whole * 1000 + thousandths);
        prop_assert_eq!(parse_duration(&text), Ok(expected));
    }
}
