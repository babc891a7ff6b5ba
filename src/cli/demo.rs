//! `kafka-s3-sink demo`: the real program on embedded parts, with no server and no account.
//!
//! It produces sample events, runs the sink as a process of its own, kills it in mid-flight, runs
//! it again to the end, and counts every record. `--serve` only holds the parts ready, for whoever
//! wants to do that by hand.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::runtime::Runtime;

use super::failed;
use crate::daemon::Signals;
use crate::demo::broker::{Broker, BrokerOptions};
use crate::demo::events::{EventShape, Events, SampleKind};
use crate::demo::store::{Store, StoreOptions};
use crate::demo::{Expected, count, duckdb_line, tree};
use crate::kafka::produce::{SampleProducer, SampleRecord};

const BUCKET: &str = "lake";
const TOPIC: &str = "orders";
/// The embedded Kafka keeps 5 MiB a Kafka partition.
const KAFKA_PARTITIONS: i32 = 12;
/// The sink is killed once so many objects are there.
const OBJECTS_BEFORE_KILL: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);
/// The embedded store takes any.
const KEY: &str = "demo";
const SECRET: &str = "demo-secret";

#[derive(clap::Args)]
pub(super) struct DemoArgs {
    /// Where the embedded store keeps its objects; it must not exist yet
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How many records to produce
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    records: u64,
    /// Only start the embedded Kafka and S3, say where they are, and hold them ready until Ctrl-C
    #[arg(long, conflicts_with = "records")]
    serve: bool,
}

pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let done = if args.serve { serve(args, &runtime) } else { runtime.block_on(show(args)) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// What the sink is pointed at.
struct Parts {
    dir: PathBuf,
    store: Store,
    broker: Broker,
}

async fn show(args: &DemoArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    let parts = start_parts(args).await?;
    let mut events = Produced::new(&parts)?;
    let half = args.records / 2;
    events.produce(half)?;
    say(begun, &format!("produced {half} sample events to {KAFKA_PARTITIONS} Kafka partitions"));

    let mut first = Sink::start(&parts, "first", &[])?;
    let seen = wait_for_objects(&parts, &mut first)?;
    first.kill()?;
    say(
        begun,
        &format!("{seen} objects are in the bucket; killed the sink in mid-flight (SIGKILL)"),
    );

    events.produce(args.records - half)?;
    say(begun, &format!("produced {} more; running the sink again", args.records - half));
    Sink::start(&parts, "second", &["--until-end"])?.wait()?;
    say(begun, "the sink says that everything is in S3 and committed");
    report(begun, &parts, &events)
}

/// The parts alone, for trials of the user's own.
fn serve(args: &DemoArgs, runtime: &Runtime) -> anyhow::Result<()> {
    let parts = runtime.block_on(start_parts(args))?;
    let config = write_configuration(&parts)?;
    let config = config.display();
    // Before it is said, so that whoever reads it may end this at once.
    let mut signals = Signals::listen(runtime)?;
    println!(
        r#"Kafka   {}, topic {TOPIC} with {KAFKA_PARTITIONS} Kafka partitions of 5 MiB
S3      {}, bucket {BUCKET}, any key; its objects are files below {}

    export AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={SECRET}
    kafka-s3-sink produce --config {config} --topic {TOPIC} --count 20000
    kafka-s3-sink run --config {config} --until-end

Both are there until Ctrl-C."#,
        parts.broker.bootstrap_servers(),
        parts.store.endpoint(),
        parts.store.bucket_dir(BUCKET).display(),
    );
    runtime.block_on(signals.next());
    println!("\nRemove what is left with: rm -r {}", parts.dir.display());
    Ok(())
}

async fn start_parts(args: &DemoArgs) -> anyhow::Result<Parts> {
    let dir = args.dir.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("kafka-s3-sink-demo-{}", std::process::id()))
    });
    ensure!(!dir.exists(), "{} exists already; choose another --dir", dir.display());
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let store = Store::start(StoreOptions::new(dir.join("s3"))).await?;
    store.create_bucket(BUCKET)?;
    let broker = Broker::start(BrokerOptions::default())?;
    broker.create_topic(TOPIC, KAFKA_PARTITIONS)?;
    Ok(Parts { dir, store, broker })
}

/// The events that were produced, and what of them must land.
struct Produced {
    events: Events,
    producer: SampleProducer,
    count: u64,
    absent: HashSet<u64>,
}

impl Produced {
    fn new(parts: &Parts) -> anyhow::Result<Self> {
        let shape = EventShape {
            start_ms: 1_795_363_200_000,
            step_us: 400_000,
            late_share: 0.01,
            tombstone_share: 0.002,
            invalid_share: 0.001,
            ..EventShape::default()
        };
        let servers = parts.broker.bootstrap_servers();
        let producer = SampleProducer::connect(servers, &std::collections::BTreeMap::new())?;
        Ok(Self { events: Events::new(1, shape), producer, count: 0, absent: HashSet::new() })
    }

    fn produce(&mut self, count: u64) -> anyhow::Result<()> {
        for event in self.events.by_ref().take(usize::try_from(count)?) {
            if event.kind == SampleKind::Tombstone {
                self.absent.insert(event.sequence);
            }
            let headers: Vec<_> =
                event.headers.iter().map(|(name, value)| (*name, value.as_deref())).collect();
            self.producer.send(&SampleRecord {
                topic: TOPIC,
                partition: i32::try_from(event.sequence % KAFKA_PARTITIONS as u64).ok(),
                key: event.key.as_deref(),
                value: event.value.as_deref(),
                headers: &headers,
                timestamp: Some(event.timestamp_ms),
            })?;
        }
        self.count += count;
        self.producer.flush(PATIENCE)?;
        ensure!(self.producer.failed() == 0, "the embedded Kafka did not take all records");
        Ok(())
    }
}

/// The sink as a process of its own.
struct Sink {
    child: Child,
    log: PathBuf,
}

impl Sink {
    fn start(parts: &Parts, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let config = write_configuration(parts)?;
        let log = parts.dir.join(format!("sink-{name}.log"));
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .args(arguments)
            // What is set for another sink must not decide what is shown.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| !is_setting(name)))
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("cannot start the sink")?;
        Ok(Self { child, log })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the sink failed ({status}), see {}", self.log.display());
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the sink does not come to an end, see {}", self.log.display())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It has ended already, unless something else failed first.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_configuration(parts: &Parts) -> anyhow::Result<PathBuf> {
    let path = parts.dir.join("sink.toml");
    std::fs::write(&path, configuration(parts))?;
    Ok(path)
}

fn configuration(parts: &Parts) -> String {
    format!(
        r#"# Written by the demo; the sink runs on it as it would on yours.
[kafka]
bootstrap_servers = "{}"
topics = ["{TOPIC}"]
group_id = "demo"

[kafka.librdkafka]
# The dead member is given up soon, so that the second run need not wait for long.
"session.timeout.ms" = 2000
"heartbeat.interval.ms" = 300

[s3]
bucket = "{BUCKET}"
region = "us-east-1"
endpoint = "{}"
force_path_style = true

[layout]
prefix = "raw"

[rotation]
max_records = 500
max_age = "2s"

[http]
listen = "127.0.0.1:0"
"#,
        parts.broker.bootstrap_servers(),
        parts.store.endpoint()
    )
}

fn table(parts: &Parts) -> PathBuf {
    parts.store.bucket_dir(BUCKET).join("raw").join(TOPIC)
}

/// Waits until the first objects are there, and says how many.
fn wait_for_objects(parts: &Parts, sink: &mut Sink) -> anyhow::Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let ended = sink.child.try_wait()?;
        ensure!(ended.is_none(), "the sink ended too early, see {}", sink.log.display());
        let seen = objects(&table(parts));
        if seen >= OBJECTS_BEFORE_KILL {
            return Ok(seen);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("nothing lands, see {}", sink.log.display())
}

fn objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |path: PathBuf| if path.is_dir() { objects(&path) } else { 1 };
    entries.flatten().map(|entry| count(entry.path())).sum()
}

fn report(begun: Instant, parts: &Parts, produced: &Produced) -> anyhow::Result<()> {
    let bucket = parts.store.bucket_dir(BUCKET);
    println!("\n{}", tree(&bucket, &format!("s3://{BUCKET}"))?);
    let expected = Expected { sequences: 0..produced.count, absent: produced.absent.clone() };
    let dead_letters = bucket.join("dead-letters").join("raw").join(TOPIC);
    let census = count(&table(parts), &dead_letters, &expected)?;
    println!(
        "{} records produced: {} in {} objects, {} dead letters in {}, {} tombstones skipped",
        produced.count,
        census.records,
        census.objects,
        census.dead_letters,
        census.dead_letter_objects,
        produced.absent.len(),
    );
    println!("{} missing, {} doubled, {} strange", census.missing, census.doubled, census.strange);
    ensure!(
        census.is_exact(),
        "the count is not exact; the sink's logs are in {}",
        parts.dir.display()
    );
    say(begun, "every record is there exactly once");
    println!(
        "\nQuery them with DuckDB:\n\n{}\n",
        duckdb_line(&table(parts), &["dt", "hour"], "json.gz")
    );
    println!("Remove them with: rm -r {}", parts.dir.display());
    Ok(())
}

fn say(begun: Instant, what: &str) {
    println!("{:5.1} s  {what}", begun.elapsed().as_secs_f64());
}

/// Whether a variable is read by the sink, or by the SDK in it.
fn is_setting(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [&b"KAFKA_S3_SINK_"[..], b"AWS_", b"RUST_LOG"].iter().any(|prefix| name.starts_with(prefix))
}
