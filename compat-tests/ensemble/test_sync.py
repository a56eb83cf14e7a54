"""How a server that was away is brought up to date: DIFF, TRUNC, SNAP, each in both directions.

The spec's last voter leads at first. Which way was taken is read in the logs, Java's where possible.
"""

import re
import time

import pytest

from ensemble.workload import connect, write_many
from harness import rawzk
from harness.ensemble import SECONDS, until
from harness.trees import compare, viewer

# What Java's learner, Java's leader, and ours say.
_LEARNER = {"DIFF": "Getting a diff from the leader", "SNAP": "Getting a snapshot from leader",
            "TRUNC": "Truncating log to get in sync with the leader"}
_LEADER = {"DIFF": "Sending DIFF ", "SNAP": "Sending snapshot last zxid of peer",
           "TRUNC": "Sending TRUNC "}


def way_taken(learner, leader, learner_log, leader_log):
    """DIFF, TRUNC or SNAP: how the learner was synchronised last in these parts of the logs."""
    if learner.kind == "java":
        words, log = _LEARNER, learner_log
    elif leader.kind == "java":
        words, log = _LEADER, leader_log
    else:
        found = re.findall(rf"server {learner.sid}: .*, gets (Diff|Trunc|Snap)", leader_log)
        return found[-1].upper() if found else None
    at = {kind: log.rfind(text) for kind, text in words.items()}
    # Queueing DIFF is how Java's leader also begins what follows a TRUNC.
    last = max(at, key=at.get)
    return last if at[last] >= 0 else None


def rejoin(ensemble, learner):
    """Starts a member that was away; the way it was brought up to date."""
    leader = ensemble.leader
    marks = learner.mark(), leader.mark()
    learner.launch()
    learner.wait_until_serving()
    return way_taken(learner, leader, learner.log_since(marks[0]), leader.log_since(marks[1]))


@pytest.mark.ensembles("OJJ", "JOO", long=["OOO", "JJJ"])
def test_one_that_missed_a_little_gets_a_diff(build, spec):
    ensemble = build(spec).start()
    client = connect(ensemble.leader)
    write_many(client, "/before", 20)
    ensemble.wait_until_equal()
    ensemble[1].kill()
    write_many(client, "/missed", 20)
    client.delete("/before/n3")
    assert rejoin(ensemble, ensemble[1]) == "DIFF"
    assert "/missed/n19".encode() in compare(ensemble)


@pytest.mark.ensembles("OJJ", "JOO", long=["OOO", "JJJ"])
def test_one_with_an_empty_disk_gets_a_snapshot(build, spec):
    ensemble = build(spec).start()
    client = connect(ensemble.leader)
    client.create("/mine", flags=1)
    write_many(client, "/before", 300)
    ensemble[1].kill()
    ensemble[1].wipe()
    write_many(client, "/missed", 300)
    assert rejoin(ensemble, ensemble[1]) == "SNAP"
    tree = compare(ensemble)
    assert tree[b"/mine"][1]["ephemeralOwner"] == client.session
    # And what it was given is on its disk.
    ensemble[1].kill()
    ensemble[1].restart()
    compare(ensemble)


@pytest.mark.ensembles(long=["OJJ", "JOO", "OOO", "JJJ"])
def test_one_that_missed_much_is_brought_up_to_date(build, spec):
    """More than Java keeps in memory (500 transactions), and it may not look into its log files:
    it sends a snapshot, while ours may still have it all in memory."""
    ensemble = build(spec, props={"zookeeper.snapshotSizeFactor": -1}).start()
    client = connect(ensemble.leader)
    write_many(client, "/before", 20)
    ensemble.wait_until_equal()
    ensemble[1].kill()
    write_many(client, "/missed", 2000)
    way = rejoin(ensemble, ensemble[1])
    assert way == "SNAP" or ensemble.leader.kind == "oxkeeper" and way == "DIFF"
    assert len(compare(ensemble)) > 2000


def leave_uncommitted(ensemble, marker):
    """Makes the leader log transactions that nobody else gets; then everybody is killed."""
    leader = ensemble.leader
    client = connect(leader)
    client.create("/known")
    ensemble.wait_until_equal()
    for member in ensemble:
        if member is not leader:
            member.pause()
    client.send(*(
        rawzk.request_frame(n, rawzk.CREATE, rawzk.encode("CreateRequest", {
            "path": f"/lost{n}", "data": marker, "acl": rawzk.OPEN_ACL}))
        for n in range(1, 7)))
    until(lambda: leader.logged(b"/lost6"), "the leader logs what it was asked")
    for member in ensemble:
        member.kill()
    return leader


@pytest.mark.ensembles("JJO", "OOJ", long=["OOO", "JJJ"])
def test_a_longer_uncommitted_log_is_cut(build, spec):
    ensemble = build(spec).start()
    stale = leave_uncommitted(ensemble, b"nobody knows")
    others = [member for member in ensemble if member is not stale]
    for member in others:
        member.launch()
    ensemble.wait_for_leader(others)
    assert rejoin(ensemble, stale) == "TRUNC"
    tree = compare(ensemble)
    assert b"/known" in tree and b"/lost1" not in tree
    assert not [path for path in tree if path.startswith(b"/lost")]
    # It is gone from the disk too.
    stale.kill()
    stale.restart()
    assert sorted(compare(ensemble)) == sorted(tree)


@pytest.mark.ensembles(long=["JJO", "OOJ", "OOO", "JJJ"])
def test_a_longer_uncommitted_log_gives_way_to_what_came_after(build, spec):
    ensemble = build(spec).start()
    stale = leave_uncommitted(ensemble, b"nobody knows")
    others = [member for member in ensemble if member is not stale]
    for member in others:
        member.launch()
    ensemble.wait_for_leader(others)
    write_many(connect(ensemble.leader), "/after", 20)
    assert rejoin(ensemble, stale) in ("SNAP", "TRUNC")
    tree = compare(ensemble)
    assert b"/after/n19" in tree
    assert not [path for path in tree if path.startswith(b"/lost")]
    stale.kill()
    stale.restart()
    assert sorted(compare(ensemble)) == sorted(tree)


@pytest.mark.ensembles("OJJ", long=["OOO"])
def test_a_snapshot_newer_than_the_cut_does_not_survive_it(build, spec):
    """Java keeps such a snapshot, and with it what nobody else has; so Java is not asked."""
    if spec[0] == "J":
        pytest.skip("Java is known to fail this")
    ensemble = build(spec, member_cfg={1: {"snapCount": 20}}).start()
    write_many(connect(ensemble.leader), "/before", 10)
    ensemble.wait_until_equal()
    for member in ensemble:
        member.kill()
    stale = ensemble[1]
    # By itself it goes on in the old epoch, as one does whose transactions nobody else got.
    stale.alone = True
    stale.launch()
    stale.wait_until_serving()
    alone = connect(stale)
    write_many(alone, "/lost", 200)
    until(lambda: _newest_snapshot(stale) > 0x100000020, "a snapshot of what nobody else has")
    stale.kill()
    stale.alone = False
    for member in (ensemble[2], ensemble[3]):
        member.launch()
    ensemble.wait_for_leader([ensemble[2], ensemble[3]])
    rejoin(ensemble, stale)
    tree = compare(ensemble)
    assert b"/before/n9" in tree
    assert not [path for path in tree if path.startswith(b"/lost")]
    stale.kill()
    stale.restart()
    assert sorted(compare(ensemble)) == sorted(tree)


def _newest_snapshot(member):
    names = [path.name for path in (member.data_dir / "version-2").glob("snapshot.*")]
    return max((int(name.split(".")[1], 16) for name in names), default=0)


@pytest.mark.ensembles("JOO", long=["OJJ", "OOO", "JJJ"])
def test_one_that_missed_much_gets_a_diff_from_the_log_files_if_they_are_small(build, spec):
    """Small beside a snapshot, that is: reading them must cost less than sending everything."""
    ensemble = build(spec, cfg={"snapCount": 1000}).start()
    client = connect(ensemble.leader)
    write_many(client, "/large", 2000, size=3000)
    write_many(client, "/before", 1100)
    ensemble.wait_until_equal()
    ensemble[1].kill()
    write_many(client, "/missed", 2000)
    assert rejoin(ensemble, ensemble[1]) == "DIFF"
    assert len(compare(ensemble)) > 5000


@pytest.mark.ensembles("OJJ", "JOO", long=["OOO", "JJJ"])
def test_a_snapshot_is_sent_while_writes_go_on(build, spec):
    """What is written while a learner gets its snapshot reaches it once, and in order."""
    ensemble = build(spec).start()
    client = connect(ensemble.leader)
    write_many(client, "/before", 3000, size=1000)
    ensemble[1].kill()
    ensemble[1].wipe()
    marks = ensemble[1].mark(), ensemble.leader.mark()
    ensemble[1].launch()
    rounds = 0
    deadline = time.monotonic() + SECONDS
    while ensemble[1].mode is None:
        assert time.monotonic() < deadline, ensemble[1].log_text()[-3000:]
        write_many(client, f"/during{rounds}", 20)
        if rounds < 3000:
            client.delete(f"/before/n{rounds}")
        if rounds > 500:  # the longer it takes, the slower: members hold it all in memory
            time.sleep(0.1)
        rounds += 1
    way = way_taken(ensemble[1], ensemble.leader, ensemble[1].log_since(marks[0]),
                    ensemble.leader.log_since(marks[1]))
    assert way == "SNAP"
    viewer(ensemble[1]).close_session()
    compare(ensemble, java_was_fuzzy=True)
    ensemble[1].kill()
    ensemble[1].restart()
    compare(ensemble, java_was_fuzzy=True)
