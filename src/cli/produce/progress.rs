//! What people see: a line that moves on a terminal, a line now and then in a log, a summary.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use super::{ProduceArgs, Tally};
use crate::kafka::produce::SampleProducer;

const ON_TERMINAL: Duration = Duration::from_millis(250);
const IN_LOG: Duration = Duration::from_secs(5);

/// The line on standard error.
pub(super) struct Progress {
    wanted: u64,
    on_terminal: bool,
    begun: Instant,
    shown: Instant,
    any: bool,
}

impl Progress {
    pub(super) fn new(wanted: u64, now: Instant) -> Self {
        let on_terminal = stderr().is_terminal();
        Self { wanted, on_terminal, begun: now, shown: now, any: false }
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show(&mut self, producer: &SampleProducer, tally: &Tally, now: Instant) {
        let every = if self.on_terminal { ON_TERMINAL } else { IN_LOG };
        if now.saturating_duration_since(self.shown) < every {
            return;
        }
        (self.shown, self.any) = (now, true);
        let seen = Tally { delivered: producer.delivered(), failed: producer.failed(), ..*tally };
        let line = line(&seen, self.wanted, now - self.begun);
        // Nobody may be listening; that is no reason to stop.
        let _ = if self.on_terminal {
            write!(stderr(), "\r\x1b[K{line}")
        } else {
            writeln!(stderr(), "{line}")
        };
    }

    /// Leaves the terminal with a fresh line.
    pub(super) fn end(&self) {
        if self.on_terminal && self.any {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

pub(super) fn line(tally: &Tally, wanted: u64, passed: Duration) -> String {
    let of = if wanted == 0 { String::new() } else { format!(" of {}", grouped(wanted)) };
    let failed = if tally.failed == 0 {
        String::new()
    } else {
        format!(", {} not delivered", grouped(tally.failed))
    };
    let rate = rate(tally.delivered, passed);
    format!("{}{of} records delivered, {rate}/s{failed}", grouped(tally.delivered))
}

pub(super) fn summary(args: &ProduceArgs, tally: &Tally, passed: Duration) -> String {
    let mut text = format!(
        "{} records ({:.1} MB of values) delivered to {} in {:.1} s, {}/s",
        grouped(tally.delivered),
        tally.value_bytes as f64 / 1e6,
        args.topic,
        passed.as_secs_f64(),
        rate(tally.delivered, passed),
    );
    for (count, what) in [
        (tally.failed, "not delivered"),
        (tally.tombstones, "of those sent are tombstones"),
        (tally.invalid, "of those sent are no JSON objects"),
    ] {
        if count > 0 {
            text += &format!("\n  {} {what}", grouped(count));
        }
    }
    if tally.sent > 0 {
        let last = args.first_sequence + tally.sent - 1;
        text += &format!("\n  sequence numbers {} to {last}", args.first_sequence);
    }
    text
}

fn rate(count: u64, passed: Duration) -> String {
    grouped((count as f64 / passed.as_secs_f64().max(0.001)) as u64)
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
