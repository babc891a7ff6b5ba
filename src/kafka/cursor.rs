//! Where one Kafka partition is read next, and which events about it can be believed.
//!
//! Pure. It is the answer to what librdkafka's sources (2.12.1) say about reading in batches
//! beside pauses, and librdkafka pauses everything at each rebalance:
//!
//! - A pause makes the fetcher go on at the *application's position*. Records that were popped
//!   while the pause was handled come **twice** (`rd_kafka_toppar_pause_resume`). Harmless:
//!   whatever is below the next offset is dropped here.
//! - `rd_kafka_q_serve_rkmessages` sets the application's position to `offset + 1` of whatever
//!   it popped, **errors and end-of-partition events too**, and the offset of those is the next
//!   one to be read. So after an end at `e` a pause makes the fetcher go on at `e + 1`, and the
//!   record at `e` would be **lost without a sign**. Therefore: after such an event, anything
//!   that stands beyond the next offset is believed only after a seek to that offset, which
//!   makes the client forget its position. A gap after an end is rare, so seeks are.

use crate::record::Offset;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    next: Offset,
    /// Whether the client's position may be one too high.
    doubtful: bool,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it on.
    Deliver,
    /// It came before: drop it.
    Repeated,
    /// Drop it, seek to the next offset, and look again.
    Verify,
}

impl Cursor {
    /// Reading begins, or begins again, at `next`, by a seek.
    pub(super) const fn at(next: Offset) -> Self {
        Self { next, doubtful: false }
    }

    /// The next offset to read.
    pub(super) const fn next(self) -> Offset {
        self.next
    }

    /// The client was sent to the next offset.
    pub(super) fn sought(&mut self) {
        self.doubtful = false;
    }

    /// A record arrived.
    pub(super) fn on_record(&mut self, offset: Offset) -> Verdict {
        if offset < self.next {
            return Verdict::Repeated;
        }
        if self.doubtful && offset > self.next {
            return Verdict::Verify;
        }
        *self = Self::at(offset.next());
        Verdict::Deliver
    }

    /// The end of the partition was reported, `offset` being the next one there will be.
    pub(super) fn on_end(&mut self, offset: Offset) -> Verdict {
        if self.doubtful && offset > self.next {
            return Verdict::Verify;
        }
        self.next = self.next.max(offset);
        self.doubtful = true;
        Verdict::Deliver
    }

    /// An error was reported.
    pub(super) fn on_error(&mut self) {
        self.doubtful = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cursor: &mut Cursor, offset: i64) -> Verdict {
        cursor.on_record(Offset(offset))
    }

    #[test]
    fn gaps_are_normal_and_repeats_are_dropped() {
        let mut cursor = Cursor::at(Offset(5));
        assert_eq!(record(&mut cursor, 5), Verdict::Deliver);
        assert_eq!(record(&mut cursor, 9), Verdict::Deliver);
        assert_eq!(record(&mut cursor, 7), Verdict::Repeated);
        assert_eq!(record(&mut cursor, 9), Verdict::Repeated);
        assert_eq!(record(&mut cursor, 10), Verdict::Deliver);
    }

    #[test]
    fn a_record_at_the_end_itself_needs_no_seek() {
        let mut cursor = Cursor::at(Offset(5));
        assert_eq!(cursor.on_end(Offset(5)), Verdict::Deliver);
        assert_eq!(record(&mut cursor, 5), Verdict::Deliver);
        assert_eq!(record(&mut cursor, 8), Verdict::Deliver);
    }

    #[test]
    fn a_record_beyond_the_end_is_believed_only_after_a_seek() {
        let mut cursor = Cursor::at(Offset(5));
        cursor.on_end(Offset(5));
        assert_eq!(record(&mut cursor, 6), Verdict::Verify);
        assert_eq!(cursor.next(), Offset(5));
        cursor.sought();
        // The seek brings the skipped record,
        assert_eq!(record(&mut cursor, 5), Verdict::Deliver);
        cursor.on_end(Offset(6));
        assert_eq!(record(&mut cursor, 8), Verdict::Verify);
        cursor.sought();
        // or proves that there was none.
        assert_eq!(record(&mut cursor, 8), Verdict::Deliver);
    }

    #[test]
    fn an_end_beyond_the_end_is_verified_too() {
        let mut cursor = Cursor::at(Offset(5));
        cursor.on_end(Offset(5));
        assert_eq!(cursor.on_end(Offset(5)), Verdict::Deliver);
        assert_eq!(cursor.on_end(Offset(6)), Verdict::Verify);
        cursor.sought();
        assert_eq!(cursor.on_end(Offset(6)), Verdict::Deliver);
        assert_eq!(cursor.next(), Offset(6));
    }

    #[test]
    fn an_error_that_comes_again_after_the_seek_never_lets_a_record_be_skipped() {
        let mut cursor = Cursor::at(Offset(5));
        for _ in 0..3 {
            cursor.on_error();
            assert_eq!(record(&mut cursor, 6), Verdict::Verify);
            cursor.sought();
        }
        assert_eq!(cursor.next(), Offset(5));
    }
}
