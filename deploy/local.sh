#!/bin/bash
# A cluster on this machine, for trying and testing: three nodes with PostgreSQL, Patroni and etcd each, hubs, and HAProxy in front of them,
# from the configurations beside this script. Everything is in one directory and listens at free ports of 127.0.0.1.
#
#   local.sh start DIR [HUBS]   starts it (1 hub) and prints the addresses
#   local.sh status DIR         says what runs, and which node is the primary
#   local.sh primary DIR        prints the name of the primary: pg1, pg2 or pg3
#   local.sh kill DIR NAME      SIGKILL to a node (pg1: PostgreSQL, Patroni and etcd) or a hub (hub1)
#   local.sh freeze DIR NAME    SIGSTOP; `thaw` lets it go on
#   local.sh revive DIR NAME    starts what was killed again
#   local.sh settle DIR         waits until there are a primary and two standbys
#   local.sh stop DIR           stops everything and removes the directory
#   local.sh missing            prints the packages that are not installed; exit code 3 if there are some
#
# Needs Debian's packages postgresql, patroni, etcd-server and haproxy, and the program `tim` with the feature `postgres` (TIM=FILE; otherwise
# target/release/tim or target/debug/tim). As root, PostgreSQL, Patroni and etcd run as the user `postgres`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
NODES="pg1 pg2 pg3"
PATIENCE=${PATIENCE:-120}

die() { echo "local.sh: $*" >&2; exit 1; }

missing() {
  local lacks=
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || lacks+=" postgresql"
  command -v patroni >/dev/null || lacks+=" patroni"
  command -v etcd >/dev/null || lacks+=" etcd-server"
  PATH=$PATH:/usr/sbin command -v haproxy >/dev/null || lacks+=" haproxy"
  [ -z "$lacks" ] || { echo "${lacks# }"; return 3; }
}

free_ports() { # free_ports HOW_MANY
  python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in sockets])' "$1"
}

# Runs in the background; its process id is in NAME.pid, what it prints in NAME.log.
run_as() { # run_as USER NAME COMMAND...
  local user=$1 name=$2
  shift 2
  if [ "$user" = postgres ] && [ "$(id -u)" = 0 ]; then
    set -- setpriv --reuid=postgres --regid=postgres --init-groups "$@"
  fi
  setsid "$@" >>"$DIR/$name.log" 2>&1 </dev/null &
  echo $! >"$DIR/$name.pid"
  disown
}

pid() { cat "$DIR/$1.pid" 2>/dev/null || true; }
is_alive() { [ -n "$1" ] && [ -d "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
postmaster() { head -1 "$DIR/$1/data/postmaster.pid" 2>/dev/null || true; }

# All processes of a node or hub. A server first, which starts the others.
processes() { # processes NAME
  local name=$1 of
  case $name in
    hub*|haproxy) of=$(pid "$name") ;;
    *) of="$(pid "$name.patroni") $(pid "$name.etcd") $(postmaster "$name")" ;;
  esac
  for one in $of; do
    is_alive "$one" || continue
    echo "$one"
  done
}

signal() { # signal SIGNAL NAME
  local one children
  for one in $(processes "$2"); do
    # Of one that has stopped, no more come.
    children=$(pgrep -P "$one" || true)
    kill "-$1" $one $children 2>/dev/null || true
  done
}

# SIGKILL, and waits until they are gone: their memory and ports are free then.
kill_all() { # kill_all NAME
  local all one
  # Twice: a server may have started a process meanwhile.
  signal STOP "$1"
  signal STOP "$1"
  all=$(for one in $(processes "$1"); do echo "$one"; pgrep -P "$one" || true; done)
  kill -KILL $all 2>/dev/null || true
  for one in $all; do
    while is_alive "$one"; do sleep 0.02; done
  done
}

status_of() { # status_of PORT PATH: that of a GET, nothing if there is no response
  timeout 3 bash -c 'exec 8<>"/dev/tcp/127.0.0.1/$1" && printf "GET %s HTTP/1.0\r\n\r\n" "$2" >&8 && read -r _ status _ <&8 && cat <&8 >/dev/null && echo "$status"' \
    status "$1" "$2" 2>/dev/null || true
}

primary() {
  local node port
  for node in $NODES; do
    port=${node}_rest
    [ "$(status_of "${!port}" /primary)" != 200 ] || { echo "$node"; return; }
  done
  return 1
}

# A primary that accepts writes, and as many streaming standbys as there are other nodes, one of them synchronous.
is_settled() {
  local node port
  node=$(primary) || return 1
  port=${node}_rest
  timeout 5 python3 -c '
import json, sys, urllib.request
members = json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/cluster", timeout=4))["members"]
roles = sorted(member["role"] for member in members if member["state"] in ("running", "streaming"))
sys.exit(roles != ["leader", "replica", "sync_standby"])' "${!port}" 2>/dev/null
}

wait_for() { # wait_for WHAT COMMAND...
  local what=$1 until=$((SECONDS + PATIENCE))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || { tail -n 5 "$DIR"/*.log >&2; die "$what: not within $PATIENCE s; the logs are in $DIR"; }
    sleep 0.2
  done
}

# The configuration of a node with the addresses and passwords of this cluster instead of the examples.
localized() { # localized FILE NODE
  local node edits=() port
  for node in $NODES; do
    for port in pg:5432 rest:8008 client:2379 peer:2380; do
      local variable=${node}_${port%:*}
      edits+=(-e "s/$node\.example\.org:${port#*:}/127.0.0.1:${!variable}/g")
    done
  done
  # pg1 stands for whose file it is, where it is not one of a list.
  sed -e "s/^name: pg1/name: $2/; s/^ETCD_NAME=pg1/ETCD_NAME=$2/" \
    -e "/^ETCD_INITIAL_CLUSTER=/!{/hosts:/!{/^store/!s/pg1\.example/$2.example/g}}" \
    -e "s/CHANGE_ME_[A-Z]*/$PASSWORD/; s/samenet/127.0.0.1\/32/" "$1" | sed "${edits[@]}"
}

start_node() { # start_node NODE
  local node=$1 at=$DIR/$1
  if ! is_alive "$(pid "$node.etcd")"; then
    run_as postgres "$node.etcd" env $(grep -v '^#' "$at/etcd.env") etcd --logger=zap --log-level=warn
  fi
  # Where a killed server was, it does not know its standby any more: Patroni starts it as one.
  run_as postgres "$node.patroni" env PATH="$BIN:$PATH" patroni "$at/patroni.yml"
}

make_node() { # make_node NODE
  local node=$1 at=$DIR/$1
  mkdir -p "$at"
  localized "$here/etcd.env" "$node" | sed "s|^ETCD_DATA_DIR=.*|ETCD_DATA_DIR=$at/etcd|" >"$at/etcd.env"
  localized "$here/create-database.sh" "$node" >"$at/create-database.sh"
  chmod +x "$at/create-database.sh"
  localized "$here/patroni.yml" "$node" | sed -e "s|/etc/patroni/|$at/|; s|/var/lib/postgresql/15/tim|$at/data|" \
    -e "s|/usr/lib/postgresql/15/bin|$BIN|; s|/var/lib/postgresql/tim.pgpass|$at/pgpass|; s|/var/run/postgresql|$at|" \
    -e 's/local all postgres peer/local all all trust/' -e 's/mode: automatic/mode: "off"/' >"$at/patroni.yml"
  chmod 700 "$at"
  [ "$(id -u)" != 0 ] || chown -R postgres "$at"
}

make_hub() { # make_hub NAME
  local name=$1 listen=${1}_listen metrics=${1}_metrics
  mkdir -p "$DIR/$name"
  localized "$here/serve.toml" pg1 | sed -e "s/hub1.example.org:7878/127.0.0.1:${!listen}/; s/hub1.example.org:9464/127.0.0.1:${!metrics}/; s/192\.0\.2\.10/127.0.0.1/" \
    >"$DIR/$name/serve.toml"
  chmod 600 "$DIR/$name/serve.toml"
}

start_hub() { # start_hub NAME
  run_as hub "$1" "$TIM" serve --data "$DIR/$1" --key-file "$DIR/app.key" --log warn --revoke-window 1d --send-rate 0 --request-rate 0 \
    --group-rate 0
}

is_ready() { local metrics=${1}_metrics; [ "$(status_of "${!metrics}" /readyz)" = 200 ]; }

# A hub that finds no database yet ends; it is started again, as by systemd.
hub_runs() { is_alive "$(pid "$1")" || start_hub "$1"; is_ready "$1"; }

start_haproxy() {
  local name servers=
  for name in $HUBS; do
    local listen=${name}_listen metrics=${name}_metrics
    servers+="    server $name 127.0.0.1:${!listen} check port ${!metrics}\n"
  done
  sed -e '/^    server hub[23]/d' -e "s|^    server hub1 .*|$servers|" -e "s|tim.example.org:7878|127.0.0.1:$address|" \
    -e 's/inter 2s/inter 200ms/; s/maxconn 100000/maxconn 2000/' "$here/haproxy.cfg" | sed 's/\\n/\n/g' >"$DIR/haproxy.cfg"
  PATH=$PATH:/usr/sbin run_as hub haproxy haproxy -db -f "$DIR/haproxy.cfg"
}

start() {
  local count=${1:-1} lacks ports names=() node number
  lacks=$(missing) || die "not installed: $lacks (apt-get install $lacks)"
  TIM=${TIM:-$(ls -t "$here"/../target/{release,debug}/tim 2>/dev/null | head -1)}
  [ -x "${TIM:-}" ] || die "no program tim: cargo build -p tim-im --features postgres, or name it with TIM=FILE"
  TIM=$(realpath "$TIM")
  [ ! -e "$DIR" ] || die "$DIR exists"
  mkdir -p "$DIR"
  # The user postgres goes through it.
  chmod 711 "$DIR"
  for node in $NODES; do names+=("${node}_pg" "${node}_rest" "${node}_client" "${node}_peer"); done
  HUBS=
  for number in $(seq "$count"); do
    HUBS+=" hub$number"
    names+=("hub${number}_listen" "hub${number}_metrics")
  done
  names+=(address)
  read -r -a ports <<<"$(free_ports ${#names[@]})"
  {
    echo "TIM=$TIM"
    echo "HUBS=\"$HUBS\""
    echo "BIN=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)")"
    echo "PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    for number in "${!names[@]}"; do echo "${names[$number]}=${ports[$number]}"; done
  } >"$DIR/env"
  chmod 600 "$DIR/env"
  . "$DIR/env"
  trap 'code=$?; [ $code = 0 ] || stop_all' EXIT
  for node in $NODES; do make_node "$node"; done
  for node in $NODES; do start_node "$node"; done
  wait_for "a primary and two standbys" is_settled
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$DIR/app.key"
  chmod 600 "$DIR/app.key"
  for name in $HUBS; do
    make_hub "$name"
    wait_for "$name" hub_runs "$name"
  done
  start_haproxy
  wait_for "HAProxy" bash -c "exec 8<>/dev/tcp/127.0.0.1/$address"
  print_addresses
}

print_addresses() {
  local name
  echo "address tim://127.0.0.1:$address"
  for name in $HUBS; do
    local listen=${name}_listen metrics=${name}_metrics
    echo "$name tim://127.0.0.1:${!listen} http://127.0.0.1:${!metrics}"
  done
}

status() {
  local name
  for name in $NODES $HUBS haproxy; do
    if [ -n "$(processes "$name")" ]; then echo "$name runs"; else echo "$name does not run"; fi
  done
  echo "primary: $(primary || echo none)"
  print_addresses
}

# Hubs first, the database last: nothing is lost by it, but nothing is to be repeated either.
stop_all() {
  local name one
  for name in haproxy $HUBS; do
    signal CONT "$name"
    for one in $(processes "$name"); do kill -TERM "$one" 2>/dev/null || true; done
  done
  for name in haproxy $HUBS; do ends "$name"; done
  for name in $NODES; do
    signal CONT "$name"
    for one in $(pid "$name.patroni"); do kill -TERM "$one" 2>/dev/null || true; done
  done
  for name in $NODES; do ends "$name" patroni; done
  for name in $NODES; do kill_all "$name"; done
}

ends() { # ends NAME [PART]: waits for its end, and kills it if that does not come
  local one until=$((SECONDS + 30))
  one=$(pid "$1${2:+.$2}")
  while is_alive "$one" && [ $SECONDS -lt $until ]; do sleep 0.1; done
  ! is_alive "$one" || kill_all "$1"
}

revive() { # revive NAME
  case $1 in
    hub*) wait_for "$1" hub_runs "$1" ;;
    *) start_node "$1" ;;
  esac
}

command=${1:-}
DIR=${2:-}
case $command in
  missing) missing; exit ;;
  start | status | primary | kill | freeze | thaw | revive | settle | stop) ;;
  *) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2 ;;
esac
[ -n "$DIR" ] || die "which directory?"
DIR=$(realpath -m "$DIR")
[ "$command" = start ] || . "$DIR/env" 2>/dev/null || die "there is no cluster in $DIR"
case $command in
  start) start "${3:-1}" ;;
  status) status ;;
  primary) primary ;;
  kill) kill_all "$3" ;;
  freeze) signal STOP "$3" ;;
  thaw) signal CONT "$3" ;;
  revive) revive "$3" ;;
  settle) wait_for "a primary and two standbys" is_settled ;;
  stop) stop_all; rm -rf "$DIR" ;;
esac
