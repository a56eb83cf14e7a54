"""A ZooKeeper as operators unpack it: bin, conf, logs; with Java's scripts and server, or with ours.

OXKEEPER_UPSTREAM_BIN names the bin folder of an unpacked ZooKeeper release; without it, the scripts
that compat-tests/install fetched are used, with a small zkEnv.sh of our own in front of them.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from harness.cache import cache_dir
from harness.ports import free_port
from harness.servers import four_letter, oxkeeper_binary

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180
JVM_WORDS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"

# What Debian leaves out of its package, as far as zkServer.sh needs it.
ZK_ENV = """
if [ "$1" = --config ]; then ZOOCFGDIR=$2; shift 2; fi
ZOOCFGDIR=${ZOOCFGDIR:-$ZOOBINDIR/../conf}
[ -f "$ZOOCFGDIR/zookeeper-env.sh" ] && . "$ZOOCFGDIR/zookeeper-env.sh"
ZOOCFG=$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}
[ -f "$ZOOCFGDIR/java.env" ] && . "$ZOOCFGDIR/java.env"
ZOO_LOG_DIR=${ZOO_LOG_DIR:-$ZOOBINDIR/../logs}
JAVA=$JAVA_HOME/bin/java
CLASSPATH="$ZOOCFGDIR:$ZOOBINDIR/../lib/*"
cygwin=false
"""

# Said by Java's script alone: there is no JMX here.
NOT_OURS = re.compile(r"^ZooKeeper JMX enabled by default$|^/.*/java$")


class Prefix:
    """One installation below `home`, and one configuration folder; ends what it started."""

    def __init__(self, kind, home):
        self.kind = kind
        self.home = home
        self.conf, self.data, self.logs = home / "conf", home / "data", home / "logs"
        self.port = free_port()
        self.env = {"PATH": os.environ["PATH"], "USER": "ann", "ZOO_LOG_DIR": str(self.logs)}
        self.pid_files = [self.data / "zookeeper_server.pid"]
        self.conf.mkdir(parents=True)
        (home / "bin").mkdir()
        self._fill_java() if kind == "java" else self._fill_ours()
        self.configure()

    def _fill_ours(self):
        for script in (ROOT / "bin").glob("zk*.sh"):
            shutil.copy(script, self.home / "bin")
        self.env["OXKEEPER_BIN"] = str(oxkeeper_binary())

    def _fill_java(self):
        scripts = os.environ.get("OXKEEPER_UPSTREAM_BIN") or cache_dir() / "upstream-scripts"
        if not Path(scripts, "zkServer.sh").exists():
            pytest.skip("no upstream scripts: see compat-tests/install")
        for script in Path(scripts).glob("zk*.sh"):
            shutil.copy(script, self.home / "bin")
        if not (self.home / "bin" / "zkEnv.sh").exists():
            (self.home / "bin" / "zkEnv.sh").write_text(ZK_ENV)
        (self.home / "lib").symlink_to(cache_dir() / "zk-3.9.5")
        self.env["JAVA_HOME"] = str(Path(shutil.which("java")).resolve().parents[1])
        self.env["JVMFLAGS"] = self.env["CLIENT_JVMFLAGS"] = JVM_WORDS

    def configure(self, name="zoo.cfg", **keys):
        """Writes a configuration file; a value of None leaves a default out."""
        keys = {"dataDir": self.data, "clientPort": self.port,
                "admin.enableServer": "false", "preAllocSize": 64, **keys}
        lines = [f"{key.replace('__', '.')}={value}" for key, value in keys.items() if value is not None]
        (self.conf / name).write_text("\n".join(lines) + "\n")

    def script(self, name, *args, cwd=None, **env):
        """Runs a script; its exit code, and the lines of stdout and stderr, made comparable."""
        done = subprocess.run([self.home / "bin" / name, *args], capture_output=True, text=True, cwd=cwd or self.home,
                              stdin=subprocess.DEVNULL, env={**self.env, **env}, timeout=SECONDS)
        return done.returncode, self._lines(done.stdout), self._lines(done.stderr)

    def run(self, *args, **env):
        """Runs zkServer.sh; its exit code and the lines of stdout."""
        return self.script("zkServer.sh", *args, **env)[:2]

    def _lines(self, text):
        text = text.replace(str(self.home), "HOME").replace(str(self.port), "PORT")
        for file in self.pid_files:
            if file.exists():
                text = re.sub(rf"\b{file.read_text()}\b", "PID", text)
        return [line for line in text.splitlines() if not NOT_OURS.match(line)]

    def mode(self):
        """What `srvr` says; None while nothing is served."""
        try:
            found = re.search("^Mode: (.*)$", four_letter("127.0.0.1", self.port, "srvr", 10), re.MULTILINE)
        except OSError:
            return None
        return found and found.group(1)

    def cleanup(self):
        """Kills whatever a pid file still names."""
        for file in self.pid_files:
            if file.exists() and file.read_text().isdigit():
                try:
                    os.kill(int(file.read_text()), signal.SIGKILL)
                except ProcessLookupError:
                    pass
