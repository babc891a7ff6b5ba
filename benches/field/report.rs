//! Figures with their goals: as a table for people, as JSON for programs.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::cost::{least, most, quantile};

/// One figure, measured one or several times.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) row: String,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// What the goal is compared with.
    pub(crate) value: f64,
    pub(crate) samples: Vec<f64>,
    /// The most that is allowed, where there is a goal.
    pub(crate) goal: Option<f64>,
    pub(crate) note: String,
}

impl Figure {
    /// The smallest of several counts.
    pub(crate) fn best(name: &str, unit: &'static str, samples: Vec<f64>) -> Self {
        Self::of(name, unit, least(samples.iter().copied()), samples)
    }

    /// The largest of several counts.
    pub(crate) fn worst(name: &str, unit: &'static str, samples: Vec<f64>) -> Self {
        Self::of(name, unit, most(samples.iter().copied()), samples)
    }

    /// A value that is told apart from what was measured.
    pub(crate) fn of(name: &str, unit: &'static str, value: f64, samples: Vec<f64>) -> Self {
        let (row, name, note) = (String::new(), name.to_owned(), String::new());
        Self { row, name, unit, value, samples, goal: None, note }
    }

    /// One that was measured once.
    pub(crate) fn once(name: &str, unit: &'static str, value: f64) -> Self {
        Self::of(name, unit, value, vec![value])
    }

    /// One that could not be measured, and why.
    pub(crate) fn missing(name: &str, why: &str) -> Self {
        Self::of(name, "", f64::NAN, Vec::new()).note(why)
    }

    /// At most this much is wanted.
    pub(crate) fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// What a reader must know of it.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the goal is met, where there is one.
    pub(crate) fn met(&self) -> Option<bool> {
        self.goal.map(|goal| self.value <= goal)
    }

    fn line(&self) -> String {
        let spread = match self.samples.len() {
            0 | 1 => String::new(),
            _ => format!(
                "{} ({} to {})",
                short(quantile(&self.samples, 0.5)),
                short(least(self.samples.iter().copied())),
                short(most(self.samples.iter().copied()))
            ),
        };
        let goal = self.goal.map(|goal| format!("<= {}", short(goal))).unwrap_or_default();
        let met = self.met().map_or("", |met| if met { "yes" } else { "NO" });
        let value = format!("{} {}", short(self.value), self.unit);
        let Self { row, name, note, .. } = self;
        format!("| {row} | {name} | {} | {spread} | {goal} | {met} | {note} |", value.trim())
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size.is_nan() => "-".to_owned(),
        size if size >= 100_000.0 => format!("{:.0} k", value / 1000.0),
        size if size >= 10_000.0 => format!("{:.1} k", value / 1000.0),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const HEAD: &str =
    "| row | figure | value | median (from to) | goal | met | |\n|---|---|---|---|---|---|---|";

/// Prints a table as Markdown has them.
pub(crate) fn print(figures: &[Figure]) {
    println!("{}\n", machine().line());
    println!("{HEAD}");
    figures.iter().for_each(|figure| println!("{}", figure.line()));
}

#[derive(Serialize)]
struct Machine {
    date: String,
    cpus: usize,
    memory_gib: u64,
    version: String,
}

impl Machine {
    fn line(&self) -> String {
        let Self { date, cpus, memory_gib, version } = self;
        format!("{date}, {cpus} vCPUs, {memory_gib} GiB; {version}")
    }
}

fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let version = Command::new(env!("CARGO_BIN_EXE_kafka-s3-sink")).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    Machine {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        cpus: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: kib.unwrap_or(0).div_ceil(1 << 20),
        version: version.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Writes everything for programs.
pub(crate) fn write(path: &Path, figures: &[Figure]) {
    #[derive(Serialize)]
    struct One<'a> {
        #[serde(flatten)]
        figure: &'a Figure,
        median: f64,
        met: Option<bool>,
    }
    let figures = figures.iter().map(|figure| One {
        figure,
        median: quantile(&figure.samples, 0.5),
        met: figure.met(),
    });
    let figures: Vec<_> = figures.collect();
    let all = serde_json::json!({ "machine": machine(), "figures": figures });
    let text = serde_json::to_string_pretty(&all).expect("JSON");
    std::fs::write(path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
