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
use super::run::{OpenStore, RunOptions, World};
use super::shutdown::Signals;
use super::uploads::Uploads;
use super::watch::{ClusterWatch, LogEnds, watch_memory};
use crate::kafka::{KafkaEdge, KafkaError, LaneConsumer};
use crate::pipeline::{Sink, SinkSettings, short_hash};
use crate::s3::{ConditionalPut, Store};
use crate::telemetry::Condition;

/// Between tries of what must succeed before the start.
const RETRY_EVERY: Duration = Duration::from_secs(3);
/// How long a fenced member waits for the rebalance callback, beyond any session timeout in use.
const FENCED_DEADLINE: Duration = Duration::from_secs(90);

/// Connects and probes, as long as it takes. `None` if a signal came first.
pub(super) fn open_store(
    world: &World,
    signals: &mut Signals,
) -> Result<Option<OpenStore>, DaemonError> {
    let store = world.runtime.block_on(Store::connect(&world.settings.s3))?;
    let layout = &world.settings.topics.default.layout;
    let key = probe_key(&layout.dead_letter_prefix);
    loop {
        let probe = store.probe_conditional_put(&layout.bucket, &key);
        let Some(probe) = unless_signalled(world, signals, probe) else { return Ok(None) };
        match probe {
            Ok(found) => {
                world.status.met(Condition::StoreReachable);
                return Ok(Some((store, is_honoured(&found))));
            }
            Err(error) => {
                tracing::error!("the store cannot be used: {error}; it is tried again");
                world.status.unmet(Condition::StoreReachable, error.message);
            }
        }
        let pause = async { tokio::time::sleep(RETRY_EVERY).await };
        if unless_signalled(world, signals, pause).is_none() {
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

/// Waits for an answer; `None` if a signal came first.
fn unless_signalled<T>(
    world: &World,
    signals: &mut Signals,
    answer: impl Future<Output = T>,
) -> Option<T> {
    world.runtime.block_on(async {
        tokio::select! {
            answer = answer => Some(answer),
            name = signals.next() => {
                tracing::info!(signal = name, "stopping; nothing was begun");
                None
            }
        }
    })
}

/// The goals of `--until-end`, as long as it takes to ask for them; none without it.
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
    loop {
        let (asked, names) = (edge.clone(), topics.clone());
        let answer = world.runtime.spawn_blocking(move || Goals::at_present(&asked, &names));
        let Some(answer) = unless_signalled(world, signals, answer) else { return Ok(None) };
        match answer.map_err(|error| DaemonError::Fatal(error.to_string()))? {
            Ok(goals) => {
                world.status.met(Condition::BrokerReachable);
                return match goals.missing(topics).first() {
                    Some(topic) => Err(DaemonError::NoSuchTopic((*topic).to_owned())),
                    None => Ok(Some(Arc::new(goals))),
                };
            }
            Err(error @ KafkaError::Config(_)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(
                    "the ends of the logs cannot be asked: {error}; it is tried again; see \
                     kafka.bootstrap_servers"
                );
                world.status.unmet(Condition::BrokerReachable, error.to_string());
            }
        }
        let pause = async { tokio::time::sleep(RETRY_EVERY).await };
        if unless_signalled(world, signals, pause).is_none() {
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
