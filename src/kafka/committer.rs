//! The one thread that commits, with one merged request in flight.
//!
//! Lanes feed it; the coordinator's answer goes back to the lane that asked. librdkafka starts no Kafka partition
//! and finishes no rebalance while a commit is outstanding, and looks again when the count is
//! zero: with one at a time it is zero between any two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::types::RDKafkaRespErr as Code;

use super::fence::Fence;
use super::generation::Generations;
use super::list::{Entry, PartitionList};
use super::native::{self, Client, Queue};
use super::rebootstrap::Rebootstrap;
use super::rounds::{CommitDone, Rounds};
use crate::record::{CommitError, CommitRequest};

/// Requests on their way to the committer.
pub(super) type CommitJob = (Vec<CommitRequest>, CommitDone);

/// How often the thread looks whether it shall end, and whether the client has lost its brokers.
const TICK: Duration = Duration::from_millis(200);
/// How often it looks whether the group thread heard of the new generation.
const EARLY: Duration = Duration::from_millis(20);

pub(super) struct Committer {
    pub(super) client: Arc<Client>,
    pub(super) fence: Arc<Fence>,
    pub(super) generations: Generations,
    pub(super) jobs: Receiver<CommitJob>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) rebootstrap: Rebootstrap,
}

impl Committer {
    /// Runs until the edge is gone or stops.
    pub(super) fn run(mut self) {
        let replies = Queue::new(&self.client);
        let mut rounds = Rounds::default();
        loop {
            self.rebootstrap.look(&self.client);
            if rounds.is_empty() {
                match self.jobs.recv_timeout(TICK) {
                    Ok((requests, done)) => rounds.push(requests, &done),
                    Err(RecvTimeoutError::Timeout) if self.stopping() => return,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            while let Ok((requests, done)) = self.jobs.try_recv() {
                rounds.push(requests, &done);
            }
            let requests = rounds.next_round(&self.fence, || self.generations.now());
            if !requests.is_empty() {
                let answer = self.send(&replies, &requests);
                rounds.answered(&self.fence, |request| result_of(request, &answer));
            } else if !rounds.is_empty() {
                if self.stopping() {
                    return;
                }
                std::thread::sleep(EARLY);
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Sends the request and waits for its answer, however long that takes: an answer always
    /// comes, and until then the request may still be stored.
    fn send(
        &mut self,
        replies: &Queue,
        requests: &[CommitRequest],
    ) -> Result<Vec<Entry>, CommitError> {
        let mut list = PartitionList::new(requests.len());
        for request in requests {
            list.push(&request.partition, request.offset.0, request.metadata.as_bytes());
        }
        // SAFETY: client, list and queue outlive the call; librdkafka copies the list.
        let sent = unsafe {
            c::rd_kafka_commit_queue(
                self.client.ptr(),
                list.ptr(),
                replies.ptr(),
                None,
                std::ptr::null_mut(),
            )
        };
        native::check_code(sent).map_err(CommitError::Retry)?;
        loop {
            self.rebootstrap.look(&self.client);
            match replies.poll(TICK) {
                Some(event) if event.kind() == c::RD_KAFKA_EVENT_OFFSET_COMMIT => {
                    let entries = event.entries();
                    return if entries.is_empty() {
                        native::check_code(event.error()).map_err(CommitError::Retry)?;
                        Err(CommitError::Retry("an answer without Kafka partitions".into()))
                    } else {
                        Ok(entries)
                    };
                }
                Some(_) => {}
                None if self.stopping() => {
                    return Err(CommitError::Retry("the client is stopping".into()));
                }
                None => {}
            }
        }
    }
}

fn result_of(
    request: &CommitRequest,
    answer: &Result<Vec<Entry>, CommitError>,
) -> Result<(), CommitError> {
    let entries = answer.as_ref().map_err(Clone::clone)?;
    let entry = entries.iter().find(|entry| entry.partition == request.partition);
    let entry = entry.ok_or_else(|| CommitError::Retry("not answered".into()))?;
    classify(entry.error)
}

/// What a code of the coordinator or the client means for the one who asked. Only what can
/// never succeed is permanent; an unknown code is tried again.
fn classify(code: i32) -> Result<(), CommitError> {
    let text = || native::describe(code);
    match Code::try_from(code) {
        Ok(Code::RD_KAFKA_RESP_ERR_NO_ERROR) => Ok(()),
        Ok(
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
            | Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
            | Code::RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH
            | Code::RD_KAFKA_RESP_ERR__FENCED
            | Code::RD_KAFKA_RESP_ERR__FATAL,
        ) => Err(CommitError::Fenced(text())),
        Ok(
            Code::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE
            | Code::RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE
            | Code::RD_KAFKA_RESP_ERR_INVALID_GROUP_ID
            | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
            | Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        ) => Err(CommitError::Permanent(text())),
        _ => Err(CommitError::Retry(text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_to_do() {
        assert_eq!(classify(0), Ok(()));
        let retry = [
            Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            Code::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH,
            Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            Code::RD_KAFKA_RESP_ERR__WAIT_COORD,
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ];
        for code in retry {
            assert!(matches!(classify(code as i32), Err(CommitError::Retry(_))), "{code:?}");
        }
        // A code that only a later broker knows.
        assert!(matches!(classify(9_999), Err(CommitError::Retry(_))));
        let fenced = Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as i32;
        assert!(matches!(classify(fenced), Err(CommitError::Fenced(_))));
        let permanent = Code::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE as i32;
        assert!(matches!(classify(permanent), Err(CommitError::Permanent(_))));
    }
}
