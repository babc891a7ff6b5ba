//! Executes puts and looks on the runtime, a bounded number at a time, and brings the replies
//! back to the lane that asked.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::inbox::{LaneHandle, LaneInput};
use crate::pipeline::Ticket;
use crate::record::{ObjectAddress, PutRequest};
use crate::s3::Store;
use crate::telemetry::{Condition, Status};

/// One for all lanes; clones share the bound.
#[derive(Clone)]
pub(super) struct Uploads {
    store: Store,
    slots: Arc<Semaphore>,
    runtime: Handle,
    status: Arc<Status>,
}

impl Uploads {
    pub(super) fn new(store: Store, at_most: usize, runtime: Handle, status: Arc<Status>) -> Self {
        Self { store, slots: Arc::new(Semaphore::new(at_most.max(1))), runtime, status }
    }

    pub(super) fn put(&self, lane: LaneHandle, ticket: Ticket, request: PutRequest) {
        let this = self.clone();
        self.runtime.spawn(async move {
            let _slot = this.slots.acquire().await;
            let reply = this.store.put(&request).await;
            this.tell_status(reply.as_ref().err().map(|error| error.message.as_str()));
            lane.send(LaneInput::Put(ticket, reply));
        });
    }

    pub(super) fn head(&self, lane: LaneHandle, ticket: Ticket, address: ObjectAddress) {
        let this = self.clone();
        self.runtime.spawn(async move {
            let _slot = this.slots.acquire().await;
            let reply = this.store.head(&address).await;
            this.tell_status(reply.as_ref().err().map(|error| error.message.as_str()));
            lane.send(LaneInput::Head(ticket, reply));
        });
    }

    /// Every reply says whether the store is within reach.
    fn tell_status(&self, failed: Option<&str>) {
        match failed {
            None => self.status.met(Condition::StoreReachable),
            Some(why) => self.status.unmet(Condition::StoreReachable, why),
        }
    }
}
