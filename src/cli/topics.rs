//! `kafka-s3-sink topics apply`: makes the topics of a cluster what a file says.
//!
//! ```text
//! file > TopicSpec ─┐
//! cluster > State ──┴> plan (or everything that forbids it) > the broker tries it > done
//! ```
//! Nothing is changed before all of it has been found possible.

mod plan;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{ConfigArgs, UNREACHABLE, WRONG_CONFIGURATION, wrong_configuration};
use crate::config::{ConfigError, ConfigErrors, KafkaSettings, TopicSpec, topics_from_file};
use crate::kafka::{KafkaError, TopicAdmin, TopicState, sample_records};
use crate::record::IsolationLevel;
use plan::{Allowed, Plan};

/// How long a broker has to answer before we say that there is none.
const REACH: Duration = Duration::from_secs(10);
/// As many of the newest records are looked at for keys.
const SAMPLE: usize = 100;

const HELP: &str = "\
What there should be, in TOML; only `partitions` must be said, and what is not said is left alone:

  [topic.\"orders\"]
  partitions = 6
  replication_factor = 1          # of a topic that is made; 3 where there are three brokers
  retention = \"7d\"                # or \"forever\"
  cleanup_policy = \"delete\"       # or \"compact\", or \"compact,delete\"
  max_message_bytes = \"1MiB\"
  [topic.\"orders\".properties]     # Kafka's own names
  min.insync.replicas = 1

A topic that is missing is made; one that is there gets more Kafka partitions and other properties.
A second run changes nothing. Topics that the file does not name are left alone, and none is deleted.

Exit codes:
  0  the topics are what the file says
  1  a broker failed in the midst of it; run it again
  2  the file, the command line or the rights must be mended; nothing was changed
  5  no broker can be reached; nothing was changed";

#[derive(clap::Args)]
pub(super) struct TopicsArgs {
    #[command(subcommand)]
    command: TopicsCommand,
}

#[derive(clap::Subcommand)]
enum TopicsCommand {
    /// Make topics what a file says: missing ones, more Kafka partitions, other properties
    #[command(after_help = HELP)]
    Apply(ApplyArgs),
}

#[derive(clap::Args)]
struct ApplyArgs {
    /// The file of topics
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// The brokers, in place of the configuration's: host:port, separated by commas
    #[arg(long, value_name = "HOSTS", required_unless_present = "config")]
    bootstrap_servers: Option<String>,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Change the cleanup policy even of a topic that holds records, which may delete some of them
    #[arg(long)]
    allow_cleanup_change: bool,
    /// Shorten the retention even of a topic that holds records, which deletes what is older
    #[arg(long)]
    allow_shorter_retention: bool,
}

/// Why it ended early.
enum Stop {
    /// The topic file, or what it asks of this cluster, is wrong.
    Refused(ConfigErrors),
    /// A server failed before anything was changed.
    Kafka(KafkaError),
}

pub(super) fn topics(args: &TopicsArgs) -> ExitCode {
    let TopicsCommand::Apply(args) = &args.command;
    let kafka = match args.kafka() {
        Ok(kafka) => kafka,
        Err(code) => return code,
    };
    match args.prepare(&kafka) {
        Ok((admin, plans)) => args.carry_out(&admin, &plans),
        Err(Stop::Refused(errors)) => {
            eprintln!("{}", refusal(&errors));
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(Stop::Kafka(error)) => {
            eprintln!("error: {error}; nothing was changed");
            ExitCode::from(if error.is_to_be_mended() { WRONG_CONFIGURATION } else { UNREACHABLE })
        }
    }
}

impl ApplyArgs {
    const fn allowed(&self) -> Allowed {
        Allowed {
            cleanup_change: self.allow_cleanup_change,
            shorter_retention: self.allow_shorter_retention,
        }
    }

    /// How the cluster is reached.
    fn kafka(&self) -> Result<KafkaSettings, ExitCode> {
        let mut kafka = match &self.config.config {
            Some(_) => {
                Some(self.config.load().map_err(|errors| wrong_configuration(&errors))?.kafka)
            }
            None => None,
        };
        if let Some(servers) = &self.bootstrap_servers {
            let given = KafkaSettings::of_brokers(servers).map_err(|reason| {
                eprintln!("error: --bootstrap-servers: {reason}");
                ExitCode::from(WRONG_CONFIGURATION)
            })?;
            let settings = kafka.get_or_insert(given);
            settings.bootstrap_servers.clone_from(servers);
        }
        // One of the two is there, or clap would have said so.
        kafka.ok_or(ExitCode::from(WRONG_CONFIGURATION))
    }

    /// Finds out what is to be done, and whether all of it can be.
    fn prepare(&self, kafka: &KafkaSettings) -> Result<(TopicAdmin, Vec<Plan>), Stop> {
        let specs = topics_from_file(&self.file).map_err(Stop::Refused)?;
        let admin = TopicAdmin::connect(kafka, REACH).map_err(Stop::Kafka)?;
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let states = admin.states(&names).map_err(Stop::Kafka)?;
        let (mut plans, mut errors) = (Vec::new(), Vec::new());
        for spec in &specs {
            let state = states.get(&spec.name);
            match plan::plan(spec, state, admin.brokers(), self.allowed()) {
                Ok(mut plan) => {
                    errors.extend(tried(&admin, spec, &plan)?);
                    plan.warn_of_moved_keys(state, || is_keyed(kafka, spec));
                    plans.push(plan);
                }
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok((admin, plans)) } else { Err(Stop::Refused(errors.into())) }
    }

    /// Does it, topic by topic, and says what was done.
    fn carry_out(&self, admin: &TopicAdmin, plans: &[Plan]) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for plan in plans {
            for warning in &plan.warnings {
                eprintln!("warning: {}: {warning}", plan.topic);
            }
            if !self.dry_run
                && let Err(error) = plan
                    .changes
                    .iter()
                    .try_for_each(|change| admin.change(&plan.topic, change, false))
            {
                eprintln!(
                    "error: {error}; topics above this line are done, run it again for the rest"
                );
                code = ExitCode::FAILURE;
                continue;
            }
            println!("{}: {}", plan.topic, plan.told(self.dry_run));
        }
        if self.dry_run {
            println!("nothing was changed, for this is a dry run");
        }
        code
    }
}

/// What the broker has against a plan; a failure of the broker itself ends it all.
fn tried(admin: &TopicAdmin, spec: &TopicSpec, plan: &Plan) -> Result<Vec<ConfigError>, Stop> {
    let mut errors = Vec::new();
    for change in &plan.changes {
        match admin.change(&spec.name, change, true) {
            Ok(()) => {}
            Err(KafkaError::TopicRefused { reason, .. }) => {
                errors.push(plan::refused_by_broker(spec, &reason));
            }
            Err(error) => return Err(Stop::Kafka(error)),
        }
    }
    Ok(errors)
}

/// Whether some of the newest records have keys; `None` where they cannot be read.
fn is_keyed(kafka: &KafkaSettings, spec: &TopicSpec) -> Option<bool> {
    let level = IsolationLevel::ReadCommitted;
    let records = sample_records(kafka, level, &spec.name, SAMPLE).ok()?;
    Some(records.iter().any(|record| record.keyed))
}

fn refusal(errors: &ConfigErrors) -> String {
    let errors = errors.errors();
    let head = match errors.len() {
        1 => "the topics cannot be made what the file says, and nothing was changed:".to_owned(),
        many => format!(
            "{many} reasons why the topics cannot be made what the file says; nothing was changed:"
        ),
    };
    errors.iter().fold(head, |text, error| format!("{text}\n  {error}"))
}

/// A topic that is there, or none.
type State<'a> = Option<&'a TopicState>;
