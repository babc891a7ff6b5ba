//! The subcommands, one file each, and the exit codes that they share.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done: a signal ended the run and all that was read has landed (but for a pinned batch that was being read again: it is the next run's), or the goal was reached |
//! | 1 | an error that the message explains |
//! | 2 | the command line or the configuration is wrong, `check` found what must be mended, or `topics` refused a file |
//! | 3 | `shutdown.timeout`, or the time of `flush --wait`, passed before all that was read had landed; nothing is lost |
//! | 4 | `--until-end` landed everything but Kafka partitions that stopped |
//! | 5 | `check`, `audit`, `recover`, `ddl`, `topics` or `--until-end` could not reach a server, and found nothing worse; `flush` or `healthcheck` no daemon |
//! | 6 | `audit` found something missing, doubled or damaged; `recover` refused a Kafka partition |
//! | 7 | `audit` found nothing wrong, but of something nobody can say whether all is there; `flush` found nothing that could land, or what it waited for was given away, or has stopped |
//! | 70 | stopped hard, so that no commit could outlive its assignment, or because a thread had panicked; nothing is lost |
//! | 130 | a second signal; nothing is lost |

#![allow(clippy::disallowed_methods, reason = "subcommands talk to people, who live in time")]

mod audit;
mod body;
mod check;
mod cluster;
mod ddl;
mod demo;
mod flush;
mod healthcheck;
mod papers;
mod produce;
mod recover;
mod run;
mod survey;
mod terminal;
mod topics;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::config::{self, ConfigErrors, KafkaSettings, Settings};
use crate::kafka::{Refusal, refused_properties};
use crate::pipeline::GZIP;

/// Names the configuration's file where the command line does not.
const CONFIG_VARIABLE: &str = "KAFKA_S3_SINK_CONFIG";

const WRONG_CONFIGURATION: u8 = 2;
const DEADLINE_PASSED: u8 = 3;
const UNREACHABLE: u8 = 5;
const DAMAGED: u8 = 6;
const OPEN: u8 = 7;

/// The version, and what of the build people may want to know.
static LONG_VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}\ngzip: {GZIP}", env!("CARGO_PKG_VERSION")));

/// Kafka to S3, every record exactly once, as newline-delimited JSON that Glue and Athena read.
#[derive(Parser)]
#[command(version, long_version = LONG_VERSION.as_str(), about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Consume as a member of the group until SIGTERM or SIGINT
    Run(run::RunArgs),
    /// Try everything before a start: configuration, brokers, topics, rights, bucket, records
    Check(check::CheckArgs),
    /// Say what the bucket holds: what is there, missing, doubled, damaged or not ours
    Audit(audit::AuditArgs),
    /// Compute lost group offsets from the bucket, show them, and commit them with --apply
    Recover(recover::RecoverArgs),
    /// Print the table over a topic's objects, for Athena, Glue or CloudFormation
    Ddl(ddl::DdlArgs),
    /// Make the topics of a cluster what a file says
    Topics(topics::TopicsArgs),
    /// Make a running daemon land what it holds now
    Flush(flush::FlushArgs),
    /// Ask a running daemon whether it is alive, or ready
    Healthcheck(healthcheck::HealthcheckArgs),
    /// See it work on embedded parts, with no server and no account
    Demo(demo::DemoArgs),
    /// Produce sample events to a topic
    Produce(produce::ProduceArgs),
    /// Print what a package brings: man pages or a shell's completions
    #[command(hide = true)]
    Papers(papers::PapersArgs),
}

/// Where the configuration is.
#[derive(clap::Args, Clone)]
struct ConfigArgs {
    /// The TOML file; environment variables KAFKA_S3_SINK__SECTION__KEY override it
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Loads the settings, or says all that is wrong with them.
    fn load(&self) -> Result<Settings, ConfigErrors> {
        let refused = |kafka: &KafkaSettings, together| {
            let pair = |refusal: Refusal| (refusal.property, refusal.message);
            refused_properties(kafka, together).into_iter().map(pair).collect()
        };
        config::load(self.config.as_deref(), config::environment(), &refused)
    }

    /// What a command that asks servers begins with, or the code that it ends with.
    fn begin(&self) -> Result<(Settings, Runtime), ExitCode> {
        let settings = self.load().map_err(|errors| wrong_configuration(&errors))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        Ok((settings, runtime.map_err(|error| failed(&error.into()))?))
    }
}

/// Runs the subcommand that the command line names.
pub fn main() -> ExitCode {
    // An empty variable is how many a unit and a container unset one.
    if std::env::var_os(CONFIG_VARIABLE).is_some_and(|value| value.is_empty()) {
        // SAFETY: this is the first thing that the process does; it has no other thread yet that
        // could read its environment.
        unsafe { std::env::remove_var(CONFIG_VARIABLE) };
    }
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Audit(args) => audit::audit(&args),
        Command::Recover(args) => recover::recover(&args),
        Command::Ddl(args) => ddl::ddl(&args),
        Command::Topics(args) => topics::topics(&args),
        Command::Flush(args) => flush::flush(&args),
        Command::Healthcheck(args) => healthcheck::healthcheck(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Produce(args) => produce::produce(&args),
        Command::Papers(args) => papers::papers(&args),
    }
}

/// Prints all that is wrong with the configuration.
fn wrong_configuration(errors: &ConfigErrors) -> ExitCode {
    eprintln!("{errors}");
    ExitCode::from(WRONG_CONFIGURATION)
}

/// Prints an error with its causes.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
