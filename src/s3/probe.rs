//! Whether the store honours `If-None-Match: *`, found out by trying: some ignore it, some refuse
//! it, some pass it one after the other and still race.
//!
//! Fed by the start of the daemon and by `check`. One fixed key serves every probe, so that where
//! nothing may be deleted one object stays, not one a start.
//!
//! Several instances may probe at once. So nobody deletes an object that may belong to a probe
//! under way: a winner deletes its own, and what an earlier probe left is deleted when it is old.

use bytes::Bytes;
use flate2::Crc;
use jiff::SignedDuration;
use tokio::task::JoinSet;

use super::client::Store;
use super::errors::Failure;
use super::head::timestamp;
use crate::record::{
    Body, ObjectAddress, ObjectMetadata, PutOutcome, PutRequest, StoreError, StoreErrorClass,
};

/// Puts that race for the key.
const RACERS: usize = 8;

/// A probe's object that is older than this belongs to no probe under way.
const LEFT_OVER: SignedDuration = SignedDuration::from_secs(300);

/// How often a race is run again when it tells nothing.
const ROUNDS: usize = 3;

/// What a store does with a put under a name that must be free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionalPut {
    /// A taken name is refused, and of several puts at once one wins.
    Honoured,
    /// As above for whole objects, but completing a multipart upload overwrites a taken name, or
    /// is refused. From now on this store puts every object in one request, up to 5 GiB.
    HonouredByPutOnly(String),
    /// More than one put got the name; with what was seen.
    Ignored(String),
    /// The store refuses the condition itself; with its words.
    NotSupported(String),
}

/// How a race ended.
struct Race {
    won: usize,
    taken: usize,
    /// 409: come again. No win, and no refusal of a taken name either.
    conflict: Option<Failure>,
    failure: Option<Failure>,
}

impl Store {
    /// Runs eight puts at once for one key, of which exactly one may win; or none, if the object
    /// of an earlier probe stands there and may not be deleted.
    pub async fn probe_conditional_put(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<ConditionalPut, StoreError> {
        let address = ObjectAddress { bucket: bucket.into(), key: key.into() };
        self.clear_left_over(&address).await;
        for _ in 1..ROUNDS {
            if let Some(verdict) = self.probe_once(&address).await? {
                return Ok(verdict);
            }
        }
        match self.probe_once(&address).await? {
            Some(verdict) => Ok(verdict),
            None => Ok(self.put_only("a completion got a name that was taken".to_owned())),
        }
    }

    /// One race; `None` if another probe may have been in the way.
    async fn probe_once(
        &self,
        address: &ObjectAddress,
    ) -> Result<Option<ConditionalPut>, StoreError> {
        let race = self.race(address).await;
        let any_won = race.won > 0;
        let verdict = match race {
            Race { won: won @ 2.., .. } => {
                let seen = format!("{won} of {RACERS} puts at once got the same name");
                Ok(Some(ConditionalPut::Ignored(seen)))
            }
            Race { failure: Some(failure), .. } => self.refusal(address, failure).await.map(Some),
            Race { won: 0, taken: 0, conflict: Some(failure), .. } => Err(failure.into()),
            Race { won, .. } => self.probe_completion(address, won == 1).await,
        };
        if any_won {
            self.remove_probe(address).await;
        }
        verdict
    }

    async fn race(&self, address: &ObjectAddress) -> Race {
        let mut racers = JoinSet::new();
        for _ in 0..RACERS {
            let (store, request) = (self.clone(), probe_request(address, true));
            racers.spawn(async move { store.put_whole(&request).await });
        }
        let mut race = Race { won: 0, taken: 0, conflict: None, failure: None };
        for outcome in racers.join_all().await {
            match outcome {
                Ok(()) => race.won += 1,
                Err(failure) if failure.is_taken() => race.taken += 1,
                Err(failure) if failure.error.class == StoreErrorClass::Conflict => {
                    race.conflict = Some(failure);
                }
                Err(failure) => race.failure = Some(failure),
            }
        }
        race
    }

    /// A racer met an error. Where the same put goes through without the condition, it is the
    /// condition that the store does not know.
    async fn refusal(
        &self,
        address: &ObjectAddress,
        failure: Failure,
    ) -> Result<ConditionalPut, StoreError> {
        if !matches!(failure.cause.status(), Some(400 | 501)) {
            return Err(failure.into());
        }
        self.put_whole(&probe_request(address, false)).await?;
        self.remove_probe(address).await;
        Ok(ConditionalPut::NotSupported(failure.error.message))
    }

    /// The name is taken now: a completion that must find it free has to be refused. `ours` says
    /// that we won the race, so nobody else deletes the object meanwhile.
    async fn probe_completion(
        &self,
        address: &ObjectAddress,
        ours: bool,
    ) -> Result<Option<ConditionalPut>, StoreError> {
        match self.put_in_parts(&probe_request(address, true)).await {
            Ok(PutOutcome::Taken) => {
                self.set_conditional_complete(true);
                Ok(Some(ConditionalPut::Honoured))
            }
            Ok(PutOutcome::Stored) if ours => {
                let seen = "completing a multipart upload overwrote a taken name".to_owned();
                Ok(Some(self.put_only(seen)))
            }
            Ok(PutOutcome::Stored) => {
                self.remove_probe(address).await;
                Ok(None)
            }
            Err(error) if error.class == StoreErrorClass::Configuration => {
                Ok(Some(self.put_only(error.message)))
            }
            Err(error) => Err(error),
        }
    }

    fn put_only(&self, seen: String) -> ConditionalPut {
        self.set_conditional_complete(false);
        ConditionalPut::HonouredByPutOnly(seen)
    }

    /// Deletes what an earlier probe left, by the store's own clock. Neither HEAD nor DELETE need
    /// be allowed for the probe to tell something.
    async fn clear_left_over(&self, address: &ObjectAddress) {
        if let Ok(Some((object, Some(now)))) = self.head_object(address).await
            && let Some(made) = object.last_modified().and_then(timestamp)
            && now.duration_since(made) > LEFT_OVER
        {
            self.remove_probe(address).await;
        }
    }

    async fn remove_probe(&self, address: &ObjectAddress) {
        if let Err(error) = self.delete(address).await {
            tracing::debug!(%error, "the probe's object stays");
        }
    }
}

fn probe_request(address: &ObjectAddress, if_none_match: bool) -> PutRequest {
    let text: &[u8] = b"kafka-s3-sink tried here whether this store refuses a name that is taken\n";
    let mut crc = Crc::new();
    crc.update(text);
    PutRequest {
        address: address.clone(),
        body: Body { spooled: None, segments: vec![Bytes::from_static(text)], crc32: crc.sum() },
        content_type: "text/plain",
        metadata: ObjectMetadata::new(),
        if_none_match,
    }
}
