# Read by the scripts in /usr/share/oxkeeper/bin.
ZOO_LOG_DIR=${ZOO_LOG_DIR:-/var/log/oxkeeper}
if [ -r /etc/default/oxkeeper ]; then
    . /etc/default/oxkeeper
fi
