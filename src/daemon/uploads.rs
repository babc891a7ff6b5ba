//! Executes puts and looks on the runtime, a bounded number of requests and of bytes at a time, and
//! brings the replies back to the lane that asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use crate::config::S3Settings;
use crate::pipeline::Ticket;
use crate::record::{Body, ObjectAddress, PutRequest, StoreError, StoreErrorClass};
use crate::s3::Store;
use crate::telemetry::{Condition, Status};

/// The unit in which bytes are counted: a semaphore takes no more than 32 bits of them.
const UNIT: u64 = 16 << 10;
/// What an upload holds at most of what it reads from a spool: with each of its parts a stretch that
/// is read and two that the connection has not sent yet.
const READ_AHEAD: u64 = 3 << 20;

/// One for all lanes; clones share the bounds.
#[derive(Clone)]
pub(super) struct Uploads {
    store: Store,
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// All units of `bytes`.
    most: u32,
    runtime: Handle,
    status: Arc<Status>,
    warn_after: Duration,
    failing_since: Arc<Mutex<Option<Instant>>>,
}

impl Uploads {
    /// With so many bytes in memory for what is on its way.
    pub(super) fn new(
        store: Store,
        settings: &S3Settings,
        bytes: u64,
        runtime: Handle,
        status: Arc<Status>,
    ) -> Self {
        let most = units(bytes);
        Self {
            store,
            bytes: Arc::new(Semaphore::new(most as usize)),
            most,
            slots: Arc::new(Semaphore::new(settings.max_concurrent_uploads.max(1))),
            runtime,
            status,
            warn_after: settings.retry_warn_after,
            failing_since: Arc::default(),
        }
    }

    pub(super) fn put(&self, lane: LaneHandle, ticket: Ticket, request: PutRequest) {
        let this = self.clone();
        self.runtime.spawn(async move {
            // One that is larger than all there may be goes alone.
            let weight = units(held(&request.body)).min(this.most);
            let _bytes = this.bytes.acquire_many(weight).await;
            let _slot = this.slots.acquire().await;
            let reply = this.store.put(&request).await;
            this.tell_status(reply.as_ref().err());
            lane.send(LaneInput::Put(ticket, reply));
        });
    }

    pub(super) fn head(&self, lane: LaneHandle, ticket: Ticket, address: ObjectAddress) {
        let this = self.clone();
        self.runtime.spawn(async move {
            let _slot = this.slots.acquire().await;
            let reply = this.store.head(&address).await;
            this.tell_status(reply.as_ref().err());
            lane.send(LaneInput::Head(ticket, reply));
        });
    }

    /// Every reply says whether the store is within reach. What a retry may mend makes the daemon
    /// not ready only when it has lasted; what a person must mend does at once.
    fn tell_status(&self, failed: Option<&StoreError>) {
        let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = failed else {
            *since = None;
            self.status.met(Condition::StoreReachable);
            return;
        };
        if error.class == StoreErrorClass::Unreadable {
            // That is our disk's doing, not the store's.
            return;
        }
        let lasted = since.get_or_insert_with(Instant::now).elapsed();
        let transient = matches!(error.class, StoreErrorClass::Retry | StoreErrorClass::Conflict);
        if !transient || lasted >= self.warn_after {
            self.status.unmet(Condition::StoreReachable, error.message.as_str());
        }
    }
}

/// The memory that a body takes while it is sent.
fn held(body: &Body) -> u64 {
    body.in_memory() + body.spooled().min(READ_AHEAD)
}

/// How many units so many bytes are, at least one.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_body_counts_by_what_it_takes_in_memory() {
        let body = |len| Body { segments: vec![Bytes::from(vec![0; len])], ..Body::default() };
        assert_eq!(units(held(&body(0))), 1);
        assert_eq!(units(held(&body(5 << 20))), 5 * 64);
        assert_eq!(units(u64::MAX), u32::MAX >> 4, "and no semaphore panics");
        assert!(u32::MAX >> 4 <= Semaphore::MAX_PERMITS as u32);
    }
}
