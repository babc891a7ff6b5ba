//! How many files and sockets the process may have open, looked at before the first.
//!
//! A process that runs out of them later fails in odd places: a broker that cannot be reached, a
//! put that is tried again for ever.

use super::error::DaemonError;
use crate::config::Settings;
use crate::telemetry::http::CONNECTIONS;

/// Files, pipes and timers of the process itself.
const OWN: u64 = 64;
/// A connection to each of some thirty brokers, and the pipe that wakes its thread.
const BROKERS: u64 = 96;
/// A connection for each upload, and one that is being replaced.
const PER_UPLOAD: u64 = 2;
/// Files that a spool may have at most: one for each large object that is open or on its way.
const SPOOL: u64 = 32 << 10;
/// The same where nobody can tell how many there may be.
const SPOOL_BLIND: u64 = 256;

/// What these settings need.
fn needed(settings: &Settings) -> u64 {
    let uploads = settings.s3.max_concurrent_uploads as u64;
    OWN + BROKERS + CONNECTIONS as u64 + PER_UPLOAD * uploads
}

/// Takes as many as the process may have, and refuses to begin with too few. How many are left for
/// the files of a spool, which makes do with any number: what has no file stays in memory.
pub(super) fn check(settings: &Settings) -> Result<u64, DaemonError> {
    let needed = needed(settings);
    // A sandbox may keep even this from us; then nobody can tell.
    let Some((soft, hard)) = limits() else { return Ok(SPOOL_BLIND) };
    let spool = if settings.memory.spool_dir.is_some() { SPOOL } else { 0 };
    let wanted = (needed + spool).min(hard);
    // The soft limit is there for programs that use select(); this is none.
    let have = if soft < wanted && raise(wanted, hard) { wanted } else { soft };
    if have >= needed {
        return Ok((have - needed).min(SPOOL));
    }
    Err(DaemonError::ToBeMended(format!(
        "this process may have {soft} files and sockets open and needs {needed} \
         (s3.max_concurrent_uploads is {}): raise LimitNOFILE= of its unit, `ulimit -n`, or the \
         container's nofile limit",
        settings.s3.max_concurrent_uploads,
    )))
}

/// The soft and the hard limit, read where a filter of system calls does not matter.
fn limits() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let number = |word: &str| if word == "unlimited" { Some(u64::MAX) } else { word.parse().ok() };
    let mut words = line.split_whitespace();
    Some((number(words.next()?)?, number(words.next()?)?))
}

fn raise(soft: u64, hard: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: it reads `limit` alone.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 }
}
