"""Ports for servers, which no two tests are given, whichever processes run them.

They lie below those that the system gives to outgoing connections: one taken from among those may be
somebody's by the time a server asks for it.
"""

import fcntl
import random
import socket
import threading

from harness.cache import cache_dir

FIRST, LAST = 10_000, 32_000
BLOCK = 100

_lock = threading.Lock()
_left = []
# Blocks of ports that are this process's, as locked files: the system gives them back when it ends.
_blocks = {}


def free_port():
    """A port that nobody listens on, and that was not given to anyone else."""
    return free_ports(1)


def free_ports(count):
    """The first of so many in a row."""
    with _lock:
        while True:
            if len(_left) < count:
                _left[:] = _claim()
            found = _left[:count]
            del _left[:count]
            if found[-1] - found[0] == count - 1 and all(map(_nobody_listens, found)):
                return found[0]


def _claim():
    """A block that no process has, or once there is none any more, one of this process again."""
    folder = cache_dir() / "ports"
    folder.mkdir(parents=True, exist_ok=True)
    blocks = list(range(FIRST, LAST, BLOCK))
    random.shuffle(blocks)
    for first in blocks:
        if first in _blocks:
            continue
        claimed = open(folder / str(first), "w")
        try:
            fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claimed.close()
            continue
        _blocks[first] = claimed
        break
    else:
        first = random.choice(sorted(_blocks))
    return list(range(first, first + BLOCK))


def _nobody_listens(port):
    with socket.socket() as probe:
        # As servers do: what is left of an old connection is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
