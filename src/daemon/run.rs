//! One run of the sink, from the first connection to the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::descriptors;
use super::elsewhere::Elsewhere;
use super::error::DaemonError;
use super::flush::Flusher;
use super::goal::Goals;
use super::group::{Held, Listener};
use super::inbox::{LaneHandle, Latch, Mail};
use super::memory::Budget;
use super::news::News;
use super::reload::{Reloader, Source};
use super::shutdown::shut_down;
use super::signals::{Asked, Signals};
use super::spread::Spread;
use super::start::{self, Lanes};
use super::world::{RunOptions, World};
use crate::config::Settings;
use crate::kafka::{EdgeOptions, FetchMemory, KafkaEdge, exit_now};
use crate::telemetry::{Metrics, Status, Totals, http, systemd};

/// How often the end of `--until-end` is looked for beside the news that tell of it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a member without Kafka partitions waits for some before it has reached its end.
const EMPTY_FOR: Duration = Duration::from_secs(2);
/// How long the lanes have for their last counts and lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a run ended, if nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A signal ended it, or `--until-end` was reached; all that was read has landed.
    Done,
    /// A signal ended it, and the deadline passed before all had landed; the pins say where the
    /// next run goes on.
    DeadlinePassed,
    /// `--until-end` landed all but the Kafka partitions that stopped.
    SomeStopped,
}

/// Runs the sink until a signal, the goal, or an error ends it.
pub fn run(
    settings: Settings,
    options: RunOptions,
    source: &dyn Source,
) -> Result<Outcome, DaemonError> {
    let spool_files = descriptors::check(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("s3")
        .enable_all()
        .build()
        .map_err(|error| DaemonError::Machine("no runtime", error))?;
    let world = World {
        settings,
        runtime,
        metrics: Arc::new(Metrics::new()),
        status: Arc::new(Status::new()),
        held: Held::default(),
        spool_files,
        stop: Arc::new(AtomicBool::new(false)),
        began: Instant::now(),
    };
    let mut signals = Signals::listen(&world.runtime)?;
    let outcome = run_in(&world, options, source, &mut signals);
    if options.until_end && outcome.is_ok() {
        tell_totals(&world);
    }
    world.stop.store(true, Ordering::Release);
    // Uploads that are still on their way are the next owner's by their pins.
    world.runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// One line about what a run with an end has done.
fn tell_totals(world: &World) {
    let Totals { records, objects, stored_bytes } = world.metrics.totals();
    let seconds = world.began.elapsed().as_secs();
    tracing::info!(records, objects, stored_bytes, seconds, "this run has landed");
}

fn run_in(
    world: &World,
    options: RunOptions,
    source: &dyn Source,
    signals: &mut Signals,
) -> Result<Outcome, DaemonError> {
    let flusher = Arc::new(Flusher::default());
    serve_http(world, Arc::clone(&flusher))?;
    let spool = start::open_spool(world)?;
    let Some((store, conditional)) = start::open_store(world, options, signals)? else {
        return Ok(Outcome::Done);
    };
    if !start::group_protocol(world, options, signals)? {
        return Ok(Outcome::Done);
    }
    let (news, mut heard) = unbounded_channel();
    let spread = Spread::new(world.settings.kafka.lanes);
    let listener = Arc::new(Listener::new(
        world.held.clone(),
        spread.clone(),
        Arc::clone(&world.metrics),
        Arc::clone(&world.status),
        news.clone(),
    ));
    let budget = budget(&world.settings);
    let (edge, consumers) = connect(world, &listener, &spread, budget)?;
    let Some(goals) = start::goals(world, &edge, options, signals)? else {
        return Ok(Outcome::Done);
    };
    if options.until_end && goals.is_empty() {
        // The group would never answer: there is nothing to join for.
        tracing::warn!("no topic matches kafka.topics, so the end is reached already");
        return Ok(Outcome::Done);
    }
    let lanes = Lanes {
        store: &store,
        conditional,
        edge: &edge,
        goals: &goals,
        news,
        budget,
        spread,
        spool,
    };
    let handles = lanes.start(world, consumers)?;
    listener.set_lanes(handles.clone());
    flusher.set_lanes(&handles);
    edge.join()?;
    let goals = options.until_end.then_some(&*goals);
    let settings = world.settings.clone();
    let mut reloader = Reloader { world, source, options, edge: &edge, lanes: &handles, settings };
    let end = world.runtime.block_on(wait_for_end(&mut reloader, goals, &mut heard, signals));
    let timeout = reloader.settings.shutdown.timeout;
    finish(world, &edge, &handles, heard, signals, timeout, end)
}

/// Serves the endpoints and systemd until the runtime goes.
fn serve_http(world: &World, flusher: Arc<Flusher>) -> Result<(), DaemonError> {
    world.metrics.set_memory_budget(world.settings.memory.limit);
    world.metrics.set_batches_budget(budget(&world.settings).batches);
    let (metrics, status) = (Arc::clone(&world.metrics), Arc::clone(&world.status));
    let forever = std::future::pending();
    world.runtime.block_on(http::serve(&world.settings.http, metrics, status, flusher, forever))?;
    let status = Arc::clone(&world.status);
    world.runtime.spawn(systemd::tend(status, std::future::pending()));
    Ok(())
}

fn budget(settings: &Settings) -> Budget {
    let topics = &settings.topics;
    let policies = topics.by_topic.values().chain([&topics.default]);
    let largest = policies.map(|policy| policy.layout.max_record_bytes).max().unwrap_or_default();
    Budget::of(settings.memory.limit, settings.kafka.lanes, largest.into())
}

/// The properties of a run's consumer, as librdkafka names them: what bare consumption is measured
/// with, so that both fetch alike.
pub fn consumer_properties(settings: &Settings) -> BTreeMap<String, String> {
    let memory = FetchMemory { bytes: budget(settings).fetch };
    let isolation = settings.topics.default.layout.isolation_level;
    crate::kafka::consumer_properties(&settings.kafka, isolation, memory)
}

fn connect(
    world: &World,
    listener: &Arc<Listener>,
    spread: &Spread,
    budget: Budget,
) -> Result<(KafkaEdge, Vec<crate::kafka::LaneConsumer>), DaemonError> {
    let settings = &world.settings.kafka;
    let (lanes, spread) = (settings.lanes.max(1), spread.clone());
    let connected = KafkaEdge::connect(EdgeOptions {
        settings,
        isolation: world.settings.topics.default.layout.isolation_level,
        memory: FetchMemory { bytes: budget.fetch },
        lanes,
        assign_lane: Arc::new(move |partition| spread.lane_of(partition)),
        listener: listener.clone(),
        hard_stop: exit_now(),
    });
    Ok(connected?)
}

/// Why the main loop ended.
enum End {
    Signal,
    Reached(Outcome),
    ToBeMended(String),
    Fatal(String),
}

async fn wait_for_end(
    reloader: &mut Reloader<'_>,
    goals: Option<&Goals>,
    news: &mut UnboundedReceiver<News>,
    signals: &mut Signals,
) -> End {
    let (world, edge) = (reloader.world, reloader.edge);
    let (mut empty_since, mut elsewhere) = (None, Elsewhere::default());
    loop {
        tokio::select! {
            asked = signals.any() => match asked {
                Asked::End(name) => return signal_came(name),
                Asked::Reload => reloader.reload(),
            },
            heard = news.recv() => match heard {
                Some(News::Fatal(message)) => return End::Fatal(message),
                // A run without an end waits until it is mended.
                Some(News::ToBeMended(message)) if goals.is_some() => {
                    return End::ToBeMended(message);
                }
                _ => {}
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some(goals) = goals else { continue };
        let Some(outcome) = reached(world, goals, &mut empty_since) else {
            elsewhere = Elsewhere::default();
            continue;
        };
        tokio::select! {
            name = signals.next() => return signal_came(name),
            settled = elsewhere.is_settled(edge, goals, &world.held) => if settled {
                return End::Reached(outcome);
            },
        }
    }
}

fn signal_came(name: &str) -> End {
    tracing::info!(signal = name, "stopping: what was read lands and is committed");
    End::Signal
}

/// Whether all that is held now has reached its goal.
fn reached(world: &World, goals: &Goals, empty_since: &mut Option<Instant>) -> Option<Outcome> {
    let holdings = world.held.lock();
    if !holdings.answered {
        return None;
    }
    if holdings.held.is_empty() {
        let since = empty_since.get_or_insert_with(Instant::now);
        return (since.elapsed() >= EMPTY_FOR).then_some(Outcome::Done);
    }
    *empty_since = None;
    let held: Vec<_> = holdings.held.iter().map(|(at, epoch)| (at.clone(), *epoch)).collect();
    let is_through = |key: &(_, _)| {
        holdings.reached.contains(key)
            || holdings.stopped.contains(key)
            || goals.of(&key.0).is_none()
    };
    if !held.iter().all(is_through) {
        return None;
    }
    let stopped = held.iter().any(|key| holdings.stopped.contains(key));
    Some(if stopped { Outcome::SomeStopped } else { Outcome::Done })
}

fn finish(
    world: &World,
    edge: &KafkaEdge,
    lanes: &[LaneHandle],
    news: UnboundedReceiver<News>,
    signals: &mut Signals,
    timeout: Duration,
    end: End,
) -> Result<Outcome, DaemonError> {
    world.status.shutting_down();
    systemd::stopping(timeout);
    let orderly = |outcome| {
        signals.exit_on_the_next(&world.runtime);
        let in_time = shut_down(world, edge, lanes, news, timeout);
        if in_time { outcome } else { Outcome::DeadlinePassed }
    };
    let outcome = match end {
        End::Fatal(message) => Err(DaemonError::Fatal(message)),
        End::ToBeMended(message) => Err(DaemonError::ToBeMended(message)),
        End::Reached(outcome) => Ok(orderly(outcome)),
        End::Signal => Ok(orderly(Outcome::Done)),
    };
    end_lanes(lanes);
    outcome
}

/// Ends the lanes' threads. The process waits for what they have not told yet, or a record that was
/// left out in the last moment would be so without a line.
fn end_lanes(lanes: &[LaneHandle]) {
    let told = Latch::new(lanes.len());
    for lane in lanes {
        lane.post(Mail::End(Arc::clone(&told)));
    }
    told.wait(LAST_WORDS);
}
