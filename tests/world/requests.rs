//! Requests to the store and to the group travel, fail, arrive late, or not at all.

use std::sync::Arc;

use kafka_s3_sink::daemon::driver::LaneInput;
use kafka_s3_sink::record::{
    HeadOutcome, ObjectAddress, PutOutcome, PutRequest, StoreError, StoreErrorClass,
};

use crate::world::{Fences, Operation, What, World};

impl World {
    pub(crate) fn store_step(&mut self) {
        if self.operations.is_empty() {
            return;
        }
        let index = self.dice.below(self.operations.len() as u64) as usize;
        let operation = self.operations.swap_remove(index);
        let Operation { process, lane, ticket, what } = operation;
        let input = match what {
            What::Put(request) => {
                let reply = self.put(&request);
                LaneInput::Put(ticket, reply)
            }
            What::Head(address) => LaneInput::Head(ticket, self.head(&address)),
        };
        match self.index(process) {
            Some(index) => self.processes[index].post(lane, input),
            None => self.note("late request of a dead process", || process.to_string()),
        }
    }

    pub(crate) fn fault(&mut self, of: &[(&'static str, StoreErrorClass)]) -> Option<StoreError> {
        if !self.faults || !self.dice.one_in(6) {
            return None;
        }
        let (what, class) = *self.dice.pick(of);
        self.note(what, String::new);
        Some(StoreError { class, message: what.to_owned() })
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutOutcome, StoreError> {
        const BEFORE: [(&str, StoreErrorClass); 4] = [
            ("put fails before: 503", StoreErrorClass::Retry),
            ("put fails before: 409", StoreErrorClass::Conflict),
            ("put fails before: 403", StoreErrorClass::Configuration),
            ("put fails before: full", StoreErrorClass::Full),
        ];
        const AFTER: [(&str, StoreErrorClass); 2] = [
            ("put fails after: reply lost", StoreErrorClass::Retry),
            ("put fails after: 409", StoreErrorClass::Conflict),
        ];
        if let Some(error) = self.fault(&BEFORE) {
            return Err(error);
        }
        let bytes = self.read_back(request)?;
        let done = self.oracle.put(request, &bytes);
        let key = Arc::clone(&request.address.key);
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(wrong) => {
                self.verdict = Err(wrong);
                return Ok(PutOutcome::Stored);
            }
        };
        let what = if outcome == PutOutcome::Taken { "412" } else { "put" };
        self.note(what, || format!("{key} by pin {}", request.metadata["pin"]));
        if outcome == PutOutcome::Stored
            && let Some(error) = self.fault(&AFTER)
        {
            return Err(error);
        }
        Ok(outcome)
    }

    pub(crate) fn head(&mut self, address: &ObjectAddress) -> Result<HeadOutcome, StoreError> {
        // A look before each put would be a fence of its own, if a thin one.
        if self.fences == Fences::None {
            let (class, message) = (StoreErrorClass::Configuration, "403".to_owned());
            return Err(StoreError { class, message });
        }
        if let Some(error) = self.fault(&[("head fails: 503", StoreErrorClass::Retry)]) {
            return Err(error);
        }
        let found = self.oracle.head(&address.key);
        Ok(found
            .map_or(HeadOutcome::Missing, |(metadata, size)| HeadOutcome::Found { metadata, size }))
    }
}
