"""Faults of real processes: full and empty disks, a borrowed id, strangers at the ports, the slow."""

import os
import random
import resource
import socket
import struct
import subprocess
import threading
import time

import pytest

from ensemble.workload import connect, ensure, write_many
from harness.ensemble import Member, until
from harness.rawzk import Closed
from harness.trees import compare

SMALL_DISK = 2 << 20
# Ticks of 500 ms after which one that does not answer is given up; whoever waited for it would wait as long. Seconds.
GIVES_UP = {"syncLimit": 20}
NOT_SLOWED = 8.0


@pytest.fixture
def small_disk():
    """Puts a member's data on a small file system of its own."""
    mounted = []

    def mount(member):
        if os.geteuid() != 0:
            pytest.skip("mounting a small file system needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none",
                               member.data_dir], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
        mounted.append(member.data_dir)

    def enlarge():
        for path in mounted:
            subprocess.run(["mount", "-o", f"remount,size={64 << 20}", path], check=True)

    mount.enlarge = enlarge
    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(ensemble, via, rounds=120):
    """Writes more than the small disk holds, through members that have room; all is acknowledged."""
    client = connect(via)
    ensure(client, "/fill")
    for number in range(rounds):
        client.create(f"/fill/{number}", b"x" * 30_000)
    client.close_session()


@pytest.mark.ensembles("OOO", long=["OJJ", "JOO", "JJJ"])
def test_a_follower_with_a_full_disk_stops_and_comes_back_when_there_is_room(build, small_disk, spec):
    ensemble = build(spec, props={"zookeeper.preAllocSize": 64})
    small_disk(ensemble[1])
    ensemble.start()
    assert ensemble.leader is ensemble[3]
    fill(ensemble, ensemble[2])
    victim = ensemble[1]
    # Java's tries again for ever and serves nobody; ours ends.
    until(lambda: not victim.running or victim.kind == "java" and victim.mode is None,
          ensemble.story("it stops: its disk is full"))
    assert ensemble.leader is ensemble[3]
    if victim.kind == "oxkeeper":
        assert victim.process.returncode not in (0, -11), victim.process.returncode
        assert "No space left" in victim.log_text() or "space" in victim.log_text().lower()
        assert "panicked" not in victim.log_text()
    small_disk.enlarge()
    if victim.running:
        victim.kill()
    victim.restart()
    assert b"/fill/119" in compare(ensemble)


@pytest.mark.ensembles("JJO", long=["OOO", "OOJ", "JJJ"])
def test_a_leader_with_a_full_disk_is_replaced_and_nothing_acknowledged_is_lost(
        build, small_disk, spec):
    ensemble = build(spec)
    small_disk(ensemble[3])
    ensemble.start()
    victim = ensemble.leader
    assert victim is ensemble[3]
    acknowledged = []
    client = connect(victim)
    client.create("/fill")
    try:
        for number in range(200):
            client.create(f"/fill/{number}", b"x" * 30_000)
            acknowledged.append(f"/fill/{number}".encode())
    except (Closed, OSError):
        pass
    assert 10 < len(acknowledged) < 200
    until(lambda: not victim.running or victim.kind == "java" and victim.mode is None,
          ensemble.story("it stops: its disk is full"))
    ensemble.wait_for_leader([ensemble[1], ensemble[2]])
    fill_more = connect(ensemble[1])
    fill_more.create("/after")
    fill_more.close_session()
    small_disk.enlarge()
    if victim.running:
        victim.kill()
    victim.restart()
    tree = compare(ensemble)
    assert b"/after" in tree and not [path for path in acknowledged if path not in tree]


@pytest.mark.ensembles("JJO", long=["OOJ", "OOO", "JJJ"])
def test_a_voter_that_lost_its_disk_neither_leads_nor_loses_anything(build, spec):
    """It has the greatest id of all, but nothing in its log."""
    ensemble = build(spec).start()
    write_many(connect(ensemble.leader), "/kept", 30)
    ensemble.wait_until_equal()
    for member in ensemble:
        member.kill()
    ensemble[3].wipe()
    ensemble.start_all()
    assert ensemble.leader is not ensemble[3]
    assert b"/kept/n29" in compare(ensemble)


@pytest.mark.ensembles("OJO", long=["OOO"])
def test_a_second_server_with_an_id_in_use_is_refused(build, spec):
    """Java lets both follow, and one vote is then backed by either disk; so Java is not asked."""
    if spec[-1] == "J":
        pytest.skip("Java lets it in")
    ensemble = build(spec).start()
    put_through(ensemble[1], "/before")
    impostor = Member(ensemble, 1, "O", "127.0.0.1", dict(ensemble[1]._cfg),
                      dict(ensemble[1].props))
    impostor.lines = [impostor.line, ensemble[2].line, ensemble[3].line]
    try:
        impostor.launch()
        for number in range(10):
            put_through(ensemble[1], f"/meanwhile{number}")
            time.sleep(0.2)
            assert impostor.mode is None
        assert ensemble.leader is ensemble[3] and ensemble[1].mode == "follower"
        assert impostor.running, impostor.log_text()[-3000:]
        # When the first is gone for good the second may take its place.
        ensemble[1].kill()
        impostor.wait_until_serving()
        put_through(impostor, "/after")
        impostor.kill()
    finally:
        impostor.cleanup()
    ensemble[1].restart()
    assert b"/after" in compare(ensemble)


def put_through(member, path):
    client = connect(member)
    client.create(path)
    client.close_session()


def strangers(ports, rng):
    """Opens connections as scanners, lost clients and broken peers would; returns the silent ones."""
    silent = []
    openings = [
        b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"SSH-2.0-scan\r\n", bytes(4096), b"\xff" * 4096, rng.randbytes(5000),
        # The election port: a version, an id and an address longer than any, or of no sense.
        struct.pack(">qqi", -65536, 1, 0x7FFFFFFF), struct.pack(">qqi", -65536, 2, 5) + b"a:b:c",
        struct.pack(">qqi", -65535, 99, 11) + b"127.0.0.1:1", struct.pack(">q", 1 << 62),
        struct.pack(">qqi", -65536, -5, -1),
        # The quorum port: packets of every type with lengths that are not there.
        *(struct.pack(">iqi", kind, -1, 0x7FFFFFF0) for kind in (1, 3, 11, 16, 77, -1)),
        struct.pack(">iqi", 11, 0, 20) + struct.pack(">qiq", 2, 0x10000, 0) + b"\xff" * 4,
        struct.pack(">iqi", 16, 0, 20) + struct.pack(">qiq", 50, 0x10000, 1 << 40) + b"\xff" * 4,
        struct.pack(">iqi", 11, 1 << 62, 20) + struct.pack(">qiq", 44, 0x10000, 0) + b"\xff" * 4,
    ]
    for port in ports:
        for opening in openings:
            try:
                stranger = socket.create_connection(("127.0.0.1", port), timeout=2)
                stranger.sendall(opening)
                if rng.random() < 0.3:
                    silent.append(stranger)
                else:
                    stranger.close()
            except OSError:
                pass
    return silent


@pytest.mark.ensembles("OOO", long=["JJJ", "OOJ"])
def test_strangers_at_the_quorum_and_election_ports_do_no_harm(build, spec):
    ensemble = build(spec).start()
    rng = random.Random(1)
    leader = ensemble.leader
    epoch = leader.zxid >> 32
    ours = [member for member in ensemble if member.kind == "oxkeeper"]
    ports = [port for member in ours or ensemble
             for port in (member.quorum_port, member.election_port)]
    before = {member: resident(member) for member in ours}
    kept = []
    for round_number in range(3):
        kept += strangers(ports, rng)
        put_through(ensemble[1], f"/round{round_number}")
    if ours:
        assert ensemble.leader is leader and leader.zxid >> 32 == epoch
    # With the silent ones still there, a follower goes and comes, and a leader.
    if "J" not in spec:
        ensemble[1].kill()
        ensemble[1].restart()
        leader.kill()
        ensemble.wait_for_leader()
        leader.restart()
    for stranger in kept:
        stranger.close()
    ensemble.wait_until_serving()
    compare(ensemble)
    for member in ours:
        assert "panicked" not in member.log_text()
        assert resident(member) < before[member] + (200 << 20)


def resident(member):
    """Bytes of memory that a member holds."""
    with open(f"/proc/{member.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def timed_writes(member, seconds, size=1000, least=50):
    """The times, in seconds, that single writes through a member took for a while, and for so many at least."""
    client, times = connect(member), []
    ensure(client, "/timed")
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < least:
        start = time.monotonic()
        client.set_data("/timed", b"x" * size)
        times.append(time.monotonic() - start)
    client.close_session()
    return times


@pytest.mark.ensembles("OOOo", long=["OOO", "JJO", "OOJ", "JOO", "JJJ", "JJJj"])
def test_a_hung_learner_does_not_slow_the_quorum(build, spec):
    """Its socket is open and its kernel answers, but the process stands still."""
    ensemble = build(spec, cfg=GIVES_UP).start()
    victim = ensemble[len(spec) if spec[-1].islower() else 1]
    leader = ensemble.leader
    alike = [member for member in ensemble if member.role == victim.role and member is not leader]
    synced = f"zk_synced_{'observers' if victim.role == 'observer' else 'followers'}"
    until(lambda: leader.monitored().get(synced) == str(len(alike)), "all are in step")
    victim.pause()
    times = timed_writes(leader, 3)
    assert max(times) < NOT_SLOWED, max(times)
    until(lambda: leader.monitored().get(synced) == str(len(alike) - 1), "it is given up")
    assert max(timed_writes(leader, 1, least=10)) < NOT_SLOWED
    assert leader.mode == "leader"
    victim.resume()
    ensemble.wait_until_serving()
    compare(ensemble)


class Slow:
    """A relay in front of a port that lets `rate` bytes a second through from there."""

    def __init__(self, port):
        self.rate = None
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for each in self._sockets:
            each.close()

    def _accept(self):
        while True:
            try:
                inside, _ = self._listener.accept()
                # A small buffer, or the kernel would take megabytes off the server's hands.
                outside = socket.socket()
                outside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                outside.connect(("127.0.0.1", self._to))
            except OSError:
                return
            self._sockets += [inside, outside]
            threading.Thread(target=self._pump, args=(inside, outside, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(outside, inside, True), daemon=True).start()

    def _pump(self, source, sink, slowly):
        try:
            while part := source.recv(4096):
                if slowly and self.rate:
                    time.sleep(len(part) / self.rate)
                sink.sendall(part)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.mark.ensembles("JOO", "OOOo", long=["OOO", "OOJ", "JJO", "JJJ", "OOOj"])
def test_a_learner_that_reads_slowly_slows_nobody(build, spec):
    ensemble = build(spec, cfg=GIVES_UP)
    leader = ensemble.voters[-1]
    victim = ensemble[len(spec) if spec[-1].islower() else 1]
    relay = Slow(leader.quorum_port)
    try:
        victim.lines = [line.replace(f":{leader.quorum_port}:", f":{relay.port}:")
                        for line in ensemble.lines]
        ensemble.start()
        assert ensemble.leader is leader
        before = resident(leader)
        relay.rate = 20_000
        times = timed_writes(ensemble[2], 10, size=30_000)
        assert max(times) < NOT_SLOWED, max(times)
        assert ensemble.leader is leader
        if leader.kind == "oxkeeper":
            assert resident(leader) < before + (300 << 20)
        relay.rate = None
        ensemble.wait_until_serving()
        compare(ensemble, java_was_fuzzy=True)
    finally:
        relay.close()


@pytest.mark.ensembles("OOO", long=["OJJ", "JOO", "JJJ"])
def test_power_lost_everywhere_at_once_loses_nothing_acknowledged(build, spec):
    """All are killed in the middle of writes, twice; what was acknowledged is there."""
    ensemble = build(spec).start()
    acknowledged = []
    for run in range(2):
        client = connect(ensemble.leader)
        ensure(client, f"/run{run}")
        off = threading.Timer(0.5, lambda: [member.process.kill() for member in ensemble])
        try:
            for number in range(100_000):
                if number == 30:
                    off.start()
                client.create(f"/run{run}/{number}")
                acknowledged.append(f"/run{run}/{number}".encode())
        except (Closed, OSError):
            pass
        for member in ensemble:
            member.kill()
        ensemble.start_all()
    tree = compare(ensemble)
    assert len(acknowledged) > 50
    assert not [path for path in acknowledged if path not in tree]
