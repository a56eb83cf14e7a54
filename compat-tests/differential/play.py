"""Plays steps against one server and records every frame each session receives, in order of
arrival.
"""

import struct

from harness import rawzk
from harness.rawzk import Closed, Connection

from .steps import Drop, Open, Raw, Resume, Send

BARRIER_XID = 0x7FFFFF01
BARRIER_BODY = rawzk.encode("ExistsRequest", {"path": "/zookeeper", "watch": False})
WAIT_SECONDS = 60.0


class Link:
    """A connection of a named session, and what was sent on it but not answered."""

    def __init__(self, side):
        self.connection = Connection(side.host, side.port, WAIT_SECONDS)
        self.pending = []


class Side:
    """One server as a script sees it."""

    def __init__(self, server):
        self.name = server.kind
        self.host, self.port = server.host, server.port
        self.links = {}
        self.ids = {}
        self.living = set()
        self.last_zxid = 0
        self.start_zxid = 0
        self._record = {}

    # --- A step: begin sends, finish reads until everything is quiet ------------------------------

    def begin(self, step):
        """Sends what the step says without waiting for answers."""
        self._record = {}
        if isinstance(step, (Open, Resume)):
            self._begin_connect(step)
        elif isinstance(step, Send):
            link = self.links.get(step.session)
            if link:
                link.pending = list(step.requests)
                link.connection.send(*[r.payload(self.start_zxid) for r in step.requests])
        elif isinstance(step, Raw):
            self._begin_raw(step)
        elif isinstance(step, Drop):
            link = self.links.pop(step.session, None)
            if link:
                link.connection.close()

    def finish(self, step):
        """The frames per session: lists of (what, payload, request)."""
        if isinstance(step, (Open, Resume)):
            self._finish_connect(step)
        elif isinstance(step, Send) and step.session in self.links:
            self._read_replies(step.session, step.closes())
        elif isinstance(step, Raw):
            self._finish_raw(step)
        for session in sorted(self.links):
            self._barrier(session)
        return self._record

    def close(self):
        for link in self.links.values():
            link.connection.close()
        self.links = {}

    # --- Parts ------------------------------------------------------------------------------------

    def _note(self, session, what, payload=b"", request=None):
        self._record.setdefault(session, []).append((what, payload, request))

    def _begin_connect(self, step):
        self._old = self.links.pop(step.session, None)
        if self._old and isinstance(step, Open):
            self._old.connection.close()
            self._old = None
        link = self.links[step.session] = Link(self)
        if isinstance(step, Open):
            seen = 0 if step.zxid_ahead is None else self.last_zxid + step.zxid_ahead
            frame = rawzk.connect_frame(
                seen, step.timeout, 0, step.password, step.read_only, step.protocol
            )
        else:
            ident = self.ids.get(step.session, 0x0100000000000001)
            password = step.wrong_password
            if password is False:
                password = rawzk.password_of(ident)
            frame = rawzk.connect_frame(0, step.timeout, ident, password, step.read_only)
        link.connection.send(frame)

    def _finish_connect(self, step):
        link = self.links[step.session]
        try:
            frame = link.connection.receive()
            self._note(step.session, "connected", frame)
            response, _ = rawzk.decode("ConnectResponse", frame)
            if response["sessionId"]:
                self.ids[step.session] = response["sessionId"]
                self.living.add(response["sessionId"])
        except (Closed, TimeoutError) as err:
            self._ended(step.session, err)
        except rawzk.Undecodable:
            pass
        if self._old:
            self._drain_old(step.session)

    def _drain_old(self, session):
        """A resumed session's former connection is closed by the server."""
        try:
            while True:
                self._note(session, "old connection", self._old.connection.receive())
        except Closed:
            self._note(session, "old connection closed")
        except TimeoutError:
            self._note(session, "old connection stays open")
        self._old.connection.close()

    def _begin_raw(self, step):
        if step.session is None:
            self._lone = Connection(self.host, self.port, WAIT_SECONDS)
            self._lone.send_bytes(step.data)
        elif step.session in self.links:
            self.links[step.session].connection.send_bytes(step.data)

    def _finish_raw(self, step):
        if step.session is not None:
            return  # the barrier finds out whether the connection lives
        try:
            while True:
                self._note("raw", "frame", self._lone.receive())
        except Closed:
            self._note("raw", "closed")
        except TimeoutError:
            self._note("raw", "stays open")
        self._lone.close()

    def _read_replies(self, session, closes):
        link = self.links[session]
        try:
            while link.pending or closes:
                self._frame(session, link, link.connection.receive())
        except (Closed, TimeoutError) as err:
            self._ended(session, err)

    def _frame(self, session, link, frame):
        if len(frame) < 16:
            self._note(session, "frame", frame)
            return
        xid, _, err = struct.unpack_from(">iqi", frame)
        if xid == rawzk.EVENT_XID:
            self._note(session, "event", frame)
            return
        for index, request in enumerate(link.pending):
            if request.reply_xid() == xid:
                del link.pending[index]
                if request.op == rawzk.CLOSE_SESSION and err == 0:
                    self.living.discard(self.ids.get(session))
                self._note(session, "reply", frame, request)
                return
        self._note(session, "unasked", frame)

    def _barrier(self, session):
        """Reads whatever the session was owed.

        Everything queued before the answer to one more read.
        """
        link = self.links[session]
        link.connection.send(rawzk.request_frame(BARRIER_XID, rawzk.EXISTS, BARRIER_BODY))
        try:
            while True:
                frame = link.connection.receive()
                xid, zxid, _ = struct.unpack_from(">iqi", frame)
                if xid == BARRIER_XID:
                    self.last_zxid = max(self.last_zxid, zxid)
                    self._note(session, "barrier", frame[:16])
                    return
                self._frame(session, link, frame)
        except (Closed, TimeoutError) as err:
            self._ended(session, err)

    def _ended(self, session, err):
        link = self.links.pop(session)
        link.connection.close()
        self._note(session, "closed" if isinstance(err, Closed) else "no answer")


class Filler:
    """A session beside the script that can use up zxids, to level two servers after a deliberate
    skew.
    """

    def __init__(self, server):
        self.client = rawzk.Client(server.host, server.port, timeout=600000)

    def last_zxid(self):
        self.client.call(rawzk.SYNC, {"path": "/"})
        return self.client.zxid

    def burn(self, count):
        """Uses `count` zxids with writes that fail."""
        for _ in range(count):
            try:
                self.client.delete("/no/such/znode")
            except rawzk.Error:
                pass


def level(first, second):
    """Brings the servers behind two fillers to the same last zxid; returns how far apart they were."""
    gap = first.last_zxid() - second.last_zxid()
    if gap > 0:
        second.burn(gap)
    else:
        first.burn(-gap)
    return gap
