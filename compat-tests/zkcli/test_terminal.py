"""`oxkeeper cli` beside upstream's zkCli.sh with its JLine: the same session on a terminal and through a pipe, and
single commands with their exit codes.

Each of the two gets a server of its own, so that zxids can be compared as they are. Times, session ids and versions are
masked. Watch events are compared in their order, but apart from the answers, among which they fall by chance.
"""

import os
import pty
import re
import select
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from harness.servers import oxkeeper_binary
from harness.suites import java

SECONDS = 180
COMMANDS = [
    line
    for line in (Path(__file__).parent / "session.commands").read_text().splitlines()
    if not line.startswith("#")
]
TTL = {"zookeeper.extendedTypesEnabled": "true"}
PROMPT = r"\[zk: [^]]*\((\w+)\) (\d+)\] "
EVENT = re.compile(r"WatchedEvent state:(\w+) type:(\w+) path:(\S+) zxid: (\S+)")


def upstream():
    return java("zkcli", "org.apache.zookeeper.ZooKeeperMain")


def ours():
    return [oxkeeper_binary(), "cli"]


SHELLS = {"upstream": upstream, "ours": ours}


@pytest.fixture
def beginning(server_kind, start_server):
    """Starts a server and gives the command line that begins a session of one of the shells with it."""

    def begin(shell):
        server = start_server(server_kind, props=TTL)
        address = f"{server.host}:{server.port}"
        return [*SHELLS[shell](), "-waitforconnection", "-server", address], address

    return begin


def masked(text, address):
    """Lines without what differs each time, and the events among them."""
    lines, events = [], []
    for line in re.sub(f"({PROMPT})", r"\1\n", text).replace(address, "{server}").splitlines():
        if event := EVENT.match(line.strip()):
            events.append(event.groups())
            continue
        line = re.sub(r"^([cm]time) = .*", r"\1 = (time)", line)
        line = re.sub(r"^ephemeralOwner = 0x[0-9a-f]{2,}$", "ephemeralOwner = (session)", line)
        line = re.sub(r"^(ZooKeeper CLI version: 3\.9\.5)-.*", r"\1", line)
        # Upstream's alone: a line editor that announces itself, and how it complains of a pipe.
        if "JLine" in line or "org.jline" in line or "Unable to create a system terminal" in line:
            continue
        if line.strip() not in ("", "WATCHER::"):
            lines.append(line.rstrip())
    return lines, events


class Terminal:
    """A shell on a terminal of its own, wide enough that no line wraps."""

    def __init__(self, command, home):
        self._master, slave = pty.openpty()
        # Rows and columns, as a terminal's owner sets them.
        subprocess.run(["stty", "rows", "50", "cols", "1000"], stdin=slave, check=True)
        environment = {**os.environ, "TERM": "xterm", "HOME": str(home)}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._text = ""

    def type(self, text):
        os.write(self._master, text.encode())

    def read_until(self, pattern):
        """What appears up to the pattern, without the terminal's own sequences."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self._text)):
            assert time.monotonic() < deadline, f"no {pattern} in {self._text!r}"
            if select.select([self._master], [], [], 1)[0]:
                self._read()
        text, self._text = self._text[: found.end()], self._text[found.end() :]
        return text

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            data = b""
        assert data, f"the shell has ended: {self._text!r}"
        text = self._text + data.decode(errors="replace")
        text = re.sub(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[=>])|\r", "", text)
        self._text = text

    def prompt(self, number):
        return self.read_until(rf"\[zk: [^]]*\(\w+\) {number}\] ")

    def end(self):
        """Reads what is left."""
        text = self._text
        while select.select([self._master], [], [], SECONDS)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                break
            if not data:
                break
            text += data.decode(errors="replace")
        os.close(self._master)
        return self.process.wait(SECONDS), re.sub(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[=>])|\r", "", text)


def typed_session(command, address, home, told=None):
    """Answers to each command, all events, the exit code, and how many events there were by each command.

    With `told`, as many events are awaited before the next command is typed: they would fall into its echo.
    """
    terminal = Terminal(command, home)
    events, answers, counts = [], [], []

    def note(words, text):
        # The first line is what was typed.
        answers.append((words, take(text.partition("\n")[2])))
        while told and len(events) < told[len(counts)]:
            take(terminal.read_until(r"WatchedEvent [^\n]*\n"))
        counts.append(len(events))

    def take(text):
        lines, told = masked(text, address)
        events.extend(told)
        return lines

    try:
        take(terminal.prompt(0))
        number = 0
        # A slip of the finger, the line before once more, a command and a znode completed.
        for keys, shown in (
            (["lz\x7fs /\r"], None),
            (["\x10", "\r"], None),
            (["getAllCh\t", "/\r"], "getAllChildrenNumber "),
            (["ls /zook\t", "\r"], "/zookeeper"),
        ):
            terminal.type(keys[0])
            if shown:
                terminal.read_until(re.escape(shown))
            terminal.type("".join(keys[1:]))
            number += 1
            note(keys, terminal.prompt(number))
        for line in COMMANDS:
            terminal.type(line.replace("{server}", address) + "\r")
            number += 1
            note(line, terminal.prompt(number))
        terminal.type("quit\r")
        code, rest = terminal.end()
        take(rest)
        return answers, events, code, counts
    finally:
        terminal.process.kill()


@pytest.mark.standalone
def test_a_terminal_shows_the_same_session(beginning, tmp_path):
    sessions, told = {}, None
    # Ours tells of an event before the next prompt, upstream when its other thread gets to it.
    for shell in ("ours", "upstream"):
        home = tmp_path / shell
        home.mkdir()
        *sessions[shell], told = typed_session(*beginning(shell), home, told)
    for number, want in enumerate(sessions["upstream"][0]):
        assert sessions["ours"][0][number] == want
    (_, ours, code), (_, upstream, upstreams_code) = sessions["ours"], sessions["upstream"]
    # Upstream's other thread does not always come to tell of the end before the program is gone.
    end = [("Closed", "None", "null", "-1")]
    assert ours[told[-1]:] == end and upstream[told[-1]:] in (end, [])
    assert ours[:told[-1]] == upstream[:told[-1]]
    assert code == upstreams_code
    history = (tmp_path / "ours" / ".oxkeeper_history").read_text()
    assert "create /hex" in history
    assert "bob:pw" not in history


@pytest.mark.standalone
def test_a_pipe_gets_the_same_session(beginning):
    sessions, states = {}, {}
    for shell in SHELLS:
        command, address = beginning(shell)
        typed = "".join(line + "\n" for line in [*COMMANDS, "get /none"])
        done = subprocess.run(
            command,
            input=typed.replace("{server}", address),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        out, events = masked(done.stdout, address)
        err, _ = masked(done.stderr, address)
        states[shell] = Counter(event for event in events if event[1] == "None")
        watches = [event for event in events if event[1] != "None"]
        sessions[shell] = (out, err, watches, done.returncode)
    # Each connection of upstream's has a thread that tells of its beginning and end: when it comes to it, if it does.
    assert states["upstream"] <= states["ours"]
    for ours, upstream in zip(sessions["ours"], sessions["upstream"]):
        assert ours == upstream
    assert sessions["ours"][3] == 1  # of the last command


# Command, exit code, last line of standard output, standard error.
ONCE = [
    (["ls", "/"], 0, "[zookeeper]", ""),
    (["create", "/a", "x"], 0, None, "Created /a"),
    (["create", "/a"], 1, None, "Node already exists: /a"),
    (["get", "/a"], 0, "x", ""),
    (["get", "/none"], 1, None, "Node does not exist: /none"),
    (["get", "none"], 1, None, "Path must start with / character"),
    (["sync"], 1, None, "sync path"),
    (["ls", "-z", "/"], 1, None, "org.apache.commons.cli.UnrecognizedOptionException: Unrecognized option: -z"),
    (["set", "/a", "y", "-v", "9"], 1, None, "version No is not valid : /a"),
    (["delete", "/"], 1, None, "Arguments are not valid : /"),
    (["create", "/b", "x", "world:anyone:"], 0, None, "Created /b"),
    (["get", "/b"], 1, None, "Insufficient permission : /b"),
    (["reconfig", "-add", "x"], 1, None, "KeeperErrorCode = Reconfig is disabled"),
    (["removewatches", "/a"], 1, None, "KeeperErrorCode = No such watcher for /a"),
    (["deleteall", "/none"], 1, None, "Node does not exist: /none"),
    (["nonsense"], 127, None, "Command not found: Command not found nonsense"),
    (["redo", "5"], 1, None, "Command index out of range"),
    (["close"], 0, None, ""),
    (["quit"], 0, None, ""),
    (["getEphemerals"], 0, "[]", ""),
]


def run_once(command, case):
    words, code, out, err = case
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=SECONDS)
    said = [line for line in done.stderr.splitlines() if line]
    printed = [line for line in done.stdout.splitlines() if line]
    assert (done.returncode, said[-1:]) == (code, [err] if err else []), words
    if out is not None:
        assert printed[-1] == out, words


@pytest.mark.standalone
@pytest.mark.parametrize(
    "shell", ["ours", pytest.param("upstream", marks=pytest.mark.long)]
)
def test_one_command_ends_with_its_exit_code(shell, beginning):
    command, _ = beginning(shell)
    for case in ONCE:
        run_once(command, case)


@pytest.mark.standalone
@pytest.mark.parametrize(
    "shell", ["ours", pytest.param("upstream", marks=pytest.mark.long)]
)
def test_a_dead_server_is_an_error(shell, server_kind):
    if server_kind != "oxkeeper":
        pytest.skip("no server is asked")
    command = [*SHELLS[shell](), "-timeout", "2000", "-server", "127.0.0.1:1"]
    done = subprocess.run([*command, "ls", "/"], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert "KeeperErrorCode = ConnectionLoss for /" in done.stderr
    done = subprocess.run(
        [*command, "-waitforconnection", "ls", "/"], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 1
    assert "KeeperErrorCode = ConnectionLoss" in done.stderr
