//! How long records do not flow when a member joins and when one leaves by SIGTERM.
//!
//! A producer sends at a steady rate to every Kafka partition, and `/status` of both members is
//! asked all the time. A record flows where a member's position moves on. Positions there are
//! 0.2 s old at most, so that much is in every figure; the row tells what is seen at rest, too.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Field;
use crate::cost::start_again;
use crate::fill::{self, now_ms};
use crate::report::Figure;
use crate::stage::{Topic, fresh};
use crate::support::process::Process;
use crate::support::sink::{Sink, SinkConfig};
use crate::support::workdir::WorkDir;
use crate::{landed, ours};

const PARTITIONS: i32 = 16;
const RATE: u64 = 8_000;
const SECONDS: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// How long is watched at rest, and from a join or a leave on.
const AT_REST: Duration = Duration::from_secs(5);
const AFTERWARDS: Duration = Duration::from_secs(15);

pub(super) fn cooperative(field: &mut Field) -> Vec<Figure> {
    rebalance(field, "classic")
}

pub(super) fn consumer(field: &mut Field) -> Vec<Figure> {
    rebalance(field, "consumer")
}

fn rebalance(field: &mut Field, protocol: &str) -> Vec<Figure> {
    let name = fresh("rebalance");
    field.stage.broker.create_topic(&name, PARTITIONS, &[]);
    let records = RATE * SECONDS;
    let topic = Topic { name, partitions: PARTITIONS, records, bytes: 0 };
    let bucket = field.stage.bucket();
    let set = [("kafka.group_protocol", protocol.into()), ("rotation.max_age", "10s".into())];
    let config = ours::config(&field.stage, &bucket, &topic, &set);
    let (dir, mut producer) = produce(field, &topic);
    let figures = watch(&config);
    // What is left is landed by a third, and then every record is counted.
    let produced = producer.wait(PATIENCE + Duration::from_secs(SECONDS));
    assert!(produced.is_some_and(|end| end.status.success()), "{}", producer.tail());
    drop(dir);
    Sink::run_until_end(&config).wait_success(PATIENCE);
    assert_eq!(landed::by_metadata(&bucket).records, records, "every record landed once");
    landed::empty(&bucket);
    figures
}

fn produce(field: &Field, topic: &Topic) -> (WorkDir, Process) {
    let task = fill::Task {
        bootstrap: field.stage.broker.bootstrap(),
        topic: topic.name.clone(),
        partitions: PARTITIONS,
        records: topic.records,
        size: field.scale.size,
        start_ms: now_ms(),
        step_us: 1_000_000 / RATE as i64,
        live: true,
        row: 1,
    };
    let dir = WorkDir::new("live");
    let task = serde_json::to_string(&task).expect("JSON");
    let process = start_again(fill::COMMAND, &task, &dir);
    (dir, process)
}

/// One member, then two, then one again.
fn watch(config: &SinkConfig) -> Vec<Figure> {
    let mut members = vec![Sink::run(config)];
    members[0].wait_for_metric("kafka_s3_sink_consumed_records_total", 50_000.0, PATIENCE);
    let mut flow = Flow::new();
    // Once to learn who reads what.
    flow.watch(&members, AT_REST);
    let rest = flow.watch(&members, AT_REST);
    members.push(Sink::run(config));
    let join = flow.watch(&members, AFTERWARDS);
    members[1].sigterm();
    let leave = flow.watch(&members, AFTERWARDS);
    let ended = members[1].ended();
    assert!(ended.is_some_and(|end| end.status.success()), "{ended:?}\n{}", members[1].log());
    members[0].sigterm();
    members[0].wait(PATIENCE);
    let mut figures = vec![Figure::worst("longest pause at rest", "s", rest.stay)];
    for (what, pauses) in [("joins", join), ("leaves", leave)] {
        let Pauses { stay, moved } = pauses;
        let note = |pauses: &[f64]| format!("{} Kafka partitions", pauses.len());
        let (stays, moves) = (note(&stay), note(&moved));
        let name = |which: &str| format!("a member {what}: pause of those that {which}");
        figures.push(Figure::worst(&name("stay"), "s", stay).at_most(1.0).note(stays));
        figures.push(Figure::worst(&name("move"), "s", moved).at_most(3.0).note(moves));
    }
    figures
}

/// The longest pause of each Kafka partition that stayed where it was, and of those that did not,
/// in seconds.
#[derive(Default)]
struct Pauses {
    stay: Vec<f64>,
    moved: Vec<f64>,
}

/// What flows in one Kafka partition.
struct One {
    member: Option<usize>,
    flowed: Instant,
    longest: Duration,
    moved: bool,
}

/// What is seen of all of them.
struct Flow {
    /// By member and Kafka partition: where it was.
    positions: HashMap<(usize, i64), i64>,
    partitions: HashMap<i64, One>,
}

impl Flow {
    fn new() -> Self {
        let now = Instant::now();
        let one = || One { member: None, flowed: now, longest: Duration::ZERO, moved: false };
        let partitions = (0..PARTITIONS.into()).map(|partition| (partition, one())).collect();
        Self { positions: HashMap::new(), partitions }
    }

    /// What happens from now on, for so long.
    fn watch(&mut self, members: &[Sink], span: Duration) -> Pauses {
        for one in self.partitions.values_mut() {
            (one.longest, one.moved) = (Duration::ZERO, false);
        }
        let started = Instant::now();
        while started.elapsed() < span {
            for (number, member) in members.iter().enumerate() {
                if let Some((200, body)) = member.get("/status") {
                    self.look(number, &serde_json::from_str(&body).unwrap_or_default());
                }
            }
            std::thread::sleep(LOOK);
        }
        let mut pauses = Pauses::default();
        for one in self.partitions.values() {
            let group = if one.moved { &mut pauses.moved } else { &mut pauses.stay };
            group.push(one.longest.max(one.flowed.elapsed()).as_secs_f64());
        }
        pauses
    }

    fn look(&mut self, member: usize, status: &Value) {
        let now = Instant::now();
        for found in status["kafka_partitions"].as_array().into_iter().flatten() {
            let (partition, position) = (found["partition"].as_i64(), found["position"].as_i64());
            let (Some(partition), Some(position)) = (partition, position) else { continue };
            let before = self.positions.insert((member, partition), position);
            let one = self.partitions.get_mut(&partition).expect("a Kafka partition of the topic");
            if before.is_some_and(|before| position > before) {
                one.longest = one.longest.max(now - one.flowed);
                one.flowed = now;
                one.moved |= one.member.is_some_and(|last| last != member);
                one.member = Some(member);
            }
        }
    }
}
