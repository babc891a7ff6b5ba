//! The records of given offsets, in order, read by a throw-away client that belongs to no group.
//!
//! Fed by `cli`, which compares a bucket with Kafka. Ranges that follow each other are read in one
//! go; for one that is far ahead the fetcher is started anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fetch::Fetch;
use super::message::{Kind, Taken};
use super::native::Client;
use super::{KafkaError, properties};
use crate::config::KafkaSettings;
use crate::record::{IsolationLevel, Offset, OffsetRange, Record, TopicPartition};

/// How long nothing may come before the reading is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
/// Offsets that are rather read over than sought behind.
const WORTH_A_SEEK: i64 = 5_000;

/// Makes readers that share one client.
pub struct RangeReaders(Arc<Client>);

/// Reads ranges, best in order. Blocks.
pub struct RangeReader {
    client: Arc<Client>,
    open: Option<Open>,
}

/// What is being read.
struct Open {
    at: TopicPartition,
    fetch: Fetch,
    /// The next offset that may come.
    next: Offset,
    /// A record that came for a later range.
    ahead: Option<Taken>,
}

/// How a message moves the reading.
enum Step {
    Record(Taken),
    /// Everything below this has come.
    Reached(Offset),
}

impl RangeReaders {
    /// Makes the client; no broker is needed yet.
    pub fn connect(
        settings: &KafkaSettings,
        isolation: IsolationLevel,
    ) -> Result<Self, KafkaError> {
        let config = properties::onlooker(settings, isolation);
        Ok(Self(Arc::new(Client::consumer(&config, settings.msk_iam_region.as_deref())?)))
    }

    /// One more reader. No two may read the same Kafka partition at a time.
    pub fn reader(&self) -> RangeReader {
        RangeReader { client: Arc::clone(&self.0), open: None }
    }
}

impl RangeReader {
    /// Hands on every record of the range that Kafka has, until `visit` wants no more. An error if
    /// the log begins behind the range's base or ends before its end.
    pub fn read(
        &mut self,
        at: &TopicPartition,
        range: OffsetRange,
        visit: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<(), KafkaError> {
        let done = self.read_on(at, range, visit);
        if done.is_err() {
            self.open = None;
        }
        done
    }

    fn read_on(
        &mut self,
        at: &TopicPartition,
        range: OffsetRange,
        visit: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<(), KafkaError> {
        if range.is_empty() {
            return Ok(());
        }
        let open = self.seek(at, range.base)?;
        while open.next < range.end {
            match open.step()? {
                Step::Record(message) if message.offset() >= range.end => {
                    open.next = range.end;
                    open.ahead = Some(message);
                }
                Step::Record(message) => {
                    open.next = message.offset().next();
                    if message.offset() >= range.base && !visit(&message.record()) {
                        return Ok(());
                    }
                }
                Step::Reached(end) if end < range.end => {
                    return Err(failed(at, format!("the log ends at {end}, before {range} does")));
                }
                Step::Reached(end) => open.next = end,
            }
        }
        Ok(())
    }

    fn seek(&mut self, at: &TopicPartition, from: Offset) -> Result<&mut Open, KafkaError> {
        let is_near = |open: &Open| {
            open.at == *at && open.next <= from && from.0 - open.next.0 <= WORTH_A_SEEK
        };
        // The old fetcher goes first: two of one Kafka partition would get in each other's way.
        let open = match self.open.take().filter(is_near) {
            Some(open) => open,
            None => {
                let fetch = Fetch::start(&self.client, &at.topic, [(at.partition, from)])?;
                Open { at: at.clone(), fetch, next: from, ahead: None }
            }
        };
        Ok(self.open.insert(open))
    }
}

impl Open {
    fn step(&mut self) -> Result<Step, KafkaError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Step::Record(ahead));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut heard = "nothing came".to_owned();
        while Instant::now() < deadline {
            let Some(message) = Taken::next(&self.fetch.queue, POLL) else { continue };
            if message.partition() != self.at.partition {
                continue;
            }
            match message.kind() {
                Kind::Record if message.offset() < self.next => {}
                Kind::Record => return Ok(Step::Record(message)),
                Kind::End => return Ok(Step::Reached(message.offset())),
                Kind::Fault(fault) if fault.stops_the_fetcher() => {
                    return Err(failed(&self.at, fault.into_text()));
                }
                Kind::Fault(fault) => heard = fault.into_text(),
            }
        }
        Err(failed(&self.at, format!("{heard} for {} s", PATIENCE.as_secs())))
    }
}

fn failed(at: &TopicPartition, reason: String) -> KafkaError {
    KafkaError::Request { what: format!("records of {at}"), reason }
}
