//! Which generation of its group this member is in, as the client has it this moment.
//!
//! The client writes it into each commit when it sends it. The group thread notes it with each
//! assignment and the committer looks before each commit, so that a commit never travels in a
//! generation in which its Kafka partition may be another member's.

use std::sync::Arc;

use rdkafka::bindings as c;

use super::fence::Generation;
use super::native::Client;

/// See the module.
#[derive(Clone)]
pub(super) struct Generations {
    client: Arc<Client>,
    counted: bool,
}

impl Generations {
    /// With KIP-848 generations are not `counted`: the coordinator moves a member's epoch only once
    /// the member said that it has given back what it shall, and tells no word of it otherwise.
    pub(super) const fn new(client: Arc<Client>, counted: bool) -> Self {
        Self { client, counted }
    }

    /// The present one.
    pub(super) fn now(&self) -> Generation {
        if self.counted { Generation(generation(&self.client)) } else { Generation::default() }
    }
}

/// The generation or member epoch; positive once the group took this member in.
pub(super) fn generation(client: &Client) -> i32 {
    // SAFETY: the client is alive; the object is ours and freed.
    unsafe {
        let metadata = c::rd_kafka_consumer_group_metadata(client.ptr());
        if metadata.is_null() {
            return 0;
        }
        let generation = c::rd_kafka_consumer_group_metadata_generation_id(metadata);
        c::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}
