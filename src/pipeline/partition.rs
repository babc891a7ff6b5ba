//! One Kafka partition of this member, from its assignment to its release.
//!
//! ```text
//! Resolving > (Marking >) Running > Released
//!                 \__________\____> Stopped (stays assigned, paused)
//! ```
//! `sink` owns one per assignment. What records do is in `intake`, what commits do in `ledger`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::action::{Action, Event, Fault, StopReason};
use super::backoff;
use super::batch::{OpenBatch, SealedBatch};
use super::flight::Flight;
use super::memory::Turn;
use super::moment::Moment;
use super::pending::Pending;
use super::pin::{Mark, Pin};
use super::resolve::{self, Lost, Plan};
use super::rotate::{RotationReason, worth_handing_over};
use super::route::Router;
use super::sink::SinkSettings;
use super::snapshot::Counters;
use super::stops;
use crate::record::{
    Epoch, Offset, OffsetRange, RecordPolicy, ResolveError, RevokePolicy, StoreErrorClass,
    TimestampMs, TopicFacts, TopicPartition,
};

/// Sealed batches that may wait for their turn before the Kafka partition is paused.
const SEALED_AT_MOST: usize = 2;
/// How long the log may end before a pinned range does (a leader's failover) until we stop.
pub(super) const SHORT_LOG_PATIENCE: Duration = Duration::from_secs(300);
/// How often a position may be outside the log although the log's ends hold it.
const OUT_OF_RANGE_AT_MOST: u32 = 8;

/// What a Kafka partition needs from its surroundings for one call.
pub(super) struct Context<'a> {
    pub(super) now: Moment,
    pub(super) settings: &'a SinkSettings,
    pub(super) memory_short: bool,
    pub(super) pins: &'a mut u64,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) out: &'a mut Vec<Action>,
}

impl Context<'_> {
    pub(super) fn tell(&mut self, at: &TopicPartition, event: Event) {
        self.out.push(Action::Tell(at.clone(), event));
    }

    /// A pin id that no other process, lane or batch has.
    pub(super) fn new_pin_id(&mut self) -> Arc<str> {
        *self.pins += 1;
        format!("{}-{:x}", self.settings.session, self.pins).into()
    }
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Learning where to begin: asked, or waiting for the next try.
    Resolving {
        retry_at: Option<Moment>,
        attempt: u32,
    },
    /// Committing where to begin.
    Marking,
    Running,
    Stopped(StopReason),
    Released,
}

/// What comes once nothing is open, sealed, in flight or being committed.
#[derive(Debug)]
pub(super) enum After {
    Stop(StopReason),
    Resolve,
    Release,
    Shutdown,
}

/// A pinned range that is read again.
pub(super) struct Replay {
    pub(super) pin: Pin,
    /// Where it is read from: the batch's base, or what Kafka still has of it.
    pub(super) from: Offset,
    /// When we stop waiting for a log that ends before the pin does.
    pub(super) give_up: Option<Moment>,
    pub(super) turn: Turn,
}

pub(super) struct Partition {
    pub(super) at: TopicPartition,
    pub(super) epoch: Epoch,
    pub(super) policy: Arc<RecordPolicy>,
    pub(super) layout_hash: Arc<str>,
    pub(super) phase: Phase,
    pub(super) topic_id: Arc<str>,
    pub(super) cluster_id: Arc<str>,
    pub(super) committed: Option<Offset>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) first_start: Option<i32>,
    pub(super) next: Offset,
    pub(super) last_timestamp: Option<TimestampMs>,
    pub(super) log_end: Option<Offset>,
    pub(super) router: Router,
    pub(super) open: Option<OpenBatch>,
    pub(super) replay: Option<Replay>,
    pub(super) sealed: VecDeque<SealedBatch>,
    pub(super) flight: Option<Flight>,
    pub(super) pending: Option<Pending>,
    pub(super) after: Option<After>,
    /// A fetch runs, paused or not; without one, records and resumes are stale.
    pub(super) fetching: bool,
    pub(super) paused: bool,
    pub(super) fresh: bool,
    /// How often in a row the position was outside the log.
    pub(super) out_of_range: u32,
    pub(super) batches: u64,
    pub(super) goal: Option<Offset>,
    pub(super) reached_end: bool,
    pub(super) fenced: Option<(Moment, String)>,
    pub(super) counters: Counters,
}

impl Partition {
    pub(super) fn new(
        at: TopicPartition,
        epoch: Epoch,
        policy: Arc<RecordPolicy>,
        layout_hash: Arc<str>,
        goal: Option<Offset>,
    ) -> Self {
        let router = Router::new(policy.layout.clone(), &at.topic);
        Self {
            at,
            epoch,
            policy,
            layout_hash,
            phase: Phase::Resolving { retry_at: Some(Moment(0)), attempt: 0 },
            topic_id: "".into(),
            cluster_id: "".into(),
            committed: None,
            leader_epoch: None,
            first_start: None,
            next: Offset(0),
            last_timestamp: None,
            log_end: None,
            router,
            open: None,
            replay: None,
            sealed: VecDeque::new(),
            flight: None,
            pending: None,
            after: None,
            fetching: false,
            paused: false,
            fresh: true,
            out_of_range: 0,
            batches: 0,
            goal,
            reached_end: false,
            fenced: None,
            counters: Counters::default(),
        }
    }

    /// Takes what is known of the topic, and begins.
    pub(super) fn handle_facts(
        &mut self,
        cx: &mut Context<'_>,
        facts: Result<TopicFacts, ResolveError>,
    ) {
        let Phase::Resolving { attempt, .. } = self.phase else { return };
        match facts {
            Err(error) => {
                let attempt = attempt + 1;
                let retry_at = Some(backoff::RESOLVE.after(cx.now, attempt, self.seed()));
                self.phase = Phase::Resolving { retry_at, attempt };
                self.tell_failed(cx, "resolve", attempt, error.0);
            }
            // Kafka forgets the offsets of a deleted topic, so the mark cannot tell.
            Ok(facts) if resolve::differs(&self.topic_id, &facts.topic_id) => {
                let reason = stops::another_topic(&self.at, &self.topic_id, &facts.topic_id);
                self.stop(cx, reason);
            }
            Ok(facts) => {
                self.topic_id = facts.topic_id.clone();
                self.cluster_id = facts.cluster_id.clone();
                self.follow(cx, resolve::plan(&self.at, &facts, cx.settings.policies()));
            }
        }
        self.pump(cx);
    }

    fn follow(&mut self, cx: &mut Context<'_>, plan: Plan) {
        if self.out_of_range > OUT_OF_RANGE_AT_MOST
            && let Plan::Continue { mark } | Plan::Replay { mark, .. } = &plan
        {
            let reason = stops::truncated(&self.at, mark.offset);
            self.stop(cx, reason);
            return;
        }
        match plan {
            Plan::Stop(reason) => self.stop(cx, reason),
            Plan::Begin { from, how, first_start, lost } => {
                if let Some(Lost { range, reason, why }) = lost {
                    let why = why.to_owned();
                    cx.tell(&self.at, Event::Lost { range, reason, why });
                }
                self.phase = Phase::Marking;
                self.first_start = first_start;
                self.pending = Some(Pending::begin(self, cx.now, from, how));
            }
            Plan::Continue { mark } => {
                self.take_over(&mark);
                self.run_from(cx, mark.offset, "continuation");
            }
            Plan::Replay { mark, pin, from } => {
                self.take_over(&mark);
                cx.tell(
                    &self.at,
                    Event::Replays {
                        range: OffsetRange { base: mark.offset, end: pin.end },
                        pin_id: pin.id.clone(),
                    },
                );
                self.begin_replay(cx, pin, from);
            }
        }
    }

    fn take_over(&mut self, mark: &Mark) {
        self.committed = Some(mark.offset);
        self.leader_epoch = mark.leader_epoch;
        self.first_start = mark.first_start;
    }

    pub(super) fn run_from(&mut self, cx: &mut Context<'_>, from: Offset, how: &'static str) {
        self.phase = Phase::Running;
        self.next = from;
        cx.tell(&self.at, Event::Begins { from, how });
        self.fetch(cx, from);
        self.check_goal(cx);
    }

    pub(super) fn fetch(&mut self, cx: &mut Context<'_>, from: Offset) {
        (self.fetching, self.paused) = (true, false);
        cx.out.push(Action::Fetch { partition: self.at.clone(), epoch: self.epoch, from });
    }

    pub(super) fn stop_fetch(&mut self, cx: &mut Context<'_>) {
        self.fetching = false;
        cx.out.push(Action::StopFetch(self.at.clone()));
    }

    /// The topic id as it is now; another one means that the topic was made again.
    pub(super) fn handle_topic_id(&mut self, cx: &mut Context<'_>, topic_id: &Arc<str>) {
        let known = !matches!(self.phase, Phase::Resolving { .. } | Phase::Released);
        if known && !self.is_stopped() && resolve::differs(&self.topic_id, topic_id) {
            let reason = stops::another_topic(&self.at, &self.topic_id, topic_id);
            self.stop(cx, reason);
        }
    }

    /// Stops here: nothing of what is open or in flight is trusted any more.
    pub(super) fn stop(&mut self, cx: &mut Context<'_>, reason: StopReason) {
        self.let_go();
        self.stop_fetch(cx);
        cx.tell(&self.at, Event::Stopped(reason.clone()));
        let releasing = matches!(self.after, Some(After::Release));
        self.after = None;
        self.phase = Phase::Stopped(reason);
        if releasing {
            self.release(cx);
        }
    }

    /// Lands what is there, and then does `after`; no further record is taken.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>, after: After, reason: RotationReason) {
        if self.replay.take().is_some() {
            // A replay that is not at its end cannot be sealed: the pin stands for the next owner.
            self.open = None;
        }
        self.seal(cx, reason);
        self.after = Some(after);
        self.stop_fetch(cx);
        self.pump(cx);
    }

    /// The Kafka partition is taken away; `lost` means that it is no longer ours already.
    pub(super) fn handle_revoking(&mut self, cx: &mut Context<'_>, lost: bool) {
        let struggles = self.flight.as_ref().is_some_and(|flight| flight.deadline().is_some());
        if lost || struggles || !matches!(self.phase, Phase::Running) {
            self.release(cx);
            return;
        }
        let age = self.open.as_ref().map_or(Duration::ZERO, |open| cx.now.since(open.opened));
        let rotation = &self.policy.rotation;
        let flush = rotation.on_revoke == RevokePolicy::Flush;
        if !flush && !worth_handing_over(rotation, age) {
            self.open = None;
        }
        self.drain(cx, After::Release, RotationReason::Revoked);
    }

    /// Lets go of everything at once; the pin, if there is one, says where the next owner begins.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Released) {
            return;
        }
        self.let_go();
        self.phase = Phase::Released;
        self.stop_fetch(cx);
        cx.out.push(Action::Released(self.at.clone(), self.epoch));
    }

    pub(super) fn let_go(&mut self) {
        self.open = None;
        self.replay = None;
        self.sealed.clear();
        self.flight = None;
        self.pending = None;
    }

    /// Lands what is there and reads no more.
    pub(super) fn handle_shutdown(&mut self, cx: &mut Context<'_>) {
        match self.phase {
            Phase::Running if self.after.is_none() => {
                self.drain(cx, After::Shutdown, RotationReason::Shutdown);
            }
            Phase::Resolving { .. } | Phase::Marking => self.after = Some(After::Shutdown),
            _ => {}
        }
    }

    /// Whether a shutdown has nothing to wait for here.
    pub(super) fn is_drained(&self) -> bool {
        match self.phase {
            Phase::Running => self.is_empty(),
            Phase::Marking => self.pending.is_none(),
            Phase::Resolving { .. } | Phase::Stopped(_) | Phase::Released => true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none()
            && self.sealed.is_empty()
            && self.flight.is_none()
            && self.pending.is_none()
    }

    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped(_))
    }

    pub(super) const fn is_released(&self) -> bool {
        matches!(self.phase, Phase::Released)
    }

    /// Pauses while batches wait for their turn or memory is short, and resumes after.
    pub(super) fn regulate(&mut self, cx: &mut Context<'_>) {
        if !self.fetching {
            return;
        }
        let alone = self.replay.as_ref().is_some_and(|replay| replay.turn == Turn::Alone);
        let want = self.sealed.len() >= SEALED_AT_MOST || (cx.memory_short && !alone);
        if want != self.paused {
            self.paused = want;
            cx.out.push(if want {
                Action::Pause(self.at.clone())
            } else {
                Action::Resume(self.at.clone(), self.next)
            });
        }
    }

    pub(super) fn seed(&self) -> u64 {
        (u64::from(self.at.partition.unsigned_abs()) << 32) ^ self.epoch.0
    }

    pub(super) fn tell_failed(
        &self,
        cx: &mut Context<'_>,
        operation: &'static str,
        attempt: u32,
        message: String,
    ) {
        let class = StoreErrorClass::Retry;
        cx.tell(&self.at, Event::Failed(Fault { operation, class, attempt, message }));
    }
}
