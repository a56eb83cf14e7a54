"""Networks that break: a cut-off leader, one-way and partial partitions, half-open connections."""

import pytest
from crash import wire

from ensemble.workload import connect, ensure
from harness import rawzk
from harness.ensemble import until
from harness.rawzk import Closed
from harness.trees import compare

# Ticks of 500 ms: a leader without its quorum gives up within about syncLimit + 1 of them.
CFG = {"syncLimit": 12}
GIVES_UP = 6.5
# For a machine that is busy with other things.
SPARE = 20.0


def put(member, path):
    """Writes through a member, as soon as it takes a client."""
    client = connect(member)
    ensure(client, path)
    client.close_session()


def others(ensemble, one):
    return [member for member in ensemble if member is not one]


@pytest.mark.ensembles("OOO", "JJO", long=["OOJ", "JOJ", "JJJ", "OOOOO"])
def test_a_leader_that_is_cut_off_serves_nobody_and_comes_back(build, network, spec):
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    old = ensemble.leader
    put(old, "/before")
    client = connect(old)
    net.isolate(old.sid)
    client.send(rawzk.request_frame(1, rawzk.CREATE, rawzk.encode("CreateRequest", {
        "path": "/never", "acl": rawzk.OPEN_ACL})))
    until(lambda: old.mode is None, ensemble.story("the old leader gives up"), GIVES_UP + SPARE)
    with pytest.raises(Closed):
        frame = client.receive()
        raise AssertionError(f"answered without a quorum: {frame.hex()}")
    new = ensemble.wait_for_leader(others(ensemble, old))
    put(new, "/meanwhile")
    assert old.mode is None, "it serves without a quorum"
    net.heal()
    ensemble.wait_until_serving()
    assert ensemble.leader is new, "the one that came back took over"
    tree = compare(ensemble)
    assert b"/before" in tree and b"/meanwhile" in tree and b"/never" not in tree


@pytest.mark.ensembles("OOO", long=["JJO", "OOJ", "OJJ", "JOO", "JJJ"])
@pytest.mark.parametrize("deaf", [False, True], ids=["is not heard", "does not hear"])
def test_a_follower_behind_a_one_way_partition_does_no_harm(build, network, spec, deaf):
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    leader, victim = ensemble.leader, ensemble[1]
    put(victim, "/before")
    for other in others(ensemble, victim):
        net.cut(*((other.sid, victim.sid) if deaf else (victim.sid, other.sid)))
    until(lambda: victim.mode is None, ensemble.story("it serves nobody"), 2 * GIVES_UP + SPARE)
    put(leader, "/meanwhile")
    assert ensemble.leader is leader, "the others have lost their leader"
    net.heal()
    ensemble.wait_until_serving()
    assert b"/meanwhile" in compare(ensemble)


@pytest.mark.ensembles("OJO", long=["OOO", "JOJ", "OOJ", "JJO", "JJJ"])
def test_two_that_do_not_see_each_other_but_both_a_third(build, network, spec):
    """The follower that has lost its leader must neither take over nor unseat it."""
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    leader, victim, between = ensemble.leader, ensemble[1], ensemble[2]
    epoch = leader.zxid >> 32
    net.cut_both(leader.sid, victim.sid)
    until(lambda: victim.mode is None, ensemble.story("it loses its leader"), GIVES_UP + SPARE)
    for round_number in range(5):
        put(between, f"/meanwhile{round_number}")
        put(leader, f"/meantime{round_number}")
        assert ensemble.leader is leader
    net.heal()
    ensemble.wait_until_serving()
    assert ensemble.leader is leader and leader.zxid >> 32 == epoch
    assert b"/meanwhile4" in compare(ensemble)


@pytest.mark.ensembles("JOO", "OJJ", long=["OOO", "JJJ"])
def test_half_open_connections_of_a_restarted_follower_are_replaced(build, network, spec):
    """The others never hear that the first process ended; the second must get in all the same."""
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    victim, leader = ensemble[1], ensemble.leader
    put(victim, "/before")
    net.isolate(victim.sid)
    victim.kill()
    net.heal()
    victim.launch()
    ensemble.wait_until_serving()
    assert ensemble.leader is leader
    put(victim, "/after")
    assert b"/after" in compare(ensemble)


@pytest.mark.ensembles("OOO", long=["OJJ", "JOO", "JJJ"])
def test_a_session_goes_on_from_a_cut_off_follower_to_another(build, network, spec):
    """Its ephemerals stay: it is only the server that was lost, not the client."""
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    client = connect(ensemble[1])
    client.create("/mine", flags=1)
    net.isolate(1)
    until(lambda: ensemble[1].mode is None, "it serves nobody", GIVES_UP + SPARE)
    moved = connect(ensemble[2], session=client.session, password=client.password,
                    last_zxid=client.zxid)
    assert moved.get_data("/mine")["stat"]["ephemeralOwner"] == client.session
    net.heal()
    ensemble.wait_until_serving()
    tree = compare(ensemble)
    assert tree[b"/mine"][1]["ephemeralOwner"] == client.session


@pytest.mark.ensembles("OOO", long=["OJO", "JOJ", "JJJ"])
def test_a_cut_off_leader_answers_no_fresh_read(build, network, spec):
    """A sync that a deposed leader answers would make stale reads look fresh (ours only)."""
    if "J" in spec:
        pytest.skip("Java's leaders answer a sync by themselves")
    net = network(len(spec))
    ensemble = build(spec, cfg=CFG, network=net).start()
    old = ensemble.leader
    client = wire.Client(old)
    assert client.call(wire.CREATE, wire.create_body("/x", b"1")).err == wire.OK
    net.isolate(old.sid)
    with pytest.raises(OSError):
        for _ in range(1000):
            client.call(wire.SYNC, wire.text("/x"))
            raise AssertionError("a sync was answered without a quorum")
    ensemble.wait_for_leader(others(ensemble, old))
    net.heal()
    ensemble.wait_until_serving()
    compare(ensemble)
