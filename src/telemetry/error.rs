//! What can go wrong when telemetry is set up; all of it is wrong configuration, so fatal.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why telemetry could not be set up. The caller reports it and exits.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The address of the HTTP endpoints cannot be had.
    #[error(
        "http.listen: cannot listen on {address}: {source}; \
         choose another port (0 picks a free one) or an address of this machine"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the bearer token cannot be read.
    #[error(
        "http.token_file: cannot read {}: {source}; \
         write the token on the file's first line and let this user read it",
        path.display()
    )]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the bearer token holds none.
    #[error("http.token_file: the first line of {} is empty; write the token there", path.display())]
    EmptyToken {
        /// The file.
        path: PathBuf,
    },
    /// The log filter cannot be used.
    #[error(
        "{origin}: {filter:?} is not a log filter: {reason}; write off, error, warn, info, debug \
         or trace, or modules with a level, such as `info,kafka_s3_sink=debug`"
    )]
    LogFilter {
        /// The setting or variable that it came from.
        origin: &'static str,
        /// The filter as written.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal does not take lines.
    #[error(
        "log.format: the journal cannot be reached: {0}; write text or json where there is no journald"
    )]
    NoJournal(io::Error),
    /// Another level cannot be set.
    #[error("log.level: it stays as it is: {0}")]
    LevelStays(String),
    /// Logging is set up once a process.
    #[error("logging was set up before in this process: {0}")]
    LoggingTwice(String),
}
