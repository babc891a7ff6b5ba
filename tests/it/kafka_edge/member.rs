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
    CommitOutcome, EdgeOptions, FetchEvent, FetchMemory, GroupListener, HardStop, KafkaEdge,
    LaneConsumer, LaneWaker,
};
use kafka_s3_sink::record::{
    CommitError, CommitRequest, Epoch, IsolationLevel, LostOffsetsPolicy, Offset, OutOfRangePolicy,
    StartPosition, TopicPartition,
};

use crate::support::kafka::Broker;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
    fn add(&self, partition: i32, offsets: &[i64]) {
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

enum Command {
    Start(TopicPartition, Epoch, Offset),
    Stop(Vec<TopicPartition>, Sender<()>),
    Committed(CommitOutcome, Vec<i64>),
    Quit,
}

/// The settings and state that a listener and its lanes share.
pub(crate) struct Shared {
    lanes: Mutex<Vec<(Sender<Command>, LaneWaker)>>,
    edge: OnceLock<KafkaEdge>,
    landed: Arc<Landed>,
    /// Assigned now.
    pub(crate) held: Mutex<BTreeMap<TopicPartition, Epoch>>,
    pub(crate) assignments: AtomicUsize,
    pub(crate) revokes: AtomicUsize,
    pub(crate) answered: AtomicBool,
    pub(crate) fatal: Mutex<Vec<String>>,
    pub(crate) problems: Mutex<Vec<String>>,
    pub(crate) brokers: Mutex<Vec<bool>>,
    pub(crate) hard_stops: Arc<Mutex<Vec<String>>>,
}

fn lane_of(partition: &TopicPartition, lanes: usize) -> usize {
    partition.partition as usize % lanes
}

impl Shared {
    fn tell(&self, partition: &TopicPartition, command: Command) {
        let lanes = self.lanes.lock().unwrap();
        let (sender, waker) = &lanes[lane_of(partition, lanes.len())];
        let _ = sender.send(command);
        waker.wake();
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
                    match edge.topic_facts(&partition.topic, &[number], None) {
                        Ok(facts) => break Some(facts),
                        Err(error) => eprintln!("facts of {partition}: {error}"),
                    }
                    std::thread::sleep(Duration::from_millis(100));
                };
                let Some(facts) = facts else { continue };
                let offset = facts[&number].committed[&number].offset.unwrap_or(Offset(0));
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
        }
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
        let (shared, edge, consumers) = connect(settings, Arc::clone(landed));
        let mut threads = Vec::new();
        for consumer in consumers {
            let (sender, commands) = channel();
            shared.lanes.lock().unwrap().push((sender.clone(), consumer.waker()));
            let lane = Lane {
                consumer,
                commands,
                own: sender,
                edge: edge.clone(),
                shared: Arc::clone(&shared),
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
    pub(crate) fn end(self) {
        assert_eq!(*self.shared.fatal.lock().unwrap(), Vec::<String>::new());
        for (sender, waker) in &*self.shared.lanes.lock().unwrap() {
            let _ = sender.send(Command::Quit);
            waker.wake();
        }
        for thread in self.threads {
            thread.join().expect("a lane ends in order");
        }
    }
}

/// An edge with its listener, for tests that poll the lanes themselves.
pub(crate) fn connect(
    settings: &KafkaSettings,
    landed: Arc<Landed>,
) -> (Arc<Shared>, KafkaEdge, Vec<LaneConsumer>) {
    let hard_stops = Arc::<Mutex<Vec<String>>>::default();
    let shared = Arc::new(Shared {
        lanes: Mutex::default(),
        edge: OnceLock::new(),
        landed,
        held: Mutex::default(),
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
        isolation: IsolationLevel::ReadCommitted,
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

struct Open {
    epoch: Epoch,
    next: Offset,
    records: Vec<i64>,
    committing: bool,
}

struct Lane {
    consumer: LaneConsumer,
    commands: Receiver<Command>,
    own: Sender<Command>,
    edge: KafkaEdge,
    shared: Arc<Shared>,
    open: HashMap<TopicPartition, Open>,
    /// The state of a random generator.
    chaos: Option<u64>,
    paused: Vec<TopicPartition>,
}

impl Lane {
    fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Start(partition, epoch, offset) => {
                        self.start(partition, epoch, offset)
                    }
                    Command::Stop(partitions, ack) => {
                        self.consumer.stop(&partitions);
                        self.open.retain(|partition, _| !partitions.contains(partition));
                        self.paused.retain(|partition| !partitions.contains(partition));
                        let _ = ack.send(());
                    }
                    Command::Committed(outcome, records) => self.committed(outcome, records),
                    Command::Quit => return,
                }
            }
            let (open, paused) = (&mut self.open, &self.paused);
            self.consumer.poll(Duration::from_millis(50), &mut |event| {
                take(open, paused, event);
            });
            self.commit();
            self.play();
        }
    }

    fn start(&mut self, partition: TopicPartition, epoch: Epoch, offset: Offset) {
        let started = self.consumer.start(&[(partition.clone(), epoch, offset)]);
        if started[0].1.is_ok() {
            let open = Open { epoch, next: offset, records: Vec::new(), committing: false };
            self.open.insert(partition, open);
        }
    }

    /// Does something at random to one Kafka partition.
    fn play(&mut self) {
        let Some(seed) = &mut self.chaos else { return };
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (*seed >> 33) as usize;
        if let Some(partition) = self.paused.pop() {
            self.consumer.resume(std::slice::from_ref(&partition));
        }
        if random % 3 == 0 || self.open.is_empty() {
            return;
        }
        let mut names: Vec<_> = self.open.keys().cloned().collect();
        names.sort();
        let partition = names.swap_remove(random / 3 % names.len());
        let open = self.open.get_mut(&partition).expect("of the list");
        match random / 64 % 4 {
            0 => {
                self.consumer.pause(std::slice::from_ref(&partition));
                self.paused.push(partition);
            }
            1 => {
                self.consumer.stop(std::slice::from_ref(&partition));
                let started = self.consumer.start(&[(partition, open.epoch, open.next)]);
                assert!(started.len() == 1);
            }
            _ => {
                // Back by a few records that are not yet on their way to be committed.
                let keep = open.records.len() - open.records.len().min(random / 256 % 700);
                if let Some(first) = open.records.drain(keep..).next() {
                    open.next = Offset(first);
                }
                self.consumer.start(&[(partition, open.epoch, open.next)]);
            }
        }
    }

    /// Commits what was read since the last time, one request at a time for each.
    fn commit(&mut self) {
        let mut requests = Vec::new();
        let batches = Arc::<Mutex<HashMap<TopicPartition, Vec<i64>>>>::default();
        for (partition, open) in &mut self.open {
            if open.committing || open.records.is_empty() {
                continue;
            }
            open.committing = true;
            let records = std::mem::take(&mut open.records);
            batches.lock().unwrap().insert(partition.clone(), records);
            requests.push(CommitRequest {
                partition: partition.clone(),
                epoch: open.epoch,
                offset: open.next,
                metadata: format!("next={}", open.next),
            });
        }
        if requests.is_empty() {
            return;
        }
        let (own, landed) = (self.own.clone(), Arc::clone(&self.shared.landed));
        self.edge.commit(
            requests,
            Arc::new(move |outcome| {
                let records =
                    batches.lock().unwrap().remove(&outcome.partition).expect("asked once");
                if outcome.result.is_ok() {
                    landed.add(outcome.partition.partition, &records);
                }
                let _ = own.send(Command::Committed(outcome, records));
            }),
        );
    }

    fn committed(&mut self, outcome: CommitOutcome, mut records: Vec<i64>) {
        let Some(open) = self.open.get_mut(&outcome.partition) else { return };
        if open.epoch != outcome.epoch {
            return;
        }
        open.committing = false;
        if let Err(error) = outcome.result {
            assert!(!matches!(error, CommitError::Permanent(_)), "{error}");
            records.append(&mut open.records);
            open.records = records;
        }
    }
}

/// Takes one event in, and wants every offset in its turn.
fn take(
    open: &mut HashMap<TopicPartition, Open>,
    paused: &[TopicPartition],
    event: FetchEvent<'_>,
) {
    match event {
        FetchEvent::Record { partition, epoch, record } => {
            assert!(!paused.contains(partition), "{partition} is paused");
            let open = open.get_mut(partition).expect("of a started Kafka partition");
            assert_eq!((open.epoch, open.next), (epoch, record.offset), "{partition}");
            open.records.push(record.offset.0);
            open.next = record.offset.next();
        }
        FetchEvent::Eof { partition, epoch, offset } => {
            let open = &open[partition];
            assert_eq!((open.epoch, open.next), (epoch, offset), "the end of {partition}");
        }
        FetchEvent::OutOfRange { partition, message, .. }
        | FetchEvent::Truncated { partition, message, .. }
        | FetchEvent::Error { partition, message, .. } => panic!("{partition}: {message}"),
    }
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
