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
# A crate's sources; the texts in them; a text's hash; and by that whose it is, and one that is it.
declare -A sources texts sum_of owners files

# "name version|licence" of what is linked. OpenSSL comes through its build alone.
linked() {
  local tree=(cargo tree --offline --locked --prefix none -f '{p}|{l}' --target "$@")
  "${tree[@]}" -e normal
  "${tree[@]}" -e normal,build | grep '^openssl-src '
}

# The same as "name version licence", each once.
crates() {
  linked "$@" | sed -n 's/^\([^ ]*\) v\([^ |]*\)[^|]*|\(.*\)/\1 \2 \3/p' | sed 's/ (\*)$//' |
    grep -v '^kafka-s3-sink ' | LC_ALL=C sort -u
}

find_sources() {
  local name version place
  while read -r name version _; do
    for place in "$registry"/*/"$name-$version"; do break; done
    [ -d "$place" ] || { echo "licences: $name $version is not in $registry: run cargo fetch" >&2; exit 1; }
    sources[$name $version]=$place
  done <"$folder/crates"
}

# The C libraries are folders of their crates; what they bring of tests and tools is not linked.
find_texts() {
  find "${sources[@]}" -maxdepth 4 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) \
    -not -path '*/test*' -not -path '*/contrib/*' -not -path '*/docs/*' -not -name '*.rs' -not -name '*.py' |
    LC_ALL=C sort >"$folder/texts"
}

# One program over all of them, not some for each: there are a thousand. Line ends make no other text.
hash_texts() {
  local sum path
  while read -r sum path; do sum_of[$path]=$sum; done < <(xargs -d '\n' sha256sum <"$folder/texts")
  while read -r path; do
    sum=$(tr -d '\r' <"$path" | sha256sum)
    sum_of[$path]=${sum%% *}
  done < <(xargs -d '\n' grep -l $'\r' <"$folder/texts")
}

sort_texts() {
  local path place
  while read -r path; do
    place=${path#"$registry"/*/}
    place=${path%"/${place#*/}"}
    texts[$place]+=${path#"$place/"}$'\n'
    files[${sum_of[$path]}]=$path
  done <"$folder/texts"
}

list() {
  local name version licence place text
  while read -r name version licence; do
    printf '%s %s: %s\n' "$name" "$version" "$licence"
    place=${sources[$name $version]}
    if [ -z "${texts[$place]-}" ]; then
      printf '    brings no text; by %s\n' "$(authors "$place")"
      continue
    fi
    while read -r text; do
      owners[${sum_of[$place/$text]}]+="$name $version: $text"$'\n'
    done <<<"${texts[$place]%$'\n'}"
  done <"$folder/crates"
}

authors() { sed -n 's/^authors = \[\(.*\)\]/\1/p' "$1/Cargo.toml" | grep . || echo "its authors"; }

crates "$@" >"$folder/crates"
find_sources
find_texts
hash_texts
sort_texts
printf 'kafka-s3-sink is under the Apache License 2.0. Linked into it are:\n\n'
list
mapfile -t sums < <(printf '%s\n' "${!owners[@]}" | LC_ALL=C sort)
printf -v line -- '-%.0s' {1..100}
for sum in "${sums[@]}"; do
  printf '\n%s\n%s\n' "$line" "${owners[$sum]}"
  tr -d '\r' <"${files[$sum]}"
done
