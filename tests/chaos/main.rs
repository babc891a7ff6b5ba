//! Chaos on real servers, seeded: sinks, brokers, the store and the network between them fail in
//! every way at once while producers go on; then all must land, and every record is counted.
//!
//! ```text
//! cargo test --test chaos                                  each scenario once, about 6 minutes
//! cargo test --test chaos -- --minutes 120                 again and again, each time anew
//! cargo test --test chaos -- --scenario NAME --seed N      one of them again
//!     --window SECONDS   faults go on for so long in each, at least (20, in a long run 60)
//!     --keep             diaries stay where all went well, too
//! ```
//!
//! Without a word of its own it runs only where `KAFKA_S3_SINK_TESTS=all` says that all tests are
//! wanted, as `tests/run.sh` does.
//!
//! The seed decides what is done, in which order and after which pauses; the servers' own timing
//! is theirs.

#![allow(clippy::disallowed_methods, reason = "tests with real servers run on the wall clock")]

#[path = "../support/mod.rs"]
mod support;

mod args;
mod cluster;
mod depot;
mod diary;
#[path = "../world/dice.rs"]
mod dice;
mod faults;
mod oracle;
mod producers;
mod proxy;
mod scenario;
mod servers;
mod sinks;
mod stage;
mod story;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use args::Args;
use cluster::Cluster;
use scenario::Scenario;
use table::Table;

/// Each fault has occurred so often, by the minute, in a long run: twenty times in two hours.
const TIMES_A_MINUTE: f64 = 20.0 / 120.0;

/// Runs scenarios, and keeps a cluster as long as they want the same.
struct Run {
    args: Args,
    cluster: Option<Cluster>,
    table: Table,
    failed: Vec<String>,
}

impl Run {
    fn tell(&mut self, scenario: &'static Scenario, seed: u64) {
        let began = Instant::now();
        if self.cluster.as_ref().is_none_or(|cluster| cluster.kind() != scenario.kafka) {
            // The old one goes first: there is no room for both.
            self.cluster = None;
            self.cluster = Some(Cluster::start(scenario.kafka));
        }
        let cluster = self.cluster.as_ref().expect("it was started");
        let told = story::run(scenario, seed, &self.args, cluster);
        self.table.add(scenario, &told);
        let (count, faults) =
            (&told.count, told.faults.values().sum::<u64>() - told.count.compacted);
        let name = scenario.name;
        println!(
            "chaos {name} seed {seed}: {} records in {} objects after {faults} faults, drained in \
             {:.0} s, {:.0} s in all: {}",
            count.records,
            count.objects,
            told.drained.as_secs_f64(),
            began.elapsed().as_secs_f64(),
            if told.wrong.is_some() { "FAILED" } else { "ok" },
        );
        if let Some(wrong) = told.wrong {
            // Whatever state it is in, the next one shall not suffer from it.
            self.cluster = None;
            let window = self.args.window.as_secs();
            self.failed.push(format!(
                "{wrong}\n  again: cargo test --test chaos -- --scenario {name} --seed {seed} \
                 --window {window}"
            ));
            println!("FAILED: {}", self.failed.last().expect("just added"));
        }
    }

    /// Cycles over the scenarios until the time is over; once, if there is none.
    fn all(&mut self) -> u64 {
        let (began, mut told) = (Instant::now(), 0);
        let over = |args: &Args| args.time.is_none_or(|time| began.elapsed() >= time);
        let scenarios: Vec<_> =
            scenario::SCENARIOS.iter().filter(|each| self.args.wants(each.name)).collect();
        loop {
            for scenario in &scenarios {
                // In a short version all are told; in a long one time decides.
                if told >= scenarios.len() as u64 && over(&self.args) {
                    return told;
                }
                self.tell(scenario, self.args.seed + told / scenarios.len() as u64);
                told += 1;
            }
            self.table.print();
            if over(&self.args) {
                return told;
            }
        }
    }

    /// How often each kind of fault must have occurred.
    fn least(&self) -> u64 {
        let minutes = self.args.time.unwrap_or(Duration::ZERO).as_secs_f64() / 60.0;
        ((minutes * TIMES_A_MINUTE) as u64).max(1)
    }
}

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(Some(args)) => args,
        Ok(None) => return closing(0, 0, 0, Duration::ZERO),
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    if !support::tools::servers_are_here() {
        return closing(0, 0, 1, Duration::ZERO);
    }
    let began = Instant::now();
    println!("chaos: first seed {}", args.seed);
    // A panic is told with its scenario.
    std::panic::set_hook(Box::new(|_| {}));
    let mut run = Run { args, cluster: None, table: Table::default(), failed: Vec::new() };
    let told = run.all();
    let least = run.least();
    let shortfall = run.table.shortfall(least);
    run.table.print();
    let enough = shortfall.is_empty();
    println!("each kind of fault at least {least} times: {}", if enough { "ok" } else { "FAILED" });
    shortfall.iter().for_each(|line| println!("  {line}"));
    run.failed.iter().for_each(|failed| println!("FAILED: {failed}"));
    let failed = run.failed.len() as u64 + u64::from(!enough);
    closing(told + 1 - failed, failed, 0, began.elapsed())
}

/// The last line, as of any other test binary.
fn closing(passed: u64, failed: u64, ignored: u64, time: Duration) -> ExitCode {
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         0 filtered out; finished in {:.2}s",
        time.as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
