"""What a script is made of.

Steps that name sessions, never server-given ids, so that they replay anywhere.
"""

import struct
from dataclasses import dataclass, field

from harness import rawzk


@dataclass
class Request:
    """One frame after the handshake."""

    op: int
    body: bytes = b""
    xid: int = 1
    # Whether the server closes the connection after its answer.
    closes: bool = False
    # For setWatches: the first 8 body bytes become the zxid at the script's start plus this.
    zxid_after_start: int | None = None

    def payload(self, start_zxid):
        body = self.body
        if self.zxid_after_start is not None:
            body = struct.pack(">q", start_zxid + self.zxid_after_start) + body[8:]
        return rawzk.request_frame(self.xid, self.op, body)

    def reply_xid(self):
        return rawzk.PING_XID if self.op == rawzk.PING else self.xid

    def describe(self):
        name = rawzk.OP_NAMES.get(self.op, "unknown")
        text = f"xid {self.xid} {name}({self.op})"
        try:
            if self.op in (rawzk.MULTI, rawzk.MULTI_READ):
                text += f" {rawzk.decode_multi_request(self.body)}"
            elif self.op in rawzk.REQUESTS:
                value, end = rawzk.decode(rawzk.REQUESTS[self.op], self.body)
                text += f" {value}"
                if end < len(self.body):
                    text += f" + {len(self.body) - end} bytes after it"
        except rawzk.Undecodable as err:
            text += f" undecodable: {err}"
        if self.zxid_after_start is not None:
            text += f" (relative zxid: start + {self.zxid_after_start})"
        body = self.body.hex()
        return f"{text}\n        body {body if len(body) < 2000 else body[:2000] + '...'}"


@dataclass
class Open:
    """A new connection with a new session."""

    session: str
    timeout: int = 40000
    read_only: bool | None = False
    password: bytes | None = bytes(16)
    zxid_ahead: int | None = None  # None: lastZxidSeen 0; else the server's last zxid plus this
    protocol: int = 0


@dataclass
class Resume:
    """A new connection that asks for the session's id again."""

    session: str
    timeout: int = 40000
    read_only: bool | None = False
    wrong_password: bytes | None | bool = False  # False: the right one


@dataclass
class Send:
    """Frames in one write, then as many replies."""

    session: str
    requests: list = field(default_factory=list)
    deliberate: str | None = None  # id of the deliberate difference this step may show

    def closes(self):
        """Whether the server is to close the connection after the last answer."""
        return any(r.closes for r in self.requests)


@dataclass
class Raw:
    """Bytes that are no request: on the session's connection, or on a new one of their own."""

    session: str | None
    data: bytes = b""


@dataclass
class Drop:
    """The client's end closes the connection; the session stays."""

    session: str


def describe(step):
    """Readable text of a step, requests decoded."""
    if isinstance(step, Send):
        parts = "".join(f"\n      {request.describe()}" for request in step.requests)
        note = f" [deliberate: {step.deliberate}]" if step.deliberate else ""
        return f"send on {step.session}{note}:{parts}"
    if isinstance(step, Raw):
        return f"raw bytes on {step.session or 'a new connection'}: {step.data.hex()}"
    return repr(step)
