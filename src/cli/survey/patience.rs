//! Requests to the store that are tried again; the edge itself tries once.

use std::future::Future;
use std::time::Duration;

use crate::record::{StoreError, StoreErrorClass};

/// How often a request is sent before its error is told.
const TRIES: u32 = 6;
/// The pause before the second try; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Tries until there is an answer, or an error that will not pass soon.
pub(in crate::cli) async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match attempt().await {
            Err(error) if error.class == StoreErrorClass::Retry => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
    attempt().await
}
