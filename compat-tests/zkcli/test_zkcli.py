"""zkCli (ZooKeeperMain) and `oxkeeper cli` on transcripts: what they are told, and every line they answer.

A transcript is a text file of "> command" lines, each followed by the lines that Java's server
makes zkCli print, and by "~ event path" lines for the watch events that have come by then. Zxids
are compared as they are: a fresh server numbers the same requests in the same way. Times and
session ids are masked, {server} is the server's address, and a line "@ /path" at the head makes the
session start in that chroot. OXKEEPER_WRITE_TRANSCRIPTS=1 with --only java writes answers anew.
"""

import os
import queue
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness.servers import oxkeeper_binary
from harness.suites import java

SECONDS = 120
# Answered by zkCli alone: shows where the answer to the command before it ends.
MARK, MARKED = "printwatches", "printwatches is on"
WRITING = "OXKEEPER_WRITE_TRANSCRIPTS" in os.environ
TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.fixture
def server_options():
    return {"props": {"zookeeper.extendedTypesEnabled": "true"}}


@pytest.fixture(params=["java", "oxkeeper"])
def shell(request):
    """The beginning of a command line: upstream's zkCli, or ours."""
    if request.param == "java":
        return java("client", "org.apache.zookeeper.ZooKeeperMain")
    if not oxkeeper_binary().exists():
        pytest.skip("there is no binary")
    return [oxkeeper_binary(), "cli"]


def zkcli(shell, server, chroot="", *command):
    address = f"{server.host}:{server.port}{chroot}"
    return [*shell, "-waitforconnection", "-server", address, *command]


class Session:
    """A zkCli whose answers and watch events are told apart."""

    def __init__(self, shell, server, chroot):
        self._address = f"{server.host}:{server.port}"
        self._process = subprocess.Popen(
            zkcli(shell, server, chroot),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self._lines = queue.SimpleQueue()
        self.events = []
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("")

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))

    def _next(self, deadline):
        """The next line of an answer; None if it belonged to an event or to nothing."""
        line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        # Ours prints prompts for a pipe, as upstream's does where it finds JLine.
        line = re.sub(r"^(\[zk: [^]]*\] )+", "", line)
        event = re.match(r"WatchedEvent state:\w+ type:(\w+) path:(\S*)", line)
        if event and event[1] != "None":
            self.events.append(f"{event[1]} {event[2]}")
        return None if event or line in ("", "WATCHER::") else self._mask(line)

    def ask(self, command):
        """The lines that answer a command."""
        self._process.stdin.write(f"{command.replace('{server}', self._address)}\n{MARK}\n")
        deadline, answer = time.monotonic() + SECONDS, []
        while (line := self._next(deadline)) != MARKED:
            if line is not None:
                answer.append(line)
        return answer

    def await_events(self, count, seconds=SECONDS):
        """Reads on until so many events have come, or time is up."""
        deadline = time.monotonic() + seconds
        while len(self.events) < count:
            try:
                self._next(deadline)
            except queue.Empty:
                return

    def _mask(self, line):
        line = line.replace(self._address, "{server}")
        line = re.sub(r"^([cm]time) = .*", r"\1 = (time)", line)
        # An ensemble that was started once is in epoch 1.
        line = re.sub(r"^(\wZxid) = 0x1([0-9a-f]{8})$", _without_epoch, line)
        return re.sub(r"^ephemeralOwner = 0x[0-9a-f]{2,}$", "ephemeralOwner = (session)", line)

    def quit(self):
        self._process.stdin.close()
        assert self._process.wait(SECONDS) in (0, 1)

    def kill(self):
        self._process.kill()
        self._process.wait()


def _without_epoch(found):
    return f"{found[1]} = 0x{int(found[2], 16):x}"


def parse(text):
    """The comment and chroot at the head, and for each command its expected answer and events."""
    head, steps, chroot = [], [], ""
    for line in text.splitlines():
        if line.startswith("> "):
            steps.append((line[2:], [], []))
        elif not steps:
            head.append(line)
            chroot = line[2:] if line.startswith("@ ") else chroot
        elif line.startswith("~ "):
            steps[-1][2].append(line[2:])
        else:
            steps[-1][1].append(line)
    return head, chroot, steps


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_zkcli_answers_as_with_java(server, shell, transcript):
    head, chroot, steps = parse(transcript.read_text())
    session = Session(shell, server, chroot)
    expected, got = list(head), list(head)
    try:
        for command, answer, events in steps:
            if "config" in command and hasattr(server, "ensemble"):
                continue  # a single server has none
            first = len(session.events)
            lines = session.ask(command)
            session.await_events(
                first + (1000 if WRITING else len(events)), 0.3 if WRITING else SECONDS
            )
            for text, said, told in (
                (expected, answer, events),
                (got, lines, session.events[first:]),
            ):
                # deleteall goes through the children in the server's order, which is not promised.
                text += [f"> {command}", *said, *(f"~ {event}" for event in sorted(told))]
        session.quit()
    finally:
        session.kill()
    if WRITING and server.kind == "java" and shell[0] == "java":
        transcript.write_text("\n".join(got) + "\n")
    else:
        assert got == expected


def test_zkcli_runs_one_command_and_tells_by_its_exit_code(server, shell):
    def once(*command):
        done = subprocess.run(
            zkcli(shell, server, "", *command), capture_output=True, text=True, timeout=SECONDS
        )
        return (
            done.returncode,
            [line for line in done.stdout.splitlines() if line][-1:],
            done.stderr.strip(),
        )

    assert once("ls", "/") == (0, ["[zookeeper]"], "")
    assert once("create", "/a", "data")[0] == 0
    assert once("get", "/a") == (0, ["data"], "")
    code, _, error = once("get", "/none")
    assert (code, error) == (1, "Node does not exist: /none")
