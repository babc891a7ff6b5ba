#!/usr/bin/env bash
# Fuzzes what reads bytes of others: `tests/fuzz/run.sh [SECONDS [TARGET...]]`, for each target so
# many seconds (60), begun with its corpus. With KEEP=1 inputs that reach new code are kept in the
# corpus. An input that fails is written below target/fuzz, and the command is printed that runs it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
seconds="${1:-60}"
shift $(($# > 0 ? 1 : 0))
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

# Only this crate is instrumented, so that what it depends on is built once for all tests.
RUSTC_WORKSPACE_WRAPPER="$PWD/tests/fuzz/instrument" cargo build --locked --example fuzz
target="${CARGO_TARGET_DIR:-target}"
scratch="$target/fuzz"
failed=0
for name in "${targets[@]}"; do
  mkdir -p "$scratch/$name/new" "$scratch/$name/failed"
  fuzz="$target/debug/examples/fuzz"
  export FUZZ_TARGET="$name"
  echo "fuzz $name: $seconds s"
  if ! "$fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=4096 \
    -artifact_prefix="$scratch/$name/failed/" -print_final_stats=1 -verbosity=0 \
    "$scratch/$name/new" "tests/fuzz/corpus/$name" >"$scratch/$name/log" 2>&1; then
    tail -n 40 "$scratch/$name/log"
    echo "fuzz $name: FAILED; again: FUZZ_TARGET=$name $fuzz $scratch/$name/failed/*"
    failed=1
    continue
  fi
  grep -E "number_of_executed_units|new_units_added" "$scratch/$name/log" | sed 's/^stat::/  /'
  if [ "${KEEP:-}" = 1 ]; then
    "$fuzz" -set_cover_merge=1 -max_len=4096 "tests/fuzz/corpus/$name" "$scratch/$name/new" \
      >>"$scratch/$name/log" 2>&1
  fi
done
[ $failed = 0 ] && echo "fuzz: ${#targets[@]} targets, none failed"
exit $failed
