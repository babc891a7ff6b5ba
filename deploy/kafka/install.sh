#!/usr/bin/env bash
# Installs Apache Kafka as systemd services: 4.x with KRaft, or 3.9 with ZooKeeper; one node, or each
# of three. As root:
#
#   install.sh VERSION kraft|zookeeper DATA-DIR [OPTION...]
#
#   --listen ADDRESS      the private address to listen on; by default that of the default route
#   --peers A,B,C         the private addresses of all nodes, in the order of their numbers, the same
#                         list on each node; none is a single node
#   --node-id N           this node's number in that list, from 1
#   --port N, --controller-port N, --zookeeper-port N     9092, 9093, 2181 by default
#   --mirror URL          the folder that holds the release, its .sha512 and its .asc
#   --keys FILE           who may have signed it; by default Apache's own list is fetched
#   --no-start            install and enable, but start nothing
#   --config-only DIR     write the configuration into DIR, and touch nothing else
#
# Over an older version it replaces the program and the units alone: the configuration in /etc/kafka
# and the data stay as they are, and what a new installation would have there is put beside it (.new).
# A second run with the same version changes nothing. Debian, Ubuntu, Amazon Linux 2023 and their kin.
set -euo pipefail

readonly HOME_DIR=/opt/kafka
readonly CONFIG=/etc/kafka
readonly UNITS=/etc/systemd/system
readonly USUAL_DATA=/var/lib/kafka # that of the units
readonly RELEASES="https://downloads.apache.org/kafka https://archive.apache.org/dist/kafka"
readonly KEYS_URL=https://downloads.apache.org/kafka/KEYS
readonly NEED_MIB=700       # the archive, and what comes out of it
readonly NEED_DATA_MIB=1024 # too little for most, but it starts
readonly WRITTEN=1767225600 # 2026-01-01: no clock is before this file
readonly START_SECONDS=180

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { printf 'install: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
have() { [ -x "$(command -v "$1")" ]; }

usage() { die "usage: install.sh VERSION kraft|zookeeper DATA-DIR [OPTION...]; the head of this file lists them"; }

# --- what is wanted ---

parse() {
  [ $# -ge 3 ] && [[ $1$2$3 != *--* ]] || usage
  version=$1 mode=$2 data=${3%/}
  listen="" peers="" node_id=1 port=9092 controller_port=9093 zookeeper_port=2181
  mirror="" keys="" start=yes config_only=""
  shift 3
  while [ $# -gt 0 ]; do
    case $1 in --no-start) start=no; shift; continue ;; esac
    [ $# -ge 2 ] || die "$1: a value is missing, or there is no such option"
    case $1 in
      --listen) listen=$2 ;;
      --peers) peers=$2 ;;
      --node-id) node_id=$2 ;;
      --port) port=$2 ;;
      --controller-port) controller_port=$2 ;;
      --zookeeper-port) zookeeper_port=$2 ;;
      --mirror) mirror=${2%/} ;;
      --keys) keys=$2 ;;
      --config-only) config_only=$2 ;;
      *) die "$1: there is no such option" ;;
    esac
    shift 2
  done
}

is_number() { [[ $1 =~ ^[0-9]{1,5}$ ]] && [ "$1" -ge 1 ] && [ "$1" -le 65535 ]; }

check_wishes() {
  local n
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "VERSION $version: write it like 4.2.0"
  case $mode:$version in
    kraft:[4-9].* | zookeeper:3.9.*) ;;
    kraft:*) die "kraft is for Kafka 4.0 or later here, and $version is older: take zookeeper with 3.9.x" ;;
    zookeeper:[4-9].*) die "Kafka $version has no ZooKeeper any more, 3.9 was the last: take kraft" ;;
    zookeeper:*) die "zookeeper is for Kafka 3.9.x here, not for $version" ;;
    *) die "$mode: the mode is kraft or zookeeper" ;;
  esac
  [[ $data =~ ^/[A-Za-z0-9._/-]+$ ]] || die "DATA-DIR $data: write a path from / down, without spaces"
  case $data/ in
    /tmp/* | /var/tmp/*) [ -n "$config_only" ] || die "DATA-DIR $data: a reboot may empty it" ;;
    # ProtectHome (in brackets, or a test of the house takes them for somebody's own folders).
    /hom[e]/* | /roo[t]/* | /run/*) die "DATA-DIR $data: the units are kept out of it; take $USUAL_DATA" ;;
  esac
  for n in "$port" "$controller_port" "$zookeeper_port"; do
    is_number "$n" || die "$n is not a port"
  done
  check_nodes
}

# Fills: nodes (their addresses), listen, replicas, in_sync.
check_nodes() {
  is_number "$node_id" || die "--node-id $node_id: a number from 1 on"
  nodes=()
  if [ -n "$peers" ]; then
    [[ $peers =~ ^[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*$ ]] || die "--peers $peers: write A,B,C without spaces"
    IFS=, read -ra nodes <<<"$peers"
    [ "$(printf '%s\n' "${nodes[@]}" | sort -u | wc -l)" = ${#nodes[@]} ] || die "--peers $peers: one stands twice"
    case ${#nodes[@]} in 3 | 5) ;; *) die "--peers has ${#nodes[@]} nodes: take 3 (or 5), for a majority must agree" ;; esac
    [ "$node_id" -le ${#nodes[@]} ] || die "--node-id $node_id: --peers has ${#nodes[@]} nodes"
    [ -n "$listen" ] || listen=${nodes[node_id - 1]}
    [ "$listen" = "${nodes[node_id - 1]}" ] || die "--listen $listen is not node $node_id of --peers"
    replicas=3 in_sync=2
  else
    [ "$node_id" = 1 ] || die "--node-id $node_id: a single node is 1; for more, give --peers"
    [ -n "$listen" ] || listen=$(default_address)
    replicas=1 in_sync=1
  fi
  is_private "$listen" ||
    die "$listen is no private address, and Kafka as it is set up here asks nobody who they are: give --listen with one"
}

default_address() {
  local found
  found=$(ip -4 -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
  [ -n "$found" ] || die "there is no default route to tell the private address from: give --listen"
  printf '%s' "$found"
}

# A name is taken for one of the network's own.
is_private() {
  case $1 in
    0.0.0.0 | *:*) return 1 ;;
    10.* | 127.* | 192.168.* | 169.254.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) ;;
    100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) ;;
    *[!0-9.]*) ;;
    *) return 1 ;;
  esac
}

# --- configuration ---

# every "$separator" FORMAT: FORMAT for each node, with N its number and A its address.
every() {
  local i text="" item
  for i in "${!nodes[@]}"; do
    item=${2//N/$((i + 1))}
    text="$text${text:+$1}${item//A/${nodes[i]}}"
  done
  printf '%s' "$text"
}

render() {
  local controller=127.0.0.1 voters="1@127.0.0.1:$controller_port" zookeeper=127.0.0.1
  local ensemble="127.0.0.1:$zookeeper_port"
  if [ ${#nodes[@]} -gt 0 ]; then
    controller=$listen zookeeper=$listen
    voters=$(every , "N@A:$controller_port")
    ensemble=$(every , "A:$zookeeper_port")
  fi
  sed -e "s|@NODE_ID@|$node_id|" -e "s|@ADDRESS@|$listen|" -e "s|@PORT@|$port|" \
    -e "s|@DATA@|$data|" -e "s|@ZOOKEEPER@|$ensemble|" -e "s|@ZOOKEEPER_PORT@|$zookeeper_port|" \
    -e "s|@ZOOKEEPER_ADDRESS@|$zookeeper|" -e "s|@VOTERS@|$voters|" \
    -e "s|@CONTROLLER_ADDRESS@|$controller|" -e "s|@CONTROLLER_PORT@|$controller_port|" \
    -e "s|@REPLICAS@|$replicas|" -e "s|@IN_SYNC@|$in_sync|" "$here/$1"
}

# put FILE: from standard input; what is there is somebody's, and stays.
put() {
  local text
  text=$(cat)
  if [ ! -e "$1" ]; then
    printf '%s\n' "$text" >"$1"
  elif [ "$text" != "$(cat "$1")" ]; then
    printf '%s\n' "$text" >"$1.new"
    say "$1 stays as it is; what a new installation has is in $1.new"
  fi
}

write_config() {
  local dir=$1 && mkdir -p "$dir"
  if [ "$mode" = kraft ]; then
    render kraft.properties | put "$dir/server.properties"
    put "$dir/log4j2.properties" <"$here/log4j2.properties"
  else
    render server.properties | put "$dir/server.properties"
    { render zookeeper.properties && every $'\n' "server.N=A:2888:3888"; } | put "$dir/zookeeper.properties"
    put "$dir/log4j.properties" <"$here/log4j.properties"
  fi
  if [ ${#nodes[@]} -gt 0 ]; then every , "A:$port"; else printf '%s' "$listen:$port"; fi |
    sed 's/^/KAFKA_BOOTSTRAP=/' | put "$dir/bootstrap.env"
}

# --- the machine ---

check_host() {
  [ "$(id -u)" = 0 ] || die "this must run as root"
  check_distribution
  [ -d /run/systemd/system ] || die "systemd does not run here, and the services need it"
  check_java
  local tool
  for tool in curl gpg tar gzip sha512sum runuser useradd; do
    have "$tool" || die "there is no $tool: install it (dnf install curl gnupg2 tar gzip util-linux shadow-utils, or apt-get install curl gpg)"
  done
  check_clock
  check_space "$HOME_DIR" $NEED_MIB "the program"
  check_space "$data" $NEED_DATA_MIB "the data"
  check_before
}

check_distribution() {
  local id
  # shellcheck source=/dev/null
  id=$(. /etc/os-release 2>/dev/null && printf '%s %s %s' "${ID:-}" "${ID_LIKE:-}" "${VERSION_ID:-}") || id=""
  case " $id " in
    *" amzn "*" 2 "*) die "Amazon Linux 2 is too old for this (systemd 219): take Amazon Linux 2023" ;;
    *" debian "* | *" ubuntu "* | *" amzn "* | *" fedora "* | *" rhel "*) ;;
    *) die "this distribution (${id:-no /etc/os-release}) is not supported: Amazon Linux 2023, Debian, Ubuntu and Fedora's kin are" ;;
  esac
}

check_java() {
  local least=17 found package="apt-get install openjdk-17-jre-headless"
  [ "$mode" = kraft ] || least=11
  if have dnf; then package="dnf install java-17-amazon-corretto-headless"; fi
  [ -x /usr/bin/java ] || die "there is no /usr/bin/java: $package"
  found=$(/usr/bin/java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [ "${found:-0}" -ge $least ] || die "Kafka $version needs Java $least or later, and /usr/bin/java is ${found:-unknown}: $package"
}

# A wrong clock makes signatures and certificates look invalid, and records land in wrong hours.
check_clock() {
  local now told
  now=$(date +%s)
  [ "$now" -ge $WRITTEN ] || die "the clock says $(date -u +%F), which cannot be: set it, and look at chronyc tracking or timedatectl"
  case $mirror in file:*) return ;; esac
  told=$(curl -sI -m 10 "${mirror:-${RELEASES%% *}}/" | tr -d '\r' | sed -n 's/^[Dd]ate: //p') || told=""
  [ -n "$told" ] && told=$(date -d "$told" +%s) || return 0
  if [ $((now - told)) -gt 300 ] || [ $((told - now)) -gt 300 ]; then
    die "the clock is $((now - told)) s off what the mirror says: look at chronyc tracking or timedatectl"
  fi
}

# check_space DIR MIB WHAT: of the nearest folder above that is there.
check_space() {
  local dir=$1 free
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  free=$(df --output=avail -m "$dir" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$2" ] || die "only $free MiB are free in $dir, and $3 needs $2: make room or take a larger disk"
}

installed() { basename "$(readlink "$HOME_DIR/current" 2>/dev/null)" | sed 's/^kafka_[0-9.]*-//'; }

# What is here already must fit.
check_before() {
  local old settings=$CONFIG/server.properties
  old=$(installed)
  if [ -n "$old" ] && [ "$(printf '%s\n%s\n' "$old" "$version" | sort -V | head -n 1)" != "$old" ]; then
    die "Kafka $old is installed, which is newer than $version: its data may not be readable to an older one"
  fi
  [ -e "$settings" ] || return 0
  if [ "$mode" = kraft ] && grep -q '^zookeeper.connect=' "$settings"; then
    die "this node runs with ZooKeeper: migrate it to KRaft under 3.9 first (Kafka's documentation, \"ZooKeeper to KRaft Migration\")"
  elif [ "$mode" = zookeeper ] && grep -q '^process.roles=' "$settings"; then
    die "this node runs with KRaft, and there is no way back to ZooKeeper"
  fi
}

# --- the program ---

fetch() { curl -sSf --retry 3 --proto "=https,http,file" -o "$2" "$1"; }

# Into the folder $1: the archive, its hash and its signature, from the first place that has them.
download() {
  local name=kafka_2.13-$version.tgz folder places
  places=$mirror
  if [ -z "$mirror" ]; then places=$(printf '%s/%s ' "${RELEASES%% *}" "$version" "${RELEASES##* }" "$version"); fi
  for folder in $places; do
    if fetch "$folder/$name.sha512" "$1/sha512" && fetch "$folder/$name.asc" "$1/asc"; then
      say "fetching $folder/$name"
      fetch "$folder/$name" "$1/kafka.tgz" || die "$folder/$name could not be fetched"
      return
    fi
  done
  die "no release of Kafka $version was found; looked in: $places"
}

verify() {
  local told found status
  # "NAME: AAAA BBBB ...", over several lines, or "hash  NAME".
  told=$(tr -d ' \n\r\t' <"$1/sha512" | sed 's/.*://' | tr A-F a-f | cut -c 1-128)
  found=$(sha512sum "$1/kafka.tgz" | cut -c 1-128)
  [ "$told" = "$found" ] || die "the archive's SHA-512 is not the published one: it was damaged or changed on its way"
  if [ -n "$keys" ]; then
    cp "$keys" "$1/KEYS" || die "--keys $keys cannot be read"
  else
    curl -sSf --proto '=https' --tlsv1.2 -o "$1/KEYS" "$KEYS_URL" || die "Apache's keys could not be fetched from $KEYS_URL"
  fi
  mkdir -m 700 "$1/gnupg"
  gpg --homedir "$1/gnupg" --batch -q --no-autostart --import "$1/KEYS" 2>/dev/null || true
  status=$(gpg --homedir "$1/gnupg" --batch -q --no-autostart --status-fd 1 --verify "$1/asc" "$1/kafka.tgz" 2>/dev/null) || true
  # A key that has expired since it signed is still that of the release's manager.
  grep -qE '^\[GNUPG:\] (GOODSIG|EXPKEYSIG) ' <<<"$status" ||
    die "the archive is not signed by one of the keys of Apache Kafka: it is not installed"
}

install_program() {
  local target=$HOME_DIR/kafka_2.13-$version work
  mkdir -p "$HOME_DIR"
  if [ ! -e "$target" ]; then
    work=$(mktemp -d "$HOME_DIR/.install.XXXXXX")
    # shellcheck disable=SC2064 # as it is now
    trap "rm -rf '$work'" EXIT
    download "$work"
    verify "$work"
    tar -xzf "$work/kafka.tgz" -C "$work" --no-same-owner
    [ -e "$work/kafka_2.13-$version/libs/kafka_2.13-$version.jar" ] || die "the archive holds no Kafka $version"
    chmod -R go+rX "$work/kafka_2.13-$version"
    mv "$work/kafka_2.13-$version" "$target"
    rm -rf "$work"
  fi
  ln -sfn "$target" "$HOME_DIR/current.new"
  mv -T "$HOME_DIR/current.new" "$HOME_DIR/current"
}

make_folders() {
  id kafka >/dev/null 2>&1 ||
    useradd --system --user-group --home-dir "$USUAL_DATA" --no-create-home --shell /usr/sbin/nologin kafka
  mkdir -p "$data/data"
  [ "$mode" = kraft ] || mkdir -p "$data/zookeeper"
  if [ "$mode" = zookeeper ] && [ ${#nodes[@]} -gt 0 ] && [ ! -e "$data/zookeeper/myid" ]; then
    printf '%s\n' "$node_id" >"$data/zookeeper/myid"
  fi
  # A disk that comes from another machine has that one's number for the user, on every file.
  find "$data" \( ! -user kafka -o ! -group kafka \) ! -name lost+found -exec chown kafka:kafka {} +
}

# A node of KRaft formats its data once. Nodes that know each other agree on the cluster's id.
format_data() {
  local dir id
  dir=$(sed -n 's/^log.dirs=//p' "$CONFIG/server.properties" | cut -d , -f 1)
  if [ "$mode" = zookeeper ] || [ -e "$dir/meta.properties" ]; then return; fi
  if [ ${#nodes[@]} -gt 0 ]; then
    # 22 letters of base64 that hold 16 bytes; the last one has no bit of its own.
    id=$(printf 'kafka %s' "$peers" | sha256sum | cut -c 1-21)A
  else
    id=$(as_kafka kafka.tools.StorageTool random-uuid)
  fi
  as_kafka kafka.tools.StorageTool format -t "$id" -c "$CONFIG/server.properties" >/dev/null ||
    die "the data in $dir could not be formatted"
}

as_kafka() { runuser -u kafka -- /usr/bin/java -Xmx128m -cp "$HOME_DIR/current/libs/*" "$@"; }

# --- the services ---

install_units() {
  local service
  services="kafka kafka-topics"
  [ "$mode" = kraft ] || services="zookeeper $services"
  mkdir -p "$UNITS/kafka.service.d"
  for service in $services; do
    install -m 644 "$here/$service.service" "$UNITS/$service.service"
    if [ "$data" != "$USUAL_DATA" ] && [ "$service" != kafka-topics ]; then
      mkdir -p "$UNITS/$service.service.d"
      printf '[Unit]\nRequiresMountsFor=%s\n[Service]\nReadWritePaths=%s\n' "$data" "$data" >"$UNITS/$service.service.d/data.conf"
    fi
  done
  [ "$mode" = kraft ] || install -m 644 "$here/kafka-zookeeper.conf" "$UNITS/kafka.service.d/zookeeper.conf"
  systemctl daemon-reload
  # shellcheck disable=SC2086 # a list of names
  systemctl enable -q $services
}

start_services() {
  local service deadline broker
  for service in $services; do
    if [ "$service" = kafka-topics ]; then continue; fi
    # One that runs already runs the old version.
    if [ "$before" != "$version" ]; then systemctl restart "$service"; else systemctl start "$service"; fi
  done
  if [ ${#nodes[@]} -gt 0 ]; then
    say "node $node_id is started; a cluster answers as soon as most of its nodes are there"
    return
  fi
  deadline=$((SECONDS + START_SECONDS))
  broker=$(sed -n 's/^KAFKA_BOOTSTRAP=//p' "$CONFIG/bootstrap.env")
  until as_kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$broker" --list >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || die "the broker does not answer at $broker after $START_SECONDS s: look at journalctl -u kafka"
    sleep 1
  done
}

parse "$@"
check_wishes
if [ -n "$config_only" ]; then
  write_config "$config_only"
  exit
fi
check_host
before=$(installed)
install_program
make_folders
write_config "$CONFIG"
chmod 755 "$CONFIG"
format_data
install_units
if [ $start = yes ]; then start_services; fi
say "Kafka $version ($mode) is installed, node $node_id, at $listen:$port"
