"""Real servers as plain processes on loopback: Java ZooKeeper and oxkeeper behind one face.

    with start("java", cfg={"tickTime": 500}) as server:
        ... server.host, server.port ...

Every process started here ends with the test run, also when the run itself is killed.
"""

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from harness.cache import cache_dir, making
from harness.ports import free_port

KINDS = ("java", "oxkeeper")
# A kind with this behind it: a follower in an ensemble of three of that kind.
OF_ENSEMBLE = "-ensemble"
START_SECONDS = 180
STOP_SECONDS = 120

_JVM_WORDS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx512m",
              "-Xlog:disable", "-Xlog:all=error:stderr"]
# Servers that are started often enough to be worth an archive of their classes.
_ARCHIVED = ("3.9.5", "3.8.5")

_LOG4J2 = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = ${sys:compat.log.level:-warn}
rootLogger.appenderRef.out.ref = out
"""

_live = set()


class DidNotStart(Exception):
    """The process ended, or did not serve in time; the message holds its log."""


def oxkeeper_binary():
    """The binary under test; may not exist yet."""
    named = os.environ.get("OXKEEPER_BIN")
    if named:
        return Path(named)
    root = Path(__file__).resolve().parents[2]
    target = Path(os.environ.get("CARGO_TARGET_DIR") or root / "target")
    return target / "release" / "oxkeeper"


def four_letter(host, port, word, timeout=30.0):
    """The text a four-letter word is answered with; raises OSError when nobody listens."""
    with socket.create_connection((host, port), timeout=timeout) as conn:
        conn.sendall(word.encode())
        conn.settimeout(timeout)
        parts = []
        while part := conn.recv(65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def start(kind, cfg=None, props=None, data_dir=None, version="3.9.5"):
    """Starts a standalone server, or a whole ensemble whose follower it gives, and waits for it.

    cfg: keys of zoo.cfg over quiet defaults (a value of None leaves a default out); props: words
    for -D, the same for both kinds; data_dir: an existing data folder, kept afterwards; version:
    of the Java server only. To be called from the main thread: a server ends with its thread.
    """
    if kind.endswith(OF_ENSEMBLE):
        from harness.ensemble import Connected  # it is built on this module

        return Connected(kind.removesuffix(OF_ENSEMBLE), cfg or {}, props or {})
    if kind not in KINDS:
        raise ValueError(f"unknown kind of server: {kind}")
    server = Server(kind, cfg or {}, props or {}, data_dir, version)
    try:
        server._launch()
    except BaseException:
        server.cleanup()
        raise
    return server


class Server:
    """One server process with its configuration and data folder.

    jvm_words: what Java is started with, if not with the usual; launcher: words in front of the whole command.
    """

    log4j2 = _LOG4J2

    def __init__(self, kind, cfg, props, data_dir, version):
        self.kind = kind
        self.version = version
        self.host = "127.0.0.1"
        self.props = dict(props)
        self.jvm_words = None
        self.launcher = []
        self.home = Path(tempfile.mkdtemp(prefix=f"oxkeeper-compat-{kind}-"))
        self.data_dir = Path(data_dir) if data_dir else self.home / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = None
        self.process = None
        self._cfg = dict(cfg)
        self._fixed_port = "clientPort" in self._cfg
        self._log = self.home / "server.log"
        (self.home / "log4j2.properties").write_text(self.log4j2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    def __repr__(self):
        return f"<{self.kind} server at {self.host}:{self.port}, pid {self.pid}>"

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log_text(self):
        """Everything the process printed so far, over all restarts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stop(self):
        """SIGTERM, then waits; returns the exit code (143 or -15 from a JVM is its clean end)."""
        return self._end(signal.SIGTERM)

    def kill(self):
        """SIGKILL: nothing in the process gets a chance to finish."""
        return self._end(signal.SIGKILL)

    def restart(self):
        """Stops the process if it runs and starts it again on the same port and data."""
        if self.running:
            self.stop()
        self._launch()

    def spawn(self):
        """Starts the process again without waiting for anything, to be killed on its way up."""
        self._spawn()

    def cleanup(self):
        """Ends the process and removes the temporary folder (never a data folder given to start).
        """
        if self.running:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self, how):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                _live.discard(self.process)
                raise AssertionError(f"{self!r} did not stop:\n{self.log_text()[-4000:]}") from None
        _live.discard(self.process)
        return self.process.returncode

    def _launch(self):
        for attempt in range(3):
            if self.port is None or (attempt and not self._fixed_port):
                self.port = int(self._cfg.get("clientPort") or free_port())
            seen = len(self.log_text())
            self._spawn()
            why = self._wait_until_serving()
            if why is None:
                return
            self.kill()
            text = self.log_text()[seen:]
            if "in use" not in text:
                break
        raise DidNotStart(f"{self.kind} server: {why}\n{text[-6000:]}")

    def _spawn(self):
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                preexec_fn=_end_with_parent,
            )
        _live.add(self.process)

    def _command(self):
        config = self.home / "zoo.cfg"
        config.write_text(self._config_text())
        words = [f"-D{name}={value}" for name, value in self.props.items()]
        if self.kind == "oxkeeper":
            return [str(oxkeeper_binary()), "server", *words, str(config)]
        jars = _jars(self.version)
        logging = f"-Dlog4j2.configurationFile={self.home}/log4j2.properties"
        return [
            "java",
            *(self.jvm_words or jvm_words(self.version)),
            logging,
            *words,
            "-cp",
            f"{jars}/*",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(config),
        ]

    def _config_text(self):
        lines = {
            "dataDir": self.data_dir,
            "clientPort": self.port,
            "clientPortAddress": self.host,
            "tickTime": 2000,
            "maxClientCnxns": 0,
            "admin.enableServer": "false",
            "preAllocSize": 64,
            "4lw.commands.whitelist": "*",
        }
        lines.update(self._cfg)
        lines["clientPort"] = self.port
        return "".join(f"{key}={value}\n" for key, value in lines.items() if value is not None)

    def _wait_until_serving(self):
        """None once `srvr` names a mode, else why that will not happen."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return f"ended with code {self.process.returncode} before serving"
            try:
                if "Mode:" in four_letter(self.host, self.port, "srvr"):
                    return None
            except OSError:
                pass
            time.sleep(0.02)
        return f"did not serve within {START_SECONDS} s"


def jvm_words(version):
    """What a JVM that runs this Java server is started with."""
    return [*_JVM_WORDS, *(_archive_words(version) if version in _ARCHIVED else [])]


def _archive_words(version):
    """Words for a class-data archive, which halves the start; it is made at the first."""
    path = cache_dir() / f"classes-{version}.jsa"
    stamp = _jars(version) / ".done"
    with making(path.name):
        if not path.exists() or path.stat().st_mtime < stamp.stat().st_mtime:
            _make_archive(version, path)
    # "auto", the default, goes on without an archive that does not fit.
    return [f"-XX:SharedArchiveFile={path}"]


def _make_archive(version, path):
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    server = Server("java", {}, {}, None, version)
    server.jvm_words = [*_JVM_WORDS, f"-XX:ArchiveClassesAtExit={fresh}"]
    try:
        server._launch()
        server.stop()
        fresh.rename(path)
    finally:
        server.cleanup()


def _jars(version):
    jars = cache_dir() / f"zk-{version}"
    if not jars.is_dir():
        raise DidNotStart(
            f"Java ZooKeeper {version} is missing: run compat-tests/install {version}"
        )
    return jars


def _end_with_parent():
    """In the child: be killed when the test run dies without cleaning up (Linux only)."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


@atexit.register
def _end_all():
    for process in list(_live):
        if process.poll() is None:
            process.kill()
            process.wait()
