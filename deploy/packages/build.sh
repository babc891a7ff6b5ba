#!/usr/bin/env bash
# Builds the .deb and the .rpm into target/packages:
#
#   deploy/packages/build.sh                    for this kind of machine
#   deploy/packages/build.sh --arch aarch64     for the other one
#   deploy/packages/build.sh --binary FILE      from a binary that is there
#   deploy/packages/build.sh --version 0.2.0    under another version than Cargo.toml's
#   deploy/packages/build.sh --settings FILE    with this as /etc/kafka-s3-sink/sink.toml
#   deploy/packages/build.sh --no-sbom          without the list of what is inside, for a quick try
#   deploy/packages/build.sh --out DIR          somewhere else
#
# The binary is linked by zig against glibc 2.34, the one of Amazon Linux 2023, so that it runs there
# and on whatever is newer, wherever it is built. A binary that needs more is refused. What is lacking
# of nfpm, zig and cargo-cyclonedx is installed below target/packages/tools, in the versions below; it
# takes Go, Python and Rust. The same sources are meant to give the same packages, wherever they lie:
# reproducible.sh tries it.
set -euo pipefail

readonly GLIBC=2.34
# Where the sources, the crates and what is made of them lie for the compilers, see fix_paths.
readonly FIXED=/tmp/kafka-s3-sink-build
readonly NFPM_VERSION=v2.43.0
readonly ZIG_PACKAGES="ziglang==0.17.1 cargo-zigbuild==0.24.0"
readonly CYCLONEDX_VERSION=0.5.9

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
repo=$PWD
target_dir=${CARGO_TARGET_DIR:-$repo/target}
out=$target_dir/packages
tools=$target_dir/packages/tools
arch=$(uname -m)
binary="" with_sbom=yes settings=deploy/packages/sink.toml
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

say() { printf 'packages: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --no-sbom) with_sbom=no ;;
    --arch | --binary | --version | --settings | --out)
      [ $# -ge 2 ] || die "$1 wants a value"
      case $1 in
        --arch) arch=$2 ;;
        --binary) binary=$2 ;;
        --version) version=$2 ;;
        --settings) settings=$2 ;;
        --out) out=$2 ;;
      esac
      shift
      ;;
    *) die "$1: there is no such option; the head of this script has them" ;;
  esac
  shift
done
case $arch in
  x86_64) package_arch=amd64 ;;
  aarch64) package_arch=arm64 ;;
  *) die "--arch is x86_64 or aarch64" ;;
esac
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || die "$version is no version, write it like 0.2.0"
for file in "$binary" "$settings"; do
  [ -z "$file" ] || [ -f "$file" ] || die "there is no $file"
done
target=$arch-unknown-linux-gnu
stage=$out/stage-$arch
papers=$out/papers
# ISA-L is built for this kind of machine alone, see build_isal.
linked=()
[ "$arch" = "$(uname -m)" ] || linked=(--no-default-features)

# What tests/setup.sh has installed is taken from there.
setup_nfpm() {
  local there=${KAFKA_S3_SINK_TEST_TOOLS:-$repo/target/test-tools}/bin
  export PATH="$tools/bin:$there:$PATH"
  command -v nfpm >/dev/null && return
  say "installing nfpm $NFPM_VERSION"
  GOBIN=$tools/bin GOFLAGS='' CGO_ENABLED=0 go install "github.com/goreleaser/nfpm/v2/cmd/nfpm@$NFPM_VERSION"
}

setup_zig() {
  export PATH="$tools/zig/bin:$PATH"
  [ -x "$tools/zig/bin/cargo-zigbuild" ] && return
  say "installing $ZIG_PACKAGES"
  python3 -m venv "$tools/zig"
  # shellcheck disable=SC2086 # a list of names
  "$tools/zig/bin/pip" install -q $ZIG_PACKAGES
}

setup_cyclonedx() {
  export PATH="$tools/bin:$PATH"
  command -v cargo-cyclonedx >/dev/null && return
  say "installing cargo-cyclonedx $CYCLONEDX_VERSION (two minutes)"
  cargo install -q --locked --root "$tools" --target-dir "$tools/target" "cargo-cyclonedx@$CYCLONEDX_VERSION"
  rm -rf "$tools/target"
}

# Compilers write paths into what they make: C has the names of its sources, and OpenSSL the folder that
# it was made in, as flags and as the place of its engines. So for them all lies where it lies on every
# machine, behind links.
fix_paths() {
  mkdir -m 700 "$FIXED" 2>/dev/null || die "$FIXED is there: another build runs, or one was cut off: then remove it"
  trap 'rm -r "$FIXED"' EXIT
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  mkdir -p "$cargo_home" "$target_dir"
  ln -s "$repo" "$FIXED/src"
  ln -s "$cargo_home" "$FIXED/cargo"
  ln -s "$target_dir" "$FIXED/target"
}

# fixed CARGO'S-COMMAND ARGUMENTS: OpenSSL keeps the compiler's name too, which for zig is that of a script
# that has a hash of the third of these variables in its own.
fixed() {
  local zig=$FIXED/target/packages/tools/zig/bin
  env CARGO_HOME="$FIXED/cargo" CARGO_TARGET_DIR="$FIXED/target" CARGO_BIN_EXE_cargo-zigbuild="$zig/cargo-zigbuild" \
    CARGO_ZIGBUILD_CACHE_DIR="$FIXED/target/packages/zig" PATH="$zig:$PATH" \
    cargo "$1" --manifest-path "$FIXED/src/Cargo.toml" --release --locked "${@:2}"
}

# ISA-L's build does not take zig for a compiler, so this machine's own makes it, for this kind of
# machine alone: it asks nothing of glibc that zig's would not have. The other kind goes without.
build_isal() {
  features=(--no-default-features)
  [ "$arch" = "$(uname -m)" ] || return 0
  fixed build -p isal-sys --message-format=json >"$out/isal.json"
  ISAL_INSTALL_PREFIX=$(sed -n 's/.*"reason":"build-script-executed".*isal-sys.*"out_dir":"\([^"]*\)".*/\1/p' "$out/isal.json")
  rm "$out/isal.json"
  [ -e "$ISAL_INSTALL_PREFIX/lib/libisal.a" ] || die "ISA-L was not built: $ISAL_INSTALL_PREFIX/lib/libisal.a is not there"
  export ISAL_INSTALL_PREFIX
  features+=(--features isal-prebuilt)
}

build_binary() {
  local features cargo_home
  setup_zig
  mkdir -p "$out"
  fix_paths
  build_isal
  if [ "$arch" != "$(uname -m)" ] && ! rustc --print target-libdir --target "$target" | xargs test -d; then
    rustup target add "$target"
  fi
  say "building for $target, glibc $GLIBC (ten minutes)"
  # OpenSSL keeps the time of its build. That of our last commit would build all of C again each time.
  # Rust looks behind the links.
  SOURCE_DATE_EPOCH=0 \
    RUSTFLAGS="$(remap "$FIXED/cargo=/cargo" "$cargo_home=/cargo" "$FIXED/src=/src" "$repo=/src" \
      "$FIXED/target=/target" "$target_dir=/target" "$(rustc --print sysroot)=/rust")" \
    fixed zigbuild "${features[@]}" --bin kafka-s3-sink --target "$target.$GLIBC"
  binary=$target_dir/$target/release/kafka-s3-sink
}

# Of those that match the last one counts.
remap() { printf -- '--remap-path-prefix=%s ' "$@"; }

# Looks at what it was linked with, and does not trust the linker's word. readelf and not objdump, which
# reads the binaries of its own kind of machine alone.
check_glibc() {
  local symbols newest
  symbols=$(readelf -W --dyn-syms "$1" | sed -n 's/.* \([^ ]*\)@@*GLIBC_\([0-9.]*\).*/\2 \1/p' | sort -V)
  newest=$(printf '%s\n' "$symbols" | tail -n 1 | cut -d ' ' -f 1)
  [ -n "$newest" ] || die "$1 shows no symbols of glibc: it is no dynamic program"
  [ "$(printf '%s\n%s\n' "$newest" $GLIBC | sort -V | tail -n 1)" = $GLIBC ] ||
    die "$1 needs glibc $newest, and $GLIBC is the newest allowed:$(printf '%s' "$symbols" | sed -n "s/^$newest//p" | tr '\n' ' ')"
  say "the newest symbol is GLIBC_$newest"
}

# Written by the program itself, which must run here: for the other architecture those of this one.
write_papers() {
  if [ "$arch" = "$(uname -m)" ]; then
    rm -rf "$papers"
    "$1" papers "$papers"
  fi
  [ -d "$papers" ] || die "build for $(uname -m) first: the man pages are written by a program that runs here"
}

# put MODE DESTINATION FILE...
put() {
  local mode=$1 folder=$stage/$2
  shift 2
  mkdir -p "$folder"
  install -m "$mode" "$@" "$folder"
}

fill_stage() {
  local share=usr/share doc=usr/share/doc/kafka-s3-sink
  rm -rf "$stage"
  put 755 usr/bin "$binary"
  strip_debug "$stage/usr/bin/kafka-s3-sink"
  put 644 usr/lib/systemd/system deploy/systemd/*.service
  put 644 $share/kafka-s3-sink/kafka deploy/kafka/*
  chmod 755 "$stage/$share/kafka-s3-sink/kafka/install.sh"
  put 644 $share/kafka-s3-sink/athena deploy/athena/*
  put 644 $share/man/man1 "$papers"/*.1
  gzip -9n "$stage/$share/man/man1"/*.1
  put 644 $share/bash-completion/completions "$papers/kafka-s3-sink.bash"
  mv "$stage/$share/bash-completion/completions/kafka-s3-sink"{.bash,}
  put 644 $share/zsh/vendor-completions "$papers/_kafka-s3-sink"
  put 644 $share/zsh/site-functions "$papers/_kafka-s3-sink"
  put 644 $share/fish/vendor_completions.d "$papers/kafka-s3-sink.fish"
  put 644 $doc README.md CHANGELOG.md SECURITY.md docs/*.md config/complete.toml config/minimal.toml
  put 644 $doc LICENSE
  mv "$stage/$doc/LICENSE" "$stage/$doc/copyright"
  deploy/packages/licences.sh "$target" "${linked[@]}" >"$stage/$doc/LICENSES.txt"
  gzip -9n "$stage/$doc/LICENSES.txt"
  [ $with_sbom = no ] || sbom "$stage/$doc"
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# Names stay, for the traces of errors.
strip_debug() {
  if [ "$arch" = "$(uname -m)" ]; then strip --strip-debug "$1"; else zig_objcopy "$1"; fi
}

zig_objcopy() {
  setup_zig
  python-zig objcopy --strip-debug "$1" "$1.stripped"
  install -m 755 "$1.stripped" "$1"
  rm "$1.stripped"
}

sbom() {
  setup_cyclonedx
  cargo cyclonedx -q --format json --spec-version 1.5 --target "$target" "${linked[@]}" --override-filename sbom.cdx
  sed "s,$repo,/src,g" sbom.cdx.json >"$1/sbom.cdx.json"
  rm sbom.cdx.json
}

package() {
  local kind
  for kind in deb rpm; do
    VERSION=$version ARCH=$package_arch STAGE=$stage SETTINGS=$settings \
      nfpm package --config deploy/packages/nfpm.yaml --packager $kind --target "$out" >&2
  done
}

# The time of the sources, not of the build.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

mkdir -p "$out"
setup_nfpm
[ -n "$binary" ] || build_binary
check_glibc "$binary"
write_papers "$binary"
fill_stage
package
rm -r "$stage"
find "$out" -maxdepth 1 \( -name "*${version}*${package_arch}.deb" -o -name "*${version}*${arch}.rpm" \) | sort
