"""A snapshot is sent to a leader, which is killed meanwhile: members have the old database or the new one, all of them."""

import threading
import time
import urllib.error
import urllib.request

import pytest

from harness import admin
from harness.ensemble import until
from harness.rawzk import Client
from harness.trees import picture

ZNODES = 400
KILLS = 10


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
