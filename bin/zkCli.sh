#!/bin/sh
# The command line client, by the name that ZooKeeper's has: zkCli.sh [-server HOST:PORT/chroot] [COMMAND ...]
ZOOBINDIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=bin/zkEnv.sh
. "$ZOOBINDIR/zkEnv.sh"
exec "$OXKEEPER_BIN" cli "$@"
