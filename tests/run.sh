#!/usr/bin/env bash
# Runs all tests, those with real servers included, and installs first what they need. Arguments go
# to `cargo test`; without any, the simulated world is also given defects that it must find, and
# each fuzz target runs for ten seconds. It ends with the test runner's closing lines and its exit
# code.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests/setup.sh test
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# The servers are there, so a test that misses one fails.
export KAFKA_S3_SINK_TESTS=all
if [ $# = 0 ]; then
  cargo test --locked --features defects --test world -- --defects
  tests/fuzz/run.sh 10
fi
exec cargo test --workspace --locked --no-fail-fast "$@"
