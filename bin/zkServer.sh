#!/bin/sh
# Starts and stops one server, and says what it is; arguments, environment, exit codes and lines as those of ZooKeeper's
# own zkServer.sh. What differs is listed in docs/packaging.md.
#
#   zkServer.sh [--config DIR] {start|start-foreground|stop|restart|status|version|print-cmd} [CFG]
#
# CFG: a file in the configuration folder (zoo.cfg), or the path of one. The variables of zkEnv.sh, and:
#   ZOOPIDFILE                       where `start` notes the process id: DATADIR/zookeeper_server.pid
#   ZOO_DATADIR_AUTOCREATE_DISABLE   if set: data folders that do not exist yet are an error
#   ZOO_NOEXEC                       if set: start-foreground does not replace the shell
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

# How long a server may take to end, in tenths of a second.
STOP_TENTHS=300

# The value of a key, everything behind the last equals sign; of several lines the last. The file is read here as every
# other script around ZooKeeper reads it, not as properties.
value() { # pattern, file
    grep "^[[:space:]]*$1" "$2" 2>/dev/null | tail -n 1 | sed -e 's/.*=//' -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//'
}

is_number() {
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
}

alive() { # process id
    is_number "$1" && kill -0 "$1" 2>/dev/null && ! is_zombie "$1"
}

# Ended, but its parent has not asked yet how.
is_zombie() { # process id
    grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

require_folders() {
    if [ ! -d "$data_dir/version-2" ]; then
        echo "ZooKeeper data directory is missing at $data_dir fix the path or run initialize"
        exit 1
    fi
    if [ -n "$log_dir" ] && [ ! -d "$log_dir/version-2" ]; then
        echo "ZooKeeper txnlog directory is missing at $log_dir fix the path or run initialize"
        exit 1
    fi
}

fail_to_start() { # why
    echo FAILED TO START
    echo "zkServer.sh: $1" >&2
    exit 1
}

start() {
    printf 'Starting zookeeper ... '
    [ -n "$ZOOPIDFILE" ] || fail_to_start "no dataDir in $ZOOCFG, and no ZOOPIDFILE"
    pid=$(cat "$ZOOPIDFILE" 2>/dev/null)
    if alive "$pid"; then
        echo "already running as process $pid."
        exit 1
    fi
    mkdir -p "$(dirname "$ZOOPIDFILE")" "$ZOO_LOG_DIR"
    nohup "$OXKEEPER_BIN" server $autocreate "$log_word" "$ZOOCFG" >>"$daemon_out" 2>&1 </dev/null &
    pid=$!
    if ! printf %s "$pid" >"$ZOOPIDFILE"; then
        echo FAILED TO WRITE PID
        exit 1
    fi
    # Whatever keeps a server from starting shows at once.
    tenths=0
    while [ "$tenths" -lt 10 ]; do
        alive "$pid" || fail_to_start "$(tail -n 5 "$daemon_out" 2>&1)"
        sleep 0.1
        tenths=$((tenths + 1))
    done
    echo STARTED
}

stop() {
    printf 'Stopping zookeeper ... '
    if [ ! -f "$ZOOPIDFILE" ]; then
        echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
        return
    fi
    pid=$(cat "$ZOOPIDFILE")
    kill "$pid"
    rm "$ZOOPIDFILE"
    tenths=0
    while alive "$pid"; do
        if [ "$tenths" -ge "$STOP_TENTHS" ]; then
            echo "FAILED TO STOP"
            echo "zkServer.sh: process $pid is still there" >&2
            exit 1
        fi
        sleep 0.1
        tenths=$((tenths + 1))
    done
    echo STOPPED
}

# Sets address and port where clients connect without TLS; leaves port empty if there is none.
find_client_port() {
    address=$(value 'clientPortAddress[^[:alpha:]]' "$ZOOCFG")
    port=$(value 'clientPort[^[:alpha:]]' "$ZOOCFG")
    is_number "$port" && return
    port=
    myid=$(cat "$data_dir/myid" 2>/dev/null)
    if ! is_number "$myid"; then
        echo "myid could not be determined, will not able to locate clientPort in the server configs."
        return
    fi
    both=$(value "server\.${myid}[[:space:]]*=.*;" "$ZOOCFG")
    if [ -z "$both" ]; then
        echo "Client port not found in static config file. Looking in dynamic config file."
        both=$(value "server\.${myid}[[:space:]]*=.*;" "$(value dynamicConfigFile "$ZOOCFG")")
    fi
    if [ -z "$both" ]; then
        echo "Client port not found in the server configs"
        return
    fi
    both=${both##*;}
    port=${both##*:}
    [ "$port" = "$both" ] || address=${both%:*}
}

status() {
    tls=false
    find_client_port
    if [ -z "$port" ]; then
        echo "Client port not found. Looking for secureClientPort in the static config."
        port=$(value 'secureClientPort[^[:alpha:]]' "$ZOOCFG")
        if [ -z "$port" ]; then
            echo "Unable to find either secure or unsecure client port in any configs. Terminating."
            exit 1
        fi
        tls=true
        address=$(value 'secureClientPortAddress[^[:alpha:]]' "$ZOOCFG")
    fi
    address=${address:-localhost}
    address=${address#[}
    address=${address%]}
    echo "Client port found: $port. Client address: $address. Client SSL: $tls."
    [ "$tls" = true ] || mode=$("$OXKEEPER_BIN" ask srvr "$(host_and_port)" 2>/dev/null | grep Mode)
    if [ -z "$mode" ]; then
        if [ "$tls" = true ]; then
            echo "Note: oxkeeper does not ask over TLS yet; open a plain clientPort on localhost to be asked."
        fi
        echo "Error contacting service. It is probably not running."
        exit 1
    fi
    echo "$mode"
}

host_and_port() {
    case $address in
    *:*) echo "[$address]:$port" ;;
    *) echo "$address:$port" ;;
    esac
}

if [ -n "${2:-}" ]; then
    case $2 in
    */*) ZOOCFG=$2 ;;
    *) ZOOCFG=$ZOOCFGDIR/$2 ;;
    esac
fi
echo "Using config: $ZOOCFG" >&2
[ -r "$ZOOCFG" ] || echo "zkServer.sh: $ZOOCFG cannot be read" >&2

data_dir=$(value dataDir "$ZOOCFG")
log_dir=$(value dataLogDir "$ZOOCFG")
autocreate=
mode=
if [ -n "${ZOO_DATADIR_AUTOCREATE_DISABLE:-}" ]; then
    require_folders
    autocreate=-Dzookeeper.datadir.autocreate=false
fi
if [ -z "${ZOOPIDFILE:-}" ]; then
    ZOOPIDFILE=${data_dir:+$data_dir/zookeeper_server.pid}
fi
# Where an audit log goes that has no folder of its own.
log_word=-Dzookeeper.log.dir=$ZOO_LOG_DIR
daemon_out=$ZOO_LOG_DIR/zookeeper-${USER:-}-server-$(uname -n).out

case ${1:-} in
start) start ;;
start-foreground)
    if [ -n "${ZOO_NOEXEC:-}" ]; then
        "$OXKEEPER_BIN" server $autocreate "$log_word" "$ZOOCFG"
    else
        exec "$OXKEEPER_BIN" server $autocreate "$log_word" "$ZOOCFG"
    fi
    ;;
stop) stop ;;
restart)
    stop
    start
    ;;
status) status ;;
version) echo "Apache ZooKeeper, version $("$OXKEEPER_BIN" version | sed 's/, built on//')" ;;
print-cmd)
    words="$autocreate${autocreate:+ }\"$log_word\" \"$ZOOCFG\""
    echo "\"$OXKEEPER_BIN\" server $words >> \"$daemon_out\" 2>&1 < /dev/null"
    ;;
*) echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}" >&2 ;;
esac
