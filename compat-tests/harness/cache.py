"""The folder that `compat-tests/install` fills, and where tests put what is made once."""

import contextlib
import fcntl
import os
from pathlib import Path


def cache_dir():
    """$OXKEEPER_CACHE, or ~/.cache/oxkeeper."""
    return Path(os.environ.get("OXKEEPER_CACHE") or Path.home() / ".cache" / "oxkeeper")


@contextlib.contextmanager
def making(what):
    """Waits until nobody else, in this process or another, makes what has this name."""
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / what, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
