#!/bin/sh
# Removes old snapshots and logs of the folders that zoo.cfg names: zkCleanup.sh [--config DIR] -n COUNT
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"

folder_of() {
    grep "^[[:space:]]*$1=" "$ZOOCFG" | sed -e 's/.*=//'
}

data_dir=$(folder_of dataDir)
log_dir=$(folder_of dataLogDir)
if [ -z "$log_dir" ]; then
    exec "$OXKEEPER_BIN" upstream PurgeTxnLog "$data_dir" "$@"
else
    exec "$OXKEEPER_BIN" upstream PurgeTxnLog "$log_dir" "$data_dir" "$@"
fi
