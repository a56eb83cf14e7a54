"""Shortens a script that shows a difference, by leaving steps and requests out as long as it still
shows it.
"""

import copy
import time

from .pair import Fixed
from .steps import Send, describe

__all__ = ["minimise", "describe"]

_replays = [0]


def minimise(pair, root, steps, difference, seconds=20):
    """(shorter steps, their difference).

    The same kind of difference, in a name space of its own each time.
    """
    deadline = time.monotonic() + seconds
    best, best_difference = steps, difference
    wanted = difference.signature()

    def shows(candidate):
        if time.monotonic() > deadline:
            return None
        moved = _move(candidate, root)
        found, _ = pair.run(Fixed(moved))
        return found if found and found.signature() == wanted else None

    chunk = max(1, len(best) // 2)
    while chunk:
        at = len(best) - chunk
        while at >= -chunk + 1:
            candidate = best[: max(at, 0)] + best[at + chunk :]
            found = shows(candidate) if candidate else None
            if found:
                best, best_difference = candidate, found
            at -= chunk
        chunk //= 2
    for index, step in enumerate(best):
        if isinstance(step, Send):
            for request in list(step.requests):
                if len(step.requests) < 2:
                    break
                less = copy.copy(step)
                less.requests = [r for r in step.requests if r is not request]
                candidate = best[:index] + [less] + best[index + 1 :]
                found = shows(candidate)
                if found:
                    best, best_difference, step = candidate, found, less
    return best, best_difference


def _move(steps, root):
    """The same steps under another root of the same length."""
    _replays[0] += 1
    new = f"/m{_replays[0] % 100000:05}"
    assert len(new) == len(root)
    moved = copy.deepcopy(steps)
    for step in moved:
        if isinstance(step, Send):
            for request in step.requests:
                request.body = request.body.replace(root[1:].encode(), new[1:].encode())
    return moved
