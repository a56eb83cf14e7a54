"""What a leader does for the clients of servers of another kind, and they for it.

Sessions told alive in pings and ended by silence, identities passed on with a request, containers and
TTL nodes reaped, large requests, reconfiguration refused: each through every member of a mixture.
"""

import time

import pytest

from ensemble.workload import connect, ensure
from harness import rawzk
from harness.ensemble import until
from harness.rawzk import Client, Error
from harness.trees import compare

LONG = ["JJO", "OOJ", "OOO", "JJJ", "JOOj", "OJJo", "JOJ", "EEO", "OOE"]
# No pause of a busy machine may take as long.
SHORT_MS = 8000


def exists_at(member, path):
    client = connect(member)
    try:
        client.call(rawzk.SYNC, {"path": "/"})
        client.call(rawzk.EXISTS, {"path": path})
        return True
    except Error as error:
        assert error.err == -101
        return False
    finally:
        client.close()


def ping(client):
    client.send(rawzk.request_frame(rawzk.PING_XID, rawzk.PING))
    header, _, _ = rawzk.decode_reply(rawzk.PING, client.receive())
    assert header["xid"] == rawzk.PING_XID and header["err"] == 0


def code_of(call):
    """The error code of a call; 0 if it went well."""
    try:
        call()
    except Error as error:
        return error.err
    return 0


@pytest.mark.ensembles("JJO", "OOJ", long=LONG)
def test_sessions_live_by_pings_alone_and_die_of_silence(build, spec):
    """The leader alone ends sessions; what it knows of those of other servers comes in their pings."""
    ensemble = build(spec).start()
    living = {member: Client(member.host, member.port, timeout=SHORT_MS) for member in ensemble}
    silent = {member: Client(member.host, member.port, timeout=SHORT_MS) for member in ensemble}
    for member in ensemble:
        living[member].create(f"/living{member.sid}", flags=1)
        silent[member].create(f"/silent{member.sid}", flags=1)
    gone = connect(ensemble[1], timeout=SHORT_MS)
    gone.create("/closed", flags=1)
    gone.close_session()
    assert not exists_at(ensemble.leader, "/closed")

    def pinged():
        return all(ping(client) is None for client in living.values())

    start = time.monotonic()
    until(lambda: pinged() and time.monotonic() > start + 1.5 * SHORT_MS / 1000, "time goes by", interval=0.3)
    for member in ensemble:
        for other in ensemble:
            assert pinged() and exists_at(other, f"/living{member.sid}"), f"ended by mistake: at {member!r}"
            until(lambda: pinged() and not exists_at(other, f"/silent{member.sid}"), f"it ends: at {member!r}")
    # An election gives every session its whole timeout again, and then they end as before.
    leader = ensemble.leader
    kept = [client for member, client in living.items() if member is not leader]
    for client in kept:
        client.close()
    leader.kill()
    ensemble.wait_for_leader()
    ensemble.wait_until_serving()
    other = ensemble.leader
    moved = [connect(other, session=client.session, password=client.password,
                     last_zxid=client.zxid, timeout=SHORT_MS) for client in kept[:1]]
    until(lambda: all(ping(client) is None for client in moved)
          and not exists_at(other, f"/living{leader.sid}"), "the leader's own client ends", interval=0.3)
    assert exists_at(other, f"/living{ensemble[1].sid}"), "the one that moved"


@pytest.mark.ensembles("OOJ", long=LONG)
def test_who_a_client_is_goes_along_with_its_request(build, spec):
    ensemble = build(spec).start()
    for member in ensemble:
        path = f"/mine{member.sid}"
        owner, stranger = connect(member), connect(member)
        owner.auth("digest", f"me{member.sid}:secret".encode())
        owner.create(path, acl=[rawzk.acl(31, "auth", "")])
        assert owner.get_acl(path)["acl"][0]["id"]["scheme"] == b"digest"
        assert code_of(lambda: stranger.set_data(path, b"x")) == -102
        assert code_of(lambda: stranger.create(f"{path}/child")) == -102
        for other in ensemble:
            again = connect(other)
            again.auth("digest", f"me{member.sid}:secret".encode())
            again.call(rawzk.SYNC, {"path": path})
            again.set_data(path, b"from elsewhere")
            again.create(f"{path}/child{other.sid}")
            again.close_session()
        only_here = [rawzk.acl(31, "ip", "127.0.0.1")]
        stranger.create(f"/here{member.sid}", acl=only_here)
        stranger.set_data(f"/here{member.sid}", b"x")
        nowhere = [rawzk.acl(31, "ip", "192.0.2.1")]
        stranger.create(f"/there{member.sid}", acl=nowhere)
        assert code_of(lambda: stranger.set_data(f"/there{member.sid}", b"x")) == -102
        owner.close_session()
        stranger.close_session()
    compare(ensemble)


@pytest.mark.ensembles("JJO", long=LONG)
def test_containers_and_ttl_nodes_are_reaped_for_all(build, spec):
    props = {"znode.container.checkIntervalMs": 500}
    ensemble = build(spec, props=props).start()
    for member in ensemble:
        client = connect(member)
        client.create(f"/box{member.sid}", op=rawzk.CREATE_CONTAINER, flags=4)
        client.create(f"/box{member.sid}/only")
        client.delete(f"/box{member.sid}/only")
        client.create(f"/brief{member.sid}", op=rawzk.CREATE_TTL, flags=5, ttl=500)
        client.create(f"/lasting{member.sid}", op=rawzk.CREATE_TTL, flags=5, ttl=36_000_000)
        client.close_session()
    for member in ensemble:
        for name in ("box", "brief"):
            until(lambda: not exists_at(member, f"/{name}{member.sid}"), f"/{name} is reaped")
        assert exists_at(member, f"/lasting{member.sid}")
    compare(ensemble)


@pytest.mark.ensembles("OOJ", long=LONG)
def test_the_largest_requests_pass_between_servers(build, spec):
    """Up to jute.maxbuffer a client's frame is good; a proposal is longer than its request."""
    ensemble = build(spec).start()
    # Five fields of a frame, the ACL and the path.
    room = 0xFFFFF - 100
    for member in ensemble:
        client = connect(member)
        client.create(f"/large{member.sid}", b"x" * room)
        client.set_data(f"/large{member.sid}", b"y" * room)
        many = [(rawzk.CREATE, {"path": f"/many{member.sid}-{n}", "acl": rawzk.OPEN_ACL})
                for n in range(3000)]
        results = client.multi(many)
        assert [each["err"] for each in results[:-1]] == [0] * 3000
        client.close_session()
    compare(ensemble)
    # What is that large goes through a DIFF and through a SNAP, too.
    leader = ensemble.leader
    victim = next(member for member in ensemble.voters if member is not leader)
    victim.kill()
    client = connect(leader)
    client.set_data("/large1", b"z" * room)
    client.close_session()
    victim.restart()
    compare(ensemble)
    victim.kill()
    victim.wipe()
    victim.restart()
    assert compare(ensemble)[b"/large1"][0] == b"z" * room


@pytest.mark.ensembles("JJO", long=LONG)
def test_a_reconfiguration_is_refused_by_every_member(build, spec):
    ensemble = build(spec).start()
    for member in ensemble:
        client = connect(member)
        client.auth("digest", b"super:pw")
        request = {"joiningServers": None, "leavingServers": b"1", "newMembers": None,
                   "curConfigId": -1}
        assert code_of(lambda: client.call(rawzk.RECONFIG, request)) == -123
        ensure(client, "/after")
        client.close_session()
    compare(ensemble)
