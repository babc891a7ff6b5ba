//! `kafka-s3-sink flush`: makes a running daemon land what it holds now.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;

use super::healthcheck::not_asked;
use super::{ConfigArgs, DEADLINE_PASSED, OPEN, UNREACHABLE, WRONG_CONFIGURATION, failed};
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
  7  --wait: some Kafka partitions stopped, or went to another instance, which will land them";

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
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let asked = Daemon::of(&settings.http).and_then(|daemon| {
        let path =
            args.topic.as_ref().map_or("/flush".to_owned(), |topic| format!("/flush/{topic}"));
        let answer = runtime.block_on(daemon.post(&path))?;
        Ok((daemon, answer))
    });
    let (daemon, answer) = match asked {
        Ok(asked) => asked,
        Err(error) => return not_asked(error),
    };
    let unlanded = match told(&answer) {
        Ok(unlanded) => unlanded,
        Err(code) => return code,
    };
    match args.wait {
        Some(patience) => runtime.block_on(wait(&daemon, unlanded, patience)),
        None => {
            println!("{} Kafka partitions hold what is to land", unlanded.len());
            ExitCode::SUCCESS
        }
    }
}

/// What is to land, or the code of a refusal.
fn told(answer: &Answer) -> Result<Vec<ToLand>, ExitCode> {
    if !answer.is_good() {
        eprint!("error: the daemon refused ({}): {}", answer.code, answer.body);
        return Err(match answer.code {
            401 | 403 => ExitCode::from(WRONG_CONFIGURATION),
            _ => ExitCode::FAILURE,
        });
    }
    let read = serde_json::from_str::<FlushAnswer>(&answer.body).context("the daemon's answer");
    read.map(|answer| answer.unlanded).map_err(|error| failed(&error))
}

async fn wait(daemon: &Daemon, mut unlanded: Vec<ToLand>, patience: Duration) -> ExitCode {
    let (deadline, all) = (Instant::now() + patience, unlanded.len());
    let mut gone = 0;
    while !unlanded.is_empty() {
        if Instant::now() >= deadline {
            for each in &unlanded {
                eprintln!(
                    "{}-{}: not landed up to offset {}",
                    each.topic, each.partition, each.end
                );
            }
            return ExitCode::from(DEADLINE_PASSED);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let positions = match positions(daemon).await {
            Ok(positions) => positions,
            Err(code) => return code,
        };
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
    println!("{} Kafka partitions have landed what they held", all - gone);
    if gone == 0 { ExitCode::SUCCESS } else { ExitCode::from(OPEN) }
}

type Positions = BTreeMap<(String, i32), Position>;

#[derive(Deserialize)]
struct Status {
    kafka_partitions: Vec<Position>,
}

async fn positions(daemon: &Daemon) -> Result<Positions, ExitCode> {
    let answer = daemon.get("/status").await.map_err(|error| {
        failed(&error.into());
        ExitCode::from(UNREACHABLE)
    })?;
    let read = serde_json::from_str::<Status>(&answer.body).context("the daemon's /status");
    let status = read.map_err(|error| failed(&error))?;
    let by_name = |each: Position| ((each.topic.clone(), each.partition), each);
    Ok(status.kafka_partitions.into_iter().map(by_name).collect())
}

fn fate(each: &ToLand, positions: &Positions) -> Fate {
    let Some(now) = positions.get(&(each.topic.clone(), each.partition)) else {
        return Fate::Gone("it went to another instance, which lands what was pinned".to_owned());
    };
    if now.committed.is_some_and(|committed| committed >= each.end) {
        Fate::Landed
    } else if let Some(reason) = &now.stop_reason {
        Fate::Gone(reason.clone())
    } else if now.epoch != each.epoch {
        Fate::Gone("it was away at another instance meanwhile".to_owned())
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
