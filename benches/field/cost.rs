//! What one run of a process cost, and what several of them say together.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::process::{End, Process};
use crate::support::workdir::WorkDir;

/// One run of a whole process, from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds that passed.
    pub(crate) wall: f64,
    /// Seconds of processor time, user and system.
    pub(crate) cpu: f64,
    /// The largest resident size.
    pub(crate) peak_mib: f64,
}

impl Cost {
    pub(crate) fn of(end: &End, wall: Duration) -> Self {
        Self {
            wall: wall.as_secs_f64(),
            cpu: end.cpu.as_secs_f64(),
            peak_mib: end.peak_rss_kib as f64 / 1024.0,
        }
    }

    /// Processor time for a gigabyte (10^9) of record values.
    pub(crate) fn cpu_per_gb(&self, bytes: u64) -> f64 {
        self.cpu / (bytes as f64 / 1e9)
    }
}

/// Runs this program again as one of its hidden commands; what it cost, and what it printed.
pub(crate) fn run_again(command: &str, task: &str, timeout: Duration) -> (Cost, String) {
    let dir = WorkDir::new(command.trim_start_matches('_'));
    let started = Instant::now();
    let mut process = start_again(command, task, &dir);
    let end = process.wait(timeout);
    let wall = started.elapsed();
    let end = end.filter(|end| end.status.success());
    let end = end.unwrap_or_else(|| panic!("{command} {task} failed:\n{}", process.tail()));
    (Cost::of(&end, wall), process.output())
}

/// Starts this program again, and does not wait.
pub(crate) fn start_again(command: &str, task: &str, dir: &WorkDir) -> Process {
    let mut this = Command::new(std::env::current_exe().expect("this program"));
    this.arg(command).arg(task);
    Process::start(command, this, &dir.path().join("output"))
}

/// The smallest of some figures.
pub(crate) fn least(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

/// The largest of some figures.
pub(crate) fn most(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NEG_INFINITY, f64::max)
}

/// The value that so large a share of some figures does not exceed.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = (share * last as f64).round() as usize;
    sorted.get(at.min(last)).copied().unwrap_or(f64::NAN)
}
