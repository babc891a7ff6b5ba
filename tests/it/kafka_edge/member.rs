//! A group member that does with the edge what the daemon does, without a store: a record has
//! "landed" when the commit behind it was stored, and every record must land once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_s3_sink::config::{Assignor, GroupProtocol, KafkaSettings};
use kafka_s3_sink::kafka::{
    EdgeOptions, FetchMemory, GroupListener, HardStop, KafkaEdge, LaneConsumer, LaneWaker,
};
use kafka_s3_sink::record::{
    Epoch, IsolationLevel, LostOffsetsPolicy, Offset, OutOfRangePolicy, StartPosition,
    TopicPartition,
};

use super::lane::{Command, Lane};
use crate::support::kafka::Broker;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Which protocol the group speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Cooperative,
    Eager,
    Kip848,
}

/// Settings for one broker, with short sessions.
pub(crate) fn settings(
    broker: &Broker,
    protocol: Protocol,
    group: &str,
    topics: &[&str],
) -> KafkaSettings {
    let mut librdkafka = BTreeMap::new();
    if protocol != Protocol::Kip848 {
        librdkafka.insert("session.timeout.ms".to_owned(), "6000".to_owned().into());
        librdkafka.insert("heartbeat.interval.ms".to_owned(), "300".to_owned().into());
    }
    librdkafka.insert("topic.metadata.refresh.interval.ms".to_owned(), "1000".to_owned().into());
    if let Ok(debug) = std::env::var("KAFKA_EDGE_DEBUG") {
        librdkafka.insert("debug".to_owned(), debug.into());
    }
    KafkaSettings {
        bootstrap_servers: broker.bootstrap(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        group_id: group.to_owned(),
        group_protocol: match protocol {
            Protocol::Kip848 => GroupProtocol::Consumer,
            _ => GroupProtocol::Classic,
        },
        assignor: match protocol {
            Protocol::Eager => Assignor::Eager,
            _ => Assignor::CooperativeSticky,
        },
        group_instance_id: None,
        msk_iam_region: None,
        start: StartPosition::Earliest,
        on_lost_offsets: LostOffsetsPolicy::Error,
        on_offset_out_of_range: OutOfRangePolicy::Stop,
        lanes: 2,
        librdkafka,
    }
}

/// What landed, over all members.
#[derive(Default)]
pub(crate) struct Landed(Mutex<BTreeMap<i32, Vec<i64>>>);

impl Landed {
    pub(super) fn add(&self, partition: i32, offsets: &[i64]) {
        self.0.lock().unwrap().entry(partition).or_default().extend(offsets);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Waits until so many landed, then checks that each offset of each partition did once.
    pub(crate) fn expect(&self, by_partition: &[i64]) {
        let total: i64 = by_partition.iter().sum();
        let deadline = Instant::now() + PATIENCE;
        while (self.count() as i64) < total && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let landed = self.0.lock().unwrap();
        for (partition, count) in by_partition.iter().enumerate() {
            let mut offsets = landed.get(&(partition as i32)).cloned().unwrap_or_default();
            offsets.sort_unstable();
            let wanted: Vec<i64> = (0..*count).collect();
            let first_wrong = offsets.iter().zip(&wanted).find(|(a, b)| a != b);
            assert_eq!(first_wrong, None, "partition {partition}: a record lost or doubled");
            assert_eq!(offsets.len(), wanted.len(), "partition {partition}");
        }
    }
}

/// The settings and state that a listener and its lanes share.
pub(crate) struct Shared {
    lanes: Mutex<Vec<(Sender<Command>, LaneWaker)>>,
    edge: OnceLock<KafkaEdge>,
    /// Assigned now.
    pub(crate) held: Mutex<BTreeMap<TopicPartition, Epoch>>,
    /// Where those are that went to another lane than their number says.
    moved: Mutex<BTreeMap<TopicPartition, usize>>,
    pub(crate) moves: AtomicUsize,
    pub(crate) assignments: AtomicUsize,
    pub(crate) revokes: AtomicUsize,
    pub(crate) answered: AtomicBool,
    pub(crate) fatal: Mutex<Vec<String>>,
    pub(crate) problems: Mutex<Vec<String>>,
    pub(crate) brokers: Mutex<Vec<bool>>,
    pub(crate) hard_stops: Arc<Mutex<Vec<String>>>,
}

/// A revoke that a test keeps waiting.
pub(crate) struct HeldRevoke {
    pub(crate) partitions: Vec<TopicPartition>,
    go_on: Sender<()>,
}

impl HeldRevoke {
    /// The lanes have let go.
    pub(crate) fn go_on(self) {
        self.go_on.send(()).expect("the group thread waits");
    }
}

fn lane_of(partition: &TopicPartition, lanes: usize) -> usize {
    partition.partition as usize % lanes
}

impl Shared {
    fn tell(&self, partition: &TopicPartition, command: Command) {
        let lanes = self.lanes.lock().unwrap();
        if lanes.is_empty() {
            // The test polls the lanes itself.
            return;
        }
        let by_number = lane_of(partition, lanes.len());
        let moved = self.moved.lock().unwrap().get(partition).copied();
        let (sender, waker) = &lanes[moved.unwrap_or(by_number)];
        let _ = sender.send(command);
        waker.wake();
    }

    /// For a member whose lanes nobody polls: the next revoke waits for the test.
    pub(crate) fn hold_revoke(&self, lane: &LaneConsumer) -> Receiver<HeldRevoke> {
        let (sender, commands) = channel();
        self.lanes.lock().unwrap().push((sender, lane.waker()));
        let (first, held) = channel();
        std::thread::spawn(move || {
            for command in commands {
                if let Command::Stop(partitions, go_on) = command
                    && let Err(late) = first.send(HeldRevoke { partitions, go_on })
                {
                    late.0.go_on();
                }
            }
        });
        held
    }

    /// What a resolver does: asks where to begin, then tells the lane.
    fn resolve(self: &Arc<Self>, partitions: Vec<(TopicPartition, Epoch)>) {
        let this = Arc::clone(self);
        std::thread::spawn(move || {
            let edge = this.edge.get().expect("connected").clone();
            for (partition, epoch) in partitions {
                let number = partition.partition;
                let facts = loop {
                    if edge.fence().current(&partition) != Some(epoch) {
                        break None;
                    }
                    let ask = std::slice::from_ref(&partition);
                    match edge.topic_facts(ask, &BTreeMap::new()).remove(&partition) {
                        Some(Ok(facts)) => break Some(facts),
                        failed => eprintln!("facts of {partition}: {failed:?}"),
                    }
                    std::thread::sleep(Duration::from_millis(100));
                };
                let Some(facts) = facts else { continue };
                let offset = facts.committed[&number].offset.unwrap_or(Offset(0));
                this.tell(&partition.clone(), Command::Start(partition, epoch, offset));
            }
        });
    }
}

struct Listener(Arc<Shared>);

impl GroupListener for Listener {
    fn assigned(&self, partitions: &[(TopicPartition, Epoch)]) {
        self.0.assignments.fetch_add(1, Ordering::Relaxed);
        self.0.held.lock().unwrap().extend(partitions.iter().cloned());
        self.0.resolve(partitions.to_vec());
    }

    fn revoking(&self, partitions: &[(TopicPartition, Epoch)], _lost: bool) {
        self.0.revokes.fetch_add(1, Ordering::Relaxed);
        let mut answers = Vec::new();
        for (sender, waker) in &*self.0.lanes.lock().unwrap() {
            let (ack, acked) = channel();
            let names = partitions.iter().map(|(partition, _)| partition.clone()).collect();
            let _ = sender.send(Command::Stop(names, ack));
            waker.wake();
            answers.push(acked);
        }
        for acked in answers {
            acked.recv_timeout(PATIENCE).expect("every lane lets go");
        }
        let mut held = self.0.held.lock().unwrap();
        for (partition, epoch) in partitions {
            assert_eq!(held.remove(partition).as_ref(), Some(epoch), "revoked what we hold");
            self.0.moved.lock().unwrap().remove(partition);
        }
    }

    fn moved(&self, partition: &TopicPartition, epoch: Epoch, lane: usize) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
        self.0.moved.lock().unwrap().insert(partition.clone(), lane);
        self.0.resolve(vec![(partition.clone(), epoch)]);
    }

    fn group_answered(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    fn fatal(&self, message: String) {
        eprintln!("FATAL {message}");
        self.0.fatal.lock().unwrap().push(message);
    }

    fn broker_state(&self, up: bool, _detail: &str) {
        self.0.brokers.lock().unwrap().push(up);
    }

    fn group_error(&self, message: &str) {
        self.0.problems.lock().unwrap().push(message.to_owned());
    }
}

/// One member with its lanes.
pub(crate) struct Member {
    pub(crate) edge: KafkaEdge,
    pub(crate) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Member {
    /// Connects, joins, and reads what it is given.
    pub(crate) fn join(settings: &KafkaSettings, landed: &Arc<Landed>) -> Self {
        Self::join_in(settings, landed, None)
    }

    /// The same, but its lanes pause, resume, stop, start and rewind at random.
    pub(crate) fn join_in_chaos(settings: &KafkaSettings, landed: &Arc<Landed>, seed: u64) -> Self {
        Self::join_in(settings, landed, Some(seed))
    }

    fn join_in(settings: &KafkaSettings, landed: &Arc<Landed>, chaos: Option<u64>) -> Self {
        let (shared, edge, consumers) = connect(settings);
        let mut threads = Vec::new();
        for (index, consumer) in consumers.into_iter().enumerate() {
            let (sender, commands) = channel();
            shared.lanes.lock().unwrap().push((sender.clone(), consumer.waker()));
            let lane = Lane {
                index,
                consumer,
                commands,
                own: sender,
                edge: edge.clone(),
                landed: Arc::clone(landed),
                open: HashMap::new(),
                chaos,
                paused: Vec::new(),
            };
            threads.push(std::thread::spawn(move || lane.run()));
        }
        edge.join().expect("subscribe");
        Self { edge, shared, threads }
    }

    /// How many Kafka partitions it has.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.lock().unwrap().len()
    }

    /// Waits until it has so many.
    pub(crate) fn wait_held(&self, count: usize) {
        wait_until(&format!("{count} Kafka partitions held"), || self.held() == count);
    }

    /// Leaves the group, and ends its threads.
    pub(crate) fn leave(self) {
        self.edge.leave(PATIENCE).expect("left in time");
        self.end();
    }

    /// Ends its threads.
    pub(crate) fn end(mut self) {
        assert_eq!(*self.shared.fatal.lock().unwrap(), Vec::<String>::new());
        self.quit();
        for thread in std::mem::take(&mut self.threads) {
            thread.join().expect("a lane ends in order");
        }
    }

    fn quit(&self) {
        for (sender, waker) in &*self.shared.lanes.lock().unwrap() {
            let _ = sender.send(Command::Quit);
            waker.wake();
        }
    }
}

/// A test that fails says how its member stood, and leaves no busy lane to the tests after it.
impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Shared { held, fatal, problems, brokers, hard_stops, .. } = &*self.shared;
            eprintln!(
                "held {held:?}, brokers {brokers:?}, problems {problems:?}, fatal {fatal:?}, \
                 hard stops {hard_stops:?}"
            );
            self.quit();
        }
    }
}

/// An edge with its listener, for tests that poll the lanes themselves.
pub(crate) fn connect(settings: &KafkaSettings) -> (Arc<Shared>, KafkaEdge, Vec<LaneConsumer>) {
    connect_at(IsolationLevel::ReadCommitted, settings)
}

/// The same at another isolation level.
pub(crate) fn connect_at(
    isolation: IsolationLevel,
    settings: &KafkaSettings,
) -> (Arc<Shared>, KafkaEdge, Vec<LaneConsumer>) {
    let hard_stops = Arc::<Mutex<Vec<String>>>::default();
    let shared = Arc::new(Shared {
        lanes: Mutex::default(),
        edge: OnceLock::new(),
        held: Mutex::default(),
        moved: Mutex::default(),
        moves: AtomicUsize::new(0),
        assignments: AtomicUsize::new(0),
        revokes: AtomicUsize::new(0),
        answered: AtomicBool::new(false),
        fatal: Mutex::default(),
        problems: Mutex::default(),
        brokers: Mutex::default(),
        hard_stops: Arc::clone(&hard_stops),
    });
    let hard_stop: HardStop =
        Arc::new(move |message| hard_stops.lock().unwrap().push(message.to_owned()));
    let lanes = settings.lanes;
    let (edge, consumers) = KafkaEdge::connect(EdgeOptions {
        settings,
        isolation,
        memory: FetchMemory { bytes: 32 << 20 },
        lanes,
        assign_lane: Arc::new(move |partition| lane_of(partition, lanes)),
        listener: Arc::new(Listener(Arc::clone(&shared))),
        hard_stop,
    })
    .expect("connect");
    assert!(shared.edge.set(edge.clone()).is_ok());
    (shared, edge, consumers)
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
