//! What has to be there before the first record: the store and its probe, the goals, the lanes.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::clock::Clock;
use super::driver::Driver;
use super::error::DaemonError;
use super::goal::Goals;
use super::inbox::LaneHandle;
use super::lane::{Lane, Outside};
use super::memory::{Budget, Pool, Watcher};
use super::news::News;
use super::observe::Observer;
use super::resolver::Resolver;
use super::signals::Signals;
use super::spool::{self, FileSpool};
use super::spread::{Balance, Spread};
use super::tries::Tries;
use super::uploads::Uploads;
use super::watch::{ClusterWatch, LogEnds, watch_memory};
use super::world::{RunOptions, World, unless_signalled};
use crate::kafka::{KafkaEdge, KafkaError, LaneConsumer, knows_group_protocol, reach};
use crate::pipeline::{Sink, SinkSettings, short_hash};
use crate::record::{Spool, StoreError, StoreErrorClass};
use crate::s3::{ConditionalPut, Store};
use crate::telemetry::Condition;

/// How long one look at the brokers takes.
const LOOK: Duration = Duration::from_secs(10);
/// How long a fenced member waits for the rebalance callback, beyond any session timeout in use.
const FENCED_DEADLINE: Duration = Duration::from_secs(90);

/// The spool, where one is wanted. Once the run goes on, nothing that befalls its folder ends it.
pub(super) fn open_spool(world: &World) -> Result<Option<Arc<dyn Spool>>, DaemonError> {
    let Some(folder) = &world.settings.memory.spool_dir else { return Ok(None) };
    spool::check(folder).map_err(DaemonError::ToBeMended)?;
    let files = world.spool_files;
    tracing::info!(folder = %folder.display(), files, "large objects are spooled");
    Ok(Some(Arc::new(FileSpool::new(folder, files, world.metrics.spool()))))
}

/// The store and whether it honours conditional puts.
pub(super) type OpenStore = (Store, bool);

/// Connects and probes. `None` if a signal came first.
pub(super) fn open_store(
    world: &World,
    options: RunOptions,
    signals: &mut Signals,
) -> Result<Option<OpenStore>, DaemonError> {
    let store = world.runtime.block_on(Store::connect(&world.settings.s3))?;
    let layout = &world.settings.topics.default.layout;
    let key = probe_key(&layout.dead_letter_prefix);
    let tries = Tries::begin(options);
    loop {
        let probe = store.probe_conditional_put(&layout.bucket, &key);
        let Some(probe) = unless_signalled(world, signals, probe) else { return Ok(None) };
        let StoreError { class, message } = match probe {
            Ok(found) => {
                world.status.met(Condition::StoreReachable);
                return Ok(Some((store, is_honoured(&found))));
            }
            Err(error) => error,
        };
        world.status.unmet(Condition::StoreReachable, message.as_str());
        let mend = matches!(class, StoreErrorClass::Configuration | StoreErrorClass::Full);
        let why = format!("the store cannot be used: {message}");
        if !tries.failed(world, signals, mend, why)? {
            return Ok(None);
        }
    }
}

/// The one object that the probe puts, outside every table.
pub(crate) fn probe_key(dead_letter_prefix: &str) -> String {
    format!("{dead_letter_prefix}/.kafka-s3-sink-probe")
}

fn is_honoured(found: &ConditionalPut) -> bool {
    let honoured = matches!(found, ConditionalPut::Honoured | ConditionalPut::HonouredByPutOnly(_));
    if honoured {
        tracing::info!("the store honours conditional puts: both fences stand");
    } else {
        tracing::warn!(
            "the store does not honour conditional puts ({found:?}): the group's fence alone \
             carries the promise"
        );
    }
    honoured
}

/// Waits for brokers that know the group protocol; false if a signal came first. To the client
/// those that do not are only away, and nobody would hear of it.
pub(super) fn group_protocol(
    world: &World,
    options: RunOptions,
    signals: &mut Signals,
) -> Result<bool, DaemonError> {
    let tries = Tries::begin(options);
    loop {
        let settings = world.settings.kafka.clone();
        let look = move || knows_group_protocol(&settings, LOOK);
        let answer = world.runtime.spawn_blocking(look);
        let Some(answer) = unless_signalled(world, signals, answer) else { return Ok(false) };
        let error = match answer.map_err(|error| DaemonError::Fatal(error.to_string()))? {
            Ok(()) => return Ok(true),
            Err(error @ KafkaError::Config(_)) => return Err(error.into()),
            Err(error) => error,
        };
        let mend = error.is_to_be_mended();
        let why = if matches!(error, KafkaError::GroupProtocol { .. }) {
            world.status.met(Condition::BrokerReachable);
            world.status.unmet(Condition::GroupAnswered, error.to_string());
            format!("{error} (class configuration)")
        } else {
            world.status.unmet(Condition::BrokerReachable, error.to_string());
            format!("{error}; see kafka.bootstrap_servers")
        };
        if !tries.failed(world, signals, mend, why)? {
            return Ok(false);
        }
    }
}

/// The goals of `--until-end`; none without it, and `None` if a signal came first.
pub(super) fn goals(
    world: &World,
    edge: &KafkaEdge,
    options: RunOptions,
    signals: &mut Signals,
) -> Result<Option<Arc<Goals>>, DaemonError> {
    if !options.until_end {
        return Ok(Some(Arc::new(Goals::default())));
    }
    let topics = &world.settings.kafka.topics;
    let tries = Tries::begin(options);
    loop {
        let (asked, settings) = (edge.clone(), world.settings.kafka.clone());
        let ask = move || {
            // The reason why nobody answers is told to those who ask for nothing else.
            let reason =
                |error| reach(&settings, &settings.bootstrap_servers, LOOK).err().unwrap_or(error);
            Goals::at_present(&asked, &settings.topics).map_err(reason)
        };
        let answer = world.runtime.spawn_blocking(ask);
        let Some(answer) = unless_signalled(world, signals, answer) else { return Ok(None) };
        let error = match answer.map_err(|error| DaemonError::Fatal(error.to_string()))? {
            Ok(goals) => {
                world.status.met(Condition::BrokerReachable);
                return match goals.missing(topics).first() {
                    Some(topic) => Err(DaemonError::NoSuchTopic((*topic).to_owned())),
                    None => Ok(Some(Arc::new(goals))),
                };
            }
            Err(error @ KafkaError::Config(_)) => return Err(error.into()),
            Err(error) => error,
        };
        world.status.unmet(Condition::BrokerReachable, error.to_string());
        let mend = error.is_to_be_mended();
        let why =
            format!("the ends of the logs cannot be asked: {error}; see kafka.bootstrap_servers");
        if !tries.failed(world, signals, mend, why)? {
            return Ok(None);
        }
    }
}

/// What all lanes are made with.
pub(super) struct Lanes<'a> {
    pub(super) store: &'a Store,
    pub(super) conditional: bool,
    pub(super) edge: &'a KafkaEdge,
    pub(super) goals: &'a Arc<Goals>,
    pub(super) news: UnboundedSender<News>,
    pub(super) budget: Budget,
    pub(super) spread: Spread,
    pub(super) spool: Option<Arc<dyn Spool>>,
}

impl Lanes<'_> {
    /// Starts a thread a lane, and those that look after them.
    pub(super) fn start(
        &self,
        world: &World,
        consumers: Vec<LaneConsumer>,
    ) -> Result<Vec<LaneHandle>, DaemonError> {
        let machine = |error| DaemonError::Machine("no thread", error);
        let session = session().map_err(|error| DaemonError::Machine("no randomness", error))?;
        let (ends, clock) = (LogEnds::default(), Clock::start());
        let runtime = world.runtime.handle().clone();
        let (edge, store) = (self.edge.clone(), self.store.clone());
        let on_lost_offsets = world.settings.kafka.on_lost_offsets;
        let resolver =
            Resolver::start(edge, store, runtime.clone(), on_lost_offsets).map_err(machine)?;
        let uploads = Uploads::new(
            self.store.clone(),
            &world.settings.s3,
            self.budget.uploads(),
            runtime,
            Arc::clone(&world.status),
        );
        let pool = Pool::new(self.budget, consumers.len());
        let mut handles = Vec::new();
        for (index, consumer) in consumers.into_iter().enumerate() {
            let (handle, inbox) = LaneHandle::new(consumer.waker());
            let outside = Outside {
                consumer,
                handle: handle.clone(),
                edge: self.edge.clone(),
                uploads: uploads.clone(),
                resolver: resolver.clone(),
                goals: Arc::clone(self.goals),
                observer: self.observer(world, index, &ends),
                clock,
                leaving: HashMap::new(),
                giving: HashMap::new(),
                spread: self.spread.clone(),
            };
            let sink = Sink::new(self.sink_settings(world, &format!("{session}.{index}")));
            let policies = Arc::new(world.settings.topics.clone());
            let lane = Lane {
                index,
                driver: Driver::new(sink, outside, policies),
                inbox,
                pool: Arc::clone(&pool),
                beat: world.status.beat(format!("lane-{index}")),
            };
            spawn_lane(index, lane).map_err(machine)?;
            handles.push(handle);
        }
        watch_memory(Watcher::new(pool, handles.clone()), Arc::clone(&world.stop))
            .map_err(machine)?;
        self.watch_cluster(world, &handles, ends).map_err(machine)?;
        Ok(handles)
    }

    fn observer(&self, world: &World, lane: usize, ends: &LogEnds) -> Observer {
        Observer::new(
            lane,
            Arc::clone(&world.metrics),
            Arc::clone(&world.status),
            world.held.clone(),
            ends.clone(),
            self.news.clone(),
        )
    }

    fn watch_cluster(
        &self,
        world: &World,
        handles: &[LaneHandle],
        ends: LogEnds,
    ) -> std::io::Result<()> {
        ClusterWatch {
            edge: self.edge.clone(),
            held: world.held.clone(),
            lanes: handles.to_vec(),
            ends,
            balance: Balance::new(self.spread.clone()),
            stop: Arc::clone(&world.stop),
        }
        .start()
    }

    fn sink_settings(&self, world: &World, session: &str) -> SinkSettings {
        let kafka = &world.settings.kafka;
        SinkSettings {
            group_hash: short_hash(kafka.group_id.as_bytes()).into(),
            session: session.into(),
            conditional_put: self.conditional,
            start: kafka.start,
            on_lost_offsets: kafka.on_lost_offsets,
            on_offset_out_of_range: kafka.on_offset_out_of_range,
            fenced_deadline: FENCED_DEADLINE,
            spool: self.spool.clone(),
        }
    }
}

fn spawn_lane(index: usize, lane: Lane) -> std::io::Result<()> {
    let run = move || lane.run();
    std::thread::Builder::new().name(format!("lane-{index}")).spawn(run).map(drop)
}

/// A word that no other run has: pin ids begin with it.
pub(crate) fn session() -> std::io::Result<String> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}
