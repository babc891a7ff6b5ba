//! The thread that is the group's member: it polls the main queue for rebalances, errors, logs.
//!
//! It tells the listener what was assigned, and blocks in a revoke until the lanes let go and the
//! coordinator answered for every commit in flight. It polls whatever happens, or the group takes
//! the member for dead.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::fence::Fence;
use super::gate::LaneShared;
use super::generation::Generations;
use super::list::PartitionList;
use super::moves::{LaneMove, Moves, hand_over};
use super::native::{self, Client, Event, Queue};
use super::report::Report;
use super::subscription::News;
use super::wake::BrokerWaker;
use super::{AssignLane, GroupListener};
use crate::record::{Epoch, TopicPartition, is_internal};

/// How long one poll of the main queue waits.
const TICK: Duration = Duration::from_millis(100);
/// Where a Kafka partition is parked; it is never fetched from there.
const PARKED: i64 = 0;

/// What stops the process when a commit could outlive its assignment. It does not come back,
/// except in tests; then the member goes silent: no leaving, no further rebalance.
pub type HardStop = Arc<dyn Fn(&str) + Send + Sync>;

pub(super) struct Group {
    pub(super) client: Arc<Client>,
    pub(super) queue: Queue,
    pub(super) fence: Arc<Fence>,
    pub(super) generations: Generations,
    pub(super) fence_deadline: Duration,
    pub(super) hard_stop: HardStop,
    pub(super) lanes: Vec<Arc<LaneShared>>,
    pub(super) assign_lane: AssignLane,
    pub(super) listener: Arc<dyn GroupListener>,
    pub(super) held: HashMap<TopicPartition, (Epoch, usize)>,
    pub(super) moves: Arc<Moves>,
    /// With KIP-848 only.
    pub(super) news: Option<News>,
    pub(super) brokers: BrokerWaker,
    pub(super) report: Report,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) stopping: Arc<AtomicBool>,
}

impl Group {
    /// Runs until the group was left, the edge is gone, or the fence broke.
    pub(super) fn run(mut self) {
        let mut closing = false;
        while !self.stopping.load(Ordering::Acquire) {
            if self.leaving.load(Ordering::Acquire) && !closing {
                closing = true;
                self.close();
            }
            if let Some(event) = self.queue.poll(TICK)
                && self.handle(&event, false).is_break()
            {
                return;
            }
            if !closing && self.reassign_broken().is_break() {
                return;
            }
            if !closing {
                self.make_moves();
                if let Some(news) = &mut self.news {
                    news.ask();
                }
            }
            self.report.tick(&self.client, &*self.listener);
            if closing && self.closed() {
                self.stopping.store(true, Ordering::Release);
            }
        }
    }

    /// Asks librdkafka to revoke everything, through this queue, and to leave.
    fn close(&self) {
        // SAFETY: client and queue are alive.
        let error =
            unsafe { c::rd_kafka_consumer_close_queue(self.client.ptr(), self.queue.ptr()) };
        if let Err(error) = native::check(error) {
            tracing::warn!(error, "cannot leave the consumer group in order");
        }
    }

    fn closed(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { c::rd_kafka_consumer_closed(self.client.ptr()) == 1 }
    }

    fn handle(&mut self, event: &Event, lost: bool) -> ControlFlow<()> {
        match event.kind() {
            c::RD_KAFKA_EVENT_REBALANCE => return self.rebalance(event, lost),
            c::RD_KAFKA_EVENT_FETCH => {
                // Every fetch queue is forwarded to a lane before its fetcher may run.
                let message = "a record came to the wrong queue and would be lost (a bug)";
                self.listener.fatal(message.into());
            }
            _ => self.report.event(event, &*self.listener),
        }
        ControlFlow::Continue(())
    }

    fn rebalance(&mut self, event: &Event, lost: bool) -> ControlFlow<()> {
        let partitions: Vec<_> = event.entries().into_iter().map(|e| e.partition).collect();
        match event.error() {
            Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(&partitions),
            _ => {
                // SAFETY: the client is alive.
                let lost = lost || unsafe { c::rd_kafka_assignment_lost(self.client.ptr()) == 1 };
                self.revoke(&partitions, lost)
            }
        }
    }

    /// Parks what was assigned and tells the listener, which starts it once it knows where. Of
    /// Kafka's own topics it hears nothing, so they stay parked: with KIP-848 the broker matches
    /// expressions, and gives those out too.
    fn assign(&mut self, partitions: &[TopicPartition]) -> ControlFlow<()> {
        if self.eager() && !self.held.is_empty() {
            // The client joined again without asking for anything back.
            let held: Vec<_> = self.held.keys().cloned().collect();
            self.let_go(&held, true)?;
        }
        let stayed: Vec<_> = self.held.keys().cloned().collect();
        let generation = self.generations.now();
        self.fence.go_on(generation);
        let mut pairs = Vec::with_capacity(partitions.len());
        for partition in partitions.iter().filter(|each| !is_internal(&each.topic)) {
            let epoch = self.fence.open(partition, generation);
            let lane = (self.assign_lane)(partition) % self.lanes.len();
            let mut gate = self.lanes[lane].gate();
            gate.epochs.insert(partition.clone(), epoch);
            self.held.insert(partition.clone(), (epoch, lane));
            pairs.push((partition.clone(), epoch));
        }
        // Forwarded and paused before the fetchers are there, so that nothing goes astray.
        self.forward(partitions);
        self.pause(partitions);
        let list = PartitionList::at(partitions, PARKED);
        let assigned = if self.eager() { self.assign_all(&list) } else { self.assign_more(&list) };
        if let Err(error) = assigned {
            self.listener.fatal(format!("Kafka partitions cannot be assigned: {error}"));
            return ControlFlow::Continue(());
        }
        // What is new waits for its lane, which wakes them when it starts it.
        self.brokers.wake(&stayed);
        self.listener.assigned(&pairs);
        self.report.answered(&*self.listener);
        ControlFlow::Continue(())
    }

    /// Lets go: first the lanes, then the commits, then the client.
    fn revoke(&mut self, partitions: &[TopicPartition], lost: bool) -> ControlFlow<()> {
        let eager = self.eager();
        if !eager && !lost {
            // Asked for by the generation that begins; with the eager protocol, before it.
            self.fence.go_on(self.generations.now());
        }
        self.let_go(partitions, lost)?;
        let list = PartitionList::at(partitions, PARKED);
        let result = if eager { self.unassign_all() } else { self.assign_less(&list) };
        if let Err(error) = result {
            self.listener.fatal(format!("Kafka partitions cannot be given back: {error}"));
        }
        ControlFlow::Continue(())
    }

    /// The lanes let go, and no commit is on its way any more.
    fn let_go(&mut self, partitions: &[TopicPartition], lost: bool) -> ControlFlow<()> {
        self.fence.begin_revoke(partitions);
        let pairs: Vec<_> = partitions
            .iter()
            .filter_map(|p| self.held.get(p).map(|(epoch, _)| (p.clone(), *epoch)))
            .collect();
        self.listener.revoking(&pairs, lost);
        for partition in partitions {
            if let Some((_, lane)) = self.held.remove(partition) {
                self.lanes[lane].gate().close(partition);
            }
        }
        self.fence.revoke(partitions);
        if let Err(left) = self.fence.wait_answered(partitions, self.fence_deadline) {
            return self.fence_broke(&left);
        }
        ControlFlow::Continue(())
    }

    fn fence_broke(&self, left: &[TopicPartition]) -> ControlFlow<()> {
        let waited = self.fence_deadline.as_secs();
        let message = format!(
            "{} commits (the first for {}) were not answered within {waited} s of a rebalance; \
             one of them could be stored after the Kafka partition went to another member, so \
             this process stops here; nothing is lost, the next one goes on from the pin",
            left.len(),
            left[0],
        );
        (self.hard_stop)(&message);
        ControlFlow::Break(())
    }

    /// Assigns anew those whose fetchers gave up (out of range, truncated) and that a lane wants
    /// to start again: no seek can revive them.
    fn reassign_broken(&mut self) -> ControlFlow<()> {
        let wanted: Vec<_> =
            self.lanes.iter().flat_map(|l| std::mem::take(&mut l.gate().to_reassign)).collect();
        if wanted.is_empty() {
            return ControlFlow::Continue(());
        }
        // An unassign by the application moves a group that waits for the answer to a revoke
        // on, as if it had been given. Such a revoke would be in our queue by now. So no commit
        // may leave until the queue was emptied, and what it revokes is lost already.
        if let Err(left) = self.fence.suspend(self.fence_deadline) {
            return self.fence_broke(&left);
        }
        let wanted = self.reassign(wanted);
        while let Some(event) = self.queue.poll(Duration::ZERO) {
            if self.handle(&event, true).is_break() {
                return ControlFlow::Break(());
            }
        }
        self.fence.resume();
        if let Err(error) = wanted {
            self.listener.fatal(format!("Kafka partitions cannot be assigned anew: {error}"));
        }
        ControlFlow::Continue(())
    }

    fn reassign(&mut self, wanted: Vec<TopicPartition>) -> Result<(), String> {
        let eager = self.eager();
        // The eager protocol knows only whole assignments.
        let anew = if eager { self.held.keys().cloned().collect() } else { wanted };
        self.pause(&anew);
        let list = PartitionList::at(&anew, PARKED);
        if eager {
            self.assign_all(&list)?;
        } else {
            self.assign_less(&list)?;
            self.assign_more(&list)?;
        }
        // The old fetchers' stop undoes the forward. It is queued before this pause, which
        // waits for its own turn; so the forward set after it stays.
        self.pause(&anew);
        self.forward(&anew);
        for partition in &anew {
            if let Some((_, lane)) = self.held.get(partition) {
                let mut gate = self.lanes[*lane].gate();
                gate.dead.remove(partition);
                gate.reassigned.push(partition.clone());
            }
        }
        Ok(())
    }

    /// Moves what was asked for and is still ours. What waits in the old lane's queue is dropped
    /// there, and what comes later begins with the new lane's seek.
    fn make_moves(&mut self) {
        for LaneMove { partition, epoch, from, to } in self.moves.take() {
            if self.held.get(&partition) != Some(&(epoch, from)) {
                continue;
            }
            self.held.insert(partition.clone(), (epoch, to));
            hand_over(&self.lanes[from], &self.lanes[to], &partition, epoch);
            self.pause(std::slice::from_ref(&partition));
            self.forward(std::slice::from_ref(&partition));
            self.listener.moved(&partition, epoch, to);
        }
    }

    fn forward(&self, partitions: &[TopicPartition]) {
        for partition in partitions {
            let lane = match self.held.get(partition) {
                Some((_, lane)) => *lane,
                // A lane drops what it has not started.
                None if is_internal(&partition.topic) => 0,
                None => continue,
            };
            match Queue::of_partition(&self.client, partition) {
                Some(queue) => queue.forward_to(&self.lanes[lane].queue),
                None => self.listener.fatal(format!("{partition} has no queue")),
            }
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) {
        let list = PartitionList::at(partitions, PARKED);
        // SAFETY: client and list outlive the call.
        unsafe { c::rd_kafka_pause_partitions(self.client.ptr(), list.ptr()) };
    }

    fn eager(&self) -> bool {
        // SAFETY: the client is alive; the name is static or null and copied.
        unsafe { native::string(c::rd_kafka_rebalance_protocol(self.client.ptr())) == "EAGER" }
    }

    fn assign_all(&self, list: &PartitionList) -> Result<(), String> {
        // SAFETY: client and list outlive the call.
        native::check_code(unsafe { c::rd_kafka_assign(self.client.ptr(), list.ptr()) })
    }

    fn unassign_all(&self) -> Result<(), String> {
        // SAFETY: the client is alive; null means nothing.
        native::check_code(unsafe { c::rd_kafka_assign(self.client.ptr(), std::ptr::null()) })
    }

    fn assign_more(&self, list: &PartitionList) -> Result<(), String> {
        // SAFETY: client and list outlive the call.
        native::check(unsafe { c::rd_kafka_incremental_assign(self.client.ptr(), list.ptr()) })
    }

    fn assign_less(&self, list: &PartitionList) -> Result<(), String> {
        // SAFETY: client and list outlive the call.
        native::check(unsafe { c::rd_kafka_incremental_unassign(self.client.ptr(), list.ptr()) })
    }
}
