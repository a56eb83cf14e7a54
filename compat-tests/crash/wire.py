"""The client protocol in raw bytes: as much of it as the crash tests need, pipelined."""

import socket
import struct
from collections import namedtuple

CREATE, DELETE, GET_DATA, SET_DATA, GET_CHILDREN, SYNC, CHECK, MULTI = 1, 2, 4, 5, 8, 9, 13, 14
CLOSE = -11
OK, NO_NODE, BAD_VERSION, NODE_EXISTS, INCONSISTENT = 0, -101, -103, -110, -2
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL = 0, 1, 2, 3

Stat = namedtuple("Stat", "czxid mzxid ctime mtime version cversion aversion owner size children "
                          "pzxid")
_STAT = struct.Struct(">qqqqiiiqiiq")

Reply = namedtuple("Reply", "xid zxid err body")


def text(value):
    raw = value.encode()
    return struct.pack(">i", len(raw)) + raw


def data(value):
    return struct.pack(">i", len(value)) + value


_OPEN_ACL = struct.pack(">ii", 1, 31) + text("world") + text("anyone")


def create_body(path, value, flags=PERSISTENT):
    return text(path) + data(value) + _OPEN_ACL + struct.pack(">i", flags)


def versioned_body(path, version):
    """delete and check."""
    return text(path) + struct.pack(">i", version)


def set_data_body(path, value, version):
    return text(path) + data(value) + struct.pack(">i", version)


def read_body(path):
    """getData and getChildren, without a watch."""
    return text(path) + b"\0"


def multi_body(parts):
    """parts: (op, body) of each."""
    whole = b"".join(struct.pack(">i?i", op, False, -1) + body for op, body in parts)
    return whole + struct.pack(">i?i", -1, True, -1)


def read_text(body, at=0):
    (length,) = struct.unpack_from(">i", body, at)
    return body[at + 4:at + 4 + length].decode()


def read_data(body):
    """Data and Stat of a getData reply."""
    (length,) = struct.unpack_from(">i", body, 0)
    length = max(length, 0)
    return body[4:4 + length], Stat(*_STAT.unpack_from(body, 4 + length))


def read_names(body):
    """Names of a getChildren reply."""
    (count,) = struct.unpack_from(">i", body, 0)
    names, at = [], 4
    for _ in range(count):
        name = read_text(body, at)
        names.append(name)
        at += 4 + len(name.encode())
    return names


def read_multi(body):
    """The error code of each part of a multi's reply."""
    codes, at = [], 0
    while True:
        op, done, _ = struct.unpack_from(">i?i", body, at)
        at += 9
        if done:
            return codes
        code = OK
        if op == CREATE:
            at += 4 + struct.unpack_from(">i", body, at)[0]
        elif op == SET_DATA:
            at += _STAT.size
        elif op == -1:
            (code,) = struct.unpack_from(">i", body, at)
            at += 4
        codes.append(code)


class Refused(Exception):
    """The server does not know the session, or not with this password."""


class Client:
    """One connection with its session. Any failure of the connection is an OSError."""

    def __init__(self, server, session=0, password=bytes(16), timeout_ms=120_000, seen=0, wait=60):
        self._socket = socket.create_connection((server.host, server.port), timeout=wait)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._xid = 0
        hello = struct.pack(">iqiq", 0, seen, timeout_ms, session) + data(password) + b"\0"
        self._socket.sendall(struct.pack(">i", len(hello)) + hello)
        answer = self._frame()
        _, self.timeout_ms, self.session = struct.unpack_from(">iiq", answer, 0)
        self.password = bytes(answer[20:36])
        if self.timeout_ms <= 0:
            self.close_socket()
            raise Refused(f"session 0x{session:x}")

    def send(self, op, body=b""):
        """Queues a request for the next `flush`; returns its xid."""
        self._xid += 1
        self._outbox += struct.pack(">iii", len(body) + 8, self._xid, op) + body
        return self._xid

    def flush(self):
        self._socket.sendall(self._outbox)
        self._outbox.clear()

    def receive(self):
        """The next reply in order."""
        frame = self._frame()
        return Reply(*struct.unpack_from(">iqi", frame, 0), bytes(frame[16:]))

    def call(self, op, body=b""):
        """One request and its reply."""
        xid = self.send(op, body)
        self.flush()
        reply = self.receive()
        assert reply.xid == xid, f"reply to xid {reply.xid} while only {xid} was asked"
        return reply

    def calls(self, requests, window=64):
        """The replies to many (op, body), pipelined."""
        replies = []
        for start in range(0, len(requests), window):
            chunk = requests[start:start + window]
            for op, body in chunk:
                self.send(op, body)
            self.flush()
            replies += [self.receive() for _ in chunk]
        return replies

    def close(self):
        """Ends the session."""
        self.call(CLOSE)
        self.close_socket()

    def close_socket(self):
        """Leaves without a word; the session lives on until it times out."""
        self._socket.close()

    def _frame(self):
        self._fill(4)
        (length,) = struct.unpack_from(">i", self._inbox, 0)
        self._fill(4 + length)
        frame = self._inbox[4:4 + length]
        del self._inbox[:4 + length]
        return frame

    def _fill(self, wanted):
        while len(self._inbox) < wanted:
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionResetError("the server closed the connection")
            self._inbox += part
