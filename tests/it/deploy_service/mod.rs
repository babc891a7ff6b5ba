//! What `deploy/systemd` and `deploy/packages` ship: the units before systemd's own judges, the
//! packages built from the binary of these tests, and installed in a machine that is booted for it.

mod boot;
mod instances;
mod packages;
mod papers;
mod rpm;
mod service;
mod site;
mod state;
mod supply;
mod trouble;
mod units;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::workdir::WorkDir;

/// The versions that are packaged: the same program, for none was released before it, and the later
/// one, with another template, over the earlier.
const VERSIONS: [&str; 2] = ["0.1.0", "0.2.0"];

const ARCH: &str = std::env::consts::ARCH;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What the later version's template has more.
const NEWS: &str = "# What is new in this version.\n";

/// The folder with the packages of both versions, made once by the shipped script.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<WorkDir> = OnceLock::new();
    let dir = PACKAGES.get_or_init(|| {
        let dir = WorkDir::new("packages");
        let template = repository().join("deploy/packages/sink.toml");
        let changed = dir.path().join("changed.toml");
        let text = std::fs::read_to_string(&template).expect("a template");
        std::fs::write(&changed, text + NEWS).expect("a file");
        for (version, settings) in VERSIONS.into_iter().zip([template, changed]) {
            let settings = settings.to_str().expect("a path");
            let (code, said) = build(&["--version", version, "--settings", settings], dir.path());
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
