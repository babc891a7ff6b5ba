//! Offsets that are set from outside, as Kafka's own reset tool does: by one who is no member, in
//! a group that has none.
//!
//! Fed by `cli` (`recover --apply`). Whether the group is empty is the coordinator's decision at
//! the moment of the commit: a request without a member's generation is refused otherwise.

use std::time::{Duration, Instant};

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::list::{Entry, PartitionList};
use super::native::{self, Queue};
use super::{KafkaError, Onlooker};
use crate::record::{Offset, TopicPartition};

/// How long the coordinator is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

impl Onlooker {
    /// Commits these offsets with their metadata in one request. Blocks.
    pub fn set_offsets(
        &self,
        offsets: &[(TopicPartition, Offset, String)],
    ) -> Result<(), KafkaError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let replies = Queue::new(self.client());
        let mut list = PartitionList::new(offsets.len());
        for (at, offset, metadata) in offsets {
            list.push(at, offset.0, metadata.as_bytes());
        }
        // SAFETY: client, list and queue outlive the call; librdkafka copies the list.
        let sent = unsafe {
            c::rd_kafka_commit_queue(
                self.client().ptr(),
                list.ptr(),
                replies.ptr(),
                None,
                std::ptr::null_mut(),
            )
        };
        native::check_code(sent).map_err(|reason| self.refused(reason))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(event) = replies.poll(POLL) else { continue };
            if event.kind() != c::RD_KAFKA_EVENT_OFFSET_COMMIT {
                continue;
            }
            let entries = event.entries();
            let failed = entries.iter().find(|entry| entry.error != 0);
            return match (failed, event.error() as i32) {
                (Some(entry), _) => Err(self.meaning_of(entry.error, Some(entry))),
                (None, 0) => Ok(()),
                (None, code) => Err(self.meaning_of(code, None)),
            };
        }
        let reason = format!("no answer within {} s; look again", PATIENCE.as_secs());
        Err(self.refused(reason))
    }

    fn meaning_of(&self, code: i32, entry: Option<&Entry>) -> KafkaError {
        let reason = native::describe(code);
        match Code::try_from(code) {
            Ok(
                Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
                | Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
                | Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS
                | Code::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH
                | Code::RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH,
            ) => KafkaError::GroupInUse { group: self.group().to_owned(), reason },
            _ => self.refused(match entry {
                Some(entry) => format!("{}: {reason}", entry.partition),
                None => reason,
            }),
        }
    }

    fn refused(&self, reason: String) -> KafkaError {
        KafkaError::Request { what: format!("offsets of the group {}", self.group()), reason }
    }
}
