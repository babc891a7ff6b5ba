//! `kafka-s3-sink papers DIR`: the man pages and the shells' completions, written from the real
//! command line for the packages that bring them. Hidden, for its users are scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, failed};

#[derive(clap::Args)]
pub(super) struct PapersArgs {
    /// The folder that they are written into; made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn papers(args: &PapersArgs) -> ExitCode {
    match write_into(&args.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&anyhow::Error::new(error).context(args.folder.display().to_string())),
    }
}

fn write_into(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let command = without_hidden(Cli::command());
    clap_mangen::generate_to(command.clone(), folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let name = command.get_name().to_owned();
        clap_complete::generate_to(shell, &mut command.clone(), name, folder)?;
    }
    Ok(())
}

/// Neither this subcommand nor `help` deserves a page.
fn without_hidden(command: clap::Command) -> clap::Command {
    let shown: Vec<_> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let bare = clap::Command::new("kafka-s3-sink").disable_help_subcommand(true);
    let bare = bare.version(env!("CARGO_PKG_VERSION")).subcommand_required(true);
    match command.get_about() {
        Some(about) => bare.about(about.clone()).subcommands(shown),
        None => bare.subcommands(shown),
    }
}
