"""Ensembles of real servers, Java and ours in any mixture, as plain processes.

    with Ensemble("JOO") as ensemble:            # sid 1 is Java, 2 and 3 are ours
        ensemble.start()
        ... ensemble.leader, ensemble.followers, ensemble[1].kill() ...

A member keeps its ports and its data folder over restarts and over a change of its kind.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness.ports import free_port
from harness.servers import DidNotStart, Server, four_letter, jvm_words

# One letter per member: capital for a voter, small for an observer.
LETTERS = {"j": ("java", "3.9.5"), "e": ("java", "3.8.5"), "o": ("oxkeeper", None)}

SUPER_AUTH = b"super:pw"
SUPER_DIGEST = "super:0bX78nEegDzJM3ju0iLBEJdWzjg="

# Half a second per tick. Only after twenty seconds is a silent peer given up: on a busy machine any may be silent for
# a while. What waits for the end of one that is cut off, or hangs, asks for less.
CFG = {"tickTime": 500, "initLimit": 40, "syncLimit": 40, "maxSessionTimeout": 120_000}
PROPS = {
    "zookeeper.extendedTypesEnabled": "true",
    "zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
    "znode.container.checkIntervalMs": 36_000_000,
}
SECONDS = 180

_LOG4J2 = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.sync.name = org.apache.zookeeper.server.quorum.LearnerHandler
logger.sync.level = debug
logger.words.name = org.apache.zookeeper.server.NIOServerCnxn
logger.words.level = warn
"""

_MODE = re.compile(r"^Mode: (\w+)$", re.MULTILINE)
_ZXID = re.compile(r"^Zxid: 0x([0-9a-f]+)$", re.MULTILINE)


def until(condition, what, seconds=SECONDS, interval=0.03):
    """Asks until the answer is true, and returns it; `what` may be a function, called when late."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(interval)


class Member(Server):
    """One server of an ensemble."""

    log4j2 = _LOG4J2

    def __init__(self, ensemble, sid, letter, host, cfg, props):
        kind, version = LETTERS[letter.lower()]
        super().__init__(kind, cfg, props, None, version)
        self.sid = sid
        self.role = "observer" if letter.islower() else "participant"
        self.host = host
        self.port, self.quorum_port, self.election_port = free_port(), free_port(), free_port()
        self.alone = False
        # Its own server lines, where it sees the others at other addresses than they are.
        self.lines = None
        self._ensemble = ensemble

    def __repr__(self):
        return f"<server {self.sid}, {self.kind} {self.role} at {self.host}:{self.port}>"

    @property
    def line(self):
        """What every member's zoo.cfg says of this one."""
        suffix = ":observer" if self.role == "observer" else ""
        return f"server.{self.sid}={self.host}:{self.quorum_port}:{self.election_port}{suffix}"

    def become(self, letter):
        """From the next start on another kind of server on the same data."""
        assert not self.running
        self.kind, self.version = LETTERS[letter.lower()]

    def launch(self):
        """Starts the process and waits for nothing."""
        assert not self.running
        if self.kind == "java":
            self.jvm_words = [*jvm_words(self.version), "-Xmx128m", "-Xss512k"]
        self._spawn()

    def restart(self):
        """Ends the process if it runs, starts it again and waits until it serves."""
        if self.running:
            self.stop()
        self.launch()
        self.wait_until_serving()

    def wipe(self):
        """Empties the data folder."""
        assert not self.running
        shutil.rmtree(self.data_dir)
        self.data_dir.mkdir()

    def pause(self):
        """SIGSTOP: the kernel goes on answering for it, the process does nothing."""
        self.process.send_signal(signal.SIGSTOP)
        # Its threads run on until one of them has taken the signal, which on a busy machine takes a while.
        until(lambda: set(self._thread_states()) == {"T"}, f"{self!r} stands still")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def _thread_states(self):
        """The letter of each thread, as proc(5) has it."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                yield (thread / "stat").read_text().rpartition(")")[2].split()[0]

    def word(self, word, timeout=10.0):
        """A four-letter word's answer; empty if there is none."""
        try:
            return four_letter(self.host, self.port, word, timeout)
        except OSError:
            return ""

    @property
    def mode(self):
        """leader, follower, observer, standalone, or None while it serves nobody."""
        if not self.running:
            return None
        found = _MODE.search(self.word("srvr"))
        return found and found.group(1)

    @property
    def zxid(self):
        """The last zxid that it applied; None while it serves nobody."""
        found = _ZXID.search(self.word("srvr"))
        return found and int(found.group(1), 16)

    def monitored(self):
        """The answer to `mntr` as a dict."""
        return dict(line.split("\t", 1) for line in self.word("mntr").splitlines() if "\t" in line)

    def mark(self):
        """The length of its log, for `log_since`."""
        return len(self.log_text())

    def log_since(self, mark):
        return self.log_text()[mark:]

    def wait_until_serving(self, seconds=SECONDS):
        def serving():
            if not self.running:
                raise DidNotStart(f"{self!r} ended with code {self.process.returncode}\n"
                                  f"{self.log_text()[-4000:]}")
            return self.mode is not None

        until(serving, lambda: f"{self!r} serves\n{self.log_text()[-3000:]}", seconds)

    def file_text(self, name):
        """Content of a file beside the transaction logs (currentEpoch, acceptedEpoch)."""
        path = self.data_dir / "version-2" / name
        return path.read_text() if path.exists() else None

    def logged(self, needle):
        """Whether the transaction logs hold these bytes."""
        return any(needle in path.read_bytes()
                   for path in self.data_dir.glob("version-2/log.*"))

    def _config_text(self):
        lines = {
            "dataDir": self.data_dir,
            "clientPort": self.port,
            "clientPortAddress": self.host,
            "maxClientCnxns": 0,
            "admin.enableServer": "false",
            "preAllocSize": 64,
            "4lw.commands.whitelist": "*",
            **self._cfg,
        }
        text = [f"{key}={value}" for key, value in lines.items() if value is not None]
        if not self.alone:
            (self.data_dir / "myid").write_text(f"{self.sid}\n")
            if self.role == "observer":
                text.append("peerType=observer")
            text += self.lines or self._ensemble.lines
        return "\n".join(text) + "\n"


class Ensemble:
    """Members by sid, from 1; `spec` has one letter each, see LETTERS."""

    def __init__(self, spec, cfg=None, props=None, network=None, member_cfg=None):
        self.spec = spec
        self.network = network
        cfg, props = {**CFG, **(cfg or {})}, {**PROPS, **(props or {})}
        self.members = {}
        for sid, letter in enumerate(spec, 1):
            host = network.address(sid) if network else "127.0.0.1"
            own = {**cfg, **(member_cfg or {}).get(sid, {})}
            self.members[sid] = Member(self, sid, letter, host, own, props)
            if network:
                self.members[sid].launcher = network.launcher(sid)
        self.lines = [member.line for member in self.members.values()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    def __getitem__(self, sid):
        return self.members[sid]

    def __iter__(self):
        return iter(self.members.values())

    def __repr__(self):
        return f"<ensemble {self.spec}>"

    @property
    def voters(self):
        return [member for member in self if member.role == "participant"]

    @property
    def running(self):
        return [member for member in self if member.running]

    @property
    def leader(self):
        """The member that leads now; None if none does, or more than one says so."""
        leaders = [member for member in self if member.mode == "leader"]
        return leaders[0] if len(leaders) == 1 else None

    @property
    def learners(self):
        return [member for member in self if member.mode in ("follower", "observer")]

    @property
    def followers(self):
        return [member for member in self if member.mode == "follower"]

    def start(self):
        """Starts everybody; the last voter leads, because it has the greatest sid of the first."""
        voters = self.voters
        first = voters[-(len(voters) // 2 + 1):]
        for member in first:
            member.launch()
        self.wait_for_leader(first)
        for member in self:
            if member not in first:
                member.launch()
        self.wait_until_serving()
        return self

    def start_all(self):
        """Starts whoever does not run, all at once."""
        for member in self:
            if not member.running:
                member.launch()
        self.wait_until_serving()

    def wait_for_leader(self, among=None, seconds=SECONDS):
        """The leader, once there is one."""
        return until(lambda: next((member for member in among or self if member.mode == "leader"),
                                  None), self.story("a leader"), seconds)

    def wait_until_serving(self, seconds=SECONDS):
        """Waits until all who run serve, one of them as leader."""
        def serving():
            for member in self:
                if member.process is not None and member.process.poll() not in (None, -9, -15, 143):
                    raise DidNotStart(f"{member!r} ended with code {member.process.returncode}\n"
                                      f"{member.log_text()[-4000:]}")
            modes = [member.mode for member in self.running]
            return modes.count("leader") == 1 and None not in modes

        until(serving, self.story("everybody serves"), seconds)

    def wait_until_equal(self, seconds=SECONDS, among=None):
        """Waits until all who run have applied the same last zxid, and returns it."""
        def equal():
            zxids = {member.zxid for member in among or self.running}
            return len(zxids) == 1 and None not in zxids and zxids.pop()

        return until(equal, self.story("equal zxids"), seconds)

    def story(self, wanted):
        """What to say when waiting was in vain: how everybody is, and the ends of their logs."""
        def tell():
            lines = [f"{self!r}: {wanted}"]
            for member in self:
                zxid = member.zxid if member.running else None
                lines.append(f"{member!r}: mode {member.mode}, running {member.running}, "
                             f"zxid {zxid if zxid is None else hex(zxid)}")
            for member in self:
                lines.append(f"--- log of {member!r}\n{member.log_text()[-1500:]}")
            return "\n".join(lines)
        return tell

    def hosts(self, members=None):
        """The connection string of clients."""
        return ",".join(f"{each.host}:{each.port}" for each in members or self)

    def save_logs(self, folder):
        """Copies every member's log and configuration, for reading after a failure."""
        folder.mkdir(parents=True, exist_ok=True)
        for member in self:
            if (member.home / "zoo.cfg").exists():
                shutil.copy(member.home / "zoo.cfg", folder / f"{member.sid}.cfg")
            (folder / f"{member.sid}-{member.kind}.log").write_text(member.log_text())

    def cleanup(self):
        """Ends every process and removes all folders."""
        for member in self:
            if member.running:
                member.resume()
            member.cleanup()


class Connected:
    """A follower of three, in place of a single server, for suites that know of one address only.

    Everything that it has not itself is its follower's: stop, restart, log_text and so on.
    """

    def __init__(self, kind, cfg, props):
        letter = "J" if kind == "java" else "O"
        self.ensemble = Ensemble(letter * 3, cfg={"tickTime": 2000, **cfg}, props=props)
        try:
            self.ensemble.start()
        except BaseException:
            self.cleanup()
            raise
        self._follower = self.ensemble[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    def __repr__(self):
        return f"{self._follower!r} of {self.ensemble!r}"

    def __getattr__(self, name):
        return getattr(self._follower, name)

    def cleanup(self):
        self.ensemble.cleanup()


class Network:
    """A host of its own for each member: network namespaces on one bridge, all reachable from here.

    `cut` makes packets of one host for another vanish without a word, as a broken network does: the
    sender is told a link address that nobody has. Needs root and the `ip` program.
    """

    # What the names of its devices begin with.
    PREFIX = "ox"

    def __init__(self, size):
        self._size = size
        self._tag = f"{self.PREFIX}{os.getpid() % 100_000}"
        self._bridge = f"{self._tag}b"
        self._subnet = f"10.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"
        self._cuts = set()

    @staticmethod
    def why_not():
        """Why there can be none on this machine; None if there can."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        if shutil.which("ip") is None:
            return "network namespaces need the `ip` program"
        probe = f"ox{os.getpid() % 100_000}p"
        done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
        if done.returncode:
            return f"no network namespaces here: {done.stderr.strip()}"
        subprocess.run(["ip", "netns", "del", probe], check=True)
        return None

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for sid in range(1, self._size + 1):
            # The link goes at once; a namespace only with its last process, and some time later.
            _ip("link", "del", f"{self._tag}v{sid}", check=False)
            _ip("netns", "del", self._name(sid), check=False)
        _ip("link", "del", self._bridge, check=False)

    def address(self, sid):
        return f"{self._subnet}.{sid}"

    def launcher(self, sid):
        return ["ip", "netns", "exec", self._name(sid)]

    def cut(self, sender, receiver):
        """Nothing that `sender` sends reaches `receiver` any more (server ids; 0 is the tests)."""
        self._cuts.add((sender, receiver))
        self._in(sender, "neigh", "replace", self._address_of(receiver), "lladdr",
                 "02:00:00:00:de:ad", "dev", self._device(sender), "nud", "permanent")

    def cut_both(self, one, other):
        self.cut(one, other)
        self.cut(other, one)

    def isolate(self, sid):
        """Cuts a server from all other servers, both ways; the tests still reach it."""
        for other in range(1, self._size + 1):
            if other != sid:
                self.cut_both(sid, other)

    def heal(self):
        """Mends everything."""
        for sender, receiver in self._cuts:
            self._in(sender, "neigh", "del", self._address_of(receiver), "dev",
                     self._device(sender))
        self._cuts.clear()

    def _build(self):
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._subnet}.254/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for sid in range(1, self._size + 1):
            name, veth = self._name(sid), f"{self._tag}v{sid}"
            _ip("netns", "add", name)
            _ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", veth, "master", self._bridge, "up")
            _ip("-n", name, "addr", "add", f"{self.address(sid)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def _name(self, sid):
        return f"{self._tag}-{sid}"

    def _address_of(self, sid):
        return self.address(sid) if sid else f"{self._subnet}.254"

    def _device(self, sid):
        return "eth0" if sid else self._bridge

    def _in(self, sid, *words):
        _ip(*(["-n", self._name(sid)] if sid else []), *words)


def _ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
