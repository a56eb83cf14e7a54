"""A snapshot is sent to a leader, which is killed meanwhile: members have the old database or the new one, all of them."""

import struct
import threading
import time
import urllib.error
import urllib.request
import zlib

import pytest

from harness import admin
from harness.ensemble import until
from harness.rawzk import Client
from harness.trees import picture

ZNODES = 400
KILLS = 10
OPEN = -1  # the ACL of znodes that are open to everybody


def post(port, snapshot):
    """The status and the text; None if there was no answer."""
    url = f"http://127.0.0.1:{port}/commands/restore"
    request = urllib.request.Request(url, data=snapshot, headers={"Authorization": "ip"})
    try:
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()
    except OSError:
        return None, ""


def snapshot_of(port):
    url = f"http://127.0.0.1:{port}/commands/snapshot"
    request = urllib.request.Request(url, headers={"Authorization": "ip"})
    with urllib.request.urlopen(request, timeout=180) as answer:
        return answer.read()


def connect(member):
    return Client(member.host, member.port)


class Restored:
    """An ensemble with two states: one with /old, and one with many more znodes, as a snapshot each."""

    def __init__(self, build, spec):
        keys, ports = zip(*(admin.on() for _ in spec))
        keys = [{**each, "admin.rateLimiterIntervalInMS": 1} for each in keys]
        self.ensemble = build(spec, member_cfg=dict(enumerate(keys, 1)))
        self.ensemble.start()
        self.ports = dict(enumerate(ports, 1))
        leader = self.leader()
        client = connect(leader)
        client.create("/old", b"")
        old = snapshot_of(self.ports[leader.sid])
        client.delete("/old")
        for number in range(ZNODES):
            client.create(f"/new{number}", b"x" * 2000)
        self.snapshots = {"old": old, "new": snapshot_of(self.ports[leader.sid])}
        self.state = "new"

    def leader(self):
        """One of ours, that leads."""
        while (leader := self.ensemble.wait_for_leader()).kind == "java":
            leader.restart()
            self.ensemble.wait_until_serving()
        return leader

    def send(self, leader, state):
        return post(self.ports[leader.sid], self.snapshots[state])

    def look(self):
        """Which of the two all members have, as a whole."""
        self.ensemble.wait_until_serving()
        pictures = []

        def equal():
            self.ensemble.wait_until_equal()
            pictures[:] = [self.shown(member) for member in self.ensemble.running]
            return all(each == pictures[0] for each in pictures)

        until(equal, self.ensemble.story("equal trees"))
        shown = set(pictures[0])
        if b"/old" in shown:
            assert shown == {b"/", b"/old"}
            return "old"
        assert len(shown) == ZNODES + 1
        return "new"

    @staticmethod
    def shown(member):
        client = connect(member)
        with_stat = picture(client)
        client.close()
        return {path: znode for path, znode in with_stat.items()
                if not path.startswith(b"/zookeeper")}


@pytest.mark.parametrize("spec, kills", [
    ("OOO", KILLS),
    pytest.param("OJO", 3, marks=pytest.mark.long),
])
def test_a_leader_killed_amid_a_restore_leaves_all_members_with_the_old_or_the_new(build, spec,
                                                                                   kills):
    restored = Restored(build, spec)
    leader = restored.leader()
    began = time.monotonic()
    assert restored.send(leader, "old")[0] == 200
    whole = time.monotonic() - began
    assert restored.look() == "old"
    state, seen = "old", []
    for number in range(kills):
        leader = restored.leader()
        other = "new" if state == "old" else "old"
        answers = []

        def send(leader=leader, other=other, answers=answers):
            answers.append(restored.send(leader, other))

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(whole * 2 * number / KILLS)  # so far has it come
        leader.kill()
        sender.join()
        leader.launch()
        found = restored.look()
        seen.append((answers[0][0], found == other))
        assert answers[0][0] != 200 or found == other, answers
        state = found
        # What is there is served and written to like any other database.
        client = connect(restored.ensemble.leader)
        client.create("/more", b"")
        client.delete("/more")
        client.close()
    print(f"a restore takes {whole:.2f} s; answer, and whether it took effect: {seen}")


def test_a_member_that_does_not_lead_says_who_does(build):
    restored = Restored(build, "OOO")
    leader = restored.leader()
    for member in restored.ensemble.followers:
        status, said = post(restored.ports[member.sid], restored.snapshots["old"])
        assert status == 409 and f"server {leader.sid}, which leads" in said
    assert restored.look() == "new"


def foreign_snapshot(epoch):
    """A database whose zxids are all of this epoch, with one znode of its own; Java's format."""
    zxid = (epoch << 32) + 7
    stat = struct.pack(">qqqqiiiqq", zxid, zxid, 0, 0, 0, 0, 0, 0, zxid)

    def text(data):
        return struct.pack(">i", len(data)) + data

    out = b"ZKSN" + struct.pack(">iqii", 2, -1, 0, 0)  # header, no sessions, no other ACLs
    for path in (b"", b"/foreign", b"/zookeeper", b"/zookeeper/config", b"/zookeeper/quota"):
        out += text(path) + text(b"") + struct.pack(">q", OPEN) + stat
    out += text(b"/")
    return out + struct.pack(">q", zlib.adler32(out)) + text(b"/")


@pytest.mark.parametrize("moments", [
    (None,),
    pytest.param((0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, None), marks=pytest.mark.long),
])
def test_a_java_leader_right_behind_a_restore_gives_out_no_zxid_that_was_restored(build, moments):
    """Ours is killed that far in a restore, or behind its answer. A quorum has promised the epoch by which the new
    zxids are later before anybody gets the database, so whoever leads next begins a later one."""
    keys, ports = zip(*(admin.on() for _ in "JJO"))
    keys = [{**each, "admin.rateLimiterIntervalInMS": 1} for each in keys]
    ensemble = build("JJO", member_cfg=dict(enumerate(keys, 1)))
    ensemble.start()
    whole, seen = 2.0, []
    for number, moment in enumerate(moments, 1):
        while (ours := ensemble.wait_for_leader()).kind == "java":
            ours.restart()
            ensemble.wait_until_serving()
        answers, epoch = [], 1000 * number

        def send(port=ports[ours.sid - 1], epoch=epoch, answers=answers):
            began = time.monotonic()
            answers.append((*post(port, foreign_snapshot(epoch)), time.monotonic() - began))

        sender = threading.Thread(target=send)
        sender.start()
        sender.join(None if moment is None else whole * moment)
        ours.kill()
        sender.join()
        status, said, took = answers[0]
        if status == 200:
            whole = took
        javas = [member for member in ensemble if member.kind == "java"]
        java = ensemble.wait_for_leader(javas)
        ensemble.wait_until_serving()
        client = connect(java)
        made = client.create(f"/after{number}", b"")["stat"]["czxid"]
        tree = picture(client)
        client.close()
        assert status != 200 or b"/foreign" in tree, said
        stats = [stat for path, (_, stat, _) in tree.items()
                 if stat and path != f"/after{number}".encode() and path != b"/"]
        assert made > max(max(stat["czxid"], stat["mzxid"], stat["pzxid"]) for stat in stats)
        restored = max(stat["czxid"] for stat in stats) >> 32 == epoch
        assert made >> 32 > epoch or not restored
        seen.append((moment, status, restored))
        ours.launch()
        ensemble.wait_until_serving()
        ensemble.wait_until_equal()
        trees = [Restored.shown(member) for member in ensemble]
        assert trees[0] == trees[1] == trees[2]
    print(f"moment, answer, and whether it took effect: {seen}; a restore takes {whole:.2f} s")
    assert moments[-1] is not None or seen[-1][1:] == (200, True)
