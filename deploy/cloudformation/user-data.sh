#!/usr/bin/env bash
# Sets up an instance of deploy/cloudformation/pipeline.yaml at its first boot: Java, the volume for
# Kafka's data, the project's packages, the sink's configuration, the services. The template carries
# a copy of this file (a test compares them) and writes the inputs, as shell assignments, to FILE.
#
#   user-data.sh install FILE   everything, as root, once; a second run changes nothing that is there
#   user-data.sh config FILE    prints the sink's configuration, and touches nothing
#   user-data.sh topics FILE    prints the file of topics, and touches nothing
#   user-data.sh package FILE   fetches the package, looks whether it is the right one, prints its path
#
# deploy/terraform runs this same file.
set -euo pipefail

readonly CONFIG=/etc/kafka-s3-sink
readonly KAFKA_SETUP=/usr/share/kafka-s3-sink/kafka/install.sh # comes with the package
readonly KAFKA_DATA=/var/lib/kafka

say() { printf 'user-data: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# retry N COMMAND...: as often as that, five seconds apart.
retry() {
  local left=${TRIES:-$1}
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 5
  done
}

# The one place that knows a package manager: names of Amazon Linux 2023, or the file of a package.
packages() { dnf install -q -y "$@"; }

# A value as a TOML string: the template's patterns let through neither quotes nor backslashes.
quoted() { printf '"%s"' "$1"; }

# "a,b" as a TOML list.
list() {
  local name separator="" names
  IFS=, read -ra names <<<"$1"
  printf '['
  for name in "${names[@]}"; do
    printf '%s%s' "$separator" "$(quoted "$name")"
    separator=', '
  done
  printf ']'
}

sink_config() {
  cat <<EOF
# Written once by the stack's user data; yours from then on.
[kafka]
bootstrap_servers = $(quoted "$BOOTSTRAP_SERVERS")
topics = $(list "$TOPICS")
group_id = $(quoted "$GROUP_ID")
EOF
  [ -z "$MSK_IAM_REGION" ] || printf 'msk_iam_region = %s\n' "$(quoted "$MSK_IAM_REGION")"
  cat <<EOF

[s3]
bucket = $(quoted "$BUCKET")
region = $(quoted "$REGION")

[layout]
prefix = $(quoted "$LAYOUT_PREFIX")
dead_letter_prefix = $(quoted "$DEAD_LETTER_PREFIX")

[records]
envelope = $(quoted "$ENVELOPE")
EOF
}

# As many copies of each record as Kafka's setup has chosen for the number of its nodes.
topics_file() {
  local name names
  printf '# Written once by the stack; yours from then on. After a change: systemctl restart kafka-topics\n'
  IFS=, read -ra names <<<"$TOPICS"
  for name in "${names[@]}"; do
    printf '[topic.%s]\npartitions = %s\n' "$(quoted "$name")" "$KAFKA_PARTITIONS"
  done
}

# What would otherwise show itself much later, as something else.
check_host() {
  local free
  [ "$(id -u)" = 0 ] || die "this must run as root"
  # Version 2 of the metadata service alone is on, so a token is the first thing to ask for.
  curl -sf -m 5 -o /dev/null -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \
    http://169.254.169.254/latest/api/token ||
    die "no instance metadata: without it there are no credentials. Is this an EC2 instance with IMDS on?"
  free=$(df --output=avail -m / | tail -n 1)
  [ "$free" -ge 2048 ] || die "only $free MiB are free on /, and 2048 are needed: give it a larger volume"
  # Requests to S3 are refused when the clock is 15 minutes off.
  chronyc -n waitsync 30 60 0 2 >/dev/null 2>&1 ||
    die "the clock is not in step after a minute: look at chronyc tracking"
}

# Kafka's data is on a volume of its own, which outlives the instance and is attached while this runs.
# One that has a file system already holds data, and is mounted as it is.
mount_data() {
  local device=/dev/sdf
  mountpoint -q "$KAFKA_DATA" && return
  retry 60 test -b "$device" || die "there is no $device for Kafka's data"
  if ! blkid "$device" >/dev/null; then mkfs.xfs -q "$device"; fi
  mkdir -p "$KAFKA_DATA"
  # nofail: without the volume the instance still boots, and Session Manager can look why.
  grep -q " $KAFKA_DATA " /etc/fstab ||
    printf 'UUID=%s %s xfs defaults,noatime,nofail 0 2\n' "$(blkid -s UUID -o value "$device")" "$KAFKA_DATA" >>/etc/fstab
  mount "$KAFKA_DATA"
}

# From a bucket the instance reads with the rights of its role, so the package need not be public. A
# right that was given a moment ago may not be known everywhere yet.
fetch() {
  case $1 in
    s3://*)
      [ -x "$(command -v aws)" ] || packages awscli-2 # Amazon's minimal image lacks it
      retry 12 aws s3 cp --only-show-errors --region "$REGION" "$1" "$2"
      ;;
    *) curl -sSf --proto '=https' --tlsv1.2 -o "$2" "$1" ;;
  esac
}

# Prints where it is.
fetch_package() {
  local file
  [ -n "$PACKAGE_URL" ] ||
    die "neither PackageUrl nor PackageS3Uri was given, so nothing is installed. The stack is there; install by hand through Session Manager"
  file=$(mktemp -d)/kafka-s3-sink.rpm
  fetch "$PACKAGE_URL" "$file" >&2 || die "the package could not be fetched from $PACKAGE_URL"
  printf '%s  %s\n' "$PACKAGE_SHA256" "$file" | sha256sum -c --quiet >&2 ||
    die "the package from $PACKAGE_URL is not the one whose SHA-256 was given"
  printf '%s\n' "$file"
}

install_sink() {
  local file
  file=$(fetch_package)
  packages "$file"
  rm -r "${file%/*}"
}

setup_kafka() {
  packages java-17-amazon-corretto-headless # Kafka 4 needs 17; 3.9 runs on it too
  mount_data
  [ -x "$KAFKA_SETUP" ] || die "the package brings no $KAFKA_SETUP: this version cannot set up Kafka"
  "$KAFKA_SETUP" "$KAFKA_VERSION" "$KAFKA_MODE" "$KAFKA_DATA"
  # Where the broker listens: the private address, not the loopback.
  # shellcheck source=/dev/null
  . /etc/kafka/bootstrap.env
  BOOTSTRAP_SERVERS=$KAFKA_BOOTSTRAP
}

# With an existing cluster the topics are its owner's. The unit, which comes with Kafka's setup and
# runs at each boot too, waits until the broker answers.
apply_topics() {
  [ -e "$CONFIG/topics.toml" ] || topics_file >"$CONFIG/topics.toml"
  systemctl restart kafka-topics.service ||
    die "the topics of $CONFIG/topics.toml could not be made: look at journalctl -u kafka-topics"
}

setup_sink() {
  local tries=0
  # The package brings one that says nothing of this stack. What was written here is somebody's choice
  # from then on.
  if [ ! -e "$CONFIG/written-by-the-stack" ]; then
    sink_config >"$CONFIG/sink.toml"
    touch "$CONFIG/written-by-the-stack"
  fi
  # 5: a server does not answer. The broker of this stack needs minutes to come up.
  until kafka-s3-sink check --config "$CONFIG/sink.toml"; do
    [ $? = 5 ] && [ "$tries" -lt 60 ] || die "check found something that must be mended first"
    tries=$((tries + 1))
    sleep 15
  done
  systemctl enable --now kafka-s3-sink.service
}

install() {
  check_host
  mkdir -p "$CONFIG"
  install_sink
  if [ "$KAFKA_MODE" != none ]; then
    setup_kafka
    apply_topics
  fi
  if [ "$RUNS_SINK" = yes ]; then setup_sink; fi
  say "done"
}

[ $# = 2 ] || die "usage: user-data.sh install|config|topics|package FILE"
# shellcheck disable=SC1090 # the template writes it
. "$2"
case $1 in
  install) install ;;
  config) sink_config ;;
  topics) topics_file ;;
  package) fetch_package ;;
  *) die "usage: user-data.sh install|config|topics|package FILE" ;;
esac
