#!/usr/bin/env bash
# Prints the licence of every crate that is linked into the binary, and of the C libraries in them:
# each text once, below the names that it belongs to. Offline; after a `cargo build` or `cargo fetch`.
#
#   licences.sh TARGET [FEATURES]     TARGET: x86_64-unknown-linux-gnu, ...; FEATURES as cargo takes them
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# "name version|licence" of what is linked. OpenSSL comes through its build alone.
linked() {
  local tree=(cargo tree --offline --locked --prefix none -f '{p}|{l}' --target "$@")
  "${tree[@]}" -e normal
  "${tree[@]}" -e normal,build | grep '^openssl-src '
}

# add NAME FILE: the same text in another crate is one text.
add() {
  local sum
  sum=$(tr -d '\r' <"$2" | sha256sum | cut -d ' ' -f 1)
  tr -d '\r' <"$2" >"$folder/$sum.text"
  printf '%s\n' "$1" >>"$folder/$sum.names"
}

collect() {
  local name version licence sources file found
  while read -r name version licence; do
    for sources in "$registry"/*/"$name-$version"; do break; done
    [ -d "$sources" ] || { echo "licences: $name $version is not in $registry: run cargo fetch" >&2; exit 1; }
    printf '%s %s: %s\n' "$name" "$version" "$licence"
    found=no
    # The C libraries are folders of their crates; what they bring of tests and tools is not linked.
    while read -r file; do
      add "$name $version: ${file#"$sources"/}" "$file"
      found=yes
    done < <(find "$sources" -maxdepth 4 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) \
      -not -path '*/test*' -not -path '*/contrib/*' -not -path '*/docs/*' -not -name '*.rs' -not -name '*.py' | sort)
    [ "$found" = yes ] || printf '    brings no text; by %s\n' "$(authors "$sources")"
  done < <(linked "$@" | sed -n 's/^\([^ ]*\) v\([^ |]*\)[^|]*|\(.*\)/\1 \2 \3/p' | sed 's/ (\*)$//' | grep -v '^kafka-s3-sink ' | LC_ALL=C sort -u)
}

authors() { sed -n 's/^authors = \[\(.*\)\]/\1/p' "$1/Cargo.toml" | grep . || echo "its authors"; }

collect "$@" >"$folder/list"
printf 'kafka-s3-sink is under the Apache License 2.0. Linked into it are:\n\n'
cat "$folder/list"
for text in $(cd "$folder" && LC_ALL=C ls -- *.text); do
  printf '\n%s\n' "$(printf -- '-%.0s' {1..100})"
  cat "$folder/${text%.text}.names"
  printf '\n'
  cat "$folder/$text"
done
