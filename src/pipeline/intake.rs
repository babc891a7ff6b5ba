//! What records, ends of the log and time do to a Kafka partition: they fill batches and end them.
//!
//! Positions are always the next offset to read. Gaps are normal (control records, aborted
//! transactions, compaction), so nothing here expects the offset after the last one.

use std::borrow::Cow;
use std::sync::Arc;

use super::action::{Event, RETENTION, StopReason};
use super::batch::{OpenBatch, Seal};
use super::decode::{InvalidReason, decode, has_envelope_member};
use super::layout::layout_hash;
use super::line::{write_dead_letter, write_line};
use super::memory::Turn;
use super::moment::Moment;
use super::open::Target;
use super::partition::{After, Context, Partition, Phase, Replay, SHORT_LOG_PATIENCE};
use super::pin::Pin;
use super::rotate::{RotationReason, due_by_age, full};
use super::route::Router;
use super::stops;
use crate::record::{
    Defect, Envelope, InvalidPolicy, Layout, Offset, OffsetRange, Record, TombstonePolicy,
};

/// What the scratch buffer keeps; a large dead letter is not kept.
const LARGEST_SCRATCH: usize = 64 << 10;

/// What a record becomes.
pub(super) enum Fate<'a> {
    Line(Cow<'a, [u8]>),
    DeadLetter(InvalidReason),
    Skip(InvalidReason),
    Stop(InvalidReason),
}

impl Partition {
    /// Takes a record, unless it was taken before: a fetch that was moved may deliver twice.
    pub(super) fn handle_record(&mut self, cx: &mut Context<'_>, record: &Record<'_>) {
        if !self.takes_records() || record.offset < self.next {
            return;
        }
        let waiting = self.sealed.len();
        if let Some(replay) = &mut self.replay {
            replay.give_up = None;
            if record.offset >= replay.pin.end {
                self.finish_replay(cx);
            } else if is_of_another_leader(&replay.pin, record) {
                let reason = stops::rewritten(&self.at, record.offset);
                self.stop(cx, reason);
                return;
            }
        }
        self.take(cx, record);
        // What else there is to do comes with replies and with time, not with every record.
        if self.sealed.len() != waiting {
            self.pump(cx);
        }
    }

    /// Whether records go to an open batch and nothing else waits for them.
    pub(super) const fn is_filling(&self) -> bool {
        self.open.is_some() && self.replay.is_none()
    }

    const fn takes_records(&self) -> bool {
        self.fetching && self.after.is_none()
    }

    fn take(&mut self, cx: &mut Context<'_>, record: &Record<'_>) {
        // Lent, not cloned: this is done for every record.
        let layout = self.replay.as_ref().map_or(&self.policy.layout, |replay| &replay.pin.layout);
        let envelope = layout.envelope;
        match fate(layout, record) {
            Fate::Line(line) => {
                let route = self.router.route(record.timestamp, &line);
                self.counters.unusable_time += u64::from(route.unusable_time);
                let raw = record.value.map_or(0, <[u8]>::len);
                self.counters.compacted += u64::from(matches!(line, Cow::Owned(_)) && raw > 0);
                cx.scratch.clear();
                let head = write_line(cx.scratch, envelope, &line, &self.at, record);
                self.land(cx, record, head, Target::Hive(route.path), !route.unusable_time);
            }
            Fate::DeadLetter(reason) => {
                *self.counters.dead_letters.entry(reason).or_default() += 1;
                cx.scratch.clear();
                write_dead_letter(cx.scratch, &self.at, record, reason);
                self.land(cx, record, &[], Target::DeadLetters, true);
            }
            Fate::Skip(reason) => {
                *self.counters.skipped.entry(reason).or_default() += 1;
                self.open_batch(cx);
                self.read(record);
            }
            Fate::Stop(reason) => {
                let reason = stops::invalid_record(&self.at, record.offset, reason);
                self.drain(cx, After::Stop(reason), RotationReason::Stopped);
            }
        }
    }

    /// Adds a line: `head`, then what stands in the scratch buffer.
    fn land(
        &mut self,
        cx: &mut Context<'_>,
        record: &Record<'_>,
        head: &[u8],
        target: Target,
        usable: bool,
    ) {
        let most = self.policy.rotation.max_open_hive_partitions;
        let exceeds = self.open.as_ref().is_some_and(|open| open.would_exceed(&target, most));
        if exceeds && self.replay.is_none() {
            self.seal(cx, RotationReason::HivePartitions);
        }
        self.open_batch(cx);
        if let Some(open) = &mut self.open {
            open.push(record, target, [head, cx.scratch], usable);
        }
        if cx.scratch.capacity() > LARGEST_SCRATCH {
            *cx.scratch = Vec::new();
        }
        self.read(record);
        if self.replay.is_none() || Defect::ReplayWithTodaysLimits.is_in() {
            let fill = self.open.as_ref().map(OpenBatch::fill).unwrap_or_default();
            if let Some(reason) = full(&self.policy.rotation, &fill) {
                self.seal(cx, reason);
            }
            self.check_goal(cx);
        }
    }

    /// Moves the position past a record.
    fn read(&mut self, record: &Record<'_>) {
        if let Some(open) = &mut self.open {
            open.saw(record);
        }
        self.next = record.offset.next();
        self.out_of_range = 0;
        self.last_timestamp = record.timestamp.or(self.last_timestamp);
        self.counters.records += 1;
        self.counters.bytes += record.value.map_or(0, |value| value.len() as u64);
    }

    /// Opens a batch at the position, if none is open.
    fn open_batch(&mut self, cx: &Context<'_>) {
        if self.open.is_none() {
            let due = due_by_age(&self.policy.rotation, cx.now, &self.at, self.fresh);
            let layout = self.policy.layout.clone();
            let level = self.policy.compression_level;
            let spool = cx.settings.spool.clone();
            self.open = Some(OpenBatch::new(self.next, cx.now, due, layout, level, spool));
        }
    }

    /// The log ends at `offset`, which moves the position over what never becomes a record.
    pub(super) fn handle_eof(&mut self, cx: &mut Context<'_>, offset: Offset) {
        self.log_end = Some(offset);
        if !self.takes_records() {
            return;
        }
        match &mut self.replay {
            Some(replay) if offset >= replay.pin.end || Defect::AnyEofEndsReplay.is_in() => {
                self.finish_replay(cx);
                self.step_over_gap(cx, offset);
            }
            // After a leader's failover the log may end before the pin for a while.
            Some(replay) => {
                replay.give_up.get_or_insert(cx.now + SHORT_LOG_PATIENCE);
            }
            None => self.step_over_gap(cx, offset),
        }
        self.pump(cx);
    }

    fn step_over_gap(&mut self, cx: &mut Context<'_>, end: Offset) {
        if end > self.next {
            self.open_batch(cx);
            self.next = end;
        }
        self.check_goal(cx);
    }

    /// The position is outside the log: what is there lands first, then the group, the broker and
    /// the bucket are asked again where to go on.
    pub(super) fn handle_out_of_range(&mut self, cx: &mut Context<'_>) {
        if self.takes_records() {
            self.out_of_range += 1;
            self.drain(cx, After::Resolve, RotationReason::Stopped);
        }
    }

    /// Nothing more can be fetched: what was read lands, then the partition stops.
    pub(super) fn handle_fetch_failed(&mut self, cx: &mut Context<'_>, message: &str) {
        if self.takes_records() {
            let text = format!(
                "{}: the records at offset {} cannot be read: {message}. All records before them \
                 have landed. Mend the log (or raise fetch.message.max.bytes), then restart",
                self.at, self.next
            );
            let after = After::Stop(StopReason::new("fetch_failed", text));
            self.drain(cx, after, RotationReason::Stopped);
        }
    }

    /// Reads `[base, pin.end)` again under the pin's own layout.
    pub(super) fn begin_replay(&mut self, cx: &mut Context<'_>, pin: Pin, from: Offset) {
        let base = self.committed.unwrap_or(from);
        if from > base {
            let range = OffsetRange { base, end: from.min(pin.end) };
            let why = format!(
                "Kafka deleted them after the batch was pinned as {}; what is left is put under \
                 the same pin, and objects that landed before keep what they have",
                pin.id
            );
            cx.tell(&self.at, Event::Lost { range, reason: RETENTION, why });
        }
        let same = pin.layout.compression == self.policy.layout.compression;
        let level = self.policy.compression_level.filter(|_| same);
        self.router = Router::new(pin.layout.clone(), &self.at.topic);
        let (never, spool) = (Moment(u64::MAX), cx.settings.spool.clone());
        self.open = Some(OpenBatch::new(base, cx.now, never, pin.layout.clone(), level, spool));
        self.phase = Phase::Running;
        self.next = from;
        let nothing_left = from >= pin.end;
        self.replay = Some(Replay { pin, from, give_up: None, turn: Turn::Shared });
        if nothing_left {
            // Whether more than the pinned range is gone is asked anew, not stepped over.
            self.finish_replay(cx);
            self.after = Some(After::Resolve);
        } else {
            self.fetch(cx, from);
        }
    }

    fn finish_replay(&mut self, cx: &mut Context<'_>) {
        if let Some(replay) = &self.replay {
            self.next = replay.pin.end;
            self.seal(cx, RotationReason::Replay);
            self.router = Router::new(self.policy.layout.clone(), &self.at.topic);
        }
    }

    /// Ends the open batch at the position.
    pub(super) fn seal(&mut self, cx: &mut Context<'_>, reason: RotationReason) {
        let Some(open) = self.open.take() else { return };
        self.fresh = false;
        let replay = self.replay.take();
        let (pin_id, layout_hash): (Arc<str>, Arc<str>) = match &replay {
            Some(replay) => (replay.pin.id.clone(), layout_hash(&replay.pin.layout).into()),
            None => (cx.new_pin_id(), self.layout_hash.clone()),
        };
        let batch = open.seal(&Seal {
            from: &self.at,
            end: self.next,
            reason,
            pin_id,
            group_hash: cx.settings.group_hash.clone(),
            layout_hash,
            pinned_first: replay.map(|replay| replay.pin.first),
        });
        let (range, objects) = (batch.facts.range, batch.objects.len());
        cx.tell(&self.at, Event::BatchEnded { range, reason, objects });
        self.sealed.push_back(batch);
    }

    /// Ends the batch that reaches the goal of `--until-end`; what comes after it rotates as ever.
    pub(super) fn check_goal(&mut self, cx: &mut Context<'_>) {
        let Some((goal, open)) = self.goal.zip(self.open.as_ref()) else { return };
        if open.base < goal && self.next >= goal && self.replay.is_none() {
            self.seal(cx, RotationReason::UntilEnd);
        }
    }

    /// Stops if the log has ended before the pin for too long.
    pub(super) fn check_patience(&mut self, cx: &mut Context<'_>) {
        let Some(replay) = &self.replay else { return };
        if replay.give_up.is_some_and(|at| at <= cx.now) {
            let reason = StopReason::new(
                "log_shorter_than_pin",
                format!(
                    "{}: a batch was pinned up to offset {} but the log ends at {}: records that \
                     were read are gone from Kafka (an unclean leader election, or a restored \
                     cluster). If they come back, a restart goes on",
                    self.at, replay.pin.end, self.next
                ),
            );
            self.stop(cx, reason);
        }
    }
}

/// What becomes of a record in this layout.
pub(super) fn fate<'a>(layout: &Layout, record: &Record<'a>) -> Fate<'a> {
    let Some(value) = record.value else {
        return match layout.on_tombstone {
            TombstonePolicy::Skip => Fate::Skip(InvalidReason::Tombstone),
            TombstonePolicy::DeadLetter => Fate::DeadLetter(InvalidReason::Tombstone),
            TombstonePolicy::Stop => Fate::Stop(InvalidReason::Tombstone),
        };
    };
    let reason = match decode(value, layout.max_record_bytes) {
        Ok(line) if layout.envelope == Envelope::Fields && has_envelope_member(&line) => {
            InvalidReason::EnvelopeConflict
        }
        Ok(line) => return Fate::Line(line),
        Err(reason) => reason,
    };
    match layout.on_invalid {
        InvalidPolicy::DeadLetter => Fate::DeadLetter(reason),
        InvalidPolicy::Skip => Fate::Skip(reason),
        InvalidPolicy::Stop => Fate::Stop(reason),
    }
}

/// Whether the pin's last record now comes from another leader epoch: the log was rewritten.
fn is_of_another_leader(pin: &Pin, record: &Record<'_>) -> bool {
    pin.last.is_some_and(|(offset, epoch)| {
        record.offset == offset && record.leader_epoch.is_some_and(|now| now != epoch)
    })
}
