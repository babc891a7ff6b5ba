//! `kafka-s3-sink audit`: what the bucket holds of each Kafka partition, from names, metadata and,
//! with `--deep`, every line. It changes nothing, neither in the bucket nor in the group.
//!
//! ```text
//! cluster (offsets, logs) > survey (LIST, HEAD) > gaps (Kafka) > deep (GET, Kafka) > report
//! ```
//! The group's offsets are fetched before the bucket is listed: what they have passed by then must
//! be in the listing, whatever a sink that runs meanwhile adds.

mod deep;
mod judge;
mod phrases;
mod report;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub(super) use self::judge::Explainer;
use self::judge::Judge;
use self::report::{AuditReport, Mode, TopicReport};
use super::cluster::{TopicView, Topics};
use super::survey::{CacheDir, Counts, Surveyor, Wanted, patiently};
use super::terminal::Progress;
use super::{ConfigArgs, DAMAGED, OPEN, UNREACHABLE, WRONG_CONFIGURATION, words};
use crate::config::Settings;
use crate::kafka::{KafkaError, Onlooker, RangeReaders};
use crate::pipeline::audit::{Health, Scope, Standing, TimeSpan, TopicHoldings, moment};
use crate::record::{StartPosition, StoreError, StoreErrorClass, TimestampMs};
use crate::s3::Store;

/// Topics that are looked at, at the same time.
const TOPICS_AT_ONCE: usize = 4;

const HELP: &str = "\
A TIME is a day (2026-11-22), an hour (2026-11-22T16) or a moment as RFC 3339 has it; in UTC where \
it does not say otherwise.

What HEAD tells of an object is kept for the next run, as long as the object is the same. Nothing \
is changed in the bucket or in the group; it may run beside a running sink.

Exit codes:
  0  all is there, once; with --from or --to, nothing of that time is known to be missing. There
     may be notes
  1  an error that the message explains
  2  the command line, the configuration or rights must be mended
  5  a server cannot be reached, and nothing worse was found
  6  something is missing, doubled or damaged
  7  nothing is known to be, but of something nobody can say: Kafka no longer has the offsets of a
     gap, or has records before the first batch, or nothing has landed here at all";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A topic to look at; may be given again. All of the configuration where there is none
    #[arg(long, value_name = "NAME")]
    topic: Vec<String>,
    /// Look only at records of this time or later, by their Hive partitions
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<TimestampMs>,
    /// Look only at records before this time, by their Hive partitions
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<TimestampMs>,
    /// Records before this time may be gone, and from it on none
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<TimestampMs>,
    /// Read every object, and compare every line with its metadata and with Kafka
    #[arg(long)]
    deep: bool,
    /// Look at names alone: the first offsets, at the speed of the listing
    #[arg(long, conflicts_with_all = ["deep", "since"])]
    listing_only: bool,
    /// For people, or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where to keep what HEAD told; by default in the user's own folder for such things
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,
    /// Keep nothing, and look at every object
    #[arg(long)]
    no_cache: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn time(text: &str) -> Result<TimestampMs, String> {
    moment(text)
        .ok_or_else(|| "write it as 2026-11-22, 2026-11-22T16 or 2026-11-22T16:30:00Z".into())
}

impl AuditArgs {
    fn scope(&self, settings: &Settings) -> Scope {
        let from_start = settings.kafka.start == StartPosition::Earliest;
        let span = (self.from.is_some() || self.to.is_some()).then(|| TimeSpan {
            from: self.from.unwrap_or(TimestampMs(i64::MIN)),
            to: self.to.unwrap_or(TimestampMs(i64::MAX)),
        });
        Scope { since: self.since, span, from_start }
    }

    fn mode(&self) -> Mode {
        match (self.listing_only, self.deep) {
            (true, _) => Mode::Listing,
            (false, true) => Mode::Deep,
            (false, false) => Mode::Metadata,
        }
    }
}

pub(super) fn audit(args: &AuditArgs) -> ExitCode {
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    match (Audit { args, settings: &settings, runtime: &runtime }).run() {
        Ok(report) => {
            match args.format {
                Format::Text => text::print(&report),
                Format::Json => report.print_json(),
            }
            ExitCode::from(report.exit_code())
        }
        Err(error) => error.exit(),
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuditError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Wrong(String),
    /// Something else is in the way.
    #[error("{0}")]
    Failed(String),
    /// What was found in the bucket is in the way.
    #[error("{0}")]
    Damaged(String),
    /// The store refused or did not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The settings of the store are wrong.
    #[error("{0}")]
    Settings(#[from] crate::s3::S3Error),
    /// Kafka refused or did not answer.
    #[error("{0}")]
    Kafka(#[from] KafkaError),
}

impl AuditError {
    pub(super) fn exit(&self) -> ExitCode {
        eprintln!("error: {self}");
        ExitCode::from(match self {
            Self::Wrong(_) | Self::Settings(_) => WRONG_CONFIGURATION,
            Self::Store(error) if error.class == StoreErrorClass::Configuration => {
                WRONG_CONFIGURATION
            }
            Self::Store(error) if error.class == StoreErrorClass::Retry => UNREACHABLE,
            Self::Damaged(_) => DAMAGED,
            Self::Store(_) | Self::Failed(_) => 1,
            Self::Kafka(error) => match error {
                error if error.is_to_be_mended() => WRONG_CONFIGURATION,
                KafkaError::GroupInUse { .. } => 1,
                _ => UNREACHABLE,
            },
        })
    }
}

struct Audit<'a> {
    args: &'a AuditArgs,
    settings: &'a Settings,
    runtime: &'a Runtime,
}

impl Audit<'_> {
    fn run(&self) -> Result<AuditReport, AuditError> {
        let isolation = self.settings.topics.default.layout.isolation_level;
        let onlooker = Onlooker::connect(&self.settings.kafka, isolation);
        let (topics, kafka_error) = Topics::find(self.settings, &self.args.topic, &onlooker);
        let scope = self.args.scope(self.settings);
        if let Some(span) = scope.span {
            if span.from >= span.to {
                return Err(AuditError::Wrong("--from must be before --to".to_owned()));
            }
            self.must_tell_times(&topics)?;
        }
        let onlooker = onlooker.as_ref().ok().filter(|_| kafka_error.is_none());
        let views = topics.ask(onlooker, &BTreeMap::new());
        if views.is_empty() {
            let text = "no topic to look at: Kafka has none that kafka.topics matches, or does \
                        not answer; name one with --topic";
            return Err(kafka_error.map_or_else(|| AuditError::Wrong(text.into()), Into::into));
        }
        let store = self.runtime.block_on(Store::connect(&self.settings.s3))?;
        let surveyor = self.surveyor(store);
        let counts = Arc::clone(&surveyor.counts);
        let progress = Progress::show(move || progress_of(&counts));
        let found = self.runtime.block_on(self.survey(&surveyor, &views, scope))?;
        let readers = match onlooker {
            Some(_) => Some(RangeReaders::connect(&self.settings.kafka, isolation)?),
            None => None,
        };
        let judge = Judge { onlooker, readers, scope, surveyor: &surveyor, runtime: self.runtime };
        let mut topics = Vec::new();
        for (view, holdings) in views.iter().zip(found) {
            let mut topic = match self.args.mode() {
                Mode::Listing => TopicReport::of_names(view, &holdings),
                Mode::Metadata => judge.topic(view, holdings, false)?,
                Mode::Deep => judge.topic(view, holdings, true)?,
            };
            self.runtime.block_on(self.add_uploads(&surveyor, view, &mut topic));
            topics.push(topic);
        }
        drop(progress);
        Ok(AuditReport::new(self.args.mode(), scope, topics, kafka_error, &surveyor.counts))
    }

    fn surveyor(&self, store: Store) -> Surveyor {
        let s3 = &self.settings.s3;
        let name = s3.endpoint.as_deref().or(s3.region.as_deref()).unwrap_or("AWS");
        let cache = if self.args.no_cache { None } else { CacheDir::find(self.args.cache.clone()) };
        Surveyor::new(store, name, &self.settings.kafka.group_id, cache)
    }

    fn must_tell_times(&self, topics: &Topics) -> Result<(), AuditError> {
        match topics.roots().find(|roots| !TimeSpan::fits(roots.layout())) {
            None => Ok(()),
            Some(roots) => Err(AuditError::Wrong(format!(
                "--from and --to go by Hive partitions, and the paths of {} tell no day: \
                 layout.partition_by has no \"dt\"",
                roots.topic()
            ))),
        }
    }

    /// Looks at several topics at once; what was found comes in their order.
    async fn survey(
        &self,
        surveyor: &Surveyor,
        views: &[TopicView],
        scope: Scope,
    ) -> Result<Vec<TopicHoldings>, StoreError> {
        let mut running = JoinSet::new();
        let mut found = BTreeMap::new();
        for (index, view) in views.iter().enumerate() {
            if running.len() == TOPICS_AT_ONCE {
                take_one(&mut running, &mut found).await?;
            }
            let held = |number: &i32| Some((*number, Standing::of(&view.held(*number)?)));
            let wanted = Wanted {
                roots: view.roots.clone(),
                standings: view.facts.keys().filter_map(held).collect(),
                span: scope.span,
                listing_only: self.args.listing_only,
                keep_all: self.args.deep,
            };
            let surveyor = surveyor.clone();
            running.spawn(async move { (index, surveyor.survey(wanted).await) });
        }
        while !running.is_empty() {
            take_one(&mut running, &mut found).await?;
        }
        Ok(found.into_values().collect())
    }

    /// Uploads that were begun: those of a running sink, and those that nobody will complete.
    async fn add_uploads(&self, surveyor: &Surveyor, view: &TopicView, topic: &mut TopicReport) {
        for prefix in [view.roots.table(), view.roots.dead_letters()] {
            let bucket = &view.roots.layout().bucket;
            let store = surveyor.store();
            match patiently(|| store.open_uploads(bucket, prefix)).await {
                Ok(uploads) => {
                    uploads.into_iter().for_each(|upload| topic.open_uploads.add(upload))
                }
                Err(error) => {
                    topic.notes.push(format!("uploads left behind cannot be seen: {error}"));
                    return;
                }
            }
        }
    }
}

type Found = (usize, Result<TopicHoldings, StoreError>);

async fn take_one(
    running: &mut JoinSet<Found>,
    found: &mut BTreeMap<usize, TopicHoldings>,
) -> Result<(), StoreError> {
    if let Some(ended) = running.join_next().await {
        // Nobody aborts it, so it can only have panicked.
        let (index, holdings) =
            ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        found.insert(index, holdings?);
    }
    Ok(())
}

/// How far it is.
pub(super) fn progress_of(counts: &Counts) -> String {
    let seen = counts.now();
    let mut line = format!("{} objects listed", words::count(seen.listed));
    for (number, what) in
        [(seen.looked_at, "looked at"), (seen.known, "known from before"), (seen.read, "read")]
    {
        if number > 0 {
            line = format!("{line}, {} {what}", words::count(number));
        }
    }
    match seen.read_bytes {
        0 => line,
        bytes => format!("{line} ({})", words::size(bytes as f64)),
    }
}

/// What the worst of a report ends with.
fn exit_code(health: Health, unreachable: Option<&KafkaError>) -> u8 {
    match (health, unreachable) {
        (Health::Bad, _) => DAMAGED,
        (Health::Open, None) => OPEN,
        (_, Some(error)) if error.is_to_be_mended() => WRONG_CONFIGURATION,
        (_, Some(_)) => UNREACHABLE,
        (_, None) => 0,
    }
}
