"""A little of everything that clients do, through every member of an ensemble."""

import time

from harness import rawzk
from harness.ensemble import until
from harness.rawzk import Client, Closed

SECONDS = 60


def connect(member, **how):
    """A client at this member; tries again while the member serves nobody."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            client = Client(member.host, member.port, **how)
        except (Closed, OSError):
            client = None
        if client and client.session:
            return client
        if client:
            client.close()
            assert not how.get("session"), f"{member!r} does not know session {how['session']:x}"
        if time.monotonic() > deadline:
            raise AssertionError(f"{member!r} takes no client\n{member.log_text()[-3000:]}")
        time.sleep(0.05)


def ensure(client, path):
    """Creates a znode unless it is there."""
    try:
        client.create(path)
    except rawzk.Error as error:
        if error.err != -110:
            raise


def a_bit_of_everything(ensemble, root):
    """Through every member: every kind of write, reads elsewhere, watches, a moved session."""
    members = ensemble.running
    clients = [connect(member) for member in members]
    ensure(clients[0], root)
    for client in clients[1:]:
        client.call(rawzk.SYNC, {"path": root})
    for at, client in enumerate(clients):
        _writes(client, f"{root}/{at}")
        _seen_elsewhere(clients[(at + 1) % len(clients)], client, f"{root}/{at}")
    _session_moves(members, root)
    for client in clients:
        client.close_session()


def _writes(client, base):
    client.create(base, b"first", op=rawzk.CREATE)
    client.create(f"{base}/ephemeral", b"e", flags=1)
    names = [client.create(f"{base}/s-", flags=2)["path"] for _ in range(3)]
    assert sorted(names) == names and len(set(names)) == 3
    client.create(f"{base}/box", op=rawzk.CREATE_CONTAINER, flags=4)
    client.create(f"{base}/brief", op=rawzk.CREATE_TTL, flags=5, ttl=36_000_000)
    assert client.set_data(base, b"second", 0)["version"] == 1
    client.set_acl(f"{base}/box", rawzk.OPEN_ACL + [rawzk.acl(1, "ip", "127.0.0.1")])
    client.delete(names[1])
    results = client.multi([
        (rawzk.CHECK, {"path": base, "version": 1}),
        (rawzk.CREATE, {"path": f"{base}/together", "data": b"m", "acl": rawzk.OPEN_ACL}),
        (rawzk.SET_DATA, {"path": base, "data": b"third", "version": 1}),
        (rawzk.DELETE, {"path": names[0], "version": -1}),
    ])
    assert [each["err"] for each in results[:-1]] == [0, 0, 0, 0]
    results = client.multi([
        (rawzk.CREATE, {"path": f"{base}/never", "acl": rawzk.OPEN_ACL}),
        (rawzk.CHECK, {"path": base, "version": 77}),
    ])
    assert [each["ErrorResponse"]["err"] for each in results[:-1]] == [0, -103]
    for error, call in [
        (-110, lambda: client.create(base)),
        (-103, lambda: client.set_data(base, b"", 77)),
        (-101, lambda: client.delete(f"{base}/none")),
        (-111, lambda: client.delete(base)),
    ]:
        try:
            call()
        except rawzk.Error as refused:
            assert refused.err == error, f"err {refused.err}, not {error}"
        else:
            raise AssertionError(f"no err {error}")


def _seen_elsewhere(reader, writer, base):
    """After a sync the other server has it all; a watch set there fires for a write made here."""
    reader.call(rawzk.SYNC, {"path": base})
    mine, theirs = writer.get_data(base), reader.get_data(base, watch=True)
    assert mine == theirs and mine["data"] == b"third"
    assert sorted(writer.children(base)) == sorted(reader.children(base))
    writer.set_data(base, b"fourth", 2)
    until(lambda: reader.call(rawzk.EXISTS, {"path": base}) and reader.events, "the watch fires",
          SECONDS)
    event = reader.events.pop()[1]
    assert (event["type"], event["path"]) == (3, base.encode())


def _session_moves(members, root):
    """A session goes from server to server and keeps its ephemeral; its end takes that away."""
    client = connect(members[0])
    path = f"{root}/moving"
    client.create(path, flags=1)
    for member in [*members[1:], members[0]]:
        client.close()
        client = connect(member, session=client.session, password=client.password,
                         last_zxid=client.zxid)
        assert client.get_data(path)["stat"]["ephemeralOwner"] == client.session
        client.set_data(path, str(member.sid).encode())
    client.close_session()
    for member in members:
        other = connect(member)
        other.call(rawzk.SYNC, {"path": root})
        assert b"moving" not in other.children(root)
        other.close_session()


def write_many(client, root, count, size=10):
    """Creates znodes below root, many in flight."""
    ensure(client, root)
    for start in range(0, count, 64):
        numbers = range(start, min(start + 64, count))
        client.send(*(
            rawzk.request_frame(1 + n, rawzk.CREATE, rawzk.encode("CreateRequest", {
                "path": f"{root}/n{n}", "data": b"x" * size, "acl": rawzk.OPEN_ACL}))
            for n in numbers))
        for _ in numbers:
            header, _, _ = rawzk.decode_reply(rawzk.CREATE, client.receive())
            assert header["err"] == 0, header
            client.zxid = header["zxid"]
