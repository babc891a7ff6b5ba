//! `kafka-s3-sink ddl`: prints the table over a topic's objects, as Athena, Glue or CloudFormation
//! take it. The columns come from a sample of the topic's records.
//!
//! ```text
//! Kafka (newest records) > line_of > columns (types) > table (keys, projection) > form > stdout
//! ```

mod columns;
mod form;
mod table;

use std::process::ExitCode;

use super::{ConfigArgs, UNREACHABLE, WRONG_CONFIGURATION};
use crate::kafka::{KafkaError, sample_records};

const HELP: &str = "\
Look over the types before you use them: a sample does not show what comes later. What a person \
ought to know goes to standard error.

Exit codes:
  0  printed
  2  the command line or the configuration must be mended
  5  a broker cannot be reached";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct DdlArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The topic
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// As many of the newest records are looked at
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The first day of the table, or what Athena understands, such as NOW-1YEARS
    #[arg(long, value_name = "DAY", default_value = "NOW-1YEARS")]
    since: String,
    /// What it is for
    #[arg(long, value_enum, default_value_t = Format::Athena)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// CREATE EXTERNAL TABLE
    Athena,
    /// TableInput, for `aws glue create-table`
    Glue,
    /// Resources of a template, as JSON
    Cloudformation,
}

pub(super) fn ddl(args: &DdlArgs) -> ExitCode {
    let settings = match args.config.load() {
        Ok(settings) => settings,
        Err(errors) => return super::wrong_configuration(&errors),
    };
    let layout = &settings.topics.of(&args.topic).layout;
    let isolation = layout.isolation_level;
    let records =
        match sample_records(&settings.kafka, isolation, &args.topic, args.sample as usize) {
            Ok(records) => records,
            Err(error) => return unreachable(&error),
        };
    let values: Vec<_> = records.into_iter().filter_map(|record| record.value).collect();
    let made = table::tables(layout, &args.topic, &values, &args.since);
    for warning in &made.warnings {
        eprintln!("warning: {warning}");
    }
    let database = args.database.as_deref();
    match args.format {
        Format::Athena => {
            for table in &made.tables {
                println!("{}", form::athena(table, database));
            }
        }
        Format::Glue => {
            for table in &made.tables {
                println!("{:#}", form::glue(table));
            }
        }
        Format::Cloudformation => {
            println!("{:#}", form::cloudformation(&made.tables, database.unwrap_or("default")));
        }
    }
    ExitCode::SUCCESS
}

fn unreachable(error: &KafkaError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(if error.is_to_be_mended() { WRONG_CONFIGURATION } else { UNREACHABLE })
}
