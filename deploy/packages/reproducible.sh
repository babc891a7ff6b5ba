#!/usr/bin/env bash
# Builds the packages twice and compares them: two clones of the last commit, at two paths, with a
# CARGO_HOME each (an hour, 12 GB). Then it unpacks one, and looks at what is in it.
#
#   deploy/packages/reproducible.sh [FOLDER]    the folder stays, to look at; without one all goes
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi

say() { printf 'reproducible: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# make NAME: a clone whose path has another length.
make() {
  local home=$folder/$1-crates
  [ -d "$folder/$1" ] || git clone -q . "$folder/$1"
  mkdir -p "$home" "$folder/$1/target/packages"
  # Where crates come from is this machine's business.
  cp "${CARGO_HOME:-$HOME/.cargo}"/config.toml "$home" 2>/dev/null || true
  # Tools are the same for both.
  mkdir -p "$folder/tools"
  ln -sfn "$folder/tools" "$folder/$1/target/packages/tools"
  (cd "$folder/$1" && env -u CARGO_TARGET_DIR CARGO_HOME="$home" deploy/packages/build.sh)
}

packages() { (cd "$folder/$1/target/packages" && sha256sum -- *.deb *.rpm); }

compare() {
  local one two
  one=$(packages one) two=$(packages the-other-one)
  printf '%s\n' "$one"
  [ "$one" = "$two" ] || die "the other one differs: $two"
  say "both builds are the same"
}

# What is in the package, not what lies in target/.
look() {
  local binary=$folder/unpacked/usr/bin/kafka-s3-sink sbom paths newest
  sbom=$folder/unpacked/usr/share/doc/kafka-s3-sink/sbom.cdx.json
  rm -rf "$folder/unpacked"
  dpkg-deb -x "$folder"/one/target/packages/*.deb "$folder/unpacked"
  paths=$(strings -n 6 "$binary" | grep -F -e "$folder" -e "$HOME/" || true)
  [ -z "$paths" ] || die "paths of this machine are in it: $paths"
  say "no path of this machine is in it"
  newest=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
  [ "$(printf 'GLIBC_2.34\n%s\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.34 ] || die "it asks for $newest"
  say "the newest symbol is $newest"
  "$binary" --version
  python3 - "$sbom" "$folder" <<'PYTHON'
import json, sys
text = open(sys.argv[1]).read()
assert sys.argv[2] not in text, "the SBOM names a path of this machine"
names = {each["name"] for each in json.loads(text)["components"]}
assert {"rdkafka-sys", "openssl-sys", "aws-sdk-s3", "isal-sys"} <= names, sorted(names)
print(f"reproducible: the SBOM lists {len(names)} crates")
PYTHON
}

make one
make the-other-one
compare
look
