//! The order of pins and commits of one Kafka partition: one is under way at a time, and the
//! position moves only past what landed.
//!
//! | commit | offset | metadata | when |
//! |---|---|---|---|
//! | begin | the start | mark | before the first fetch of a first start |
//! | pin | unchanged | mark, pin | a sealed batch is next and nothing is in flight |
//! | end | the batch's end | mark, and the next batch's pin if it is sealed | all objects are there |
//! | adopt | unchanged | mark, the winner's pin | another member won the claim |

use std::sync::Arc;

use super::action::{Action, Event, StopReason};
use super::backoff;
use super::batch::SealedBatch;
use super::flight::{Flight, Progress};
use super::moment::Moment;
use super::partition::{After, Context, Partition, Phase};
use super::pending::{Kind, Pending};
use super::pin::{Mark, Pin, encode_metadata};
use super::rotate::RotationReason;
use crate::record::{
    CommitError, CommitRequest, Defect, HeadOutcome, Offset, OffsetRange, PutOutcome, StoreError,
};

impl Partition {
    /// The mark of the committed offset.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            offset: self.committed.unwrap_or(Offset(0)),
            topic_id: self.topic_id.clone(),
            cluster_id: self.cluster_id.clone(),
            leader_epoch: self.leader_epoch,
            layout_hash: self.layout_hash.clone(),
            first_start: self.first_start,
        }
    }

    /// Does whatever can be done now: the next commit, the next objects, what comes after.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Running) && self.pending.is_none() {
            self.next_commit(cx);
        }
        self.send_pending(cx);
        if let Some(flight) = &mut self.flight {
            flight.advance(cx.now, cx.out);
        }
        if matches!(self.phase, Phase::Running) && self.is_empty() {
            self.drained(cx);
        }
        self.regulate(cx);
    }

    fn next_commit(&mut self, cx: &mut Context<'_>) {
        if self.flight.as_ref().is_some_and(Flight::landed) {
            self.seal_if_due(cx);
            self.pending = Some(self.end(cx.now));
        } else if self.flight.is_none() {
            self.seal_if_due(cx);
            self.begin_next(cx);
        }
    }

    /// Pins the next sealed batch; one that is pinned already, or has no object, flies at once.
    fn begin_next(&mut self, cx: &mut Context<'_>) {
        let Some(batch) = self.sealed.front() else { return };
        assert_eq!(
            Some(batch.facts.range.base),
            self.committed,
            "{}: a gap in the ledger",
            self.at
        );
        let pinned = batch.reason == RotationReason::Replay;
        if pinned || batch.objects.is_empty() || Defect::NoPin.is_in() {
            self.fly(cx);
            if self.flight.as_ref().is_some_and(Flight::landed) {
                self.pending = Some(self.end(cx.now));
            }
            return;
        }
        let metadata = encode_metadata(&self.mark(), Some(&pin_of(batch)));
        self.pending = Some(Pending::new(Kind::Pin, cx.now, batch.facts.range.base, metadata));
        if Defect::PinNotAwaited.is_in() {
            self.send_pending(cx);
            self.pending = None;
            self.fly(cx);
        }
    }

    /// Age ends a batch only when its turn has come: before, it would just make small objects.
    fn seal_if_due(&mut self, cx: &mut Context<'_>) {
        let due = self.open.as_ref().is_some_and(|open| open.due <= cx.now);
        if due && self.sealed.is_empty() && self.replay.is_none() {
            self.seal(cx, RotationReason::MaxAge);
        }
    }

    /// The commit of the batch that landed, with the next one's pin if there is one.
    fn end(&self, now: Moment) -> Pending {
        let last = self.flight.as_ref().map(|flight| &flight.batch);
        let offset = last.map_or(self.next, |batch| batch.facts.range.end);
        let gap = self.sealed.front().is_some_and(|next| next.facts.range.base != offset);
        assert!(!gap, "{}: a gap in the ledger after {offset}", self.at);
        let leader_epoch =
            last.and_then(|batch| batch.last).map(|(_, epoch)| epoch).or(self.leader_epoch);
        let offset = if Defect::LastForNext.is_in() { Offset(offset.0 - 1) } else { offset };
        let first_start = self.first_start_after_flight();
        let mark = Mark { offset, leader_epoch, first_start, ..self.mark() };
        let next = self.sealed.front().filter(|batch| !batch.objects.is_empty());
        let pin = next.filter(|_| !Defect::NoPin.is_in()).map(pin_of);
        let mut metadata = encode_metadata(&mark, pin.as_ref());
        if Defect::NoMark.is_in() && pin.is_none() {
            metadata.clear();
        }
        Pending::new(Kind::End { with_pin: pin.is_some() }, now, offset, metadata)
    }

    /// A batch without objects leaves the bucket as empty as it was: it is a first start still.
    fn first_start_after_flight(&self) -> Option<i32> {
        let lands = self.flight.as_ref().is_some_and(|flight| !flight.batch.objects.is_empty());
        self.first_start.filter(|_| !lands)
    }

    fn send_pending(&mut self, cx: &mut Context<'_>) {
        let Some(pending) = &mut self.pending else { return };
        if pending.sent || pending.retry_at > cx.now {
            return;
        }
        pending.sent = true;
        cx.out.push(Action::Commit(CommitRequest {
            partition: self.at.clone(),
            epoch: self.epoch,
            offset: pending.offset,
            metadata: pending.metadata.clone(),
        }));
    }

    fn fly(&mut self, cx: &mut Context<'_>) {
        if let Some(batch) = self.sealed.pop_front() {
            self.batches += 1;
            let look_first = batch.reason == RotationReason::Replay;
            let conditional = cx.settings.conditional_put;
            self.flight =
                Some(Flight::new(batch, self.batches, self.epoch, conditional, look_first, cx.now));
        }
    }

    /// Takes the coordinator's answer to the commit that is under way.
    pub(super) fn handle_committed(
        &mut self,
        cx: &mut Context<'_>,
        offset: Offset,
        answer: Result<(), CommitError>,
    ) {
        let awaited = self.pending.take_if(|pending| pending.sent && pending.offset == offset);
        let Some(pending) = awaited else { return };
        match answer {
            Ok(()) => self.committed_now(cx, pending),
            Err(CommitError::Retry(message)) => {
                let attempts = pending.attempts + 1;
                let retry_at = backoff::COMMIT.after(cx.now, attempts, self.seed());
                self.tell_failed(cx, pending.kind.operation(), attempts, message);
                self.pending = Some(Pending { sent: false, attempts, retry_at, ..pending });
            }
            Err(CommitError::Fenced(message)) => {
                // Never again: after the member rejoins, a retry would carry the new generation
                // and be accepted. The rebalance callback is to come, or the deadline.
                self.fenced.get_or_insert((cx.now, message));
                self.pending = Some(pending);
            }
            Err(CommitError::Stale) => self.release(cx),
            Err(CommitError::Permanent(message)) => {
                let text =
                    format!("{}: the commit of offset {offset} is refused: {message}", self.at);
                self.stop(cx, StopReason::new("commit_refused", text));
            }
        }
        self.pump(cx);
    }

    fn committed_now(&mut self, cx: &mut Context<'_>, pending: Pending) {
        let step = pending.kind.operation();
        cx.tell(&self.at, Event::StepTook { step, took: cx.now.since(pending.began) });
        match pending.kind {
            Kind::Begin { how } => {
                self.committed = Some(pending.offset);
                self.leader_epoch = None;
                self.run_from(cx, pending.offset, how);
                if matches!(self.after, Some(After::Shutdown)) {
                    self.stop_fetch(cx);
                }
            }
            Kind::Pin => self.fly(cx),
            Kind::End { with_pin } => {
                self.ended(cx, pending.offset);
                if with_pin {
                    self.fly(cx);
                }
            }
            Kind::Adopt(pin) => self.adopt(cx, pin),
        }
    }

    fn ended(&mut self, cx: &mut Context<'_>, offset: Offset) {
        self.committed = Some(offset);
        self.first_start = self.first_start_after_flight();
        if let Some(flight) = self.flight.take() {
            let batch = flight.batch;
            self.leader_epoch = batch.last.map(|(_, epoch)| epoch).or(self.leader_epoch);
            cx.tell(
                &self.at,
                Event::Committed {
                    range: batch.facts.range,
                    records: batch.records,
                    age: cx.now.since(batch.opened),
                },
            );
        }
        self.tell_reached_end(cx);
    }

    /// Tells, once, that the goal of `--until-end` is committed.
    fn tell_reached_end(&mut self, cx: &mut Context<'_>) {
        let reached = self.goal.is_some_and(|goal| self.committed.is_some_and(|at| at >= goal));
        if reached && !self.reached_end {
            self.reached_end = true;
            cx.tell(&self.at, Event::ReachedEnd);
        }
    }

    /// Another member's batch owns our first record: ours is dropped, theirs is finished.
    fn adopt(&mut self, cx: &mut Context<'_>, pin: Pin) {
        let from = self.committed.unwrap_or(pin.first);
        let range = OffsetRange { base: from, end: pin.end };
        cx.tell(&self.at, Event::Adopts { range, pin_id: pin.id.clone() });
        self.begin_replay(cx, pin, from);
    }

    /// Takes the reply to a put.
    pub(super) fn handle_put(
        &mut self,
        cx: &mut Context<'_>,
        object: usize,
        reply: Result<PutOutcome, StoreError>,
    ) {
        if let Some(flight) = &mut self.flight {
            let progress = flight.handle_put(cx.now, object, reply, cx.out);
            self.make(cx, progress);
        }
    }

    /// Takes the reply to a HEAD.
    pub(super) fn handle_head(
        &mut self,
        cx: &mut Context<'_>,
        object: usize,
        reply: Result<HeadOutcome, StoreError>,
    ) {
        if let Some(flight) = &mut self.flight {
            let progress = flight.handle_head(cx.now, object, reply, cx.out);
            self.make(cx, progress);
        }
    }

    fn make(&mut self, cx: &mut Context<'_>, progress: Progress) {
        match progress {
            Progress::Flying => {}
            Progress::Stop(reason) => self.stop(cx, reason),
            Progress::ReadAgain => self.read_again(cx),
            // Whoever reads on meets the same name, and adopts it.
            Progress::Adopt(_) if matches!(self.after, Some(After::Release)) => self.release(cx),
            Progress::Adopt(_) if matches!(self.after, Some(After::Shutdown)) => self.let_go(),
            Progress::Adopt(pin) => {
                self.let_go();
                // What stopped us lies after the winner's batch, or is met again.
                self.after = None;
                self.stop_fetch(cx);
                let metadata = encode_metadata(&self.mark(), Some(&pin));
                let base = self.committed.unwrap_or(pin.first);
                self.pending = Some(Pending::new(Kind::Adopt(pin), cx.now, base, metadata));
            }
        }
        self.pump(cx);
    }

    /// What was to be put cannot be read back from the spool: as after a restart, the pinned range
    /// is read again, under the pin that stands.
    fn read_again(&mut self, cx: &mut Context<'_>) {
        let Some(flight) = self.flight.take() else { return };
        let (pin, range) = (pin_of(&flight.batch), flight.batch.facts.range);
        let after = self.after.take();
        self.let_go();
        match after {
            Some(After::Release) => self.release(cx),
            // The next run does it.
            Some(After::Shutdown) => self.after = after,
            // What stopped us lies behind the batch, and is met again.
            Some(After::Stop(_) | After::Resolve) | None => {
                self.stop_fetch(cx);
                let pin_id = pin.id.clone();
                cx.tell(&self.at, Event::ReadsAgain { range, pin_id });
                self.begin_replay(cx, pin, range.base);
            }
        }
    }

    /// Nothing is open, sealed, in flight or being committed.
    fn drained(&mut self, cx: &mut Context<'_>) {
        self.tell_reached_end(cx);
        match self.after.take_if(|after| !matches!(after, After::Shutdown)) {
            Some(After::Release) => self.release(cx),
            Some(After::Stop(reason)) => self.stop(cx, reason),
            Some(After::Resolve) => {
                let attempt = self.out_of_range;
                let retry_at = Some(backoff::RESOLVE.after(cx.now, attempt, self.seed()));
                self.phase = Phase::Resolving { retry_at, attempt };
            }
            Some(After::Shutdown) | None => {}
        }
    }

    /// Asks for the topic's facts when it is time to.
    pub(super) fn ask_facts(&mut self, cx: &mut Context<'_>) {
        if let Phase::Resolving { retry_at, .. } = &mut self.phase
            && retry_at.is_some_and(|at| at <= cx.now)
        {
            *retry_at = None;
            cx.out.push(Action::Resolve {
                partition: self.at.clone(),
                epoch: self.epoch,
                layout: Arc::clone(&self.policy.layout),
            });
        }
    }

    /// Does what is due by time.
    pub(super) fn handle_time(&mut self, cx: &mut Context<'_>) {
        self.ask_facts(cx);
        self.check_patience(cx);
        if let Some((since, message)) = &self.fenced
            && cx.now.since(*since) >= cx.settings.fenced_deadline
        {
            let event = Event::FencedForGood(message.clone());
            self.fenced = None;
            cx.tell(&self.at, event);
        }
        self.pump(cx);
    }

    /// When `handle_time` has something to do next.
    pub(super) fn deadline(&self, fenced_deadline: std::time::Duration) -> Option<Moment> {
        let resolve = match self.phase {
            Phase::Resolving { retry_at, .. } => retry_at,
            Phase::Stopped(_) | Phase::Released => return None,
            Phase::Marking | Phase::Running => None,
        };
        // An open batch that is due waits for its turn, which comes with a reply, not with time.
        let turn = self.flight.is_none() && self.sealed.is_empty() && self.pending.is_none();
        let due = self.open.as_ref().filter(|_| turn).map(|open| open.due);
        [
            resolve,
            due,
            self.pending.as_ref().and_then(Pending::deadline),
            self.flight.as_ref().and_then(Flight::deadline),
            self.replay.as_ref().and_then(|replay| replay.give_up),
            self.fenced.as_ref().map(|(since, _)| *since + fenced_deadline),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

fn pin_of(batch: &SealedBatch) -> Pin {
    Pin {
        id: batch.facts.pin_id.clone(),
        end: batch.facts.range.end,
        first: batch.facts.first.offset,
        last: batch.last,
        layout: batch.layout.clone(),
    }
}
