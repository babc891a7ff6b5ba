//! What `recover` prints.

use std::io::{self, Write};

use super::super::cluster::TopicView;
use super::super::{terminal, words};
use super::Case;
use crate::pipeline::audit::{TopicHoldings, group_report};
use crate::pipeline::recover::{Position, Recovery};

/// Prints as it goes, and counts.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) refused: usize,
    stands: usize,
}

impl Shown {
    pub(super) fn topic(&mut self, view: &TopicView, holdings: &TopicHoldings, cases: &[Case<'_>]) {
        say(&format!(
            "{}  s3://{}/{}",
            view.name(),
            view.roots.layout().bucket,
            view.roots.table()
        ));
        if holdings.of_other_groups > 0 {
            say(&format!(
                "  {}{} objects were written by another group: kafka.group_id was changed, or two \
                 groups share this prefix. Make sure that no sink of the other group runs",
                word("note", 33),
                words::count(holdings.of_other_groups)
            ));
        }
        if holdings.foreign.count + holdings.contradictory.count > 0 {
            say(&format!(
                "  {}{} objects are not ours or not what their names say; `kafka-s3-sink audit` \
                 names them",
                word("note", 33),
                words::count(holdings.foreign.count + holdings.contradictory.count)
            ));
        }
        if let Some(error) = &view.unknown {
            self.refused += 1;
            say(&format!("  {}Kafka says nothing of it: {error}", word("FAIL", 31)));
        }
        for case in cases {
            self.case(view, case);
        }
    }

    fn case(&mut self, view: &TopicView, case: &Case<'_>) {
        let number = case.at.partition;
        let (word, text) = match &case.recovery {
            Recovery::Stands { at, pinned_to: None } => {
                self.stands += 1;
                (word("ok", 32), format!("stands at {at}"))
            }
            Recovery::Stands { at, pinned_to: Some(end) } => {
                self.stands += 1;
                (word("ok", 32), format!("stands at {at}, with a batch pinned to {end}"))
            }
            Recovery::Begins(how) => {
                self.stands += 1;
                (word("ok", 32), format!("a run begins by itself: {how}"))
            }
            Recovery::Commit(position) => (word("move", 33), moved(&held(view, number), position)),
            Recovery::Refused(why) => {
                self.refused += 1;
                (word("FAIL", 31), why.clone())
            }
        };
        say(&format!("  {word}[{number}] {text}"));
        if let Recovery::Commit(position) = &case.recovery {
            for note in &position.notes {
                say(&format!("        [{number}] {note}"));
            }
        }
    }

    pub(super) fn sum(&self, moved: usize, applied: bool, group: &str) {
        let mut parts = Vec::new();
        let many = |count: usize| words::many(count, "Kafka partition");
        if self.stands > 0 {
            parts.push(format!("{} as it must be", many(self.stands)));
        }
        match (moved, applied) {
            (0, _) => {}
            (moved, true) => {
                parts.push(format!(
                    "{} moved: a run of the group {group} goes on there",
                    many(moved)
                ));
            }
            (moved, false) => parts.push(format!(
                "{} to be moved: stop every sink of the group {group} and add --apply",
                many(moved)
            )),
        }
        if self.refused > 0 {
            parts.push(format!("{} without a position", words::count(self.refused as u64)));
        }
        say(&parts.join("; "));
    }
}

/// What the group holds, in a few words.
fn held(view: &TopicView, number: i32) -> String {
    let report = group_report(view.held(number).as_ref());
    match (report.committed, report.state) {
        (Some(at), "foreign") => format!("{at} (set by somebody else)"),
        (Some(at), state) => format!("{at} ({state})"),
        (None, _) => "none".to_owned(),
    }
}

fn moved(held: &str, position: &Position) -> String {
    let pinned = position.pin.as_ref().map(|pin| format!(", pinned to {}", pin.end));
    let pinned = pinned.unwrap_or_default();
    format!("{held} -> {}{pinned}: {}", position.offset, position.why)
}

fn word(word: &str, colour: u8) -> String {
    match terminal::wants_colour() {
        true => format!("\x1b[{colour}m{word:<6}\x1b[0m"),
        false => format!("{word:<6}"),
    }
}

fn say(text: &str) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(io::stdout(), "{text}");
}
