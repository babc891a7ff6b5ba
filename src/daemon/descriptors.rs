//! How many files and sockets the process may have open, looked at before the first.
//!
//! A process that runs out of them later fails in odd places: a broker that cannot be reached, a
//! put that is tried again for ever.

use std::io;

use super::error::DaemonError;
use crate::config::Settings;
use crate::telemetry::http::CONNECTIONS;

/// Files, pipes and timers of the process itself.
const OWN: u64 = 64;
/// A connection to each of some thirty brokers, and the pipe that wakes its thread.
const BROKERS: u64 = 96;
/// A connection for each upload, and one that is being replaced.
const PER_UPLOAD: u64 = 2;

/// What these settings need.
fn needed(settings: &Settings) -> u64 {
    let uploads = settings.s3.max_concurrent_uploads as u64;
    OWN + BROKERS + CONNECTIONS as u64 + PER_UPLOAD * uploads
}

/// Takes as many as the process may have, and refuses to begin with too few.
pub(super) fn check(settings: &Settings) -> Result<(), DaemonError> {
    let machine = |error| DaemonError::Machine("the limit of open files cannot be read", error);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes into `limit` alone.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(machine(io::Error::last_os_error()));
    }
    let needed = needed(settings);
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    // The soft limit is there for programs that use select(); this is none.
    limit.rlim_cur = needed.min(limit.rlim_max);
    // SAFETY: it reads `limit` alone.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    if raised && limit.rlim_cur >= needed {
        return Ok(());
    }
    Err(DaemonError::ToBeMended(format!(
        "this process may have {} files and sockets open and needs {needed} (s3.max_concurrent_uploads \
         is {}): raise LimitNOFILE= of its unit, `ulimit -n`, or the container's nofile limit",
        limit.rlim_max, settings.s3.max_concurrent_uploads,
    )))
}
