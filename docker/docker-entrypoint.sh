#!/bin/sh
# Writes zoo.cfg and myid from the variables of the official `zookeeper` image, where there are none yet, and becomes
# the command. A folder that came with a zoo.cfg or a myid (a volume, a config map) is left as it is.
#
#   ZOO_MY_ID            the server's number: 1
#   ZOO_SERVERS          server.N=HOST:2888:3888;2181, separated by spaces: a server of its own
#   ZOO_CFG_EXTRA        any other lines of zoo.cfg, separated by spaces
#   ZOO_4LW_COMMANDS_WHITELIST    which four-letter words are answered: srvr
#   ZOO_TICK_TIME, ZOO_INIT_LIMIT, ZOO_SYNC_LIMIT, ZOO_AUTOPURGE_PURGEINTERVAL, ZOO_AUTOPURGE_SNAPRETAINCOUNT,
#   ZOO_MAX_CLIENT_CNXNS, ZOO_STANDALONE_ENABLED, ZOO_ADMINSERVER_ENABLED
#   ZOO_CONF_DIR, ZOO_DATA_DIR, ZOO_DATA_LOG_DIR, ZOO_LOG_DIR     the folders
#   JVMFLAGS, SERVER_JVMFLAGS     their -D words are honoured by the server
set -eu
# Words of variables are split at spaces, but never taken for patterns of file names.
set -f

conf_dir=${ZOO_CONF_DIR-/conf}
data_dir=${ZOO_DATA_DIR-/data}
data_log_dir=${ZOO_DATA_LOG_DIR-/datalog}
log_dir=${ZOO_LOG_DIR-/logs}
export ZOOCFGDIR="$conf_dir"

# Started as root (the image itself is not): folders that the engine made for root are given to the server's user.
if [ "${1:-}" = zkServer.sh ] && [ "$(id -u)" = 0 ]; then
    chown -R zookeeper "$data_dir" "$data_log_dir" "$log_dir"
    # shellcheck disable=SC2016 # expanded by the shell that su starts
    exec su -p -s /bin/sh zookeeper -c 'exec "$0" "$@"' -- "$0" "$@"
fi

# shellcheck disable=SC2086 # lists of words
configuration() {
    echo "dataDir=$data_dir"
    echo "dataLogDir=$data_log_dir"
    echo "tickTime=${ZOO_TICK_TIME-2000}"
    echo "initLimit=${ZOO_INIT_LIMIT-5}"
    echo "syncLimit=${ZOO_SYNC_LIMIT-2}"
    echo "autopurge.snapRetainCount=${ZOO_AUTOPURGE_SNAPRETAINCOUNT-3}"
    echo "autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL-0}"
    echo "maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS-60}"
    echo "standaloneEnabled=${ZOO_STANDALONE_ENABLED-true}"
    echo "admin.enableServer=${ZOO_ADMINSERVER_ENABLED-true}"
    one_per_line ${ZOO_SERVERS:-server.1=localhost:2888:3888;2181}
    if [ -n "${ZOO_4LW_COMMANDS_WHITELIST:-}" ]; then
        echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"
    fi
    one_per_line ${ZOO_CFG_EXTRA:-}
}

one_per_line() {
    [ $# -eq 0 ] || printf '%s\n' "$@"
}

must_write() { # folder
    if [ -d "$1" ] && [ ! -w "$1" ]; then
        echo "docker-entrypoint.sh: $1 is not writable for user $(id -u);" \
            "chown it to 1000, or start the container as root once, which does so and then becomes user 1000" >&2
        exit 1
    fi
}

if [ ! -f "$conf_dir/zoo.cfg" ]; then
    must_write "$data_log_dir"
    configuration >"$conf_dir/zoo.cfg"
fi
must_write "$data_dir"
if [ ! -f "$data_dir/myid" ]; then
    echo "${ZOO_MY_ID:-1}" >"$data_dir/myid"
fi
exec "$@"
