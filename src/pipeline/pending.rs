//! The commit of one Kafka partition that is under way: made and sent by `ledger`, and by
//! `partition` where a Kafka partition begins.

use super::moment::Moment;
use super::partition::Partition;
use super::pin::{Mark, Pin, encode_metadata};
use crate::record::Offset;

/// The commit that is under way.
pub(super) struct Pending {
    pub(super) kind: Kind,
    pub(super) offset: Offset,
    pub(super) metadata: String,
    pub(super) sent: bool,
    pub(super) attempts: u32,
    pub(super) retry_at: Moment,
    pub(super) began: Moment,
}

/// What it is for.
pub(super) enum Kind {
    Begin { how: &'static str },
    Pin,
    End { with_pin: bool },
    Adopt(Pin),
}

impl Kind {
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Begin { .. } | Self::End { .. } => "commit",
            Self::Pin | Self::Adopt(_) => "pin",
        }
    }
}

impl Pending {
    pub(super) fn new(kind: Kind, now: Moment, offset: Offset, metadata: String) -> Self {
        Self { kind, offset, metadata, sent: false, attempts: 0, retry_at: now, began: now }
    }

    pub(super) fn begin(of: &Partition, now: Moment, from: Offset, how: &'static str) -> Self {
        let mark = Mark { offset: from, leader_epoch: None, ..of.mark() };
        Self::new(Kind::Begin { how }, now, from, encode_metadata(&mark, None))
    }

    /// When it is to be sent again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        (!self.sent).then_some(self.retry_at)
    }
}
