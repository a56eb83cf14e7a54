"""What a recorded history must obey; pure functions that return what is wrong, as lines.

Every znode used here is written with values that are unique over the run, so a version, a value and a
zxid name one write. The order of the writes to one znode is then known (their versions), which makes
linearizability decidable by one sweep, exactly, unknown outcomes included. The sweep is itself held
against a search over all orders in test_check.py.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Optional

WRITE, READ, FRESH_READ = "write", "read", "fresh read"
NEVER = float("inf")
# Outcomes of an operation. `LATE` is: the connection was lost before an answer came.
DONE, LATE, BAD_VERSION = "done", "late", "bad version"


@dataclass(frozen=True)
class Operation:
    """One operation of one client on one znode; times are of one clock for all.

    A fresh read is a sync and a read behind it, begun when the sync was sent.
    """

    session: int
    kind: str
    key: str
    start: float
    end: float = NEVER
    outcome: str = LATE
    value: Optional[str] = None
    version: Optional[int] = None
    zxid: Optional[int] = None
    mzxid: Optional[int] = None
    expected: int = -1

    def __str__(self):
        where = f"{self.kind} of {self.key} by 0x{self.session:x} at {self.start}..{self.end}"
        return f"{where}: {self.outcome}, {self.value!r} version {self.version}"


def by_key(operations):
    keys = {}
    for each in operations:
        keys.setdefault(each.key, []).append(each)
    return keys


def writes(operations, initial, fresh_reads):
    """Writes of each znode are linearizable, and so are fresh reads if `fresh_reads`.

    initial: key -> value that it had, at version 0, before the history began.
    """
    wrong = []
    for key, those in sorted(by_key(operations).items()):
        wrong += _register(key, those, initial[key], fresh_reads)
    return wrong


def _register(key, operations, initial, fresh_reads):
    late = {each.value: each for each in operations if each.kind == WRITE and each.outcome == LATE}
    wrong, writer, value_of = _known_versions(key, operations, initial, late)
    if wrong:
        return wrong
    slots = []
    for each in operations:
        if each.outcome != DONE:
            continue
        if each.kind == WRITE:
            slots.append((each, 2 * each.version))
        elif each.kind == FRESH_READ and fresh_reads:
            slots.append((each, 2 * each.version + 1))
    for version, each in writer.items():
        if each.outcome == LATE:
            slots.append((each, 2 * version))
    wrong += _real_time(slots)
    wrong += _from_the_future(operations, writer)
    placed = {each.value for each in writer.values()}
    spare = [each for each in late.values() if each.value not in placed]
    wrong += _gaps(key, value_of, operations, spare)
    wrong += _refusals(operations, slots, spare)
    return wrong


def _known_versions(key, operations, initial, late):
    """version -> its write, and version -> value, from all that was answered."""
    wrong, writer, value_of, mzxid_of = [], {}, {0: initial}, {}
    version_of = {initial: 0}
    for each in operations:
        if each.outcome != DONE:
            continue
        if each.kind == WRITE:
            if each.version in writer:
                wrong.append(f"two writes made one version:\n  {writer[each.version]}\n  {each}")
            if each.expected not in (-1, each.version - 1):
                wrong.append(f"a conditional write passed at another version: {each}")
            writer[each.version] = each
    known = {each.value: each for each in writer.values()} | late
    for each in operations:
        if each.outcome != DONE:
            continue
        if value_of.setdefault(each.version, each.value) != each.value:
            wrong.append(f"version {each.version} is also {value_of[each.version]!r}: {each}")
        if version_of.setdefault(each.value, each.version) != each.version:
            wrong.append(f"{each.value!r} is also version {version_of[each.value]}: {each}")
        if each.mzxid and mzxid_of.setdefault(each.version, each.mzxid) != each.mzxid:
            wrong.append(f"version {each.version} also has mzxid 0x{mzxid_of[each.version]:x}: {each}")
        if each.kind != WRITE and each.value not in known and each.value != initial:
            wrong.append(f"nobody wrote what was read: {each}")
        if each.kind != WRITE and each.value in late:
            writer[each.version] = late[each.value]
            if late[each.value].expected not in (-1, each.version - 1):
                wrong.append(f"a conditional write passed at another version: {late[each.value]}")
    ordered = sorted(mzxid_of.items())
    for (version, mzxid), (later, higher) in zip(ordered, ordered[1:]):
        if mzxid >= higher:
            wrong.append(f"{key}: version {later} has mzxid 0x{higher:x}, not above 0x{mzxid:x}")
    return wrong, writer, value_of


def _real_time(slots):
    """What ended before another began comes before it: writes in versions, reads between them."""
    wrong = []
    begun = sorted(slots, key=lambda slot: slot[0].start)
    ended = iter(sorted((slot for slot in slots if slot[0].end != NEVER),
                        key=lambda slot: slot[0].end))
    latest, ahead = None, next(ended, None)
    for each, slot in begun:
        while ahead and ahead[0].end < each.start:
            if latest is None or ahead[1] > latest[1]:
                latest = ahead
            ahead = next(ended, None)
        if latest and (slot < latest[1] or slot == latest[1] and each.kind == WRITE):
            wrong.append(f"ordered against time:\n  {latest[0]}\n  came before\n  {each}")
    return wrong


def _from_the_future(operations, writer):
    return [f"read before it was written: {each}" for each in operations
            if each.kind != WRITE and each.outcome == DONE
            and each.version in writer and each.end < writer[each.version].start]


def _gaps(key, value_of, operations, spare):
    """Versions that nobody saw were made by writes that nobody saw answered, in time for the next."""
    wrong, spare = [], sorted(spare, key=lambda each: each.start)
    seen = sorted((each.version, each.end) for each in operations if each.outcome == DONE)
    ends, soonest = [0] * len(seen), NEVER
    for at in range(len(seen) - 1, -1, -1):
        soonest = min(soonest, seen[at][1])
        ends[at] = soonest
    for version in range(1, max(value_of) + 1):
        if version in value_of:
            continue
        deadline = ends[bisect_left(seen, (version, -1))]
        fits = [each for each in spare if each.start < deadline
                and each.expected in (-1, version - 1)]
        # A conditional write fits nowhere else.
        chosen = min(fits, key=lambda each: (each.expected == -1, each.start), default=None)
        if chosen is None:
            wrong.append(f"{key}: nobody can have made version {version}")
            continue
        spare.remove(chosen)
    return wrong


def _refusals(operations, slots, spare):
    """BAD_VERSION is wrong if the znode had that version for as long as the request was on its way."""
    wrong = []
    at_version = {slot // 2: each for each, slot in slots if each.kind == WRITE}
    for each in operations:
        if each.outcome != BAD_VERSION:
            continue
        before, after = at_version.get(each.expected), at_version.get(each.expected + 1)
        surely = each.expected == 0 or before is not None and before.end < each.start
        ended = after is not None and after.start <= each.end
        unseen = any(late.start <= each.end for late in spare)
        other = any(slot // 2 > each.expected and late.start <= each.end for late, slot in slots)
        if surely and not ended and not unseen and not other:
            wrong.append(f"refused, though it named the version that was there: {each}")
    return wrong


def sessions(operations):
    """What a session sees never goes back, and it sees its own writes.

    operations: each session's in the order in which it sent them.
    """
    wrong, zxids, versions = [], {}, {}
    for each in operations:
        if each.outcome == LATE:
            continue
        before = zxids.get(each.session)
        if before and each.zxid < before.zxid:
            wrong.append(f"zxid went back from 0x{before.zxid:x} to 0x{each.zxid:x}:\n  {each}")
        zxids[each.session] = each
        if each.outcome != DONE:
            continue
        seen = versions.get((each.session, each.key))
        if seen and each.version < seen.version:
            wrong.append(f"a session went back:\n  {seen}\n  then\n  {each}")
        versions[each.session, each.key] = each
    return wrong


@dataclass(frozen=True)
class Sent:
    """One create of a pipeline: the znode's name, and the zxid it was answered with, if it was."""

    name: str
    zxid: Optional[int] = None


def pipelines(session_connections, final):
    """Of what was sent on one connection a first part was done and no later part, in order.

    session_connections: per session, per connection in turn, what was sent, in order;
    final: name -> czxid of all that exists in the end.
    """
    wrong = []
    for session, connections in session_connections.items():
        last = 0
        for sent in connections:
            lost = None
            for each in sent:
                found = final.get(each.name)
                if found is None:
                    if each.zxid is not None:
                        wrong.append(f"0x{session:x}: {each.name} was acknowledged and is gone")
                    lost = lost or each
                    continue
                if each.zxid is not None and found != each.zxid:
                    wrong.append(f"0x{session:x}: {each.name} was answered with zxid "
                                 f"0x{each.zxid:x} and has czxid 0x{found:x}")
                if lost:
                    wrong.append(f"0x{session:x}: {each.name} was done, {lost.name} before it was not")
                if found <= last:
                    wrong.append(f"0x{session:x}: {each.name} has czxid 0x{found:x}, "
                                 f"what was sent before it 0x{last:x}")
                last = found
    return wrong


def acknowledged(operations, final):
    """No answered write is missing in the end. final: key -> version and value."""
    wrong = []
    for key, those in sorted(by_key(operations).items()):
        highest = max((each for each in those if each.outcome == DONE),
                      key=lambda each: each.version, default=None)
        if highest is None:
            continue
        version, value = final[key]
        if version < highest.version or version == highest.version and value != highest.value:
            wrong.append(f"{key} ends as {value!r} version {version}, but there was {highest}")
    return wrong
