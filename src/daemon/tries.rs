//! How long what a start needs is tried: as long as it takes, or, in a run that has an end, until
//! it is plain that waiting does not help.

use std::time::{Duration, Instant};

use super::error::DaemonError;
use super::signals::Signals;
use super::world::{RunOptions, World, unless_signalled};

/// Between tries.
const RETRY_EVERY: Duration = Duration::from_secs(3);
/// How long a run with an end waits for a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries of one thing.
pub(super) struct Tries {
    /// When a run with an end gives up.
    since: Option<Instant>,
}

impl Tries {
    pub(super) fn begin(options: RunOptions) -> Self {
        Self { since: options.until_end.then(Instant::now) }
    }

    /// A try failed; waits for the next one. False if a signal came first, an error if there is
    /// to be no other.
    pub(super) fn failed(
        &self,
        world: &World,
        signals: &mut Signals,
        to_be_mended: bool,
        why: String,
    ) -> Result<bool, DaemonError> {
        if let Some(since) = self.since {
            if to_be_mended {
                return Err(DaemonError::ToBeMended(without_retry(&why)));
            }
            if since.elapsed() >= PATIENCE {
                let (why, seconds) = (without_retry(&why), PATIENCE.as_secs());
                // They may come any moment, so they were waited for; but nobody is away.
                return Err(if why.contains(NO_CREDENTIALS) {
                    DaemonError::ToBeMended(why)
                } else {
                    DaemonError::OutOfReach { why, seconds }
                });
            }
        }
        tracing::error!("{}", with_retry(&why));
        let pause = async { tokio::time::sleep(RETRY_EVERY).await };
        Ok(unless_signalled(world, signals, pause).is_some())
    }
}

/// How the store says that the chain of credentials has given none.
const NO_CREDENTIALS: &str = "no credentials";
const AGAIN: &str = "it is tried again";

/// Says once that it is tried again; the store says it by itself.
pub(super) fn with_retry(why: &str) -> String {
    if why.contains(AGAIN) { why.to_owned() } else { format!("{why}; {AGAIN}") }
}

/// The same where it is not.
fn without_retry(why: &str) -> String {
    let rest = why.split("; ").filter(|part| !part.starts_with(AGAIN));
    rest.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_try_is_told_of_once() {
        assert_eq!(with_retry("a: b"), "a: b; it is tried again");
        let said = "a: b; it is tried again; check s3.endpoint";
        assert_eq!(with_retry(said), said);
        assert_eq!(without_retry(said), "a: b; check s3.endpoint");
    }
}
