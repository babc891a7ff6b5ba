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
# Most of them wait for servers, more than half of the time.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) * 2))}"
# What runs for so long is worth minutes of the compiler: the world takes a quarter of the time.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-1}"

tests() { cargo test --locked --no-fail-fast "$@"; }

if [ $# -gt 0 ]; then
  tests --workspace "$@"
  exit
fi
tests --features defects --test world -- --defects
tests --workspace --no-run
# Chaos leaves the processors alone for most of its time, what runs beside it wants nothing else.
said=$(mktemp)
trap 'rm "$said"' EXIT
tests --test chaos >"$said" 2>&1 &
chaos=$! failed=0
tests/fuzz/run.sh 10 || failed=1
tests --test world || failed=1
tests --doc || failed=1
tests --lib --bins --test fuzz || failed=1
wait "$chaos" || failed=1
cat "$said"
tests --test it || failed=1
[ $failed = 0 ] || echo "tests/run.sh: something failed above" >&2
exit $failed
