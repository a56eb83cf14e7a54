"""Dubbo: providers and a consumer, each a JVM of its own, find each other through the server."""

import queue
import subprocess
import threading
import time

import pytest
from harness.ensemble import Network
from harness.ports import free_port
from harness.suites import java

SECONDS = 180
DISCOVERIES = ("interface", "application")


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500}}


class Program:
    """A JVM whose printed lines can be waited for."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.lines = []
        self._fresh = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._fresh.put(line.strip())

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def await_lines(self, *wanted):
        """Until each of these has been printed since the last call."""
        missing = set(wanted)
        deadline = time.monotonic() + SECONDS
        while missing:
            try:
                line = self._fresh.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"never printed {sorted(missing)}; printed {self.lines}", pytrace=False)
            self.lines.append(line)
            missing.discard(line)


@pytest.fixture
def run(tmp_path):
    programs = []

    def start(main, *args):
        # Dubbo takes this machine's address, not the loopback's: not that of a network of another test, gone soon.
        words = [f"-Duser.home={tmp_path}", f"-Ddubbo.network.interface.ignored={Network.PREFIX}.*"]
        programs.append(Program(java("dubbo", main, *args, words=words)))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.wait()


def lists(*ports):
    return [f"{discovery} {sorted(ports)}" for discovery in DISCOVERIES]


def answers(*ports):
    return [f"{discovery} answered by {sorted(ports)}" for discovery in DISCOVERIES]


def test_dubbo_providers_come_and_go_in_the_consumers_list(server, run):
    address = f"{server.host}:{server.port}"
    first_port, second_port = free_port(), free_port()
    consumer = run("Consumer", address)
    first = run("Provider", address, first_port)
    second = run("Provider", address, second_port)
    consumer.await_lines(*lists(first_port, second_port))
    consumer.say("call")
    consumer.await_lines(*answers(first_port, second_port))

    first.process.kill()
    consumer.await_lines(*lists(second_port))
    consumer.say("call")
    consumer.await_lines(*answers(second_port))

    server.kill()
    server.restart()
    third_port = free_port()
    third = run("Provider", address, third_port)
    consumer.await_lines(*lists(second_port, third_port))

    for provider in (second, third):
        provider.process.terminate()
    consumer.await_lines(*lists())
