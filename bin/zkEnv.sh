# shellcheck shell=sh
# Read by the zk*.sh scripts beside it (`. zkEnv.sh`, with the script's own arguments): where the configuration, the log
# lines and the program are. The same variables as in ZooKeeper's own zkEnv.sh:
#
#   --config DIR     the first argument of any script, else
#   ZOOCFGDIR        the configuration folder; else ../conf, else ../etc/zookeeper, as seen from the script
#   ZOOCFG           name of the file in it: zoo.cfg
#   ZOO_LOG_DIR      where a server started in the background writes its log lines: ../logs
#   JVMFLAGS, SERVER_JVMFLAGS, CLIENT_JVMFLAGS
#                    the -D words in them are honoured, everything else that is meant for a JVM is not
#
# and one of our own:
#
#   OXKEEPER_BIN     the program; else oxkeeper beside the script, in ../target/release, or on the PATH
#
# zookeeper-env.sh and java.env in the configuration folder are read as shell, in this order.

ZOOKEEPER_PREFIX="$ZOOBINDIR/.."

if [ $# -gt 1 ] && [ "$1" = "--config" ]; then
    ZOOCFGDIR=$2
    shift 2
fi

if [ -z "${ZOOCFGDIR:-}" ]; then
    if [ -e "$ZOOKEEPER_PREFIX/conf" ]; then
        ZOOCFGDIR=$ZOOBINDIR/../conf
    else
        ZOOCFGDIR=$ZOOBINDIR/../etc/zookeeper
    fi
fi

if [ -f "$ZOOCFGDIR/zookeeper-env.sh" ]; then
    # shellcheck source=/dev/null
    . "$ZOOCFGDIR/zookeeper-env.sh"
fi
ZOOCFG=$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}
if [ -f "$ZOOCFGDIR/java.env" ]; then
    # shellcheck source=/dev/null
    . "$ZOOCFGDIR/java.env"
fi
ZOO_LOG_DIR=${ZOO_LOG_DIR:-$ZOOKEEPER_PREFIX/logs}

# The program reads these itself; the files above may have set them without `export`.
export JVMFLAGS SERVER_JVMFLAGS CLIENT_JVMFLAGS

if [ -z "${OXKEEPER_BIN:-}" ]; then
    for OXKEEPER_BIN in "$ZOOBINDIR/oxkeeper" "$ZOOBINDIR/../target/release/oxkeeper" "$(command -v oxkeeper)"; do
        [ -f "$OXKEEPER_BIN" ] && [ -x "$OXKEEPER_BIN" ] && break
    done
fi
if [ ! -x "$OXKEEPER_BIN" ]; then
    echo "Error: no oxkeeper beside $0, in ../target/release or on the PATH; OXKEEPER_BIN may name it." >&2
    exit 1
fi
