#!/bin/sh
# Compares two snapshots: zkSnapshotComparer.sh -l LEFT -r RIGHT -b BYTES -n NODES [-d] [-i]
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"
exec "$OXKEEPER_BIN" upstream SnapshotComparer "$@"
