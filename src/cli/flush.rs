//! `kafka-s3-sink flush`: makes a running daemon land what it holds now.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::healthcheck::not_asked;
use super::words::many;
use super::{ConfigArgs, DEADLINE_PASSED, OPEN, WRONG_CONFIGURATION, failed};
use crate::config::parse_duration;
use crate::telemetry::http::{Answer, Daemon, FlushAnswer, Position, ToLand};

/// How often the daemon is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const HELP: &str = "\
It asks the daemon that listens as http.listen says, with the token of http.token_file, which it
wants: without one nobody may. What was read when the daemon heard of it lands; what Kafka holds
beyond that does as ever. Each instance lands its own: ask all of them.

Exit codes:
  0  asked; with --wait, all of it is in S3 and committed
  1  the daemon refused; its answer is printed
  2  the configuration, or the token, must be mended
  3  --wait: not all of it landed in that time; the daemon goes on
  5  no daemon answers
  7  this instance holds no Kafka partition of the topic, or none at all, or does not know yet where
     one begins; --wait: some stopped, or were given away";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct FlushArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this topic
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Wait until it has landed, at most this long
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "5m", value_parser = parse_duration)]
    wait: Option<Duration>,
}

/// What became of what was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Landed,
    Waits,
    /// Why it does not land here.
    Gone(String),
}

pub(super) fn flush(args: &FlushArgs) -> ExitCode {
    if let Some(topic) = args.topic.as_deref().filter(|topic| !is_name(topic)) {
        eprintln!("error: --topic {topic:?} is no topic's name: letters, digits, `.`, `_` and `-`");
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let daemon = match Daemon::of(&settings.http) {
        Ok(daemon) => daemon,
        Err(error) => return not_asked(error),
    };
    let flushed = runtime.block_on(async {
        let deadline = Instant::now() + args.wait.unwrap_or_default();
        let unlanded = ask(&daemon, args.topic.as_deref(), deadline).await?;
        match args.wait {
            Some(_) => wait(&daemon, unlanded, deadline).await,
            None => {
                println!("{} to land what they hold", many(unlanded.len(), "Kafka partition"));
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    flushed.unwrap_or_else(|code| code)
}

/// What Kafka takes for a name, so that it stands in a path as it is.
fn is_name(topic: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&topic.len()) && ![".", ".."].contains(&topic) && topic.bytes().all(plain)
}

/// Asks for the flush, and again while it is not known where some Kafka partition begins: what was
/// pinned there by another lands first, and nobody can say yet up to where.
async fn ask(
    daemon: &Daemon,
    topic: Option<&str>,
    deadline: Instant,
) -> Result<Vec<ToLand>, ExitCode> {
    let path = topic.map_or("/flush".to_owned(), |topic| format!("/flush/{topic}"));
    let ask = async || told::<FlushAnswer>(&daemon.post(&path).await.map_err(not_asked)?);
    // Whoever is refused hears of that first.
    ask().await?;
    loop {
        // Looked at before it is asked again: what begins after the look is asked for too.
        let mut held = positions(daemon).await?;
        let FlushAnswer { unlanded } = ask().await?;
        held.retain(|(of, _), _| topic.is_none_or(|topic| topic == of));
        if held.is_empty() {
            let what = topic.map_or("no Kafka partition".to_owned(), |topic| {
                format!("no Kafka partition of a topic {topic:?}")
            });
            eprintln!("this instance holds {what}, so there is nothing here that could land");
            return Err(ExitCode::from(OPEN));
        }
        let begun = |each: &Position| each.position.is_some() || each.stop_reason.is_some();
        if held.values().all(begun) {
            return Ok(unlanded);
        }
        if Instant::now() >= deadline {
            eprintln!("of some Kafka partitions it is not known yet where they begin; ask again");
            return Err(ExitCode::from(OPEN));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What was answered, or the code of a refusal.
fn told<T: DeserializeOwned>(answer: &Answer) -> Result<T, ExitCode> {
    if !answer.is_good() {
        eprint!("error: the daemon refused ({}): {}", answer.code, answer.body);
        return Err(match answer.code {
            401 | 403 => ExitCode::from(WRONG_CONFIGURATION),
            _ => ExitCode::FAILURE,
        });
    }
    let read = serde_json::from_str(&answer.body).context("the daemon's answer");
    read.map_err(|error| failed(&error))
}

async fn wait(
    daemon: &Daemon,
    mut unlanded: Vec<ToLand>,
    deadline: Instant,
) -> Result<ExitCode, ExitCode> {
    let (all, mut gone) = (unlanded.len(), 0);
    while !unlanded.is_empty() {
        if Instant::now() >= deadline {
            for each in &unlanded {
                eprintln!(
                    "{}-{}: not landed up to offset {}",
                    each.topic, each.partition, each.end
                );
            }
            return Err(ExitCode::from(DEADLINE_PASSED));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let positions = positions(daemon).await?;
        unlanded.retain(|each| match fate(each, &positions) {
            Fate::Waits => true,
            Fate::Landed => false,
            Fate::Gone(why) => {
                eprintln!("{}-{}: {why}", each.topic, each.partition);
                gone += 1;
                false
            }
        });
    }
    println!("landed: what {} held", many(all - gone, "Kafka partition"));
    Ok(if gone == 0 { ExitCode::SUCCESS } else { ExitCode::from(OPEN) })
}

type Positions = BTreeMap<(String, i32), Position>;

#[derive(Deserialize)]
struct Status {
    kafka_partitions: Vec<Position>,
}

async fn positions(daemon: &Daemon) -> Result<Positions, ExitCode> {
    let status: Status = told(&daemon.get("/status").await.map_err(not_asked)?)?;
    let by_name = |each: Position| ((each.topic.clone(), each.partition), each);
    Ok(status.kafka_partitions.into_iter().map(by_name).collect())
}

fn fate(each: &ToLand, positions: &Positions) -> Fate {
    let Some(now) = positions.get(&(each.topic.clone(), each.partition)) else {
        return Fate::Gone(
            "this instance holds it no more; whoever has it next lands what was pinned".to_owned(),
        );
    };
    if now.committed.is_some_and(|committed| committed >= each.end) {
        Fate::Landed
    } else if let Some(reason) = &now.stop_reason {
        Fate::Gone(reason.clone())
    } else if now.epoch != each.epoch {
        Fate::Gone("it was given away meanwhile, and came back".to_owned())
    } else {
        Fate::Waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: u64, committed: Option<i64>, stop_reason: Option<&str>) -> Positions {
        let position = Position {
            topic: "orders".into(),
            partition: 3,
            epoch,
            position: committed,
            committed,
            stop_reason: stop_reason.map(Into::into),
        };
        [(("orders".to_owned(), 3), position)].into()
    }

    #[test]
    fn what_landed_waits_or_is_gone_is_told_apart() {
        let each = ToLand { topic: "orders".into(), partition: 3, epoch: 7, end: 100 };
        assert_eq!(fate(&each, &position(7, Some(99), None)), Fate::Waits);
        assert_eq!(fate(&each, &position(7, None, None)), Fate::Waits);
        assert_eq!(fate(&each, &position(7, Some(100), None)), Fate::Landed);
        // Another assignment that begins behind it: somebody landed it.
        assert_eq!(fate(&each, &position(8, Some(100), None)), Fate::Landed);
        assert!(matches!(fate(&each, &position(8, Some(50), None)), Fate::Gone(_)));
        assert!(
            matches!(fate(&each, &position(7, Some(50), Some("why"))), Fate::Gone(why) if why == "why")
        );
        assert!(matches!(fate(&each, &Positions::new()), Fate::Gone(_)));
    }
}
