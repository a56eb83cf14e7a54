"""`oxkeeper top`: on a terminal of its own, which it leaves as it was, and for scripts, of Java servers too."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest
from harness import admin
from harness.rawzk import Client
from harness.servers import oxkeeper_binary

SECONDS = 180


class Terminal:
    """A program on a terminal, with everything that it has written there."""

    def __init__(self, *command):
        self.master, self._slave = pty.openpty()
        subprocess.run(["stty", "rows", "30", "cols", "100"], stdin=self._slave, check=True)
        self.before = termios.tcgetattr(self._slave)
        environment = {**os.environ, "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=self._slave, stdout=self._slave, stderr=self._slave, env=environment,
            start_new_session=True,
        )
        self.text = ""

    def wait_for(self, pattern):
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"no {pattern} in {self.text!r}"
            self._read(1)

    def _read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
            return True
        return False

    def end(self):
        """The exit code, and whether the terminal is as it was."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        while self._read(0):
            pass
        return self.process.poll(), termios.tcgetattr(self._slave) == self.before

    def close(self):
        self.process.kill()
        os.close(self.master)
        os.close(self._slave)


@pytest.fixture
def watched(start_server, pytestconfig):
    """The admin port of a server whose client reads one znode."""
    if pytestconfig.getoption("--only") == "java":
        pytest.skip("asks our server")
    cfg, port = admin.on()
    server = start_server("oxkeeper", cfg=cfg)
    client = Client(server.host, server.port)
    client.create("/0123456789")
    for _ in range(20):
        client.get_data("/0123456789")
    return f"127.0.0.1:{port}", client


@pytest.mark.standalone
@pytest.mark.parametrize("end", ["q", "\x1b", "\x03", signal.SIGTERM])
def test_the_terminal_is_left_as_it_was(watched, end):
    terminal = Terminal(oxkeeper_binary(), "top", "--interval", "0.2", watched[0], "127.0.0.1:1")
    try:
        terminal.wait_for(r"\x1b\[\?1049h")
        terminal.wait_for("standalone")
        terminal.wait_for("no answer")
        terminal.wait_for("/0123456789")
        assert termios.tcgetattr(terminal.master) != terminal.before
        if isinstance(end, str):
            os.write(terminal.master, end.encode())
        else:
            terminal.process.send_signal(end)
        assert terminal.end() == (0, True)
        assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("0123456789")
        assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("0123456789")
    finally:
        terminal.close()


@pytest.mark.standalone
def test_scripts_get_one_picture_of_any_server(server_kind, start_server):
    if not oxkeeper_binary().exists():
        pytest.skip("there is no binary of ours")
    cfg, port = admin.on()
    server = start_server(server_kind, cfg=cfg)
    client = Client(server.host, server.port)
    client.create("/a")
    command = [oxkeeper_binary(), "top", "--json", "--interval", "0.2", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS)
    shown = json.loads(done.stdout)
    (line,) = shown["servers"]
    assert (line["state"], line["problem"]) == ("standalone", None)
    assert line["zxid"] == "0x2"
    assert line["connections"] == 1
    assert line["requests_per_second"] is not None
    (session,) = [one for one in shown["sessions"] if one["session"]]
    assert session["last_operation"] == "CREA"
    paths = [path["path"] for path in shown["hot"]["paths"]]
    assert paths == (["/a", "/"] if server_kind == "oxkeeper" else [])
