"""Frames sent byte by byte, where real clients differ only in their timing."""

import contextlib
import socket
import struct

import pytest

SECONDS = 60
PING = struct.pack(">iii", 8, -2, 11)


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500}}


def send_connect(conn, session, password):
    body = struct.pack(">iqiqi", 0, 0, 10_000, session, len(password)) + password + b"\0"
    conn.sendall(struct.pack(">i", len(body)) + body)


def read_frame(conn):
    def exactly(count):
        parts = b""
        while len(parts) < count:
            part = conn.recv(count - len(parts))
            assert part, "the server closed the connection"
            parts += part
        return parts

    return exactly(struct.unpack(">i", exactly(4))[0])


def read_welcome(conn):
    """Session id and password."""
    _, _, session, length = struct.unpack_from(">iiqi", frame := read_frame(conn))
    return session, frame[20 : 20 + length]


def ping_answered(conn):
    conn.sendall(PING)
    xid, _, err = struct.unpack(">iqi", read_frame(conn))
    return (xid, err) == (-2, 0)


def test_what_a_client_sends_right_after_its_welcome_is_answered(server):
    """The welcome may be on its way before the server's connection knows that it is: many tries."""
    session, password = 0, bytes(16)
    for _ in range(300):
        with socket.create_connection((server.host, server.port), timeout=SECONDS) as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            send_connect(conn, session, password)
            session, password = read_welcome(conn)
            assert session != 0
            assert ping_answered(conn)


def test_requests_sent_with_the_connect_request_are_answered_after_the_welcome(server):
    for _ in range(100):
        with socket.create_connection((server.host, server.port), timeout=SECONDS) as conn:
            body = struct.pack(">iqiqi", 0, 0, 10_000, 0, 16) + bytes(16) + b"\0"
            conn.sendall(struct.pack(">i", len(body)) + body + PING * 3)
            assert read_welcome(conn)[0] != 0
            for _ in range(3):
                assert struct.unpack(">iqi", read_frame(conn))[0] == -2


def test_pipelined_reads_of_large_data_are_all_answered(server):
    """More replies than the server likes to hold for one client, asked for in one small write."""
    count, data = 40, bytes(1_000_000)
    with socket.create_connection((server.host, server.port), timeout=SECONDS) as conn:
        send_connect(conn, 0, bytes(16))
        read_welcome(conn)
        path, length = b"\0\0\0\6/large", struct.pack(">i", len(data))
        acl = struct.pack(">ii", 1, 31) + b"\0\0\0\5world\0\0\0\6anyone"
        body = struct.pack(">ii", 1, 1) + path + length + data + acl + bytes(4)
        conn.sendall(struct.pack(">i", len(body)) + body)
        assert struct.unpack_from(">iqi", read_frame(conn))[2] == 0
        body = [struct.pack(">ii", xid, 4) + path + b"\0" for xid in range(2, 2 + count)]
        conn.sendall(b"".join(struct.pack(">i", len(part)) + part for part in body))
        for xid in range(2, 2 + count):
            frame = read_frame(conn)
            assert struct.unpack_from(">iqi", frame)[::2] == (xid, 0)
            assert len(frame) > len(data)


def test_a_session_that_moves_behind_its_own_writes_is_served_on(start_server, server_kind):
    """Overload holds the new connection back until the writes sent on the old one are done."""
    server = start_server(server_kind, cfg={"tickTime": 500, "globalOutstandingLimit": 1})
    acl = struct.pack(">ii", 1, 31) + b"\0\0\0\5world\0\0\0\6anyone"
    body = struct.pack(">ii", 1, 1) + b"\0\0\0\2/n" + bytes(4) + acl + struct.pack(">i", 2)
    create = struct.pack(">i", len(body)) + body
    with contextlib.ExitStack() as opened:
        session, password = 0, bytes(16)
        for _ in range(50):
            conn = socket.create_connection((server.host, server.port), timeout=SECONDS)
            opened.enter_context(conn)
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            send_connect(conn, session, password)
            session, password = read_welcome(conn)
            assert session != 0
            assert ping_answered(conn)
            conn.sendall(create * 20)
