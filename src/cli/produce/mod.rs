//! `kafka-s3-sink produce`: sample events to a topic, at a given rate and count.
//!
//! `demo::events` makes them, `kafka::produce` sends them; here are the wishes (`args`), the
//! speed (`pace`) and what people see of it (`progress`).

mod args;
mod pace;
mod progress;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub(super) use args::ProduceArgs;

use super::{WRONG_CONFIGURATION, failed, wrong_configuration};
use crate::config::{LogFormat, LogSettings};
use crate::demo::events::{Events, SampleEvent, SampleKind};
use crate::kafka::KafkaError;
use crate::kafka::produce::{SampleProducer, SampleRecord, create_topic};
use crate::telemetry::logging;
use args::Target;
use pace::Pace;
use progress::Progress;

/// How long a broker has to answer before we say that there is none.
const REACH: Duration = Duration::from_secs(10);

/// How long one record may wait for its broker, unless `message.timeout.ms` is set.
const DELIVERY: Duration = Duration::from_secs(30);

/// The exit code of a second signal, as in `cli`.
const SECOND_SIGNAL: i32 = 130;

/// Produces until the count is reached or a signal comes; 1 if a record was not delivered.
pub(super) fn produce(args: &ProduceArgs) -> ExitCode {
    if let Err(reason) = args.shares() {
        eprintln!("error: {reason}");
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    let target = match args.target() {
        Ok(target) => target,
        Err(errors) => return wrong_configuration(&errors),
    };
    match try_produce(args, &target) {
        Ok(tally) if tally.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) if error.downcast_ref().is_some_and(KafkaError::is_to_be_mended) => {
            failed(&error);
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(error) => failed(&error),
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: u64,
    delivered: u64,
    failed: u64,
    tombstones: u64,
    invalid: u64,
    value_bytes: u64,
}

fn try_produce(args: &ProduceArgs, target: &Target) -> anyhow::Result<Tally> {
    logging::init(&LogSettings { level: "error".to_owned(), format: LogFormat::Text })?;
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let stop = stop_at_signal(&runtime)?;
    let producer = SampleProducer::connect(&target.bootstrap_servers, &target.properties)?;
    prepare_topic(args, target, &producer, &runtime)?;
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let events = Events::new(args.seed, args.shape(now_ms));
    let begun = Instant::now();
    let tally = send_all(args, &producer, events, &stop)?;
    println!("{}", progress::summary(args, &tally, begun.elapsed()));
    if let Some(reason) = producer.first_failure() {
        eprintln!("error: {} records were not delivered, the first: {reason}", tally.failed);
    }
    Ok(tally)
}

/// The first signal ends the run in order, the second at once.
fn stop_at_signal(runtime: &Runtime) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let _guard = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let stop = Arc::clone(&stop);
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(SECOND_SIGNAL);
                }
            }
        });
    }
    Ok(stop)
}

/// Looks whether a broker answers and the topic is there; makes it where that is wanted.
fn prepare_topic(
    args: &ProduceArgs,
    target: &Target,
    producer: &SampleProducer,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let Target { bootstrap_servers, properties } = target;
    let topics = producer.topics(REACH).with_context(|| {
        format!(
            "no broker answered at {bootstrap_servers} within {} s; check the address, and the \
             security settings in [kafka.librdkafka] of --config",
            REACH.as_secs()
        )
    })?;
    let topic = &args.topic;
    if let Some(there) = topics.get(topic) {
        let (there, wanted) = (*there as i64, i64::from(args.partitions));
        if args.create && there != wanted {
            eprintln!(
                "warning: the topic {topic} is there already, with {there} Kafka partitions and not \
                 {wanted}; it stays as it is"
            );
        }
        return Ok(());
    }
    if !args.create {
        bail!("there is no topic {topic} at {bootstrap_servers}; make it, or give --create");
    }
    let made = create_topic(bootstrap_servers, properties, topic, args.partitions, &[]);
    runtime.block_on(made)?;
    eprintln!("made topic {topic} with {} Kafka partitions", args.partitions);
    Ok(())
}

fn send_all(
    args: &ProduceArgs,
    producer: &SampleProducer,
    events: Events,
    stop: &AtomicBool,
) -> anyhow::Result<Tally> {
    let mut pace = Pace::new(args.rate, Instant::now());
    let mut progress = Progress::new(args.count, Instant::now());
    let mut tally = Tally::default();
    let wanted = if args.count == 0 { u64::MAX } else { args.count };
    for event in events.take(usize::try_from(wanted).unwrap_or(usize::MAX)) {
        while let Some(pause) = pace.pause(Instant::now()).filter(|_| !stop.load(Ordering::Relaxed))
        {
            std::thread::sleep(pause);
            progress.show(producer, &tally, Instant::now());
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        send(producer, &args.topic, &event)?;
        tally.add(&event);
        pace.count();
        if tally.sent % 256 == 0 {
            none_at_all(producer)?;
            progress.show(producer, &tally, Instant::now());
        }
    }
    flush(producer, &mut progress, &tally)?;
    progress.end();
    tally.delivered = producer.delivered();
    tally.failed = producer.failed();
    Ok(tally)
}

fn send(producer: &SampleProducer, topic: &str, event: &SampleEvent) -> anyhow::Result<()> {
    let headers: Vec<_> =
        event.headers.iter().map(|(name, value)| (*name, value.as_deref())).collect();
    producer.send(&SampleRecord {
        topic,
        partition: None,
        key: event.key.as_deref(),
        value: event.value.as_deref(),
        headers: &headers,
        timestamp: Some(event.timestamp_ms),
    })?;
    Ok(())
}

impl Tally {
    fn add(&mut self, event: &SampleEvent) {
        self.sent += 1;
        self.tombstones += u64::from(event.kind == SampleKind::Tombstone);
        self.invalid += u64::from(event.kind == SampleKind::Invalid);
        self.value_bytes += event.value.as_ref().map_or(0, |value| value.len() as u64);
    }
}

/// Where nothing at all is taken, the rest would only wait in vain, one delivery time a queue.
fn none_at_all(producer: &SampleProducer) -> anyhow::Result<()> {
    match producer.first_failure() {
        Some(reason) if producer.delivered() == 0 => bail!(
            "the brokers answer but take no record: {reason}; check that the addresses that \
             they advertise can be reached from here, and the right to write to the topic"
        ),
        _ => Ok(()),
    }
}

/// Waits for what is queued; every record of it is delivered or given up within its time.
fn flush(producer: &SampleProducer, progress: &mut Progress, tally: &Tally) -> anyhow::Result<()> {
    const TURN: Duration = Duration::from_millis(200);
    while producer.flush(TURN).is_err() {
        progress.show(producer, tally, Instant::now());
    }
    none_at_all(producer)
}
