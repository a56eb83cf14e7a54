"""A live ensemble changes hands server by server and back, while clients go on working.

Clients hold ephemerals, locks and counters, write, read and pipeline; none loses its session, nothing
acknowledged is lost, and in the end all servers hold the same.
"""

import random
import threading

import pytest
from crash import wire
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, KazooException
from kazoo.retry import KazooRetry

from ensemble.workload import connect
from harness.ensemble import until
from harness.trees import compare
from history.clients import Crowd, Roaming
from history.test_histories import judged

ROOT = "/swap"


class Holder(Roaming):
    """Holds ephemerals for the whole run and keeps its session busy."""

    def __init__(self, addresses, rng, name):
        super().__init__(addresses, rng, name)
        self.paths = [f"{ROOT}/{name}-{n}" for n in range(3)]
        self.rounds = 0
        self._made = set()

    def _work(self):
        for path in self.paths:
            if path in self._made:
                reply = self._client.call(wire.GET_DATA, wire.read_body(path))
                assert reply.err == wire.OK, f"{path} is gone (err {reply.err})"
                owner = wire.read_data(reply.body)[1].owner
                assert owner == self._session[0], f"{path} belongs to 0x{owner:x}"
            else:
                body = wire.create_body(path, b"", wire.EPHEMERAL)
                reply = self._client.call(wire.CREATE, body)
                assert reply.err in (wire.OK, wire.NODE_EXISTS), f"{path}: err {reply.err}"
                self._made.add(path)
            self._note(reply)
        self.rounds += 1
        self._stop.wait(0.02)


class Worker:
    """A kazoo client that counts: with compare-and-set, and without it while it holds a lock."""

    inside = 0

    def __init__(self, hosts, name):
        self.name = name
        self.counted, self.unsure, self.locked = 0, 0, 0
        self.lost, self.wrong = False, None
        self._stop = threading.Event()
        retry = KazooRetry(max_tries=-1, max_delay=0.5, ignore_expire=False)
        self._zk = KazooClient(hosts, timeout=60, connection_retry=retry, command_retry=retry)
        self._zk.add_listener(self._state)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._zk.start(timeout=30)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), f"{self.name} does not end"
        self._zk.remove_listener(self._state)
        self._zk.stop()
        self._zk.close()
        assert not self.lost, f"{self.name} lost its session"
        if self.wrong:
            raise self.wrong

    def _state(self, state):
        self.lost = self.lost or state == KazooState.LOST

    def _run(self):
        try:
            while not self._stop.is_set():
                self._count()
                self._count_locked()
        except Exception as wrong:  # reported by stop
            self.wrong = wrong

    def _count(self):
        try:
            data, stat = self._zk.get(f"{ROOT}/counter")
            self._zk.set(f"{ROOT}/counter", str(int(data) + 1).encode(), stat.version)
            self.counted += 1
        except BadVersionError:
            pass
        except KazooException:
            self.unsure += 1
            self._stop.wait(0.05)

    def _count_locked(self):
        lock = self._zk.Lock(f"{ROOT}/lock", self.name)
        self._zk.retry(lock.acquire)
        Worker.inside += 1
        assert Worker.inside == 1, "two hold the lock"
        data, _ = self._zk.retry(self._zk.get, f"{ROOT}/locked")
        self._zk.retry(self._zk.set, f"{ROOT}/locked", str(int(data) + 1).encode())
        self.locked += 1
        Worker.inside -= 1
        self._zk.retry(lock.release)


class Load:
    """All clients of a swap."""

    def __init__(self, ensemble, seed):
        addresses = [(member.host, member.port) for member in ensemble]
        self.crowd = Crowd(list(ensemble), seed, registers=3)
        self.holders = [Holder(addresses, random.Random(f"{seed}/h{n}"), f"h{n}") for n in range(3)]
        Worker.inside = 0
        self.workers = [Worker(ensemble.hosts(), f"w{n}") for n in range(3)]
        client = connect(ensemble.leader)
        self.crowd.prepare(client)
        client.create(ROOT)
        client.create(f"{ROOT}/counter", b"0")
        client.create(f"{ROOT}/locked", b"0")
        client.close_session()
        ensemble.wait_until_equal()
        self.crowd.start()
        for each in (*self.holders, *self.workers):
            each.start()

    def progress(self):
        """A number per kind of client that grows while it gets on."""
        return (self.crowd.done(), sum(each.rounds for each in self.holders),
                sum(each.counted for each in self.workers), sum(each.locked for each in self.workers))

    def goes_on(self, story):
        """Waits until every kind of client has got on."""
        before = self.progress()
        until(lambda: all(now > then for now, then in zip(self.progress(), before)), story)

    def stop(self):
        """Ends the clients, those with ephemerals without a farewell."""
        for each in (*self.workers, *self.holders):
            each.stop()
        self.crowd.stop()

    def check(self, tree, all_ours):
        for each in (*self.holders, *self.crowd.registers, *self.crowd.pipelines):
            assert len(each.sessions) == 1, f"{each.name} lost its session"
        for holder in self.holders:
            for path in holder.paths:
                assert tree[path.encode()][1]["ephemeralOwner"] == holder.sessions[0], path
        counted = sum(each.counted for each in self.workers)
        unsure = sum(each.unsure for each in self.workers)
        assert counted <= int(tree[f"{ROOT}/counter".encode()][0]) <= counted + unsure
        locked = sum(each.locked for each in self.workers)
        # A write that kazoo sent again after a lost connection may have been done before.
        assert int(tree[f"{ROOT}/locked".encode()][0]) >= locked
        assert judged(self.crowd, tree, all_ours) == []


def swap(ensemble, letter, load, how):
    """Every server becomes another kind, followers first and the leader last."""
    leader = ensemble.leader
    order = [member for member in ensemble if member is not leader] + [leader]
    for member in order:
        getattr(member, how)()
        member.become(letter)
        member.launch()
        member.wait_until_serving()
        ensemble.wait_until_serving()
        load.goes_on(ensemble.story(f"clients go on after {member!r} came"))


def there_and_back(build, size, kinds, how):
    ensemble = build(kinds[0] * size).start()
    load = Load(ensemble, f"{size} {kinds}")
    try:
        for letter in kinds[1:]:
            swap(ensemble, letter, load, how)
    finally:
        load.stop()
    tree = compare(ensemble, java_was_fuzzy=True)
    load.check(tree, set(kinds) == {"O"})


@pytest.mark.ensembles("JOJ", long=["OJO", "EOE", "JEOJ", "OO"])
def test_a_live_ensemble_changes_hands_and_back(build, spec):
    there_and_back(build, 3, spec, "stop")


@pytest.mark.long
@pytest.mark.ensembles("JOJ", "OJO")
def test_a_live_ensemble_changes_hands_by_kill_9(build, spec):
    there_and_back(build, 3, spec, "kill")


@pytest.mark.long
@pytest.mark.ensembles("JOJ")
def test_a_live_ensemble_of_five_changes_hands_and_back(build, spec):
    there_and_back(build, 5, spec, "stop")
