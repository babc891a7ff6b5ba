//! The lines that `check` prints, and the exit code that they add up to.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use super::super::{UNREACHABLE, WRONG_CONFIGURATION, terminal};

/// Where the texts begin: behind the verdict and the longest name of what was tried.
const INDENT: usize = 6 + 18;

/// How one thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Warn,
    /// Something must be mended.
    Mend,
    /// A server gave no answer.
    Unreachable,
    /// Not tried.
    Skip,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Mend | Self::Unreachable => "FAIL",
            Self::Skip => "skip",
        }
    }

    /// The number of the terminal's colour.
    const fn colour(self) -> u8 {
        match self {
            Self::Ok => 32,
            Self::Warn => 33,
            Self::Mend | Self::Unreachable => 31,
            Self::Skip => 90,
        }
    }
}

/// Prints as it goes, and counts.
pub(super) struct Report {
    colour: bool,
    verdicts: Vec<Verdict>,
}

impl Report {
    pub(super) fn to_stdout() -> Self {
        Self { colour: terminal::wants_colour(), verdicts: Vec::new() }
    }

    pub(super) fn say(&mut self, verdict: Verdict, what: &str, text: impl Display) {
        // Whoever closed the pipe has read enough.
        let _ = writeln!(io::stdout(), "{}", line(verdict, what, &text.to_string(), self.colour));
        self.verdicts.push(verdict);
    }

    pub(super) fn ok(&mut self, what: &str, text: impl Display) {
        self.say(Verdict::Ok, what, text);
    }

    pub(super) fn warn(&mut self, what: &str, text: impl Display) {
        self.say(Verdict::Warn, what, text);
    }

    pub(super) fn mend(&mut self, what: &str, text: impl Display) {
        self.say(Verdict::Mend, what, text);
    }

    pub(super) fn skip(&mut self, what: &str, text: impl Display) {
        self.say(Verdict::Skip, what, text);
    }

    /// Prints the sum; `well` is what may be said where nothing failed.
    pub(super) fn finish(self, well: &str) -> ExitCode {
        let _ = writeln!(io::stdout(), "{}", sum(&self.verdicts, well));
        ExitCode::from(code(&self.verdicts))
    }
}

fn line(verdict: Verdict, what: &str, text: &str, colour: bool) -> String {
    let word = format!("{:<6}", verdict.word());
    let word = match colour {
        true => format!("\x1b[{}m{word}\x1b[0m", verdict.colour()),
        false => word,
    };
    // The texts of servers may have line breaks of their own.
    let text = text.trim_end().replace('\n', &format!("\n{:INDENT$}", ""));
    format!("{word}{what:<18}{text}")
}

fn sum(verdicts: &[Verdict], well: &str) -> String {
    let count = |wanted: &[Verdict]| verdicts.iter().filter(|each| wanted.contains(each)).count();
    let failed = count(&[Verdict::Mend, Verdict::Unreachable]);
    let warned = match count(&[Verdict::Warn]) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    match (failed, count(&[Verdict::Skip])) {
        (0, _) => format!("{well}{warned}"),
        (_, 0) => format!("not ready to run: {failed} failed{warned}"),
        (_, skipped) => format!("not ready to run: {failed} failed, {skipped} not tried{warned}"),
    }
}

/// What a person must mend outweighs a server that may just be late.
fn code(verdicts: &[Verdict]) -> u8 {
    if verdicts.contains(&Verdict::Mend) {
        WRONG_CONFIGURATION
    } else if verdicts.contains(&Verdict::Unreachable) {
        UNREACHABLE
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_coloured_only_where_wanted() {
        assert_eq!(line(Verdict::Ok, "put", "fine", false), "ok    put               fine");
        let failed = line(Verdict::Mend, "conditional put", "one\ntwo\n", false);
        assert_eq!(failed, "FAIL  conditional put   one\n                        two");
        let red = line(Verdict::Unreachable, "brokers", "x", true);
        assert_eq!(red, "\u{1b}[31mFAIL  \u{1b}[0mbrokers           x");
    }

    #[test]
    fn what_must_be_mended_outweighs_what_is_out_of_reach() {
        use Verdict::{Mend, Ok, Skip, Unreachable, Warn};
        for (verdicts, wanted) in [
            (&[Ok, Warn][..], 0),
            (&[Ok, Unreachable, Skip], 5),
            (&[Unreachable, Mend], 2),
            (&[Mend, Unreachable], 2),
        ] {
            assert_eq!(code(verdicts), wanted, "{verdicts:?}");
        }
    }

    #[test]
    fn the_sum_counts() {
        use Verdict::{Mend, Ok, Skip, Unreachable, Warn};
        assert_eq!(sum(&[Ok, Ok], "ready"), "ready");
        assert_eq!(sum(&[Ok, Warn], "ready"), "ready, 1 warning");
        assert_eq!(
            sum(&[Mend, Unreachable, Skip, Warn, Warn], "ready"),
            "not ready to run: 2 failed, 1 not tried, 2 warnings"
        );
    }
}
