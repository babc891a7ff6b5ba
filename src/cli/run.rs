//! `kafka-s3-sink run`: the daemon itself.

use std::process::ExitCode;

use super::{ConfigArgs, WRONG_CONFIGURATION, failed, wrong_configuration};
use crate::daemon::{self, Outcome, RunOptions};
use crate::kafka::{HARD_STOP_EXIT_CODE, refused_properties};
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

/// A thread that panics has a broken invariant, and without it the others would wait for ever: the
/// process stops at once, before it can commit anything more. The pins say where the next goes on.
fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        tracing::error!("a thread has panicked; the process stops, nothing is lost");
        // SAFETY: it ends the process, without running anything of ours.
        unsafe { libc::_exit(HARD_STOP_EXIT_CODE) }
    }));
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let settings = match args.config.load() {
        Ok(settings) => settings,
        Err(errors) => return wrong_configuration(&errors),
    };
    let refused = refused_properties(&settings.kafka);
    if !refused.is_empty() {
        refused.iter().for_each(|text| eprintln!("{text}"));
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    if let Err(error) = logging::init(&settings.log) {
        return failed(&error.into());
    }
    end_on_panic();
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
