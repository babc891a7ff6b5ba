//! What the daemon's threads tell its main loop.

/// Something that may end the run.
#[derive(Debug)]
pub(super) enum News {
    /// The group has answered, with or without Kafka partitions.
    GroupAnswered,
    /// What is held, reached or stopped has changed: look again.
    Progress,
    /// A lane has landed what a shutdown left it with.
    Drained,
    /// Somebody must mend it before anything more can land.
    ToBeMended(String),
    /// The process cannot go on.
    Fatal(String),
}
