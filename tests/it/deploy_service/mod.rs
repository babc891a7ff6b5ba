//! What `deploy/systemd` and `deploy/packages` ship: the units before systemd's own judges, the
//! packages built from the binary of these tests, and installed in a machine that is booted for it.

mod instances;
mod packages;
mod rpm;
mod service;
mod site;
mod state;
mod trouble;
mod units;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::workdir::WorkDir;

/// The versions that are packaged: the same program, and the later one over the earlier.
const VERSIONS: [&str; 2] = ["0.1.0", "0.2.0"];

const ARCH: &str = std::env::consts::ARCH;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the packages of both versions, made once by the shipped script.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<WorkDir> = OnceLock::new();
    let dir = PACKAGES.get_or_init(|| {
        let dir = WorkDir::new("packages");
        for version in VERSIONS {
            let (code, said) = build(&["--version", version], dir.path());
            assert_eq!(code, 0, "{said}");
        }
        dir
    });
    dir.path()
}

/// Runs the shipped script on this test's own binary; its exit code and all that it printed.
fn build(args: &[&str], into: &Path) -> (i32, String) {
    let mut command = Command::new(repository().join("deploy/packages/build.sh"));
    command.args(["--no-sbom", "--binary", env!("CARGO_BIN_EXE_kafka-s3-sink"), "--out"]);
    said(command.arg(into).args(args))
}

/// Its exit code and all that it printed.
fn said(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn deb(version: &str) -> PathBuf {
    let arch = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    packages().join(format!("kafka-s3-sink_{version}-1_{arch}.deb"))
}

/// The one for Amazon Linux.
pub(crate) fn rpm_package(version: &str) -> PathBuf {
    packages().join(format!("kafka-s3-sink-{version}-1.{ARCH}.rpm"))
}
