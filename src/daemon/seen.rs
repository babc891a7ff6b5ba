//! Since when a Kafka partition is what it is: its state, and offsets that wait behind it. The
//! observer of a lane keeps one for each assignment, and tells it in the status.

use crate::record::{Offset, TimestampMs};

/// What was last seen of an assignment, and since when.
pub(super) struct Seen {
    state: &'static str,
    pub(super) since: TimestampMs,
    committed: Option<Offset>,
    pub(super) waiting_since: Option<TimestampMs>,
}

impl Seen {
    pub(super) fn new(state: &'static str, now: TimestampMs) -> Self {
        Self { state, since: now, committed: None, waiting_since: None }
    }

    pub(super) fn state(&mut self, state: &'static str, now: TimestampMs) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    /// What is not known to have landed waits: a Kafka partition that stopped before it knew its
    /// offsets, or that cannot learn them, waits too.
    pub(super) fn landed(&mut self, committed: Option<Offset>, lag: Option<i64>, now: TimestampMs) {
        if self.committed != committed || lag == Some(0) {
            (self.committed, self.waiting_since) = (committed, None);
        }
        if lag != Some(0) {
            self.waiting_since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(seen: &mut Seen, committed: i64, lag: i64, now: i64) -> Option<i64> {
        seen.landed(Some(Offset(committed)), Some(lag), TimestampMs(now));
        seen.waiting_since.map(|since| since.0)
    }

    #[test]
    fn offsets_wait_from_the_last_that_landed_or_from_the_first_that_came() {
        let mut seen = Seen::new("running", TimestampMs(0));
        assert_eq!(waiting(&mut seen, 10, 0, 1), None);
        assert_eq!(waiting(&mut seen, 10, 5, 2), Some(2), "records came");
        assert_eq!(waiting(&mut seen, 10, 7, 3), Some(2), "more came, none landed");
        assert_eq!(waiting(&mut seen, 12, 5, 4), Some(4), "some landed");
        assert_eq!(waiting(&mut seen, 17, 0, 5), None, "all landed");
        assert_eq!(waiting(&mut seen, 17, 1, 6), Some(6));
    }

    #[test]
    fn what_is_not_known_to_have_landed_waits() {
        let mut seen = Seen::new("resolving", TimestampMs(0));
        for now in [3, 4] {
            seen.landed(None, None, TimestampMs(now));
            assert_eq!(seen.waiting_since, Some(TimestampMs(3)));
        }
        assert_eq!(waiting(&mut seen, 10, 0, 5), None);
    }

    #[test]
    fn a_state_lasts_until_another_one_comes() {
        let mut seen = Seen::new("running", TimestampMs(1));
        seen.state("running", TimestampMs(2));
        assert_eq!(seen.since, TimestampMs(1));
        seen.state("paused", TimestampMs(3));
        assert_eq!(seen.since, TimestampMs(3));
    }
}
