#!/bin/sh
# Makes the data folders of a new server, as ZooKeeper's own zkServer-initialize.sh does.
#
#   zkServer-initialize.sh [--configfile=FILE] [--myid=N] [--force]
#
# --force empties folders that hold data: version-2 in dataDir and in dataLogDir, and myid.
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

usage() {
    cat <<END
usage: $0 <parameters>
  Optional parameters:
     -h                                                    Display this message
     --help                                                Display this message
$(printf '     --configfile=%-40s ZooKeeper config file' "$ZOOCFG")
     --myid=#                                              Set the myid to be used, if any (1-255)
     --force                                               Force creation of the data/txnlog dirs
END
    exit 1
}

fail() {
    echo "$1"
    exit 1
}

folder_of() { # key
    grep "^[[:space:]]*$1" "$ZOOCFG" | tail -n 1 | sed -e 's/.*=//' -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//'
}

refuse_data() { # folder, what it is
    [ ! -d "$1/version-2" ] ||
        fail "ZooKeeper $2 directory already exists at $1 (or use --force to force re-initialization)"
}

renew() { # folder
    rm -rf "$1/myid" "$1/version-2"
    mkdir -p "$1/version-2" || exit 1
}

myid=
force=
while [ -n "${1:-}" ]; do
    case $1 in
    --configfile | --myid)
        [ $# -ge 2 ] || usage
        [ "$1" = --myid ] && myid=$2 || ZOOCFG=$2
        shift
        ;;
    --configfile=?*) ZOOCFG=${1#*=} ;;
    --myid=?*) myid=${1#*=} ;;
    --force) force=1 ;;
    -h | --help) usage ;;
    *)
        echo "Unknown option: $1"
        usage
        ;;
    esac
    shift
done

[ -e "$ZOOCFG" ] || fail "Unable to find config file at $ZOOCFG"
data_dir=$(folder_of dataDir)
log_dir=$(folder_of dataLogDir)
[ -n "$data_dir" ] || fail "Unable to determine dataDir from $ZOOCFG"
if [ -n "$force" ]; then
    echo "Force enabled, data/txnlog directories will be re-initialized"
else
    refuse_data "$data_dir" data
    [ -z "$log_dir" ] || refuse_data "$log_dir" txnlog
fi
renew "$data_dir"
[ -z "$log_dir" ] || renew "$log_dir"
if [ -n "$myid" ]; then
    echo "Using myid of $myid"
    echo "$myid" >"$data_dir/myid"
else
    echo "No myid provided, be sure to specify it in $data_dir/myid if using non-standalone"
fi
touch "$data_dir/initialize"
