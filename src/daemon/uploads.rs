//! Executes puts and looks on the runtime, a bounded number at a time, and brings the replies
//! back to the lane that asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::driver::LaneInput;
use super::inbox::LaneHandle;
use crate::config::S3Settings;
use crate::pipeline::Ticket;
use crate::record::{ObjectAddress, PutRequest, StoreError, StoreErrorClass};
use crate::s3::Store;
use crate::telemetry::{Condition, Status};

/// One for all lanes; clones share the bound.
#[derive(Clone)]
pub(super) struct Uploads {
    store: Store,
    slots: Arc<Semaphore>,
    runtime: Handle,
    status: Arc<Status>,
    warn_after: Duration,
    failing_since: Arc<Mutex<Option<Instant>>>,
}

impl Uploads {
    pub(super) fn new(
        store: Store,
        settings: &S3Settings,
        runtime: Handle,
        status: Arc<Status>,
    ) -> Self {
        Self {
            store,
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
        let lasted = since.get_or_insert_with(Instant::now).elapsed();
        let transient = matches!(error.class, StoreErrorClass::Retry | StoreErrorClass::Conflict);
        if !transient || lasted >= self.warn_after {
            self.status.unmet(Condition::StoreReachable, error.message.as_str());
        }
    }
}
