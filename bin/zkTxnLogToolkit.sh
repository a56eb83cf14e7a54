#!/bin/sh
# Shows or recovers a transaction log: zkTxnLogToolkit.sh [-dhrvyc] FILE [-z ZXID]
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"
exec "$OXKEEPER_BIN" upstream TxnLogToolkit "$@"
