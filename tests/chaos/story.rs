//! One scenario from its beginning to the count: servers, producers, sinks, faults, then calm.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::cluster::Cluster;
use crate::depot::Depot;
use crate::diary::Diary;
use crate::faults::Fault;
use crate::oracle::{self, Count, Positions};
use crate::producers::{Produced, Source};
use crate::scenario::{Protocol, Scenario, Tenant, Use};
use crate::servers::{Brokers, Stores, Topic, Wire, Wires};
use crate::sinks::Slot;
use crate::stage::{Stage, between};
use crate::support::sink::SinkConfig;

/// Once faults have ceased, everything lands within this.
const DRAIN: Duration = Duration::from_secs(180);

/// How a scenario went.
pub(crate) struct Told {
    pub(crate) count: Count,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) deeds: BTreeMap<String, u64>,
    /// How long it took until all had landed, after the faults.
    pub(crate) drained: Duration,
    /// What is wrong, and where the diary is.
    pub(crate) wrong: Option<String>,
}

/// Runs a scenario on a cluster that is there.
pub(crate) fn run(scenario: &Scenario, seed: u64, args: &Args, cluster: &Cluster) -> Told {
    let diary = Diary::open(scenario.name, seed);
    let depot = Depot::start(scenario.store);
    let stage = Stage::new(cluster, &depot, &diary, seed, args.window);
    let (mut count, mut drained) = (Count::default(), Duration::ZERO);
    guarded(&stage, "the scenario", || (count, drained) = play(scenario, seed, &stage));
    let (faults, deeds) = (stage.counts.all(), stage.deeds());
    let wrong = stage.broken().map(|wrong| {
        for number in 0..cluster.len() {
            diary.keep(&format!("broker-{number}.log"), &cluster.broker(number).log());
        }
        format!("{wrong}\n  its diary: {}", diary.folder().display())
    });
    if wrong.is_none() && !args.keep {
        diary.burn();
    }
    Told { count, faults, deeds, drained, wrong }
}

/// Runs a part of it; a panic is as bad as any other break.
fn guarded(stage: &Stage<'_>, who: &str, part: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(part)) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        stage.break_off(format!("{who}: {}", text.unwrap_or_default()));
    }
}

fn play(scenario: &Scenario, seed: u64, stage: &Stage<'_>) -> (Count, Duration) {
    let topics: Vec<Topic> =
        scenario.tenants.iter().map(|tenant| prepare(scenario, tenant, seed, stage)).collect();
    let topics: Vec<&Topic> = topics.iter().collect();
    let mut slots = Vec::new();
    for (tenant, topic) in scenario.tenants.iter().zip(&topics) {
        let base = config_of(stage, tenant, topic);
        for number in 0..tenant.sinks {
            let name = format!("{}-{number}", tenant.name);
            let is_static = tenant.protocol == Protocol::Static;
            slots.push((number, Slot::new(stage, &name, base.clone(), is_static)));
        }
    }
    let produced = trouble(scenario, stage, &topics, &mut slots);
    if stage.broken().is_some() {
        slots.iter().for_each(|(_, slot)| slot.keep_log());
        return Default::default();
    }
    for topic in &topics {
        let behind = Positions::of(stage.cluster, &topic.name);
        let behind = behind.behind(topic.partitions.load(Ordering::Relaxed));
        stage.tell(&format!("calm; {} is behind by {behind:?}", topic.name));
    }
    let began = Instant::now();
    drain(stage, &topics, &mut slots);
    let drained = began.elapsed();
    stage.tell("drained, or not");
    slots.iter().for_each(|(_, slot)| slot.keep_log());
    if stage.broken().is_none() {
        slots.iter_mut().for_each(|(_, slot)| slot.finish());
    }
    let mut all = Count::default();
    for ((tenant, topic), produced) in scenario.tenants.iter().zip(&topics).zip(&produced) {
        match oracle::judge(stage, tenant, topic, produced) {
            Ok(count) => {
                all.records += count.records;
                all.objects += count.objects;
                all.compacted += count.compacted;
            }
            Err(wrong) => stage.break_off(wrong),
        }
    }
    stage.counts.saw(Fault::RecordsCompacted, all.compacted);
    (all, drained)
}

/// A topic and a bucket of the same name.
fn prepare(scenario: &Scenario, tenant: &Tenant, seed: u64, stage: &Stage<'_>) -> Topic {
    let name = format!("{}-{}-{seed}", scenario.name, tenant.name);
    const COMPACTED: &[(&str, &str)] = &[
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1000"),
    ];
    let settings = if tenant.topic == Use::Compacted { COMPACTED } else { &[] };
    stage.cluster.broker(0).create_topic(&name, tenant.partitions, settings);
    stage.depot.create_bucket(&name);
    Topic { name, partitions: AtomicI32::new(tenant.partitions), litters: AtomicU64::new(0) }
}

/// A sink behind the proxies, which is soon missed and soon gives up a connection that is dead.
fn config_of(stage: &Stage<'_>, tenant: &Tenant, topic: &Topic) -> SinkConfig {
    let librdkafka = |property: &str| format!("kafka.librdkafka.\"{property}\"");
    let bucket = stage.depot.bucket(&topic.name);
    let config = SinkConfig::new(&stage.cluster.broker(0), &bucket, &topic.name)
        .set("kafka.bootstrap_servers", stage.cluster.faulty_bootstrap())
        .set("s3.endpoint", stage.depot.faulty_endpoint())
        .set("s3.request_timeout", "5s")
        .set("s3.retry_warn_after", "10s")
        .set("shutdown.timeout", "10s")
        .set(&librdkafka("socket.timeout.ms"), 6000)
        .set(&librdkafka("reconnect.backoff.max.ms"), 1000)
        .set(&librdkafka("topic.metadata.refresh.interval.ms"), 1000);
    match tenant.protocol {
        // The broker sets the times.
        Protocol::Consumer => config.set("kafka.group_protocol", "consumer"),
        classic => {
            let assignor = if classic == Protocol::Eager { "eager" } else { "cooperative-sticky" };
            config
                .set("kafka.assignor", assignor)
                .set(&librdkafka("session.timeout.ms"), 4000)
                .set(&librdkafka("heartbeat.interval.ms"), 500)
        }
    }
}

/// Producers go on until the faults have ceased; what they know of their records.
fn trouble(
    scenario: &Scenario,
    stage: &Stage<'_>,
    topics: &[&Topic],
    slots: &mut [(usize, Slot<'_>)],
) -> Vec<Produced> {
    let calm = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calm = &calm;
        let produce = |(tenant, topic)| {
            scope.spawn(move || {
                let mut produced = Produced::default();
                guarded(stage, "a producer", || {
                    let over = || calm.load(Ordering::Relaxed) || stage.broken().is_some();
                    produced = Source::new(stage, tenant, topic).run(over);
                });
                produced
            })
        };
        let producing: Vec<_> =
            scenario.tenants.iter().zip(topics.iter().copied()).map(produce).collect();
        strike(scenario, stage, topics, slots);
        calm.store(true, Ordering::Relaxed);
        producing.into_iter().map(|producer| producer.join().expect("guarded")).collect()
    })
}

/// All faults, each part's by a thread of its own, until they are over.
fn strike(
    scenario: &Scenario,
    stage: &Stage<'_>,
    topics: &[&Topic],
    slots: &mut [(usize, Slot<'_>)],
) {
    let store = std::slice::from_ref(stage.depot.proxy());
    std::thread::scope(|scope| {
        for (number, slot) in slots {
            scope.spawn(move || guarded(stage, "a sink", || live(stage, *number, slot)));
        }
        scope.spawn(|| {
            guarded(stage, "brokers", || {
                let kinds = scenario.broker_faults();
                stage.act("brokers", kinds, 2000..6000, &mut Brokers { stage, topics });
            });
        });
        scope.spawn(|| {
            guarded(stage, "the store", || {
                let kinds = scenario.store_faults();
                stage.act("store", kinds, 1000..4000, &mut Stores { stage, topics });
            });
        });
        for (name, wire, proxies) in [
            ("the network to Kafka", Wire::KAFKA, stage.cluster.proxies()),
            ("the network to the store", Wire::STORE, store),
        ] {
            scope.spawn(move || {
                let mut wires = Wires { stage, wire, proxies };
                guarded(stage, name, || stage.act(name, &wire.kinds(), 1000..5000, &mut wires));
            });
        }
    });
}

/// One place: its sink is there from the beginning, or joins the others.
fn live(stage: &Stage<'_>, number: usize, slot: &mut Slot<'_>) {
    if number == 0 {
        slot.live();
    } else {
        let mut dice = stage.dice(&format!("{number} joins"));
        slot.join(between(&mut dice, 1000, 6000));
    }
    let (name, kinds) = (slot.name().to_owned(), slot.kinds());
    stage.act(&name, &kinds, 2000..5000, slot);
}

/// Waits until the groups stand at the ends of the logs.
fn drain(stage: &Stage<'_>, topics: &[&Topic], slots: &mut [(usize, Slot<'_>)]) {
    let deadline = Instant::now() + DRAIN;
    for topic in topics {
        let positions = Positions::of(stage.cluster, &topic.name);
        loop {
            slots.iter_mut().for_each(|(_, slot)| slot.supervise());
            let behind = positions.behind(topic.partitions.load(Ordering::Relaxed));
            if behind == Ok(0) || stage.broken().is_some() {
                break;
            }
            if Instant::now() >= deadline {
                let name = &topic.name;
                stage.break_off(format!("{name} is not drained after {DRAIN:?}: {behind:?}"));
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}
