//! `kafka-s3-sink recover`: where a group whose offsets are lost goes on, computed from the
//! bucket, shown, and with `--apply` committed.
//!
//! ```text
//! LIST (is there anything?) > cluster (offsets, logs) > survey > gaps, first records (Kafka)
//!     > pipeline::recover > shown > --apply: one commit, in a group without members
//! ```

mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::audit::{AuditError, Explainer, progress_of};
use super::cluster::{TopicView, Topics};
use super::survey::{CacheDir, Surveyor, Wanted, patiently};
use super::terminal::Progress;
use super::{ConfigArgs, DAMAGED};
use crate::config::Settings;
use crate::daemon::{any_landed, each_name, session};
use crate::kafka::{KafkaError, Onlooker, RangeReader, RangeReaders};
use crate::pipeline::audit::{Holdings, ObjectName, Roots, Scope, TopicHoldings, gaps, said_by};
use crate::pipeline::recover::{
    Identity, Insistence, LostCase, Position, Recovery, identify, last_batch, recovery,
};
use crate::pipeline::{Metadata, Pin, decode_metadata, layout_hash};
use crate::record::{HeadOutcome, Offset, OffsetRange, TopicFacts, TopicPartition};
use crate::s3::Store;

const HELP: &str = "\
Offsets are lost when a group is deleted, when it is idle for as long as the brokers keep offsets \
(7 days), when kafka.group_id is changed, or when somebody sets them by hand. The bucket knows \
where to go on: behind the last batch of which all objects are there; or, where a batch was begun \
and is not whole, at its base, and then it is finished exactly as it was begun.

Without --apply nothing is changed. With it the group must have no members.

Exit codes:
  0  every Kafka partition stands, or has a position
  1  an error that the message explains, such as a group that has members
  2  the command line, the configuration or rights must be mended
  5  a server cannot be reached
  6  some Kafka partition has no position; the reason is told";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A topic to look at; may be given again. All of the configuration where there is none
    #[arg(long, value_name = "NAME")]
    topic: Vec<String>,
    /// Commit the positions
    #[arg(long)]
    apply: bool,
    /// With --apply: commit the positions that there are, although some Kafka partition has none
    #[arg(long, requires = "apply")]
    apply_rest: bool,
    /// Go on behind what is missing in the bucket, and leave it missing
    #[arg(long)]
    pass_missing: bool,
    /// Give up batches that were begun and of which nothing was put, so that their records are read
    /// again under today's settings
    #[arg(long)]
    drop_pins: bool,
    /// Take the topic for the one that the objects are of, where Kafka can no longer show it
    #[arg(long)]
    unverified: bool,
    /// Where to keep what HEAD told; by default in the user's own folder for such things
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

pub(super) fn recover(args: &RecoverArgs) -> ExitCode {
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    match (Recover { args, settings: &settings, runtime: &runtime }).run() {
        Ok(code) => code,
        Err(error) => error.exit(),
    }
}

/// A Kafka partition, and what to do about it.
struct Case<'v> {
    at: TopicPartition,
    facts: &'v TopicFacts,
    recovery: Recovery,
}

impl Case<'_> {
    fn position(&self) -> Option<&Position> {
        match &self.recovery {
            Recovery::Commit(position) => Some(position),
            _ => None,
        }
    }
}

struct Recover<'a> {
    args: &'a RecoverArgs,
    settings: &'a Settings,
    runtime: &'a Runtime,
}

impl Recover<'_> {
    fn run(&self) -> Result<ExitCode, AuditError> {
        let isolation = self.settings.topics.default.layout.isolation_level;
        let onlooker = Onlooker::connect(&self.settings.kafka, isolation);
        let (topics, error) = Topics::find(self.settings, &self.args.topic, &onlooker);
        let onlooker = onlooker?;
        if let Some(error) = error {
            return Err(error.into());
        }
        let store = self.runtime.block_on(Store::connect(&self.settings.s3))?;
        // Before the offsets are fetched, as a run does it.
        let empty = self.runtime.block_on(empty_prefixes(&store, &topics))?;
        let views = topics.ask(Some(&onlooker), &empty);
        if views.is_empty() {
            let text = "Kafka has no topic that kafka.topics matches; name one with --topic";
            return Err(AuditError::Wrong(text.to_owned()));
        }
        let mut shown = show::Shown::default();
        let mut offsets = Vec::new();
        for (view, holdings) in views.iter().zip(self.look(store.clone(), &views)?) {
            let cases = self.cases(view, &holdings, &store)?;
            shown.topic(view, &holdings, &cases);
            let hash = layout_hash(view.roots.layout());
            for case in &cases {
                if let Some(position) = case.position() {
                    let metadata = position.metadata(case.facts, &hash);
                    offsets.push((case.at.clone(), position.offset, metadata));
                }
            }
        }
        // One that is refused today would look like a new one among others that have offsets.
        let applies = self.args.apply && (shown.refused == 0 || self.args.apply_rest);
        if applies {
            self.apply(&onlooker, &views, &offsets)?;
        }
        shown.sum(offsets.len(), applies, &self.settings.kafka.group_id);
        if self.args.apply && !applies {
            let text = "nothing was committed, for some Kafka partition has no position; mend that \
                        first, or leave it out with --apply-rest, and then keep layout.prefix as it is";
            return Err(AuditError::Damaged(text.to_owned()));
        }
        Ok(if shown.refused > 0 { ExitCode::from(DAMAGED) } else { ExitCode::SUCCESS })
    }

    fn look(&self, store: Store, views: &[TopicView]) -> Result<Vec<TopicHoldings>, AuditError> {
        let s3 = &self.settings.s3;
        let name = s3.endpoint.as_deref().or(s3.region.as_deref()).unwrap_or("AWS");
        let cache = CacheDir::find(self.args.cache.clone());
        let surveyor = Surveyor::new(store, name, &self.settings.kafka.group_id, cache);
        let counts = Arc::clone(&surveyor.counts);
        let _progress = Progress::show(move || progress_of(&counts));
        let look = |view: &TopicView| {
            let wanted = Wanted {
                roots: view.roots.clone(),
                // Whatever the group holds, the bucket decides.
                standings: BTreeMap::new(),
                span: None,
                listing_only: false,
                keep_all: false,
            };
            Ok(self.runtime.block_on(surveyor.survey(wanted))?)
        };
        views.iter().map(look).collect()
    }

    fn cases<'v>(
        &self,
        view: &'v TopicView,
        holdings: &TopicHoldings,
        store: &Store,
    ) -> Result<Vec<Case<'v>>, AuditError> {
        let isolation = self.settings.topics.default.layout.isolation_level;
        let mut reader = RangeReaders::connect(&self.settings.kafka, isolation)?.reader();
        let nothing = Holdings::default();
        let session =
            session().map_err(|error| AuditError::Failed(format!("no randomness: {error}")))?;
        let mut cases = Vec::new();
        for (number, facts) in &view.facts {
            let facts = facts.as_ref().map_err(Clone::clone)?;
            let held = holdings.partitions.get(number).unwrap_or(&nothing);
            let at = view.roots.partition(*number);
            let log = OffsetRange { base: facts.log_start, end: facts.log_end };
            let mut found = gaps(held, Some(log), false, &Scope::default());
            Explainer { roots: &view.roots, scope: Scope::default() }.explain(
                &at,
                &mut found,
                Some(&mut reader),
            )?;
            let recovery = recovery(&LostCase {
                at: &at,
                facts,
                holdings: held,
                gaps: &found,
                layout: view.roots.layout(),
                layout_hash: &layout_hash(view.roots.layout()),
                adoptable: holdings.of_other_groups + holdings.of_other_layouts == 0,
                identity: self.identity(&at, facts, held, &mut reader)?,
                new_pin_id: &format!("{session}-r{number:x}"),
                largest_fill: self.settings.topics.of(view.name()).rotation.max_records,
                insists: Insistence {
                    pass_missing: self.args.pass_missing,
                    unverified: self.args.unverified,
                },
                begun_objects: match begun(facts, *number).filter(|_| self.args.drop_pins) {
                    Some(pin) => Some(self.runtime.block_on(objects_of(store, &at, &pin))?),
                    None => None,
                },
            });
            cases.push(Case { at, facts, recovery });
        }
        Ok(cases)
    }

    /// Compares the first record of the last batch with what Kafka has at its offset.
    fn identity(
        &self,
        at: &TopicPartition,
        facts: &TopicFacts,
        holdings: &Holdings,
        reader: &mut RangeReader,
    ) -> Result<Identity, KafkaError> {
        let Some(last) = last_batch(holdings) else { return Ok(Identity::Same) };
        let first = last.first.offset;
        if first < facts.log_start || first >= facts.log_end {
            return Ok(Identity::Gone);
        }
        let mut identity = identify(last, None, facts.compacted);
        let range = OffsetRange { base: first, end: first.next() };
        reader.read(at, range, &mut |record| {
            identity = identify(last, Some(record), facts.compacted);
            false
        })?;
        Ok(identity)
    }

    fn apply(
        &self,
        onlooker: &Onlooker,
        views: &[TopicView],
        offsets: &[(TopicPartition, Offset, String)],
    ) -> Result<(), AuditError> {
        let asked: Vec<_> = offsets.iter().map(|(at, ..)| at.clone()).collect();
        let moved = |at: &TopicPartition| {
            AuditError::Failed(format!("{at}: the group's offset has moved meanwhile: look again"))
        };
        for (at, now) in onlooker.committed(&asked)? {
            let view = views.iter().find(|view| *view.name() == *at.topic);
            if view.and_then(|view| view.held(at.partition)) != Some(now?) {
                return Err(moved(&at));
            }
        }
        onlooker.set_offsets(offsets)?;
        let mut stored = onlooker.committed(&asked)?;
        for (at, offset, metadata) in offsets {
            let now = stored.remove(at).ok_or_else(|| moved(at))??;
            if now.offset != Some(*offset) || now.metadata != *metadata {
                return Err(moved(at));
            }
        }
        Ok(())
    }
}

/// The batch that the group has begun.
fn begun(facts: &TopicFacts, number: i32) -> Option<Pin> {
    match decode_metadata(&facts.committed.get(&number)?.metadata) {
        Metadata::Ours(_, pin) => pin,
        _ => None,
    }
}

/// How many objects of a batch stand where its pin laid it out.
async fn objects_of(store: &Store, at: &TopicPartition, pin: &Pin) -> Result<usize, AuditError> {
    let roots = Roots::of(&pin.layout, &at.topic);
    if store.is_gone(&pin.layout.bucket).await {
        return Ok(0);
    }
    let names = patiently(|| async {
        let mut mine = Vec::new();
        let keep = |name: ObjectName| {
            if (name.partition, name.first) == (at.partition, pin.first) {
                mine.push(name);
            }
        };
        each_name(store, &roots, usize::MAX, keep).await?;
        Ok(mine)
    });
    let mut count = 0;
    for name in names.await? {
        let address = roots.address(&name);
        let found = patiently(|| store.head(&address)).await?;
        let HeadOutcome::Found { metadata, .. } = found else { continue };
        count += usize::from(said_by(&metadata).is_ok_and(|said| said.0.pin_id == pin.id));
    }
    Ok(count)
}

/// Whether the topics' prefixes hold nothing.
async fn empty_prefixes(
    store: &Store,
    topics: &Topics,
) -> Result<BTreeMap<Arc<str>, bool>, AuditError> {
    let mut empty = BTreeMap::new();
    for roots in topics.roots() {
        let any = patiently(|| any_landed(store, roots.layout(), roots.topic())).await?;
        empty.insert(Arc::clone(roots.topic()), !any);
    }
    Ok(empty)
}
