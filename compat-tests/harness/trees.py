"""Compares what the servers of an ensemble hold: every znode, the sessions, the digests."""

import re

from harness import rawzk
from harness.ensemble import SUPER_AUTH, until
from harness.rawzk import Client, decode_reply, encode, request_frame

# A server writes this znode for itself, at its own time; its data is compared all the same.
CONFIG = b"/zookeeper/config"
DIGEST_INTERVAL = 128
_WINDOW = 256
_DIGEST = re.compile(r"^([0-9a-f]+): (-?\d+)$", re.MULTILINE)
_SESSION = re.compile(r"^0x([0-9a-f]+)\t", re.MULTILINE)


def picture(client):
    """Every znode as path -> (data, stat, ACL), read with all rights, many requests in flight."""
    seen, wave = {}, [b"/"]
    while wave:
        children = []
        for start in range(0, len(wave), _WINDOW):
            paths = wave[start:start + _WINDOW]
            for path, znode, names in _read(client, paths):
                seen[path] = znode
                base = path if path != b"/" else b""
                children += [base + b"/" + name for name in names]
        wave = children
    return seen


def _read(client, paths):
    asked = []
    for path in paths:
        asked += [
            (rawzk.GET_DATA, encode("GetDataRequest", {"path": path})),
            (rawzk.GET_ACL, encode("GetACLRequest", {"path": path})),
            (rawzk.GET_CHILDREN, encode("GetChildrenRequest", {"path": path})),
        ]
    client.send(*(request_frame(100 + at, op, body) for at, (op, body) in enumerate(asked)))
    bodies = []
    for op, _ in asked:
        header, body, _ = decode_reply(op, client.receive())
        assert header["err"] == 0, f"err {header['err']} at {paths[len(bodies) // 3]}"
        bodies.append(body)
    for at, path in enumerate(paths):
        data, entries, names = bodies[3 * at:3 * at + 3]
        stat = data["stat"] if path != CONFIG else None
        yield path, (data["data"], stat, entries["acl"]), names["children"]


def viewer(member, timeout=120_000):
    """A client with all rights at one member."""
    client = Client(member.host, member.port, timeout=timeout)
    assert client.session, f"{member!r} refused a session"
    client.auth("digest", SUPER_AUTH)
    return client


def differences(before, after, limit=5):
    """Lines that say where two pictures differ."""
    lines = [f"only in the first: {path}" for path in sorted(before.keys() - after.keys())]
    lines += [f"only in the second: {path}" for path in sorted(after.keys() - before.keys())]
    lines += [f"{path}:\n  {before[path]}\n  {after[path]}"
              for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]
    return lines[:limit]


def compare(ensemble, digests=True, java_was_fuzzy=False):
    """Asserts that all running members hold the same; nobody may write meanwhile. Returns the tree.

    Sessions are compared by id and znodes by data, Stat and ACL; digests, with enough transactions
    added that every member notes one, at every zxid that two members noted. A Java server that got
    a snapshot while writes went on computes wrong digests for a while: `java_was_fuzzy` looks at
    what it says now only.
    """
    ensemble.wait_until_serving()
    members = ensemble.running
    writer = viewer(ensemble.leader)
    # One that has only just been resumed does not know yet that it was given up: it is not equal.
    _write(writer, 1)
    ensemble.wait_until_equal()
    _write(writer, DIGEST_INTERVAL if digests else 0)
    viewers = [writer, *(viewer(member) for member in members)]
    ensemble.wait_until_equal()
    pictures = [picture(client) for client in viewers[1:]]
    if any(member.lines for member in members):
        for seen in pictures:
            del seen[CONFIG]
    wrong = []
    for member, seen in zip(members[1:], pictures[1:]):
        wrong += [f"{members[0]!r} and {member!r}: {line}" for line in differences(pictures[0], seen)]
    wrong += _sessions_apart(members)
    if digests:
        wrong += _digests_apart(members, java_was_fuzzy)
    for member in members:
        if java_was_fuzzy and member.kind == "java":
            continue
        mismatches = member.monitored().get("zk_digest_mismatches_count", "0")
        if mismatches != "0":
            wrong.append(f"{member!r} counted {mismatches} digest mismatches")
    for client in viewers:
        client.close_session()
    assert not wrong, "\n".join(wrong)
    return pictures[0]


def _write(client, count):
    """Writes so many transactions."""
    path = "/filling"
    try:
        client.create(path)
    except rawzk.Error as error:
        assert error.err == -110
    body = encode("SetDataRequest", {"path": path, "data": b"", "version": -1})
    client.send(*(request_frame(at, rawzk.SET_DATA, body) for at in range(count)))
    for _ in range(count):
        header, _, _ = decode_reply(rawzk.SET_DATA, client.receive())
        assert header["err"] == 0


def _sessions_apart(members):
    """Sessions end while this is asked, so it is asked again until all who answer `dump` agree."""
    answers = {}
    members = [member for member in members if "SessionTracker" in member.word("dump")]

    def agree():
        answers.update({member: sessions(member) for member in members})
        return len({frozenset(found) for found in answers.values()}) <= 1

    try:
        until(agree, "", seconds=60)
    except AssertionError:
        return [f"sessions at {member!r}: {sorted(found)}" for member, found in answers.items()]
    return []


def sessions(member):
    """Ids of the global sessions that a member knows, by `dump`."""
    text = member.word("dump").partition("ephemeral nodes dump")[0]
    return set(_SESSION.findall(text)) | set(re.findall(r"^\t?0x([0-9a-f]+)$", text, re.MULTILINE))


def digests(member):
    """zxid -> digest, as far as a member has noted them."""
    return {int(zxid, 16): int(digest) for zxid, digest in _DIGEST.findall(member.word("hash"))}


def _digests_apart(members, newest_only):
    noted = {member: digests(member) for member in members}
    newest = max((max(each, default=0) for each in noted.values()), default=0)
    wrong = [f"{member!r} noted no digest at 0x{newest:x}" for member, each in noted.items()
             if newest not in each]
    for zxid in [newest] if newest_only else sorted(set().union(*noted.values())):
        values = {member: each[zxid] for member, each in noted.items() if zxid in each}
        if len(set(values.values())) > 1:
            wrong.append(f"digests at 0x{zxid:x}: {values}")
    return wrong[:5]
