"""Clients that work on an ensemble while it suffers, and write down all that happens.

Each is a thread with one session, which it takes from server to server when a connection is lost.
"""

import random
import threading
import time
from types import SimpleNamespace

from crash import wire
from history.check import (
    BAD_VERSION, DONE, FRESH_READ, LATE, READ, WRITE, Operation, Sent)

ROOT = "/history"
KEYS = [f"{ROOT}/k{n}" for n in range(3)]
INITIAL = "initial"
# A server that does not answer for so long is left for another.
PATIENCE = 2.0
SESSION_MS = 60_000


class Roaming:
    """One session, over any number of connections."""

    def __init__(self, addresses, rng, name):
        self.name = name
        self.sessions = []
        self.refusals = 0
        self._addresses = addresses
        self._rng = rng
        self._seen = 0
        self._session = (0, bytes(16))
        self._client = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.wrong = None

    def start(self):
        self._thread.start()

    def stop(self):
        """Ends the work after what is on its way; raises what went wrong in the thread."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self.name} does not end"
        if self._client:
            self._client.close_socket()
        if self.wrong:
            raise self.wrong

    def _run(self):
        try:
            while not self._stop.is_set():
                if self._client is None and not self._connect():
                    self._stop.wait(0.05)
                    continue
                try:
                    self._work()
                except OSError:
                    self._client.close_socket()
                    self._client = None
        except Exception as wrong:  # reported by stop
            self.wrong = wrong

    def _connect(self):
        host, port = self._rng.choice(self._addresses)
        session, password = self._session
        try:
            self._client = wire.Client(SimpleNamespace(host=host, port=port), session, password,
                                       SESSION_MS, self._seen, PATIENCE)
        except wire.Refused:
            # It has expired, or this server is too far behind to know it: the ensemble says which.
            self.refusals += 1
            if self.refusals > 20:
                raise AssertionError(f"{self.name}: session 0x{session:x} is not known any more")
            return False
        except OSError:
            return False
        self.refusals = 0
        self._session = (self._client.session, self._client.password)
        if self._client.session not in self.sessions:
            self.sessions.append(self._client.session)
        return True

    def _note(self, reply):
        self._seen = max(self._seen, reply.zxid)


class RegisterClient(Roaming):
    """Writes and reads a few znodes that all share; keeps its operations in order."""

    def __init__(self, *how):
        super().__init__(*how)
        self.operations = []
        self._count = 0
        self._versions = {}

    def _work(self):
        key = self._rng.choice(KEYS)
        dice = self._rng.random()
        if dice < 0.45:
            self._write(key, -1)
        elif dice < 0.6:
            self._write(key, self._versions.get(key, 0))
        elif dice < 0.75:
            self._read(key, READ)
        else:
            self._read(key, FRESH_READ)
        self._stop.wait(self._rng.random() * 0.02)

    def _write(self, key, expected):
        self._count += 1
        value = f"{self.name}.{self._count}"
        session, start = self._session[0], time.monotonic()
        known = {"session": session, "kind": WRITE, "key": key, "start": start, "value": value,
                 "expected": expected}
        try:
            reply = self._client.call(wire.SET_DATA,
                                      wire.set_data_body(key, value.encode(), expected))
        except OSError:
            self.operations.append(Operation(outcome=LATE, **known))
            raise
        self._note(reply)
        known |= {"end": time.monotonic(), "zxid": reply.zxid}
        if reply.err == wire.BAD_VERSION and expected != -1:
            self.operations.append(Operation(outcome=BAD_VERSION, **known))
            self._versions.pop(key, None)
            return
        assert reply.err == wire.OK, f"{self.name}: err {reply.err} for a write of {key}"
        stat = wire.Stat(*wire._STAT.unpack_from(reply.body, 0))
        self._versions[key] = stat.version
        self.operations.append(Operation(outcome=DONE, version=stat.version, mzxid=stat.mzxid,
                                         **known))

    def _read(self, key, kind):
        start = time.monotonic()
        if kind == FRESH_READ:
            self._client.send(wire.SYNC, wire.text(key))
        self._client.send(wire.GET_DATA, wire.read_body(key))
        self._client.flush()
        if kind == FRESH_READ:
            synced = self._client.receive()
            assert synced.err == wire.OK, f"{self.name}: err {synced.err} for a sync"
        reply = self._client.receive()
        assert reply.err == wire.OK, f"{self.name}: err {reply.err} for a read of {key}"
        self._note(reply)
        data, stat = wire.read_data(reply.body)
        self._versions[key] = stat.version
        self.operations.append(Operation(
            self._session[0], kind, key, start, time.monotonic(), DONE, data.decode(),
            stat.version, reply.zxid, stat.mzxid))


class PipelineClient(Roaming):
    """Creates znodes with many requests in flight; keeps what it sent, by connection."""

    def __init__(self, *how):
        super().__init__(*how)
        self.connections = {}
        self.folder = f"{ROOT}/p-{self.name}"
        self._count = 0

    def _connect(self):
        if not super()._connect():
            return False
        self.connections.setdefault(self._session[0], []).append([])
        return True

    def _work(self):
        sent = self.connections[self._session[0]][-1]
        first, size = len(sent), self._rng.randint(1, 24)
        for _ in range(size):
            self._count += 1
            name = f"n{self._count:06}"
            sent.append(Sent(name))
            self._client.send(wire.CREATE, wire.create_body(f"{self.folder}/{name}", b""))
        self._client.flush()
        for at in range(first, first + size):
            reply = self._client.receive()
            assert reply.err == wire.OK, f"{self.name}: err {reply.err} for {sent[at].name}"
            self._note(reply)
            sent[at] = Sent(sent[at].name, reply.zxid)
        self._stop.wait(self._rng.random() * 0.05)


class Crowd:
    """All clients of one run."""

    def __init__(self, members, seed, registers=5, pipelines=2):
        addresses = [(member.host, member.port) for member in members]
        self.registers = [RegisterClient(addresses, random.Random(f"{seed}/r{n}"), f"r{n}")
                          for n in range(registers)]
        self.pipelines = [PipelineClient(addresses, random.Random(f"{seed}/p{n}"), f"p{n}")
                          for n in range(pipelines)]

    def prepare(self, client):
        """Makes the znodes that they work on."""
        client.create(ROOT)
        for key in KEYS:
            client.create(key, INITIAL.encode())
        for each in self.pipelines:
            client.create(each.folder)

    def start(self):
        for each in (*self.registers, *self.pipelines):
            each.start()

    def stop(self):
        for each in (*self.registers, *self.pipelines):
            each.stop()

    @property
    def operations(self):
        return [each for client in self.registers for each in client.operations]

    def done(self):
        """How many writes of registers were acknowledged so far."""
        return sum(each.kind == WRITE and each.outcome == DONE for each in self.operations)
