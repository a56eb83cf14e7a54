"""Builds scripts by hand: steps in the order they are asked for, xids counted."""

from harness import rawzk
from harness.rawzk import encode, multi_body

from .steps import Drop, Open, Raw, Request, Resume, Send


class Script:
    """Builds the steps of one case."""

    def __init__(self, root):
        self.root = root
        self.steps = []
        self._xid = 0

    def open(self, session, **how):
        self.steps.append(Open(session, **how))

    def resume(self, session, **how):
        self.steps.append(Resume(session, **how))

    def drop(self, session):
        self.steps.append(Drop(session))

    def raw(self, session, data):
        self.steps.append(Raw(session, data))

    def request(self, op, value=None, xid=None, **more):
        self._xid += 1
        body = (
            value
            if isinstance(value, bytes)
            else encode(rawzk.REQUESTS[op], value) if value else b""
        )
        return Request(op, body, self._xid if xid is None else xid, **more)

    def send(self, session, *requests, deliberate=None):
        self.steps.append(Send(session, list(requests), deliberate))

    def do(self, session, op, value=None, **more):
        self.send(session, self.request(op, value, **more))

    # Shorthands for what most cases need.

    def create(self, session, path, data=b"", flags=0, entries=None, op=rawzk.CREATE2, ttl=None):
        value = {
            "path": path,
            "data": data,
            "flags": flags,
            "acl": rawzk.OPEN_ACL if entries is None else entries,
        }
        if ttl is not None:
            value["ttl"] = ttl
        self.do(session, op, value)

    def delete(self, session, path, version=-1):
        self.do(session, rawzk.DELETE, {"path": path, "version": version})

    def set(self, session, path, data, version=-1):
        self.do(session, rawzk.SET_DATA, {"path": path, "data": data, "version": version})

    def look(self, session, path, watch=False):
        """Everything a client can read about a znode, pipelined."""
        self.send(
            session,
            self.request(rawzk.EXISTS, {"path": path, "watch": watch}),
            self.request(rawzk.GET_DATA, {"path": path, "watch": watch}),
            self.request(rawzk.GET_CHILDREN, {"path": path, "watch": watch}),
            self.request(rawzk.GET_CHILDREN2, {"path": path, "watch": watch}),
            self.request(rawzk.GET_ACL, {"path": path}),
            self.request(rawzk.GET_ALL_CHILDREN_NUMBER, {"path": path}),
        )

    def auth(self, session, scheme, data, closes=False):
        self.send(
            session, self.request(rawzk.AUTH, {"scheme": scheme, "auth": data}, closes=closes)
        )

    def who(self, session):
        self.do(session, rawzk.WHO_AM_I)

    def multi(self, session, *ops, deliberate=None, op=rawzk.MULTI):
        self.send(session, self.request(op, multi_body(ops)), deliberate=deliberate)
