//! What is asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::scenario::SCENARIOS;
use crate::support::flags::is_of_the_test_runner;

/// How long faults go on in one scenario, at least; a little more where a kind is still to come.
const SHORT_WINDOW: Duration = Duration::from_secs(20);
const LONG_WINDOW: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Args {
    /// How long to go on; nothing is once over all.
    pub(crate) time: Option<Duration>,
    /// The seed of the first round over the scenarios.
    pub(crate) seed: u64,
    /// How long faults go on in one scenario.
    pub(crate) window: Duration,
    /// Whether diaries stay where all went well, too.
    pub(crate) keep: bool,
    scenario: Option<String>,
}

impl Args {
    /// `None` where this is not wanted.
    pub(crate) fn read() -> Result<Option<Self>, String> {
        let (mut time, mut seed, mut window, mut scenario) = (None, None, None, None);
        let (mut names, mut listed, mut keep) = (Vec::new(), false, false);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut text = || words.next().unwrap_or_default();
            match &*word {
                "--seconds" => time = Some(Duration::from_secs(number(&word, &text())?)),
                "--minutes" => time = Some(Duration::from_secs(60 * number(&word, &text())?)),
                "--seed" => seed = Some(number(&word, &text())?),
                "--window" => window = Some(Duration::from_secs(number(&word, &text())?)),
                "--scenario" => scenario = Some(known(text())?),
                "--keep" => keep = true,
                "--list" => listed = true,
                // What `cargo test` passes to every test binary alike.
                "--test-threads" | "--skip" => drop(text()),
                flag if is_of_the_test_runner(flag) => {}
                flag if flag.starts_with("--") => {
                    return Err(format!("{flag}: there is no such flag"));
                }
                name => names.push(name.to_owned()),
            }
        }
        let own = time.is_some() || seed.is_some() || scenario.is_some();
        let wanted = names.is_empty() || names.iter().any(|name| "chaos".contains(&**name));
        if listed || !wanted || !own && !asked_for_by_all() {
            return Ok(None);
        }
        let usual = if time.is_some() { LONG_WINDOW } else { SHORT_WINDOW };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let (seed, window) = (seed.unwrap_or(now % 1_000_000), window.unwrap_or(usual));
        Ok(Some(Self { time, seed, window, keep, scenario }))
    }

    /// Whether this scenario is among those asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.scenario.as_deref().is_none_or(|wanted| wanted == name)
    }
}

fn number(flag: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{flag} wants a number, not {text:?}"))
}

fn known(name: String) -> Result<String, String> {
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    if names.contains(&&*name) {
        Ok(name)
    } else {
        Err(format!("--scenario wants one of {names:?}"))
    }
}

/// Without a word of its own it runs where all tests run: it takes minutes.
fn asked_for_by_all() -> bool {
    let all = std::env::var("KAFKA_S3_SINK_TESTS").is_ok_and(|tests| tests == "all");
    if !all {
        eprintln!("LEFT OUT chaos: takes minutes (KAFKA_S3_SINK_TESTS=all, or -- --minutes N)");
    }
    all
}
