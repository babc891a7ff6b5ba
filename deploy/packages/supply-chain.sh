#!/usr/bin/env bash
# Whether all that is linked may be: licences, sources and bans, by deny.toml. Where neither this machine
# nor tests/setup.sh has cargo-deny, it is built once (five minutes), below target/packages/tools. What is
# given is handed on to `cargo deny`.
set -euo pipefail

readonly DENY_VERSION=0.20.2

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=${CARGO_TARGET_DIR:-$PWD/target}/packages/tools
export PATH="$tools/bin:${KAFKA_S3_SINK_TEST_TOOLS:-$PWD/target/test-tools}/venv-supply/bin:$PATH"
if [ "$(cargo-deny --version 2>/dev/null)" != "cargo-deny $DENY_VERSION" ]; then
  cargo install -q --locked --root "$tools" --target-dir "$tools/target" "cargo-deny@$DENY_VERSION"
  rm -rf "$tools/target"
fi
# It looks at the crates of all platforms, and a build has fetched those of this one.
cargo fetch -q --locked
exec cargo-deny --offline --locked "$@" check bans licenses sources
