//! Thousands of hostile worlds around the real pipeline, lane drivers, fence and rounds of
//! commits: nothing may be lost or doubled, and the end must be reached.
//!
//! ```text
//! cargo test --test world -- [--seeds N] [--first N]    so many worlds of each kind
//! cargo test --test world -- --seed N --fences both|group|store [--steps N] [--trace]    one again
//! cargo test --features defects --test world -- --defects [NAME]    the world finds what is put in
//! ```

#![allow(clippy::disallowed_methods, reason = "says how long a run took")]

mod coverage;
mod dice;
#[path = "../support/flags.rs"]
mod flags;
mod group;
mod happenings;
mod members;
mod oracle;
mod ports;
mod process;
mod processes;
mod regressions;
mod removal;
mod requests;
mod spool;
mod tampering;
mod topic;
mod trace;
mod world;

use flags::is_of_the_test_runner;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use coverage::Coverage;
use world::{Fences, World};

/// Worlds of each kind, unless told otherwise.
const SEEDS: u64 = 3_400;
const KINDS: [(&str, Fences); 3] =
    [("both", Fences::Both), ("group", Fences::Group), ("store", Fences::Store)];
/// Worlds in which a claim is removed.
const REMOVALS: u64 = 200;
/// No world has a longer hostile time.
const MOST_STEPS: u64 = 500;
/// Failures that are shown.
const SHOWN: usize = 5;

#[derive(Default)]
struct Args {
    seeds: Option<u64>,
    first: u64,
    seed: Option<u64>,
    fences: Option<Fences>,
    steps: Option<u64>,
    trace: bool,
    defects: bool,
    /// Names of tests that were asked for, as of any other test binary.
    names: Vec<String>,
}

fn args() -> Result<Args, String> {
    let mut args = Args::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().unwrap_or_default();
            text.parse::<u64>().map_err(|_| format!("{word} wants a number, not {text:?}"))
        };
        match &*word {
            "--seeds" => args.seeds = Some(number()?),
            "--first" => args.first = number()?,
            "--seed" => args.seed = Some(number()?),
            "--fences" => {
                let name = words.next().unwrap_or_default();
                let kind = KINDS.iter().find(|(known, _)| *known == name);
                args.fences = Some(kind.ok_or("--fences wants both, group or store")?.1);
            }
            "--steps" => args.steps = Some(number()?),
            "--trace" => args.trace = true,
            "--defects" => args.defects = true,
            // What `cargo test` passes to every test binary alike.
            "--test-threads" | "--skip" => drop(words.next()),
            flag if is_of_the_test_runner(flag) => {}
            flag if flag.starts_with("--") => return Err(format!("{flag}: there is no such flag")),
            name => args.names.push(name.to_owned()),
        }
    }
    Ok(args)
}

/// Runs one world; a panic is as bad as any other break.
fn run(seed: u64, fences: Fences, trace: bool) -> (Result<(), String>, Coverage, u64) {
    run_for(seed, fences, u64::MAX, trace)
}

/// The same, with a hostile time of so many steps at most.
fn run_for(
    seed: u64,
    fences: Fences,
    steps: u64,
    trace: bool,
) -> (Result<(), String>, Coverage, u64) {
    let mut world = World::new(seed, fences, trace);
    world.steps_at_most = steps;
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let verdict = lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text
            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
            .unwrap_or_default())
    });
    for line in world.trace.lines() {
        println!("{line}");
    }
    (verdict, world.coverage.clone(), world.trace.hash())
}

/// The least number of hostile steps after which a world still fails: its shortest failing prefix.
fn shortest(seed: u64, fences: Fences) -> u64 {
    let fails = |steps: &u64| run_for(seed, fences, *steps, false).0.is_err();
    (0..MOST_STEPS).find(fails).unwrap_or(MOST_STEPS)
}

fn one(seed: u64, fences: Fences, steps: u64, trace: bool) -> ExitCode {
    let (verdict, ..) = run_for(seed, fences, steps, trace);
    match verdict {
        Ok(()) => {
            println!("world {seed} with {fences:?}: nothing lost, nothing doubled, all landed");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("world {seed} with {fences:?}: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all worlds on all cores; what failed, and what happened.
fn all(first: u64, seeds: u64) -> (Vec<(u64, &'static str, String)>, Coverage) {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let seen = Mutex::new(Coverage::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        let mut own = Coverage::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds * KINDS.len() as u64 {
                break;
            }
            let (name, fences) = KINDS[(number % KINDS.len() as u64) as usize];
            let seed = first + number / KINDS.len() as u64;
            let (verdict, coverage, _) = run(seed, fences, false);
            own.add(&coverage);
            if let Err(wrong) = verdict {
                failed.lock().unwrap().push((seed, name, wrong));
            }
        }
        seen.lock().unwrap().add(&own);
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    (failed, seen.into_inner().unwrap())
}

/// The same seed gives the same trace, byte for byte.
fn replays_alike() -> bool {
    (0..20).all(|seed| {
        KINDS.iter().all(|(_, fences)| run(seed, *fences, false).2 == run(seed, *fences, false).2)
    })
}

/// The least number of a world in which a batch is adopted by an object that is not its claim.
fn adopts_by_another() -> Option<(u64, String)> {
    (0..REMOVALS).find_map(|seed| {
        let run = std::panic::catch_unwind(|| removal::run(seed));
        let verdict = run.unwrap_or_else(|_| Err("a panic".to_owned()));
        Some((seed, verdict.err()?))
    })
}

/// Without any fence the world must find what the fences prevent.
fn can_fail() -> bool {
    let broken = |wrong: String| wrong.contains("stands twice") || wrong.contains("stands nowhere");
    (0..SEEDS).any(|seed| run(seed, Fences::None, false).0.is_err_and(broken))
}

/// Each defect must be found, in worlds that have one fence only.
#[cfg(feature = "defects")]
fn find_defects(names: &[String]) -> ExitCode {
    use kafka_s3_sink::record::Defect;

    std::panic::set_hook(Box::new(|_| {}));
    let wanted = |defect: &&Defect| {
        names.is_empty() || names.iter().any(|name| *name == format!("{defect:?}"))
    };
    let all: Vec<_> = Defect::ALL.iter().filter(wanted).collect();
    let next = AtomicU64::new(0);
    let broken = AtomicU64::new(0);
    let look = || {
        while let Some(defect) = all.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            Defect::put_in(Some(**defect));
            let removed =
                || adopts_by_another().map(|(seed, wrong)| (seed, "a removed claim", wrong));
            let found = removed().filter(|_| **defect == Defect::AdoptFromAny);
            let found = found.or_else(|| {
                (0..SEEDS).find_map(|seed| {
                    KINDS.iter().rev().find_map(|(name, fences)| {
                        let wrong = run(seed, *fences, false).0.err()?;
                        Some((seed, *name, wrong))
                    })
                })
            });
            Defect::put_in(None);
            match found {
                Some((seed, fences, wrong)) => {
                    let line = wrong.lines().next().unwrap_or_default();
                    println!("{defect:?}: found by world {seed} with {fences}: {line:.120}");
                }
                None => {
                    broken.fetch_add(1, Ordering::Relaxed);
                    println!("{defect:?}: FAILED: not found in {} worlds", SEEDS * 3);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(look))));
    let broken = broken.into_inner();
    println!("{} passed, {broken} failed", all.len() as u64 - broken);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "defects"))]
fn find_defects(_: &[String]) -> ExitCode {
    eprintln!("this build has no defects to put in: cargo test --features defects --test world");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = args.seed {
        let steps = args.steps.unwrap_or(u64::MAX);
        return one(seed, args.fences.unwrap_or(Fences::Both), steps, args.trace);
    }
    if args.defects {
        return find_defects(&args.names);
    }
    let wanted = args.names.is_empty() || args.names.iter().any(|name| "world".contains(&**name));
    if !wanted {
        println!("0 passed, 0 failed");
        return ExitCode::SUCCESS;
    }
    // A panic is told with its world, below.
    std::panic::set_hook(Box::new(|_| {}));
    let (seeds, start) = (args.seeds.unwrap_or(SEEDS), Instant::now());
    let kept = regressions::kept();
    let again = kept.iter().filter_map(|(seed, name, fences)| {
        let wrong = run(*seed, *fences, false).0.err()?;
        Some((*seed, *name, wrong))
    });
    let mut failed: Vec<_> = again.collect();
    let (others, seen) = all(args.first, seeds);
    failed.extend(others);
    failed.dedup();
    seen.lines().for_each(|line| println!("{line}"));
    for (seed, name, wrong) in failed.iter().take(SHOWN) {
        let fences = KINDS.iter().find(|(kind, _)| kind == name).expect("a kind").1;
        let steps = shortest(*seed, fences);
        println!(
            "FAILED: {wrong}\n  again: cargo test --test world -- --seed {seed} --fences {name} \
             --steps {steps} --trace"
        );
    }
    regressions::keep(&failed);
    let worlds = seeds * KINDS.len() as u64 + kept.len() as u64;
    let mut broken = failed.len() as u64;
    let mut check = |what: &str, holds: bool| {
        println!("{what}: {}", if holds { "ok" } else { "FAILED" });
        broken += u64::from(!holds);
    };
    let missing = seen.missing();
    // Few worlds cannot show everything.
    check(&format!("never happened: {missing:?}"), missing.is_empty() || seeds < SEEDS);
    check("the same seed gives the same trace", replays_alike());
    let removed = adopts_by_another();
    if let Some((seed, wrong)) = &removed {
        println!("world {seed} with a removed claim: {wrong}");
    }
    check("no batch is adopted by an object that is not its claim", removed.is_none());
    check("without fences the world finds a loss or a double", can_fail());
    println!("{worlds} worlds in {:.0} s", start.elapsed().as_secs_f64());
    println!("{} passed, {broken} failed", worlds + 4 - broken);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
