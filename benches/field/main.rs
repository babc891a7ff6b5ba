//! Bare consumption, the sink, and other sinks beside it, on real servers, each measured as a whole
//! process: a command, not a test. docs/benchmarks.md says how each figure is measured.
//!
//! ```text
//! cargo bench --bench field                          every row, about 20 minutes on two cores
//! cargo bench --bench field -- --quick               the same on less, 2 to 3 minutes
//! cargo bench --bench field -- --list                the rows
//! cargo bench --bench field -- --rows gzip,idle      some of them
//!     --json FILE                                    what was measured, for programs
//!     --other NAME='COMMAND'                         another sink on the topic of the headline
//! ```
//!
//! `stage` starts the servers and fills topics, `rows` says what is measured and what the goals
//! are, `bare`, `ours` and `others` run what is measured, `landed` counts what it put, `report`
//! shows it. `bare` and `fill` are processes of their own: this program, started again.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::disallowed_methods, reason = "it measures real servers on the wall clock")]

#[path = "../../tests/support/mod.rs"]
mod support;

mod args;
mod bare;
mod cost;
mod fill;
mod landed;
mod others;
mod ours;
mod report;
mod rows;
mod stage;

use std::process::ExitCode;

/// The sink's own, for the baseline is measured in this program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As in the sink's `main`.
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 60] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(bare::COMMAND) => bare::run(&words[1]),
        Some(fill::COMMAND) => fill::run(&words[1]),
        _ => return rows::run(&args::read()),
    }
    ExitCode::SUCCESS
}
