"""Writers that load a server while it is killed, and the check of what it holds afterwards."""

import random
import threading

from . import model, wire

ROOT = "/crash"
WINDOW = 12


class Wrong(AssertionError):
    """The server broke a promise."""


class Record:
    """What all writers of one data folder know together, over all its restarts."""

    def __init__(self):
        self._lock = threading.Lock()
        self._tag_of_name = {}
        self._writes = set()
        self.highest = 0
        self.floor = 0
        self.folder_version = 0
        self.acknowledged = 0

    def name_used(self, name, tag):
        with self._lock:
            if self._tag_of_name.setdefault(name, tag) != tag:
                raise Wrong(f"sequential name {name} given to {self._tag_of_name[name]} "
                            f"and to {tag}")

    def write_answered(self, zxid):
        """Notes the zxid of a write; each has its own, above all from before the last restart."""
        with self._lock:
            if zxid <= self.floor:
                raise Wrong(f"zxid 0x{zxid:x} of a write is not above 0x{self.floor:x}, "
                            "which was seen before the restart")
            if zxid in self._writes:
                raise Wrong(f"zxid 0x{zxid:x} answered two writes")
            self._writes.add(zxid)
            self.highest = max(self.highest, zxid)
            self.acknowledged += 1

    def restarted(self):
        with self._lock:
            self.floor = self.highest
            self._writes.clear()


class Writer:
    """One client with a folder of its own, who resumes its session after each restart."""

    def __init__(self, number, seed, record):
        self.folder = f"{ROOT}/w{number}"
        self.wrong = None
        self.lost = None
        self.pending = []
        self.state = model.State()
        self._number = number
        self._rng = random.Random(f"{seed}/{number}")
        self._record = record
        self._client = None
        self._session = (0, bytes(16))
        self._count = 0
        self._thread = None
        self._ahead = None
        self._last_zxid = 0

    def connect(self, server):
        """Resumes the session, or opens one if there is none; false if the server refuses."""
        session, password = self._session
        try:
            self._client = wire.Client(server, session, password, seen=self._record.highest)
        except wire.Refused:
            return False
        if session not in (0, self._client.session):
            raise Wrong(f"resumed 0x{session:x}, got 0x{self._client.session:x}")
        self._session = (self._client.session, self._client.password)
        return True

    def forget_session(self):
        self._session = (0, bytes(16))
        self.state.session_open = True

    @property
    def has_session(self):
        return self._session[0] != 0

    def start(self, server, close_session_share=0.002):
        """Sends requests until the connection is lost or `halt` is called."""
        self._halted = False
        args = (server, close_session_share)
        self._thread = threading.Thread(target=self._run, args=args, daemon=True)
        self._thread.start()

    def halt(self):
        """Lets the writer finish what it has sent."""
        self._halted = True

    def join(self):
        self._thread.join(60)
        if self._thread.is_alive():
            raise Wrong(f"{self.folder}: {len(self.pending)} requests were never answered")
        self._client.close_socket()
        if self.wrong:
            raise self.wrong

    def _run(self, server, close_session_share):
        try:
            self._ahead = self.state.copy()
            self._last_zxid = 0
            while not self._halted or self.pending:
                if not self.state.session_open:
                    self.forget_session()
                    self._client.close_socket()
                    self.connect(server)
                    self._ahead = self.state.copy()
                self._send(close_session_share)
                self._take(self._client.receive())
        except OSError as lost:
            self.lost = lost
        except Exception as wrong:  # reported by join
            self.wrong = wrong

    def _send(self, close_session_share):
        room = self._rng.randint(1, WINDOW) - len(self.pending)
        for _ in range(room if not self._halted else 0):
            if not self._ahead.session_open:
                break
            self._count += 1
            session = self._session[0]
            if self._rng.random() < close_session_share:
                request = model.Close(session)
            else:
                fresh = f"w{self._number}.{self._count}"
                request = model.random_request(self._rng, self.folder, self._ahead, self.state,
                                               session, fresh)
            request.apply(self._ahead)
            self.pending.append(request)
            self._client.send(request.op, request.body())
        self._client.flush()

    def _take(self, reply):
        request = self.pending.pop(0)
        if reply.zxid < self._last_zxid:
            raise Wrong(f"{self.folder}: zxid went from 0x{self._last_zxid:x} to 0x{reply.zxid:x}")
        self._last_zxid = reply.zxid
        if not isinstance(request, model.Get):
            self._record.write_answered(reply.zxid)
        extra = {}
        if isinstance(request, model.CreateSequential) and reply.err == wire.OK:
            extra["name"] = wire.read_text(reply.body).rpartition("/")[2]
            self._record.name_used(extra["name"], request.tag)
        if isinstance(request, model.Multi):
            expected = request.codes(self.state, reply.zxid)
            actual = wire.read_multi(reply.body)
        else:
            expected = request.apply(self.state, reply.zxid, **extra)
            actual = reply.err
        if expected != actual:
            raise Wrong(f"{self.folder}: {request} was answered with {actual}, not {expected}")
        if isinstance(request, model.Get) and reply.err == wire.OK:
            seen = _znode(reply.body)
            if not self.state.znodes[request.path].agrees(seen):
                expected = self.state.znodes[request.path]
                raise Wrong(f"{request.path}: read {seen}, expected {expected}")


def _znode(body):
    value, stat = wire.read_data(body)
    return model.Znode(value, stat.version, stat.owner, stat.czxid, stat.mzxid)


def prepare(server, writers):
    """Makes the folders of the writers."""
    client = wire.Client(server)
    for path in (ROOT, model.SEQUENCE_FOLDER, *(writer.folder for writer in writers)):
        assert client.call(wire.CREATE, wire.create_body(path, b"")).err == wire.OK
    client.close()


def check(server, writers, record):
    """Compares what the restarted server holds with what was acknowledged; connects the writers.

    Afterwards every writer knows its state exactly, and has a connection.
    """
    record.restarted()
    # A client that has seen more than the server has would only be hung up on: zxids come first.
    reader = wire.Client(server)
    sequence = _read_sequence(reader, record)
    resumed = {writer: writer.has_session and writer.connect(server) for writer in writers}
    for writer in writers:
        seen = model.State(_read_folder(reader, writer.folder), {}, resumed[writer])
        number = writer.folder.rpartition("/")[2]
        seen.sequence = {tag: kept for tag, kept in sequence.items() if tag.split(".")[0] == number}
        if not writer.has_session:
            seen.session_open = writer.state.session_open
        _, against = model.prefix_that_explains(writer.state, writer.pending, seen)
        if against:
            raise Wrong(f"{writer.folder}: no number of unanswered requests explains it:\n"
                        f"{against}\nunanswered: {writer.pending}")
        writer.state, writer.pending, writer.lost = seen, [], None
        if not seen.session_open or not writer.has_session:
            writer.forget_session()
            if not writer.connect(server):
                raise Wrong(f"{writer.folder}: a new session was refused")
    reader.close()


def _read_folder(reader, folder):
    names = wire.read_names(reader.call(wire.GET_CHILDREN, wire.read_body(folder)).body)
    paths = [f"{folder}/{name}" for name in names]
    replies = reader.calls([(wire.GET_DATA, wire.read_body(path)) for path in paths])
    return {path: _znode(reply.body) for path, reply in zip(paths, replies)}


def _read_sequence(reader, record):
    """Sequential znodes by tag: name and owner."""
    folder = model.SEQUENCE_FOLDER
    reply = reader.call(wire.GET_DATA, wire.read_body(folder))
    if reply.zxid < record.floor:
        raise Wrong(f"a reply has zxid 0x{reply.zxid:x}; "
                    f"0x{record.floor:x} was seen before the restart")
    changes = wire.read_data(reply.body)[1].cversion
    if changes < record.folder_version:
        raise Wrong(f"{folder}: cversion went from {record.folder_version} to {changes}")
    record.folder_version = changes
    found = {}
    for path, znode in _read_folder(reader, folder).items():
        name, tag = path.rpartition("/")[2], znode.data.decode()
        record.name_used(name, tag)
        if tag in found:
            raise Wrong(f"{tag} exists twice: {name} and {found[tag][0]}")
        found[tag] = (name, znode.owner)
    return found
