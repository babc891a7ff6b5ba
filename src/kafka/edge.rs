//! The handle of the whole edge: connects, joins, commits, asks, leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::committer::{CommitJob, Committer};
use super::facts::{self, Answers, LogBounds};
use super::fence::Fence;
use super::gate::LaneShared;
use super::generation::Generations;
use super::group::{Group, HardStop};
use super::lane::LaneConsumer;
use super::moves::{LaneMove, Moves};
use super::native::{Client, Queue};
use super::rebootstrap::Rebootstrap;
use super::rounds::{CommitDone, CommitOutcome};
use super::subscription::{News, Subscription};
use super::wake::BrokerWaker;
use super::{AssignLane, GroupListener, KafkaError, properties};
use crate::config::{GroupProtocol, KafkaSettings};
use crate::record::{
    CommitError, CommitRequest, Committed, IsolationLevel, Offset, TopicFacts, TopicPartition,
};

/// The exit code of a process that stops because a commit could outlive its assignment.
pub const HARD_STOP_EXIT_CODE: i32 = 70;

/// What the client's own buffers may take of the memory budget.
#[derive(Clone, Copy, Debug)]
pub struct FetchMemory {
    /// Bytes, over all lanes.
    pub bytes: u64,
}

/// How to connect.
pub struct EdgeOptions<'a> {
    /// The cluster and the group.
    pub settings: &'a KafkaSettings,
    /// Which records of transactions are read.
    pub isolation: IsolationLevel,
    /// For the fetch queues.
    pub memory: FetchMemory,
    /// How many lane consumers to make.
    pub lanes: usize,
    /// Which lane owns a Kafka partition (taken modulo the number of lanes).
    pub assign_lane: AssignLane,
    /// Who is told of assignments.
    pub listener: Arc<dyn GroupListener>,
    /// What stops the process when the fence breaks; `exit_now` but in tests.
    pub hard_stop: HardStop,
}

/// The `HardStop` of a real process: no destructors, no leaving, exit code 70.
pub fn exit_now() -> HardStop {
    Arc::new(|message| {
        tracing::error!("{message}");
        // SAFETY: it ends the process, without running anything of ours.
        unsafe { libc::_exit(HARD_STOP_EXIT_CODE) }
    })
}

/// See the module. Clones share one client.
#[derive(Clone)]
pub struct KafkaEdge(Arc<Inner>);

struct Inner {
    client: Arc<Client>,
    fence: Arc<Fence>,
    jobs: Mutex<Sender<CommitJob>>,
    subscription: Arc<Subscription>,
    group: Mutex<Option<Group>>,
    ended: Mutex<Option<Receiver<()>>>,
    leaving: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    moves: Arc<Moves>,
}

impl KafkaEdge {
    /// Makes the client and its committer. Nothing is subscribed yet, and no broker is needed.
    pub fn connect(options: EdgeOptions<'_>) -> Result<(Self, Vec<LaneConsumer>), KafkaError> {
        let EdgeOptions { settings, isolation, memory, lanes, .. } = options;
        let lanes = lanes.max(1);
        let config = properties::consumer(settings, isolation, memory, lanes);
        let fence_deadline = properties::fence_deadline(&config);
        let client = Arc::new(Client::consumer(&config, settings.msk_iam_region.as_deref())?);
        let lanes: Vec<_> = (0..lanes).map(|_| Arc::new(LaneShared::new(&client))).collect();
        let consumers = lanes
            .iter()
            .map(|lane| LaneConsumer::new(Arc::clone(&client), Arc::clone(lane)))
            .collect();
        let (fence, leaving, stopping) =
            <(Arc<Fence>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let counted = settings.group_protocol == GroupProtocol::Classic;
        let generations = Generations::new(Arc::clone(&client), counted);
        let (sender, jobs) = mpsc::channel();
        let committer = Committer {
            client: Arc::clone(&client),
            fence: Arc::clone(&fence),
            generations: generations.clone(),
            jobs,
            stopping: Arc::clone(&stopping),
            rebootstrap: Rebootstrap::new(&settings.bootstrap_servers)?,
        };
        spawn("kafka-commit", move || committer.run())?;
        let subscription = Subscription::new(&client, settings.topics.clone());
        let inner = Inner {
            client,
            fence,
            jobs: Mutex::new(sender),
            subscription,
            group: Mutex::default(),
            ended: Mutex::default(),
            leaving,
            stopping,
            moves: Arc::default(),
        };
        *lock(&inner.group) =
            Some(inner.group_thread(options, lanes, generations, fence_deadline)?);
        Ok((Self(Arc::new(inner)), consumers))
    }

    /// Subscribes and starts the group thread. A second call does nothing.
    pub fn join(&self) -> Result<(), KafkaError> {
        let Some(group) = lock(&self.0.group).take() else { return Ok(()) };
        self.0.subscription.subscribe()?;
        let (ended, receiver) = mpsc::channel();
        *lock(&self.0.ended) = Some(receiver);
        spawn("kafka-group", move || {
            group.run();
            let _ = ended.send(());
        })
    }

    /// Subscribes to these topics from now on, without leaving the group: what is not among them
    /// is revoked.
    pub fn subscribe(&self, topics: &[String]) -> Result<(), KafkaError> {
        self.0.subscription.replace(topics)
    }

    /// Gives a Kafka partition that its lane has let go of to another one, if it is still ours
    /// under this epoch; the listener hears of it.
    pub fn move_to_lane(&self, asked: LaneMove) {
        self.0.moves.ask(asked);
    }

    /// Leaves the group: everything is revoked through the listener, then the coordinator is
    /// told (a static member is not reported as gone). Lanes must still answer meanwhile.
    pub fn leave(&self, deadline: Duration) -> Result<(), KafkaError> {
        self.0.leaving.store(true, Ordering::Release);
        let Some(ended) = lock(&self.0.ended).take() else { return Ok(()) };
        // A group thread that ended early (a broken fence) counts as left: it is gone.
        match ended.recv_timeout(deadline) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.0.stopping.store(true, Ordering::Release);
                Err(KafkaError::LeaveTimeout)
            }
            _ => Ok(()),
        }
    }

    /// Hands requests to the committer, which sends them as soon as nothing is in flight. `done`
    /// is called once for each, on the committer's thread.
    pub fn commit(&self, requests: Vec<CommitRequest>, done: CommitDone) {
        let sent = lock(&self.0.jobs).send((requests, done));
        if let Err(mpsc::SendError((requests, done))) = sent {
            for CommitRequest { partition, epoch, .. } in requests {
                let result = Err(CommitError::Retry("the committer has ended".to_owned()));
                done(CommitOutcome { partition, epoch, result });
            }
        }
    }

    /// The fence, for those who want to know whether an assignment still stands.
    pub fn fence(&self) -> &Fence {
        &self.0.fence
    }

    /// What is known of these Kafka partitions, of one topic or many. Blocks, mostly for half a
    /// second, at most for about a minute. `prefix_empty` is what the caller found **before**
    /// this call, by topic, where it looked.
    pub fn topic_facts(
        &self,
        partitions: &[TopicPartition],
        prefix_empty: &BTreeMap<Arc<str>, bool>,
    ) -> Answers<TopicFacts> {
        facts::topic_facts(&self.0.client, partitions, prefix_empty)
    }

    /// What the group holds, whoever committed it. Blocks.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Answers<Committed>, KafkaError> {
        facts::committed(&self.0.client, partitions)
    }

    /// The ids of topics, of those that are there; empty where the broker tells none. Blocks.
    pub fn topic_ids(
        &self,
        topics: &[Arc<str>],
    ) -> Result<BTreeMap<Arc<str>, Arc<str>>, KafkaError> {
        facts::topic_ids(&self.0.client, topics)
    }

    /// Start and readable end of logs. Blocks.
    pub fn log_bounds(&self, partitions: &[TopicPartition]) -> Answers<LogBounds> {
        facts::log_bounds(&self.0.client, partitions)
    }

    /// Readable ends of logs, at our isolation level. Blocks.
    pub fn end_offsets(&self, partitions: &[TopicPartition]) -> Answers<Offset> {
        facts::end_offsets(&self.0.client, partitions)
    }

    /// The number of Kafka partitions of a topic; an error if there is no such topic. Blocks.
    pub fn partition_count(&self, topic: &str) -> Result<i32, KafkaError> {
        facts::partition_count(&self.0.client, topic)
    }

    /// All topics that this user may see, with the number of their Kafka partitions. Blocks.
    pub fn topics(&self) -> Result<BTreeMap<String, i32>, KafkaError> {
        facts::topics(&self.0.client)
    }
}

impl Inner {
    fn group_thread(
        &self,
        options: EdgeOptions<'_>,
        lanes: Vec<Arc<LaneShared>>,
        generations: Generations,
        fence_deadline: Duration,
    ) -> Result<Group, KafkaError> {
        let queue = Queue::main(&self.client)
            .ok_or_else(|| KafkaError::Config("group.id is needed".to_owned()))?;
        let told = options.settings.group_protocol == GroupProtocol::Consumer;
        Ok(Group {
            client: Arc::clone(&self.client),
            queue,
            fence: Arc::clone(&self.fence),
            generations,
            fence_deadline,
            hard_stop: options.hard_stop,
            lanes,
            assign_lane: options.assign_lane,
            listener: options.listener,
            held: HashMap::new(),
            moves: Arc::clone(&self.moves),
            news: told.then(|| News::of(&self.subscription)),
            brokers: BrokerWaker::new(&self.client, Duration::ZERO),
            report: Default::default(),
            leaving: Arc::clone(&self.leaving),
            stopping: Arc::clone(&self.stopping),
        })
    }
}

impl Drop for Inner {
    /// Ends the threads; whoever did not leave is expired by the coordinator.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
    }
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<(), KafkaError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(drop).map_err(|error| KafkaError::Thread(name, error.to_string()))
}

/// A thread that panicked with one of these locks held left a whole value behind.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
