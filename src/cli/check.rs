//! `kafka-s3-sink check`: tries what a run would need, and says for each thing whether it is
//! there or how to mend it. It joins no group and commits nothing; it leaves nothing in the
//! bucket where it may delete.
//!
//! ```text
//! configuration > cluster (brokers, topics) > bucket (put, HEAD, LIST, clock) > group
//!                    └── records (a sample of each topic) > objects a day (estimate)
//! ```

mod bucket;
mod cluster;
mod configuration;
mod estimate;
mod fields;
mod group;
mod held;
mod objects;
mod pace;
mod records;
mod report;

use std::collections::BTreeMap;
use std::process::ExitCode;

use self::cluster::Topic;
use self::pace::Pace;
use self::records::Sampled;
use self::report::Report;
use super::{ConfigArgs, words};
use crate::config::Settings;

const HELP: &str = "\
Each line is `ok`, `warn`, `FAIL` or `skip` (not tried, for it needs something that failed), what \
was tried, and what is wrong and how to mend it. All is tried even if something before failed.

Nothing is joined or committed: `check` may run beside a running sink. In the bucket it puts one \
object under layout.dead_letter_prefix, and deletes it where it may.

Exit codes:
  0  all is well; there may be warnings
  2  the configuration, the settings of a server or rights must be mended
  5  a server cannot be reached, and nothing else is wrong";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Look at the configuration alone, and talk to no server
    #[arg(long)]
    offline: bool,
}

pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let mut report = Report::to_stdout();
    let settings = configuration::check(&args.config, &mut report);
    if let Some(settings) = settings.filter(|_| !args.offline) {
        servers(&settings, &mut report);
    }
    report.finish(if args.offline { "the configuration is sound" } else { "ready to run" })
}

fn servers(settings: &Settings, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return report.mend("bucket", format!("this machine gave no runtime: {error}"));
        }
    };
    let cluster = cluster::check(settings, report);
    let topics = cluster.as_ref().map_or(&[][..], |cluster| &cluster.topics);
    let pace = cluster.as_ref().map(Pace::start);
    let (store, empty) = runtime.block_on(bucket::check(settings, topics, report));
    match cluster.as_ref().zip(pace) {
        Some((cluster, pace)) => {
            let store = store.as_ref().map(|store| (store, &runtime));
            group::check(cluster, settings, &empty, store, report);
            let sampled = records::check(cluster, settings, report);
            objects::check(cluster, pace, &sampled, report);
        }
        None => {
            for what in ["group", "records", "objects a day"] {
                report.skip(what, "not tried: it needs the brokers");
            }
        }
    }
}

/// Whether a topic's prefix holds nothing yet; missing where nobody could look.
type EmptyPrefixes = BTreeMap<String, bool>;

/// What the samples told, by topic.
type Samples = BTreeMap<String, Sampled>;
