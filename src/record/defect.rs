//! Defects that tests put in on purpose, to see that the simulated world finds them.
//!
//! Without the feature `defects`, which nothing but that test switches on, `is_in` is a constant
//! and nothing of this is left in the program.

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Batches fly without a pin.
    NoPin,
    /// The pin is sent and not waited for.
    PinNotAwaited,
    /// A batch's other objects do not wait for the claim.
    ClaimNotAlone,
    /// A batch that another member won is not adopted.
    NoAdoption,
    /// The end is committed before the last object is there.
    CommitBeforeLastObject,
    /// Commits of assignments that are over leave the process.
    EpochIgnored,
    /// Commits travel in whatever generation the member is in.
    GenerationIgnored,
    /// A revoke does not wait for commits in flight.
    RevokeDoesNotWait,
    /// A replay ends by today's limits.
    ReplayWithTodaysLimits,
    /// The clock decides about a name.
    ClockInKey,
    /// The last offset read is committed in place of the next one to read.
    LastForNext,
    /// A batch's end is committed without its dead letters.
    DeadLettersOutside,
    /// A put that failed is taken for done.
    FailedForDone,
    /// A name that is taken is taken for done.
    TakenForDone,
    /// A replay puts without looking, over what is there.
    ReplayOverwrites,
    /// Names hold the batch's base in place of its first landing record.
    BaseInKey,
    /// Any end of the log ends a replay.
    AnyEofEndsReplay,
    /// Ends are committed without the mark.
    NoMark,
    /// A batch is adopted by any of its objects, not by its claim alone.
    AdoptFromAny,
}

#[cfg(feature = "defects")]
mod switch {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static IN: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    impl Defect {
        /// All of them.
        pub const ALL: [Self; 19] = [
            Self::NoPin,
            Self::PinNotAwaited,
            Self::ClaimNotAlone,
            Self::NoAdoption,
            Self::CommitBeforeLastObject,
            Self::EpochIgnored,
            Self::GenerationIgnored,
            Self::RevokeDoesNotWait,
            Self::ReplayWithTodaysLimits,
            Self::ClockInKey,
            Self::LastForNext,
            Self::DeadLettersOutside,
            Self::FailedForDone,
            Self::TakenForDone,
            Self::ReplayOverwrites,
            Self::BaseInKey,
            Self::AnyEofEndsReplay,
            Self::NoMark,
            Self::AdoptFromAny,
        ];

        /// Puts a defect into whatever this thread runs from now on.
        pub fn put_in(defect: Option<Self>) {
            IN.set(defect);
        }

        /// Whether it is in.
        pub fn is_in(self) -> bool {
            IN.get() == Some(self)
        }
    }
}

#[cfg(not(feature = "defects"))]
impl Defect {
    /// Whether it is in.
    pub(crate) const fn is_in(self) -> bool {
        false
    }
}
