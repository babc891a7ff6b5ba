//! `kafka-s3-sink run`: the daemon itself.

use std::process::ExitCode;

use super::{ConfigArgs, failed, wrong_configuration};
use crate::daemon::{self, Outcome, RunOptions};
use crate::telemetry::logging;

const DEADLINE_PASSED: u8 = 3;
const SOME_STOPPED: u8 = 4;

#[derive(clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Exit once everything that was readable at the start is in S3 and committed
    #[arg(long)]
    until_end: bool,
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let settings = match args.config.load() {
        Ok(settings) => settings,
        Err(errors) => return wrong_configuration(&errors),
    };
    if let Err(error) = logging::init(&settings.log) {
        return failed(&error.into());
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "kafka-s3-sink starts");
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    match daemon::run(settings, RunOptions { until_end: args.until_end }) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DeadlinePassed) => ExitCode::from(DEADLINE_PASSED),
        Ok(Outcome::SomeStopped) => ExitCode::from(SOME_STOPPED),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
