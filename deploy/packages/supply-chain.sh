#!/usr/bin/env bash
# Whether all that is linked may be: licences, sources and bans, by deny.toml. Offline but for the first
# run, which builds cargo-deny (five minutes) below target/packages/tools.
set -euo pipefail

readonly DENY_VERSION=0.20.2

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=${CARGO_TARGET_DIR:-$PWD/target}/packages/tools
if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $DENY_VERSION" ]; then
  cargo install -q --locked --root "$tools" --target-dir "$tools/target" "cargo-deny@$DENY_VERSION"
  rm -rf "$tools/target"
fi
exec "$tools/bin/cargo-deny" --offline --locked check bans licenses sources
