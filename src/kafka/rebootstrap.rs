//! A client that has lost all its brokers finds them again.
//!
//! A broker may answer that there are topics and no brokers, as one of Kafka 3 does between its
//! start and the controller's first word. librdkafka 2.12 then drops every broker that it knows,
//! those of `bootstrap.servers` included. It means to begin anew with these, and mostly does; but a
//! Metadata answer may cancel that for good, and then nothing is ever connected again (its issue
//! 5301): no coordinator, and no reply to a commit in flight.
//!
//! The committer's thread looks here at each of its turns; the group's may be blocked in a
//! revoke. Clients of short-lived commands do without.

use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::KafkaError;
use super::native::Client;

/// librdkafka's own way back mostly takes less.
const GRACE: Duration = Duration::from_secs(1);
/// Pauses between two tries: librdkafka keeps a copy of the list at each.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Watches one client.
pub(super) struct Rebootstrap {
    servers: CString,
    watch: Watch,
}

impl Rebootstrap {
    /// With the list that the client began with.
    pub(super) fn new(servers: &str) -> Result<Self, KafkaError> {
        let servers = CString::new(servers)
            .map_err(|_| KafkaError::Config("kafka.bootstrap_servers: a NUL in it".to_owned()))?;
        Ok(Self { servers, watch: Watch::default() })
    }

    /// Costs next to nothing while brokers are known, and never blocks.
    pub(super) fn look(&mut self, client: &Client) {
        // The id comes with each list of brokers, and none with an empty one.
        // SAFETY: the client is alive; without a timeout only what is cached is read.
        let named = unsafe { c::rd_kafka_controllerid(client.ptr(), 0) } >= 0;
        match self.watch.turn(named, Instant::now(), || is_connected(client)) {
            Some(Turn::Add { first }) => {
                if first {
                    tracing::warn!(
                        "Kafka named no brokers, and the client forgot all that it knew: the \
                         bootstrap servers are asked again"
                    );
                }
                // SAFETY: the client is alive; librdkafka copies the list.
                unsafe { c::rd_kafka_brokers_add(client.ptr(), self.servers.as_ptr()) };
            }
            Some(Turn::Found) => tracing::info!("the Kafka client knows its brokers again"),
            None => {}
        }
    }
}

/// Whether any broker is connected; it is asked for the others, the answer is not waited for.
fn is_connected(client: &Client) -> bool {
    let mut metadata = ptr::null();
    // SAFETY: the client is alive; an answer that is there all the same is ours and freed.
    unsafe {
        let code = c::rd_kafka_metadata(client.ptr(), 0, ptr::null_mut(), &mut metadata, 0);
        if !metadata.is_null() {
            c::rd_kafka_metadata_destroy(metadata);
        }
        code != Code::RD_KAFKA_RESP_ERR__TRANSPORT
    }
}

/// What a look leads to.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Add { first: bool },
    Found,
}

/// When to do it.
#[derive(Default)]
struct Watch {
    known: bool,
    loss: Option<Loss>,
}

struct Loss {
    next: Instant,
    pause: Duration,
    added: bool,
}

impl Watch {
    /// `named`: the last list of brokers was not empty. With brokers that are known and away it
    /// stays so, and without a first list librdkafka still tries the bootstrap servers.
    fn turn(
        &mut self,
        named: bool,
        now: Instant,
        is_connected: impl FnOnce() -> bool,
    ) -> Option<Turn> {
        if named {
            self.known = true;
            return self.loss.take().filter(|loss| loss.added).map(|_| Turn::Found);
        }
        if !self.known {
            return None;
        }
        let begun = Loss { next: now + GRACE, pause: FIRST_PAUSE, added: false };
        let loss = self.loss.get_or_insert(begun);
        if now < loss.next {
            return None;
        }
        loss.next = now + loss.pause;
        loss.pause = (loss.pause * 2).min(LONGEST_PAUSE);
        if is_connected() {
            return None;
        }
        Some(Turn::Add { first: !std::mem::replace(&mut loss.added, true) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turns of a watch, with the seconds at which something was done.
    fn turns(seconds: u64, named: impl Fn(u64) -> bool, connected: bool) -> Vec<(u64, Turn)> {
        let (mut watch, begin) = (Watch::default(), Instant::now());
        let turn = |second| {
            let now = begin + Duration::from_secs(second);
            watch.turn(named(second), now, || connected).map(|turn| (second, turn))
        };
        (0..seconds).filter_map(turn).collect()
    }

    #[test]
    fn lost_brokers_are_added_at_growing_pauses_until_they_are_known() {
        let seen = turns(120, |second| !(10..=100).contains(&second), false);
        let added = [11, 13, 17, 25, 41, 71].map(|at| (at, Turn::Add { first: at == 11 }));
        assert_eq!(seen[..6], added);
        assert_eq!(seen[6..], [(101, Turn::Found)]);
    }

    #[test]
    fn a_second_loss_is_told_again() {
        let seen = turns(10, |second| second % 4 < 2, false);
        let (add, found) = (|at| (at, Turn::Add { first: true }), |at| (at, Turn::Found));
        assert_eq!(seen, [add(3), found(4), add(7), found(8)]);
    }

    #[test]
    fn a_client_that_has_a_way_is_left_alone() {
        assert_eq!(turns(60, |_| false, false), [], "it never knew any: no broker was reached yet");
        assert_eq!(turns(60, |second| second < 10, true), [], "a broker is connected");
        assert_eq!(turns(60, |second| second != 10, false), [], "it came back by itself");
    }
}
