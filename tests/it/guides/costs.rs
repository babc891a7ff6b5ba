//! What the guide says that things cost adds up.

use super::desk::text;

/// The value of `(16 + 50) x 0.08` and its like, from left to right; `x` and `/` bind more tightly.
struct Sum<'t>(std::iter::Peekable<std::slice::Iter<'t, String>>);

impl Sum<'_> {
    fn of(text: &str) -> f64 {
        let token = regex::Regex::new(r"[\d.,]*\d|[()+x/-]").expect("a pattern");
        let tokens: Vec<_> = token.find_iter(text).map(|it| it.as_str().replace(',', "")).collect();
        let mut sum = Sum(tokens.iter().peekable());
        let value = sum.sum();
        assert_eq!(sum.0.next(), None, "{text}");
        value
    }

    fn next_of(&mut self, operators: [&str; 2]) -> Option<String> {
        self.0.next_if(|token| operators.contains(&token.as_str())).cloned()
    }

    fn sum(&mut self) -> f64 {
        let mut value = self.product();
        while let Some(operator) = self.next_of(["+", "-"]) {
            let other = self.product();
            value += if operator == "+" { other } else { -other };
        }
        value
    }

    fn product(&mut self) -> f64 {
        let mut value = self.number();
        while let Some(operator) = self.next_of(["x", "/"]) {
            let other = self.number();
            value *= if operator == "x" { other } else { other.recip() };
        }
        value
    }

    fn number(&mut self) -> f64 {
        let token = self.0.next().expect("a number");
        if token == "(" {
            let value = self.sum();
            assert_eq!(self.0.next().map(String::as_str), Some(")"));
            return value;
        }
        token.parse().unwrap_or_else(|_| panic!("{token} is no number"))
    }
}

/// As it is written: rounded to its last digit.
#[track_caller]
fn assert_written(formula: &str, value: f64, written: &str) {
    let digits = written.split_once('.').map_or(0, |(_, digits)| digits.len());
    assert_eq!(format!("{value:.digits$}"), written.replace(',', ""), "{formula}");
}

#[test]
fn sums_are_read_as_people_write_them() {
    for (text, value) in [("2 + 3 x 4", 14.0), ("(14 - 10) x 0.5", 2.0), ("1,000 / 1/2", 500.0)] {
        assert!((Sum::of(text) - value).abs() < 1e-9, "{text}");
    }
}

#[test]
fn every_formula_gives_what_it_says() {
    let text = text("aws-from-scratch.md");
    let formula = r"([\d(][\d.,()+x/ -]*[+x/-][\d.,()+x/ -]*[\d)]) = ([\d,.]*\d)";
    let formula = regex::Regex::new(formula).expect("a pattern");
    let found: Vec<_> = formula.captures_iter(&text).collect();
    for found in &found {
        assert_written(&found[1], Sum::of(&found[1]), &found[2]);
    }
    assert!(found.len() >= 8, "{found:?}");
    // The table of instances: an hour, and 730 of them.
    let row = r"(?m)^\| \w+\.\w+.* \| ([\d.]+) USD \| ([\d.]+) USD \|";
    let rows = regex::Regex::new(row).expect("a pattern");
    let rows: Vec<_> = rows.captures_iter(&text).collect();
    for row in &rows {
        assert_written(&row[0], 730.0 * Sum::of(&row[1]), &row[2]);
    }
    assert_eq!(rows.len(), 4);
}
