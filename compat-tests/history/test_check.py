"""The checkers find bad histories and pass good ones; the sweep agrees with a search of all orders."""

import itertools
import random

import pytest

from history import check
from history.check import (
    BAD_VERSION, DONE, FRESH_READ, LATE, NEVER, READ, WRITE, Operation, Sent)


def write(start, end, value, version, expected=-1, session=1, zxid=None):
    return Operation(session, WRITE, "k", start, end, DONE, value, version, zxid or 10 + version,
                     10 + version, expected)


def late(start, value, expected=-1, session=1):
    return Operation(session, WRITE, "k", start, NEVER, LATE, value, expected=expected)


def read(start, end, value, version, kind=FRESH_READ, session=2, zxid=100):
    return Operation(session, kind, "k", start, end, DONE, value, version, zxid)


def refused(start, end, expected):
    return Operation(3, WRITE, "k", start, end, BAD_VERSION, "never", zxid=5, expected=expected)


def wrong(*operations, fresh=True):
    return check.writes(operations, {"k": "i"}, fresh)


GOOD = {
    "nothing": [],
    "one after the other": [write(1, 2, "a", 1), write(3, 4, "b", 2), read(5, 6, "b", 2)],
    "two at once, in the other order": [write(1, 9, "a", 2), write(2, 8, "b", 1)],
    "a read of the old value while the write goes on": [write(1, 5, "a", 1), read(2, 3, "i", 0)],
    "a late write that was seen": [late(1, "a"), read(5, 6, "a", 1)],
    "a late write that was not done": [late(1, "a"), write(2, 3, "b", 1)],
    "a late write that nobody saw, but its version": [late(1, "a"), write(5, 6, "b", 2)],
    "a late write done long after": [late(1, "a"), write(2, 3, "b", 1), read(4, 5, "a", 2)],
    "a conditional write": [write(1, 2, "a", 1), write(3, 4, "b", 2, expected=1)],
    "a refusal": [write(1, 2, "a", 1), refused(3, 4, 0)],
    "a refusal beside a write": [write(1, 5, "a", 1), refused(3, 4, 0)],
    "a refusal beside a late write": [late(1, "a"), refused(3, 4, 0)],
}
BAD = {
    "an acknowledged write overwritten by an earlier version":
        [write(1, 2, "a", 2), write(3, 4, "b", 1)],
    "one version twice": [write(1, 2, "a", 1), write(3, 4, "b", 1)],
    "a stale fresh read": [write(1, 2, "a", 1), read(3, 4, "i", 0)],
    "two fresh reads that go back":
        [write(1, 9, "a", 1), read(2, 3, "a", 1), read(4, 5, "i", 0, session=4)],
    "a value that nobody wrote": [read(1, 2, "z", 1)],
    "two values at one version": [late(1, "a"), late(1, "b"), read(2, 3, "a", 1), read(2, 3, "b", 1)],
    "one value at two versions": [late(1, "a"), read(2, 3, "a", 1), read(4, 5, "a", 2)],
    "a version that nobody can have made": [write(1, 2, "a", 2)],
    "a version whose only possible maker began too late": [write(1, 2, "a", 2), late(3, "b")],
    "two versions and one possible maker": [late(0, "b"), write(1, 2, "a", 3)],
    "a conditional write at another version": [late(1, "a"), write(2, 3, "b", 2, expected=0)],
    "a late conditional write seen at another version":
        [late(1, "a"), late(1, "b", expected=0), read(2, 3, "a", 1), read(4, 5, "b", 2)],
    "a gap for a conditional write that does not fit":
        [write(1, 2, "a", 1), late(3, "b", expected=0), write(4, 5, "c", 3)],
    "a refusal for nothing": [write(1, 2, "a", 1), refused(3, 4, 1)],
    "a refusal of the first version": [refused(3, 4, 0)],
    "a read from the future": [read(1, 2, "a", 1, kind=READ), write(3, 4, "a", 1)],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_passes(name):
    assert wrong(*GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found(name):
    assert wrong(*BAD[name])


def test_a_plain_read_may_be_stale_but_a_fresh_one_may_not():
    stale = [write(1, 2, "a", 1), read(3, 4, "i", 0, kind=READ)]
    assert wrong(*stale) == []
    assert wrong(write(1, 2, "a", 1), read(3, 4, "i", 0), fresh=False) == []


def test_versions_whose_zxids_go_back_are_found():
    first = Operation(1, WRITE, "k", 1, 2, DONE, "a", 1, 50, 50)
    second = Operation(1, WRITE, "k", 3, 4, DONE, "b", 2, 40, 40)
    assert wrong(first, second)


def test_a_session_that_goes_back_is_found():
    own = write(1, 2, "a", 1, session=2, zxid=50)
    assert check.sessions([own, read(3, 4, "a", 1, READ, zxid=50)]) == []
    assert check.sessions([own, read(3, 4, "i", 0, READ, zxid=60)])
    assert check.sessions([own, read(3, 4, "a", 1, READ, zxid=49)])
    assert check.sessions([own, read(3, 4, "i", 0, READ, session=9, zxid=40)]) == []


def test_a_hole_in_a_pipeline_is_found():
    sent = [Sent("a", 1), Sent("b"), Sent("c")]
    assert check.pipelines({7: [sent]}, {"a": 1}) == []
    assert check.pipelines({7: [sent]}, {"a": 1, "b": 2}) == []
    assert check.pipelines({7: [sent]}, {"a": 1, "b": 2, "c": 3}) == []
    assert check.pipelines({7: [sent]}, {"a": 1, "c": 3}), "a hole"
    assert check.pipelines({7: [sent]}, {"a": 1, "b": 3, "c": 2}), "out of order"
    assert check.pipelines({7: [sent]}, {"b": 2}), "an acknowledged one is gone"
    assert check.pipelines({7: [sent]}, {"a": 2}), "another zxid than was answered"
    again = [Sent("d", 9)]
    assert check.pipelines({7: [sent, again]}, {"a": 1, "d": 9}) == []
    assert check.pipelines({7: [sent, again]}, {"a": 1, "b": 10, "d": 9}), "an old request came late"


def test_a_lost_write_is_found():
    done = [write(1, 2, "a", 1), write(3, 4, "b", 2)]
    assert check.acknowledged(done, {"k": (2, "b")}) == []
    assert check.acknowledged(done, {"k": (3, "c")}) == []
    assert check.acknowledged(done, {"k": (1, "a")})
    assert check.acknowledged(done, {"k": (2, "z")})


def explained(operations):
    """Whether some order of the operations that respects time explains every answer (a search)."""
    must = [each for each in operations if each.outcome != LATE]
    may = [each for each in operations if each.outcome == LATE]
    return any(_search(must + list(chosen), 0, "i")
               for size in range(len(may) + 1) for chosen in itertools.combinations(may, size))


def _search(left, version, value):
    if not left:
        return True
    soonest = min(each.end for each in left)
    for at, each in enumerate(left):
        if each.start > soonest:
            continue
        after = _step(each, version, value)
        if after and _search(left[:at] + left[at + 1:], *after):
            return True
    return False


def _step(each, version, value):
    if each.kind != WRITE:
        return (version, value) if (each.version, each.value) == (version, value) else None
    fits = each.expected in (-1, version)
    if each.outcome == BAD_VERSION:
        return None if fits else (version, value)
    if not fits:
        return (version, value) if each.outcome == LATE else None
    if each.outcome == DONE and each.version != version + 1:
        return None
    return version + 1, each.value


def random_history(rng):
    """A few operations that may or may not be explained: each answer is likely, none is sure."""
    times = rng.sample(range(100), 16)
    made, versions = [], ["i"]
    for at in range(rng.randint(1, 6)):
        start, end = sorted(times[2 * at:2 * at + 2])
        kind = rng.choice([WRITE, WRITE, WRITE, FRESH_READ, "cas", LATE])
        if kind == FRESH_READ:
            version = rng.randrange(len(versions))
            made.append(read(start, end, versions[version], version))
        elif kind == LATE:
            made.append(late(start, f"v{at}", rng.choice([-1, -1, len(versions) - 1])))
            if rng.random() < 0.5:
                versions.append(f"v{at}")
        elif kind == "cas" and rng.random() < 0.3:
            made.append(refused(start, end, rng.randrange(len(versions))))
        else:
            expected = len(versions) - 1 if kind == "cas" else -1
            version = len(versions) + (rng.random() < 0.1)
            made.append(write(start, end, f"v{at}", version, expected))
            versions += [None] * (version - len(versions)) + [f"v{at}"]
    return [each for each in made if each.kind == WRITE or each.value is not None]


def test_the_sweep_agrees_with_a_search_of_all_orders():
    rng, counts = random.Random(1), [0, 0]
    for _ in range(20_000):
        history = random_history(rng)
        good = explained(history)
        counts[good] += 1
        found = wrong(*history)
        if good:
            assert found == [], "\n".join(map(str, history))
        elif not found:
            # What the sweep lets pass on purpose: refusals beside writes of unknown outcome.
            assert any(each.outcome == BAD_VERSION for each in history), "\n".join(map(str, history))
    assert min(counts) > 1000, counts
