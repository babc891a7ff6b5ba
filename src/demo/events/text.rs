//! Numbers and times written without `format!`, which would take most of the generator's time.

/// Writes a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a number that may be negative.
pub(super) fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_number(out, number.unsigned_abs());
}

/// Writes a number with leading zeros; `width` is the least number of digits.
pub(super) fn push_padded(out: &mut Vec<u8>, number: u64, width: usize) {
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    for _ in digits..width {
        out.push(b'0');
    }
    push_number(out, number);
}

/// Writes 16 hexadecimal digits.
pub(super) fn push_hex(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend((0..16).rev().map(|place| DIGITS[(number >> (place * 4)) as usize & 15]));
}

/// Writes an amount of cents as `12.34`.
pub(super) fn push_cents(out: &mut Vec<u8>, cents: u64) {
    push_number(out, cents / 100);
    out.push(b'.');
    push_padded(out, cents % 100, 2);
}

/// Writes milliseconds since 1970 as `2026-11-22T16:05:09.123Z`.
pub(super) fn push_iso(out: &mut Vec<u8>, ms: i64) {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) as u64);
    let (year, month, day) = civil(days);
    // Beyond four digits ISO 8601 wants a sign and six.
    let width = if (0..=9_999).contains(&year) {
        4
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        6
    };
    push_padded(out, year.unsigned_abs(), width);
    for (before, number) in [(b'-', month), (b'-', day), (b'T', of_day / 3_600_000)] {
        out.push(before);
        push_padded(out, number, 2);
    }
    for number in [of_day / 60_000 % 60, of_day / 1_000 % 60] {
        out.push(b':');
        push_padded(out, number, 2);
    }
    out.push(b'.');
    push_padded(out, of_day % 1_000, 3);
    out.push(b'Z');
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar, by counting
/// from the first of March of year 0, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

/// The id of a user, which is also the record's key.
pub(super) fn user_id(user: u64) -> Vec<u8> {
    let mut id = b"user-".to_vec();
    push_padded(&mut id, user, 6);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_a_calendar_reads_them() {
        let days = (-800_000..2_900_000).step_by(997).map(|day| day * 86_400_000 + 12_345_678);
        for ms in days.chain([0, -1, 951_782_399_999, 951_782_400_000, 4_102_444_800_000]) {
            let mut text = Vec::new();
            push_iso(&mut text, ms);
            let text = String::from_utf8(text).unwrap();
            let time: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(time.as_millisecond(), ms, "{text}");
            assert_eq!(text, format!("{time:.3}"));
        }
    }

    #[test]
    fn numbers_read_as_numbers() {
        for number in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            text.push(b' ');
            push_padded(&mut text, number, 6);
            text.push(b' ');
            push_hex(&mut text, number);
            text.push(b' ');
            push_signed(&mut text, -((number >> 1) as i64));
            let wanted = format!("{number} {number:06} {number:016x} {}", -((number >> 1) as i64));
            assert_eq!(String::from_utf8(text).unwrap(), wanted);
        }
    }
}
