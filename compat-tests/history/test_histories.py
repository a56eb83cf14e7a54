"""Histories of clients under `kill -9`, SIGSTOP and partitions of real processes, checked.

Writes are linearizable everywhere; a sync with a read behind it only where all servers are ours.
"""

import random
import time

import pytest

from ensemble.workload import connect
from harness.ensemble import until
from harness.trees import compare
from history import check
from history.clients import INITIAL, KEYS, Crowd

# Soon enough that who is paused or cut off is sometimes given up: within three seconds.
GIVES_UP = {"syncLimit": 6}


class Trouble:
    """Does one bad thing after another to an ensemble, and takes each back."""

    def __init__(self, ensemble, rng):
        self._ensemble = ensemble
        self._rng = rng

    def kill(self):
        """`kill -9` of one, most often the leader."""
        victim = self._victim()
        victim.kill()
        self._while(0.2, 2.5)
        victim.launch()

    def kill_all(self):
        for member in self._ensemble:
            member.kill()
        for member in self._ensemble:
            member.launch()

    def pause(self):
        """SIGSTOP of one, sometimes for long enough to be given up."""
        victim = self._victim()
        victim.pause()
        self._while(0.3, 5.0)
        victim.resume()

    def isolate(self):
        """One server is cut off from the others; its clients still reach it."""
        self._ensemble.network.isolate(self._victim().sid)
        self._while(0.5, 6.0)
        self._ensemble.network.heal()

    def one_way(self):
        """What one server sends to another is lost; what it hears is not."""
        victim = self._victim()
        other = self._rng.choice([each for each in self._ensemble if each is not victim])
        ends = [victim.sid, other.sid]
        self._rng.shuffle(ends)
        self._ensemble.network.cut(*ends)
        self._while(0.5, 6.0)
        self._ensemble.network.heal()

    def _victim(self):
        leader = self._ensemble.leader
        if leader and self._rng.random() < 0.6:
            return leader
        return self._rng.choice(list(self._ensemble))

    def _while(self, least, most):
        time.sleep(self._rng.uniform(least, most))


def run(ensemble, seed, troubles, rounds):
    """Starts ensemble and clients, makes trouble, lets it end, and checks all that was recorded."""
    rng = random.Random(seed)
    ensemble.start()
    crowd = Crowd(list(ensemble), seed)
    maker = connect(ensemble.leader)
    crowd.prepare(maker)
    maker.close_session()
    ensemble.wait_until_equal()
    crowd.start()
    trouble = Trouble(ensemble, rng)
    try:
        for _ in range(rounds):
            before = crowd.done()
            until(lambda: crowd.done() > before + 40, ensemble.story("writes go on"))
            getattr(trouble, rng.choice(troubles))()
            until(lambda: ensemble.leader, ensemble.story("a leader"))
        before = crowd.done()
        until(lambda: crowd.done() > before + 40, ensemble.story("writes go on"))
    finally:
        crowd.stop()
    ensemble.wait_until_serving()
    tree = compare(ensemble, java_was_fuzzy=True)
    assert judged(crowd, tree, all(member.kind == "oxkeeper" for member in ensemble)) == []
    assert len(crowd.operations) > 40 * rounds


def judged(crowd, tree, all_ours):
    """Everything that is wrong with what the clients of a crowd saw, at most a few lines."""
    wrong = check.writes(crowd.operations, dict.fromkeys(KEYS, INITIAL), all_ours)
    for client in crowd.registers:
        wrong += check.sessions(client.operations)
    ends = {key: (tree[key.encode()][1]["version"], tree[key.encode()][0].decode())
            for key in KEYS}
    wrong += check.acknowledged(crowd.operations, ends)
    for client in crowd.pipelines:
        below = f"{client.folder}/".encode()
        final = {path.removeprefix(below).decode(): znode[1]["czxid"]
                 for path, znode in tree.items() if path.startswith(below)}
        wrong += check.pipelines(client.connections, final)
    return wrong[:8]


@pytest.mark.ensembles("OOO", "JOJ", long=["JJJ", "OJO", "OOOOO"])
def test_a_history_under_kills_and_pauses(build, spec):
    run(build(spec, cfg=GIVES_UP), f"kills {spec}", ["kill", "kill", "pause"], 4)


@pytest.mark.ensembles("OOO", long=["JJJ", "OJJ"])
def test_a_history_under_partitions(build, network, spec):
    ensemble = build(spec, cfg=GIVES_UP, network=network(len(spec)))
    run(ensemble, f"partitions {spec}", ["isolate", "one_way"], 3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.ensembles("OOO", "OJO", "JOJ", "JJO", "OOOOO", "JJJ")
def test_a_long_history_under_everything(build, network, spec, seed):
    ensemble = build(spec, cfg=GIVES_UP, network=network(len(spec)))
    run(ensemble, f"{seed} {spec}", ["kill", "kill", "kill_all", "pause", "isolate", "one_way"], 25)
