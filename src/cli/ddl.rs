//! `kafka-s3-sink ddl`: prints the table over a topic's objects, as Athena, Glue or CloudFormation
//! take it. The columns come from a sample of the topic's records, or of what has landed of them.
//!
//! ```text
//! Kafka (newest records) > line_of > columns (types) > table (keys, projection) > form > stdout
//! bucket (newest lines) .............^                 ^
//! bucket (its first day, if asked for) ................^
//! ```

mod columns;
mod first_day;
mod form;
mod landed;
mod table;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;

use self::landed::Landed;
use super::ConfigArgs;
use super::audit::AuditError;
use crate::config::Settings;
use crate::kafka::sample_records;
use crate::pipeline::audit::Roots;
use crate::pipeline::line_of;
use crate::record::Layout;
use crate::s3::Store;

/// The word for the first day that the bucket has.
const OF_BUCKET: &str = "bucket";
/// The first day where nobody says one.
const A_YEAR_AGO: &str = "NOW-1YEARS";

const HELP: &str = "\
Look over the types before you use them: a sample does not show what comes later. What a person \
ought to know goes to standard error.

A layout with times has two tables, the second one of records whose timestamps are of no use. Athena \
takes one statement at a time, and so does Glue, for which each table is a document of its own.

Exit codes:
  0  printed
  2  the command line or the configuration must be mended
  5  a broker or the store cannot be reached";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct DdlArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The topic
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// Where the sample is taken
    #[arg(long, value_enum, default_value_t = Source::Kafka)]
    sample_from: Source,
    /// As many of the newest records are looked at
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The first day of the table, or what Athena understands, such as NOW-1YEARS; `bucket` is the
    /// first day that the bucket has
    #[arg(long, value_name = "DAY", default_value = A_YEAR_AGO)]
    since: String,
    /// What it is for
    #[arg(long, value_enum, default_value_t = Format::Athena)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Source {
    /// Records of the topic
    Kafka,
    /// Lines that have landed; no broker is asked
    Bucket,
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
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    match made(args, &settings, &runtime) {
        Ok(made) => {
            for warning in &made.warnings {
                eprintln!("warning: {warning}");
            }
            print(args, &made.tables);
            ExitCode::SUCCESS
        }
        Err(error) => {
            if matches!(&error, AuditError::Kafka(it) if !it.is_to_be_mended()) {
                eprintln!(
                    "hint: --sample-from bucket looks at what has landed, and asks no broker"
                );
            }
            error.exit()
        }
    }
}

fn made(
    args: &DdlArgs,
    settings: &Settings,
    runtime: &Runtime,
) -> Result<table::Tables, AuditError> {
    let layout = &settings.topics.of(&args.topic).layout;
    let lines = sample(args, settings, layout, runtime)?;
    if args.since != OF_BUCKET {
        return Ok(table::tables(layout, &args.topic, &lines, &args.since));
    }
    let first = runtime.block_on(first_day(args, settings, layout))?;
    let since = first.as_deref().unwrap_or(A_YEAR_AGO);
    let mut made = table::tables(layout, &args.topic, &lines, since);
    if first.is_none() {
        made.warnings.push(format!("the bucket has no day of the topic yet: since {A_YEAR_AGO}"));
    }
    Ok(made)
}

/// The lines that the columns are read from.
fn sample(
    args: &DdlArgs,
    settings: &Settings,
    layout: &Arc<Layout>,
    runtime: &Runtime,
) -> Result<Vec<Vec<u8>>, AuditError> {
    let at_most = args.sample as usize;
    if args.sample_from == Source::Bucket {
        let store = &runtime.block_on(Store::connect(&settings.s3))?;
        let landed = Landed { store, runtime, roots: Roots::of(layout, &args.topic) };
        return Ok(landed.lines(at_most)?);
    }
    let records = sample_records(&settings.kafka, layout.isolation_level, &args.topic, at_most)?;
    let values = records.into_iter().filter_map(|record| record.value);
    Ok(values.filter_map(|value| Some(line_of(layout, &value).ok()?.into_owned())).collect())
}

async fn first_day(
    args: &DdlArgs,
    settings: &Settings,
    layout: &Layout,
) -> Result<Option<String>, AuditError> {
    if !first_day::begins_with_days(layout) {
        let text = "--since bucket: the first of layout.partition_by is not dt, so the bucket does not \
                    tell its first day; write the day";
        return Err(AuditError::Wrong(text.to_owned()));
    }
    let store = Store::connect(&settings.s3).await?;
    Ok(first_day::first_day(&store, layout, &args.topic).await?)
}

fn print(args: &DdlArgs, tables: &[table::Table]) {
    let database = args.database.as_deref();
    match args.format {
        Format::Athena => {
            for table in tables {
                println!("{}", form::athena(table, database));
            }
        }
        Format::Glue => {
            for table in tables {
                println!("{:#}", form::glue(table));
            }
        }
        Format::Cloudformation => {
            println!("{:#}", form::cloudformation(tables, database.unwrap_or("default")));
        }
    }
}
