//! What `check` asks before there is anything to run: where Kafka partitions would begin, how a
//! value would be taken, how large it would be stored.
//!
//! The answers come from the very functions that decide in a run, so that the two cannot differ.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use super::action::StopReason;
use super::decode::{InvalidReason, decode, has_envelope_member, top_level_members};
use super::encode::Encoder;
use super::resolve::{Plan, Policies, plan};
use super::route::Router;
use crate::record::{
    Envelope, Layout, LostOffsetsPolicy, Offset, OffsetRange, OutOfRangePolicy, RecordPolicy,
    StartPosition, TimestampMs, TopicFacts, TopicPartition,
};

/// Where a Kafka partition would begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Where our last commit left it.
    Continues {
        /// The next offset to read.
        from: Offset,
    },
    /// With a batch that was begun before, finished as it was laid out.
    Replays {
        /// What the pin says.
        range: OffsetRange,
        /// What it was laid out by.
        layout: Arc<Layout>,
    },
    /// Without an offset of ours.
    Begins {
        /// The next offset to read.
        from: Offset,
        /// Why there.
        how: &'static str,
        /// What Kafka deleted before it was read.
        lost: Option<OffsetRange>,
    },
    /// Not at all.
    Stops(StopReason),
}

/// Decides as a run would.
pub fn outlook(
    at: &TopicPartition,
    facts: &TopicFacts,
    start: StartPosition,
    on_lost_offsets: LostOffsetsPolicy,
    on_out_of_range: OutOfRangePolicy,
) -> Outlook {
    match plan(at, facts, Policies { start, on_lost_offsets, on_out_of_range }) {
        Plan::Replay { mark, pin, .. } => Outlook::Replays {
            range: OffsetRange { base: mark.offset, end: pin.end },
            layout: Arc::clone(&pin.layout),
        },
        Plan::Continue { mark } => Outlook::Continues { from: mark.offset },
        Plan::Begin { from, how, lost, .. } => {
            Outlook::Begins { from, how, lost: lost.map(|lost| lost.range) }
        }
        Plan::Stop(reason) => Outlook::Stops(reason),
    }
}

/// The line that a value becomes (without the envelope), or why it becomes none.
pub fn line_of<'v>(layout: &Layout, value: &'v [u8]) -> Result<Cow<'v, [u8]>, InvalidReason> {
    let line = decode(value, layout.max_record_bytes)?;
    if layout.envelope == Envelope::Fields && has_envelope_member(&line) {
        return Err(InvalidReason::EnvelopeConflict);
    }
    Ok(line)
}

/// The names of a line's top-level members, in order.
pub fn member_names(line: &[u8]) -> Vec<String> {
    let names = RefCell::new(Vec::new());
    top_level_members(line, |name| {
        names.borrow_mut().push(name.to_owned());
        false
    });
    names.into_inner()
}

/// The Hive paths of these lines and whether their timestamps are usable, in order.
pub fn hive_paths<'l>(
    layout: &Arc<Layout>,
    topic: &str,
    lines: impl IntoIterator<Item = (Option<TimestampMs>, &'l [u8])>,
) -> Vec<(Arc<str>, bool)> {
    let mut router = Router::new(Arc::clone(layout), topic);
    let route = |(timestamp, line)| {
        let route = router.route(timestamp, line);
        (route.path, !route.unusable_time)
    };
    lines.into_iter().map(route).collect()
}

/// The size of the object that these lines would make.
pub fn stored_bytes<'l>(policy: &RecordPolicy, lines: impl IntoIterator<Item = &'l [u8]>) -> u64 {
    let mut encoder = Encoder::new(policy.layout.compression, policy.compression_level, None);
    for line in lines {
        encoder.write(line);
        encoder.write(b"\n");
    }
    encoder.finish().len()
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::sample;
    use super::*;
    use crate::record::HiveKey;

    #[test]
    fn names_come_in_order_and_unescaped() {
        let names = member_names(br#"{"b":{"x":1},"\u0041":2,"a":[{"y":1}]}"#);
        assert_eq!(names, ["b", "A", "a"]);
    }

    #[test]
    fn a_value_is_taken_as_a_run_would_take_it() {
        let fields = Layout { envelope: Envelope::Fields, ..sample() };
        assert_eq!(line_of(&sample(), b" {\"_kafka\":1} ").unwrap(), &b"{\"_kafka\":1}"[..]);
        assert_eq!(line_of(&fields, b"{\"_kafka\":1}"), Err(InvalidReason::EnvelopeConflict));
        assert_eq!(line_of(&fields, b"[]"), Err(InvalidReason::NotAnObject));
    }

    #[test]
    fn paths_say_whether_the_time_is_usable() {
        let keys = vec![HiveKey::Field { name: "c".into(), key: "region".into() }, HiveKey::Dt];
        let layout = Arc::new(Layout { partition_by: keys, ..sample() });
        let time = Some(TimestampMs(1_795_210_200_000));
        let lines: [(_, &[u8]); 2] = [(time, br#"{"c":"X"}"#), (None, b"{}")];
        let paths = hive_paths(&layout, "t", lines);
        assert_eq!(paths[0], ("region=x/dt=2026-11-20".into(), true));
        assert_eq!(paths[1], ("region=__HIVE_DEFAULT_PARTITION__/dt=1970-01-01".into(), false));
    }
}
