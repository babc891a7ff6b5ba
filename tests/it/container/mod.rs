//! The image and `deploy/compose.yaml`: the files as linters find them, the image as it is built, and
//! containers of it that carry records between real servers with nothing to write to, no capability
//! and 256 MiB. What needs an engine runs where `tests/setup.sh container` has been.

mod files;
mod image;
mod run;
mod stack;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::tools;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where `docker compose` would take relative paths from.
fn deploy() -> PathBuf {
    root().join("deploy")
}

/// `deploy/compose.yaml` as `docker compose` reads it: checked against its schema, with what is short
/// written out and all profiles in.
fn compose() -> Value {
    let mut command = Command::new(tools::dir().join("bin/compose-go"));
    command.current_dir(deploy()).args(["-format", "json", "compose.yaml"]);
    let output = command.env("COMPOSE_PROFILES", "*").output().expect("compose-go");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}
