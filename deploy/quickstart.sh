#!/usr/bin/env bash
# From a fresh machine to the demo in one command: installs what is missing for a build, builds,
# and runs the sink on embedded parts, with no server and no account.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests/setup.sh build
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
cargo build --release --locked
exec "${CARGO_TARGET_DIR:-target}/release/kafka-s3-sink" demo "$@"
