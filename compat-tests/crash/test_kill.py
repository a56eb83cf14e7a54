"""`kill -9` under load, again and again on one data folder.

A handful of times by default; hundreds with `-m long`. `--only java` runs the same against Java.
"""

import random
import re
import time

import pytest

from harness import servers

from . import load

WRITERS = 5

# Small enough that snapshots, new log files and purges fall between the kills.
CFG = {
    "snapCount": 150,
    "autopurge.snapRetainCount": 3,
    "autopurge.purgeInterval": 1,
    "maxSessionTimeout": 600000,
    # A disk that others keep busy is no complaint of the server's.
    "fsync.warningthresholdms": 600000,
}

# What a server may say after it was killed in the middle of a write, and with so small a snapCount.
_EXPECTED = re.compile("cut off at offset|with an interrupted write|begun but never written"
                       "|still being written")


def complaints(server):
    """Lines of our log that an operator would worry about."""
    if server.kind == "java":
        return []
    lines = [line for line in server.log_text().splitlines()
             if re.search(r"\b(WARN|ERROR)\b|panicked", line)]
    return [line for line in lines if not _EXPECTED.search(line)]


class Loop:
    """One data folder, its server and its writers."""

    def __init__(self, server, seed):
        self.server = server
        self.rng = random.Random(seed)
        self.record = load.Record()
        self.writers = [load.Writer(number, seed, self.record) for number in range(WRITERS)]
        load.prepare(server, self.writers)
        for writer in self.writers:
            assert writer.connect(server)

    def run_until(self, end):
        """Loads the server for a while; `end` ends it."""
        for writer in self.writers:
            writer.start(self.server)
        time.sleep(self.rng.uniform(0.02, 0.5))
        code = end()
        for writer in self.writers:
            writer.join()
        return code

    def kill_and_check(self):
        self.run_until(self.server.kill)
        while self.rng.random() < 0.2:
            self.server.spawn()
            time.sleep(self.rng.uniform(0, 0.06))
            self.server.kill()
        self.server.restart()
        load.check(self.server, self.writers, self.record)


@pytest.fixture
def one_kind(pytestconfig):
    return pytestconfig.getoption("--only") or "oxkeeper"


def crash_loop(kind, seed, kills):
    with servers.start(kind, cfg=CFG) as server:
        loop = Loop(server, seed)
        for count in range(kills):
            try:
                loop.kill_and_check()
            except AssertionError as wrong:
                log = server.log_text()[-3000:]
                raise AssertionError(f"seed {seed}, kill {count + 1}: {wrong}\n{log}") from wrong
        assert complaints(server) == []
        assert loop.record.acknowledged > kills, "the load was no load"
        return loop.record


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_by_a_few_kills(one_kind, seed):
    crash_loop(one_kind, seed, 12)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 104))
def test_nothing_acknowledged_is_lost_by_hundreds_of_kills(one_kind, seed):
    crash_loop(one_kind, seed, 150)


@pytest.mark.parametrize("seed", [3])
def test_sigterm_under_load_ends_well_and_loses_nothing(one_kind, seed):
    with servers.start(one_kind, cfg=CFG) as server:
        loop = Loop(server, seed)
        for _ in range(4):
            code = loop.run_until(server.stop)
            assert code == 0 or one_kind == "java", server.log_text()[-3000:]
            server.restart()
            load.check(server, loop.writers, loop.record)
        assert complaints(server) == []
