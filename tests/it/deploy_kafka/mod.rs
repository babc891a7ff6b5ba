//! What `deploy/kafka/` ships: its files in front of the real Kafka, its script and its units in a
//! machine that is booted for it, and three nodes of which one dies.
//!
//! Apache's own archives cannot be had from a package registry, so the script installs stand-ins of
//! the same shape and name, with Kafka's real libraries from Maven Central, signed by a key of the
//! test's own. What they lack is Kafka's own scripts, which nothing here uses.

mod files;
mod first_boot;
mod install;
mod release;
mod replaced;
mod services;
mod three;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The shipped folder.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kafka")
}

/// Runs the script on this computer, where it may write a configuration and no more; its exit code
/// and all that it printed.
fn configure(args: &[&str], into: &Path) -> (i32, String) {
    let mut command = Command::new(shipped().join("install.sh"));
    let output = command.args(args).arg("--config-only").arg(into).output().expect("install.sh");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}
