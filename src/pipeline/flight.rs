//! The ledger of one pinned batch: the claim alone, then the other objects, until all are there.
//!
//! Fed by `partition` with a sealed batch and the store's replies; tells it when the batch has
//! landed, when another member won it, and when a name is taken by something else.
//!
//! | object state | what is awaited |
//! |---|---|
//! | `Idle` | its turn: the claim's comes first, the others' when the claim is done |
//! | `Looking` | HEAD before a put: a replay, or a claim without conditional put |
//! | `Putting` | the put |
//! | `Judging` | HEAD after the name was found taken |
//! | `Waiting` | the next try |
//! | `Done` | nothing |

use super::action::{Action, Event, Fault, StopReason, Ticket};
use super::backoff::{Backoff, CONFLICT, STORE};
use super::batch::{SealedBatch, SealedObject};
use super::metadata::{Verdict, judge};
use super::moment::Moment;
use super::pin::Pin;
use super::stops;
use crate::record::{
    Body, Defect, Epoch, HeadOutcome, ObjectMetadata, PutOutcome, PutRequest, StoreError,
    StoreErrorClass,
};

/// After so many 409s in a row a look is taken instead of another put.
const CONFLICTS_BEFORE_LOOK: u32 = 3;
/// How often bytes may be unreadable until the records are read again.
const UNREADABLE_AT_MOST: u32 = 3;
/// How often a name may be taken for the put and free for the HEAD.
const VANISHED_AT_MOST: u32 = 10;

/// A batch between its pin and its commit.
pub(super) struct Flight {
    pub(super) batch: SealedBatch,
    number: u64,
    epoch: Epoch,
    conditional: bool,
    look_first: bool,
    tries: Vec<Try>,
}

struct Try {
    state: State,
    began: Moment,
    failures: u32,
    conflicts: u32,
    unreadable: u32,
    vanished: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Looking,
    Putting,
    Judging,
    Waiting(Moment, Next),
    Done,
}

/// What a wait ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Look,
    Put,
    Judge,
}

/// What a reply of the store led to.
pub(super) enum Progress {
    /// The batch goes on.
    Flying,
    /// Another member's batch owns the first record.
    Adopt(Pin),
    /// What is to be put is lost: the pinned range must be read again.
    ReadAgain,
    /// A name is taken by something else.
    Stop(StopReason),
}

impl Flight {
    /// Begins with the claim. `look_first` is for replays, whose objects may be there.
    pub(super) fn new(
        batch: SealedBatch,
        number: u64,
        epoch: Epoch,
        conditional: bool,
        look_first: bool,
        now: Moment,
    ) -> Self {
        let tries = batch
            .objects
            .iter()
            .map(|_| Try {
                state: State::Idle,
                began: now,
                failures: 0,
                conflicts: 0,
                unreadable: 0,
                vanished: 0,
            })
            .collect();
        Self { batch, number, epoch, conditional, look_first, tries }
    }

    /// Whether every object is there.
    pub(super) fn landed(&self) -> bool {
        let matters =
            |object: &SealedObject| !(Defect::DeadLettersOutside.is_in() && object.dead_letters);
        let pairs = self.tries.iter().zip(&self.batch.objects);
        let open = pairs.filter(|(each, object)| each.state != State::Done && matters(object));
        let may_be_open = usize::from(Defect::CommitBeforeLastObject.is_in());
        open.count() <= may_be_open
    }

    /// Asks for whatever is due: first the claim, and when it is won the others in parallel.
    pub(super) fn advance(&mut self, now: Moment, out: &mut Vec<Action>) {
        let claim_only = self.batch.has_claim
            && self.tries[0].state != State::Done
            && !Defect::ClaimNotAlone.is_in();
        let turn = if claim_only { 1 } else { self.tries.len() };
        for index in 0..turn {
            match self.tries[index].state {
                State::Idle => {
                    self.tries[index].began = now;
                    let look = self.look_first || (!self.conditional && index == 0);
                    let look = look && !Defect::ReplayOverwrites.is_in();
                    self.ask(index, if look { Next::Look } else { Next::Put }, out);
                }
                State::Waiting(until, next) if until <= now => self.ask(index, next, out),
                _ => {}
            }
        }
    }

    /// The earliest moment at which `advance` has something to do.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let waits = self.tries.iter().filter_map(|each| match each.state {
            State::Waiting(until, _) => Some(until),
            _ => None,
        });
        waits.min()
    }

    fn ask(&mut self, index: usize, next: Next, out: &mut Vec<Action>) {
        let ticket = self.ticket(index);
        let object = &self.batch.objects[index];
        let (state, action) = match next {
            Next::Look => (State::Looking, Action::Head(ticket, object.address.clone())),
            Next::Judge => (State::Judging, Action::Head(ticket, object.address.clone())),
            Next::Put => (State::Putting, Action::Put(ticket, self.request(object))),
        };
        self.tries[index].state = state;
        out.push(action);
    }

    fn ticket(&self, object: usize) -> Ticket {
        Ticket {
            partition: self.batch.facts.from.clone(),
            epoch: self.epoch,
            batch: self.number,
            object,
        }
    }

    fn request(&self, object: &SealedObject) -> PutRequest {
        PutRequest {
            address: object.address.clone(),
            body: object.body.clone(),
            content_type: object.content_type,
            metadata: object.metadata.clone(),
            if_none_match: self.conditional
                && !(Defect::ReplayOverwrites.is_in() && self.look_first),
        }
    }

    /// Whether a reply is for this flight and for a request that still waits for one.
    pub(super) fn awaits(&self, ticket: &Ticket) -> bool {
        ticket.batch == self.number
            && ticket.epoch == self.epoch
            && self.tries.get(ticket.object).is_some_and(|each| {
                matches!(each.state, State::Looking | State::Putting | State::Judging)
            })
    }

    /// Takes the reply to a put.
    pub(super) fn handle_put(
        &mut self,
        now: Moment,
        index: usize,
        reply: Result<PutOutcome, StoreError>,
        out: &mut Vec<Action>,
    ) -> Progress {
        match reply {
            Ok(PutOutcome::Stored) => self.done(now, index, false, out),
            Ok(PutOutcome::Taken) if Defect::TakenForDone.is_in() => {
                self.done(now, index, true, out);
            }
            Err(_) if Defect::FailedForDone.is_in() => self.done(now, index, false, out),
            Ok(PutOutcome::Taken) => self.ask(index, Next::Judge, out),
            Err(error) if error.class == StoreErrorClass::Conflict => {
                self.tries[index].conflicts += 1;
                let looks = self.tries[index].conflicts.is_multiple_of(CONFLICTS_BEFORE_LOOK);
                let next = if looks { Next::Look } else { Next::Put };
                self.wait(now, index, CONFLICT, next, &error, out);
            }
            Err(error) => {
                self.wait(now, index, STORE, Next::Put, &error, out);
                let each = &mut self.tries[index];
                each.unreadable += u32::from(error.class == StoreErrorClass::Unreadable);
                if each.unreadable >= UNREADABLE_AT_MOST {
                    return Progress::ReadAgain;
                }
            }
        }
        Progress::Flying
    }

    /// Takes the reply to a HEAD, which was a look before the put or a judgement after it.
    pub(super) fn handle_head(
        &mut self,
        now: Moment,
        index: usize,
        reply: Result<HeadOutcome, StoreError>,
        out: &mut Vec<Action>,
    ) -> Progress {
        let judging = self.tries[index].state == State::Judging;
        match reply {
            Ok(HeadOutcome::Found { metadata, .. }) => {
                return self.found(now, index, &metadata, out);
            }
            Ok(HeadOutcome::Missing) if judging => return self.vanished(now, index, out),
            Ok(HeadOutcome::Missing) => self.ask(index, Next::Put, out),
            Err(error) if error.class == StoreErrorClass::Configuration => {
                if judging {
                    return Progress::Stop(self.cannot_look(index, &error));
                }
                // No right to look: the put itself decides where the store honours conditions.
                self.ask(index, Next::Put, out);
            }
            Err(error) => {
                let next = if judging { Next::Judge } else { Next::Look };
                self.wait(now, index, STORE, next, &error, out);
            }
        }
        Progress::Flying
    }

    fn found(
        &mut self,
        now: Moment,
        index: usize,
        metadata: &ObjectMetadata,
        out: &mut Vec<Action>,
    ) -> Progress {
        let is_claim = index == 0 && self.batch.has_claim;
        let object = &self.batch.objects[index];
        match judge(&self.batch.facts, &object.facts, is_claim, metadata) {
            Verdict::Done => {
                self.done(now, index, true, out);
                Progress::Flying
            }
            Verdict::Adopt { .. } if Defect::NoAdoption.is_in() => {
                Progress::Stop(StopReason::new("name_taken", "not adopted"))
            }
            Verdict::Adopt { end, pin_id } => Progress::Adopt(Pin {
                id: pin_id,
                end,
                first: self.batch.facts.first.offset,
                last: None,
                layout: self.batch.layout.clone(),
            }),
            Verdict::Foreign => Progress::Stop(stops::foreign_object(&object.address)),
            Verdict::Stop(what) => Progress::Stop(stops::name_taken(&object.address, &what)),
        }
    }

    fn vanished(&mut self, now: Moment, index: usize, out: &mut Vec<Action>) -> Progress {
        self.tries[index].vanished += 1;
        let address = &self.batch.objects[index].address;
        if self.tries[index].vanished > VANISHED_AT_MOST {
            return Progress::Stop(StopReason::new(
                "name_unclear",
                format!(
                    "{address}: the store says that the name is taken when it is put and free \
                     when it is looked at, {VANISHED_AT_MOST} times in a row"
                ),
            ));
        }
        let error = StoreError {
            class: StoreErrorClass::Conflict,
            message: format!("{address}: taken for the put, missing for HEAD"),
        };
        self.wait(now, index, CONFLICT, Next::Put, &error, out);
        Progress::Flying
    }

    fn cannot_look(&self, index: usize, error: &StoreError) -> StopReason {
        StopReason::new(
            "no_right_to_head",
            format!(
                "{} is taken, and whose it is cannot be seen: {error}. Grant s3:GetObject on it, \
                 then restart",
                self.batch.objects[index].address
            ),
        )
    }

    fn wait(
        &mut self,
        now: Moment,
        index: usize,
        backoff: Backoff,
        next: Next,
        error: &StoreError,
        out: &mut Vec<Action>,
    ) {
        let operation = self.operation(index);
        let seed = (self.batch.facts.range.base.0 as u64) << 8 | index as u64;
        let each = &mut self.tries[index];
        each.failures += 1;
        each.state = State::Waiting(backoff.after(now, each.failures, seed), next);
        let mut message = error.message.clone();
        if self.look_first && error.class == StoreErrorClass::Configuration {
            // Today's settings may name another place, which must not mislead.
            message.push_str(
                "; it is for a batch that was begun under the layout of its pin: if its bucket is \
                 gone for good, `kafka-s3-sink recover --drop-pins --apply` gives the batch up",
            );
        }
        let fault = Fault {
            operation: if next == Next::Put { operation } else { "head" },
            class: error.class,
            attempt: each.failures,
            message,
        };
        out.push(Action::Tell(self.batch.facts.from.clone(), Event::Failed(fault)));
    }

    fn operation(&self, index: usize) -> &'static str {
        if index == 0 && self.batch.has_claim { "claim" } else { "put" }
    }

    fn done(&mut self, now: Moment, index: usize, found: bool, out: &mut Vec<Action>) {
        let step = self.operation(index);
        let each = &mut self.tries[index];
        each.state = State::Done;
        let took = now.since(each.began);
        let object = &self.batch.objects[index];
        let landed = Event::ObjectLanded {
            address: object.address.clone(),
            reason: self.batch.reason,
            records: object.facts.records,
            stored: object.body.len(),
            uncompressed: object.facts.uncompressed,
            found,
            dead_letters: object.dead_letters,
        };
        let from = &self.batch.facts.from;
        out.push(Action::Tell(from.clone(), Event::StepTook { step, took }));
        out.push(Action::Tell(from.clone(), landed));
        // The bytes are in the store: their memory is free before the batch is committed.
        self.batch.objects[index].body = Body::default();
    }
}
