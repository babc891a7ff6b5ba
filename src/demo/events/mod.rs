//! Sample events: realistic JSON from a seed, the same seed giving the same bytes.
//!
//! Fed by nothing but its arguments (no clock, no randomness of the machine); feeds `demo` and
//! `cli::produce`. Every value carries a sequence number, so that records can be counted where
//! they land (`demo::count`).

mod random;
mod text;
mod value;

pub use value::sequence_of;

use random::Random;

/// What the events look like.
#[derive(Clone, Debug, PartialEq)]
pub struct EventShape {
    /// About how many bytes a value has; below 400 the values are of a smaller schema.
    pub size: usize,
    /// How many different keys there are; 0 gives null keys.
    pub key_cardinality: u64,
    /// The sequence number of the first event.
    pub first_sequence: u64,
    /// The time of the first event, in milliseconds since 1970.
    pub start_ms: i64,
    /// How much later each further event is, in microseconds.
    pub step_us: i64,
    /// The share (0 to 1) of events that are older than their place in the order.
    pub late_share: f64,
    /// How much older a late event is at most, in milliseconds.
    pub late_by_ms: i64,
    /// The share of events whose value is null.
    pub tombstone_share: f64,
    /// The share of events whose value is no JSON object.
    pub invalid_share: f64,
}

impl Default for EventShape {
    fn default() -> Self {
        Self {
            size: 500,
            key_cardinality: 10_000,
            first_sequence: 0,
            start_ms: 0,
            step_us: 1_000,
            late_share: 0.0,
            late_by_ms: 48 * 3_600_000,
            tombstone_share: 0.0,
            invalid_share: 0.0,
        }
    }
}

/// What an event is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleKind {
    /// A JSON object.
    Sound,
    /// A null value.
    Tombstone,
    /// A value that is no JSON object.
    Invalid,
}

/// One event, to be produced as one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleEvent {
    /// Its number, unique within the run.
    pub sequence: u64,
    /// What it is meant to be.
    pub kind: SampleKind,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// The record's headers; a value may be null.
    pub headers: Vec<(&'static str, Option<Vec<u8>>)>,
    /// The record's CreateTime.
    pub timestamp_ms: i64,
}

/// An endless row of events.
pub struct Events {
    shape: EventShape,
    random: Random,
    made: u64,
}

impl Events {
    /// Begins a row; the same seed and shape give the same row.
    pub fn new(seed: u64, shape: EventShape) -> Self {
        Self { shape, random: Random::new(seed), made: 0 }
    }

    /// The time that the next event would have if it were not late.
    pub fn time_ms(&self) -> i64 {
        let passed = i128::from(self.made) * i128::from(self.shape.step_us) / 1_000;
        self.shape.start_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    fn draw_time(&mut self) -> i64 {
        let time = self.time_ms();
        if self.random.happens(self.shape.late_share) && self.shape.late_by_ms > 0 {
            return time - 1 - self.random.below(self.shape.late_by_ms as u64) as i64;
        }
        time
    }

    fn draw_kind(&mut self) -> SampleKind {
        if self.random.happens(self.shape.tombstone_share) {
            SampleKind::Tombstone
        } else if self.random.happens(self.shape.invalid_share) {
            SampleKind::Invalid
        } else {
            SampleKind::Sound
        }
    }

    fn draw_headers(&mut self) -> Vec<(&'static str, Option<Vec<u8>>)> {
        let mut trace = Vec::with_capacity(16);
        text::push_hex(&mut trace, self.random.next());
        let mut headers =
            vec![("content-type", Some(b"application/json".to_vec())), ("trace-id", Some(trace))];
        // Kafka allows null, and a sink has to live with it.
        if self.random.below(16) == 0 {
            headers.push(("experiment", None));
        }
        headers
    }
}

impl Iterator for Events {
    type Item = SampleEvent;

    fn next(&mut self) -> Option<SampleEvent> {
        let sequence = self.shape.first_sequence + self.made;
        let timestamp_ms = self.draw_time();
        let kind = self.draw_kind();
        let user = self.random.below(self.shape.key_cardinality.max(1));
        let key = (self.shape.key_cardinality > 0).then(|| text::user_id(user));
        let draft = value::Draft { sequence, timestamp_ms, user, size: self.shape.size };
        let value = match kind {
            SampleKind::Sound => Some(value::sound(&draft, &mut self.random)),
            SampleKind::Invalid => Some(value::invalid(&draft, &mut self.random)),
            SampleKind::Tombstone => None,
        };
        let headers = self.draw_headers();
        self.made += 1;
        Some(SampleEvent { sequence, kind, key, value, headers, timestamp_ms })
    }
}

#[cfg(test)]
mod tests;
