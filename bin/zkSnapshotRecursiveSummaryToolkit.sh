#!/bin/sh
# Sums up a snapshot: zkSnapshotRecursiveSummaryToolkit.sh FILE START DEPTH
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"
exec "$OXKEEPER_BIN" upstream SnapshotRecursiveSummary "$@"
