#!/usr/bin/env bash
# Runs the tests of what the JSON validator does on ARM processors, emulated: `tests/neon.sh`. On such a
# processor `tests/run.sh` runs them as they are. The rest of the sink has nothing of its own for ARM, so
# the validator alone is built, with the versions in Cargo.lock.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests/setup.sh neon
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac

# dependency NAME: its line in Cargo.toml.
dependency() { grep -E "^$1 = " Cargo.toml; }

crate=$target/neon-crate
mkdir -p "$crate/src"
cp Cargo.lock "$crate/"
{
  printf '[package]\nname = "neon"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[profile.test]\nopt-level = 1\n'
  echo '[dependencies]'
  for name in memchr serde serde_json simdutf8; do dependency "$name"; done
  echo '[dev-dependencies]'
  dependency proptest
} >"$crate/Cargo.toml"
printf '#![allow(dead_code)]\n#[path = "%s/src/pipeline/json/mod.rs"]\nmod json;\n#[path = "%s/src/pipeline/decode.rs"]\nmod decode;\n' \
  "$PWD" "$PWD" >"$crate/src/lib.rs"

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64-static
export CARGO_TARGET_DIR=$target
exec cargo test --manifest-path "$crate/Cargo.toml" --target aarch64-unknown-linux-musl --lib "$@"
