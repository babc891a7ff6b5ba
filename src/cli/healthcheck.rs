//! `kafka-s3-sink healthcheck`: asks a running daemon how it is, for containers without a shell.

use std::process::ExitCode;

use super::{ConfigArgs, UNREACHABLE, WRONG_CONFIGURATION, failed};
use crate::telemetry::http::{AskError, Daemon};

const HELP: &str = "\
It asks the daemon that listens as http.listen says, without a token. A Docker HEALTHCHECK should ask
whether it is alive: one that waits for a broker or the store is not ready, and a restart does not
help it.

Exit codes:
  0  alive; with --ready, ready
  1  not; what it answered is printed
  2  the configuration must be mended, or says that nobody can ask
  5  no daemon answers";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct HealthcheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Ask whether it is ready (/readyz), not only alive (/livez)
    #[arg(long)]
    ready: bool,
}

pub(super) fn healthcheck(args: &HealthcheckArgs) -> ExitCode {
    let (settings, runtime) = match args.config.begin() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let asked =
        Daemon::of(&settings.http).and_then(|daemon| runtime.block_on(daemon.get_openly(path)));
    match asked {
        Ok(answer) if answer.is_good() => ExitCode::SUCCESS,
        Ok(answer) => {
            print!("{}", answer.body);
            ExitCode::FAILURE
        }
        Err(error) => not_asked(error),
    }
}

/// Prints why a daemon could not be asked.
pub(super) fn not_asked(error: AskError) -> ExitCode {
    let code = match error {
        AskError::Where(_) | AskError::Token(_) => ExitCode::from(WRONG_CONFIGURATION),
        AskError::Silent { .. } => ExitCode::from(UNREACHABLE),
    };
    failed(&error.into());
    code
}
