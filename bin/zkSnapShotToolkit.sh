#!/bin/sh
# Shows a snapshot: zkSnapShotToolkit.sh [-d|-json] FILE
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"
exec "$OXKEEPER_BIN" upstream SnapshotFormatter "$@"
