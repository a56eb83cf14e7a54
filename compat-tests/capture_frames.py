"""Records what a real Java server says and writes, as golden frames and as seeds for fuzzing.

    compat-tests/capture_frames.py      (after compat-tests/install; with the Python of its cache)

Writes jute/tests/golden/client.hex (zkCli, then a raw client, through a relay to a Java 3.9.5),
jute/tests/golden/files.hex (the log and snapshot that server left behind) and fuzz/seeds/session/*.
"""

import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from harness import rawzk, servers
from harness.cache import cache_dir
from harness.rawzk import Client, Error, acl, multi_body

ROOT = Path(__file__).resolve().parents[1]

ZKCLI = """
create /a hello
create /a/b
create -s /a/s- x
create -e /a/e y
create -e -s /a/es- z
create -c /c
create -t 600000 /ttl t
create -s -t 600000 /ttls t
create /grüße äöü
addauth digest bob:pw
whoami
create /acl d auth::rwa
getAcl -s /acl
setAcl -s /a world:anyone:cdrwa,ip:127.0.0.1:r
get -s -w /a
stat -w /a
stat -w /missing
ls -w /a
ls -s /a
addWatch -m PERSISTENT /a
addWatch /a
set /a new
set -s -v 7 /a bad
set -s /a new2
getEphemerals /a
getAllChildrenNumber /a
removewatches /a
setquota -n 10 -b 1000 /a
listquota /a
delquota /a
sync /a
ls -R /a
config
reconfig -remove 3
get /missing
delete -v 9 /a
delete /a/b
deleteall /a
deleteall /c
close
quit
"""


class Relay:
    """Passes one client after another on to the server, and keeps what both say, as frames."""

    def __init__(self, server):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.conversations = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._server.host, self._server.port))
            said = []
            self.conversations.append(said)
            for source, sink, who in ((client, server, ">"), (server, client, "<")):
                words = (source, sink, who, said)
                threading.Thread(target=self._pass, args=words, daemon=True).start()

    @staticmethod
    def _pass(source, sink, who, said):
        buffer = b""
        while True:
            try:
                part = source.recv(1 << 16)
                if not part:
                    break
                buffer += part
                # Noted before it is passed on, so that a request always stands before its answer.
                while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack_from(">i", buffer)[0]:
                    end = 4 + struct.unpack_from(">i", buffer)[0]
                    said.append((who, buffer[4:end]))
                    buffer = buffer[end:]
                sink.sendall(part)
            except OSError:
                break
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()


def zkcli(relay):
    jars = cache_dir() / "zk-3.9.5"
    subprocess.run(
        ["java", "-cp", f"{jars}/*", "org.apache.zookeeper.ZooKeeperMain", "-waitforconnection",
         "-server", f"127.0.0.1:{relay.port}"],
        input=ZKCLI, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
    )


def refused(client, op, value=None):
    try:
        client.call(op, value)
    except Error:
        pass


def everything_else(relay):
    """What zkCli does not send."""
    c = Client("127.0.0.1", relay.port)
    c.create("/m", b"1", op=rawzk.CREATE)
    c.create("/m/null", None, op=rawzk.CREATE2)
    c.create("/m/empty", b"", acl=[acl(31, "world", "anyone"), acl(1, "digest", "u:h")])
    c.call(rawzk.CREATE_CONTAINER, {"path": "/m/c", "data": b"", "acl": rawzk.OPEN_ACL, "flags": 4})
    create = {"path": "/m/k", "data": b"d", "acl": rawzk.OPEN_ACL, "flags": 0}
    ops = [
        (rawzk.CREATE, create),
        (rawzk.CREATE2, create | {"path": "/m/k2", "flags": 2}),
        (rawzk.CREATE_CONTAINER, create | {"path": "/m/k3", "flags": 4}),
        (rawzk.CREATE_TTL, create | {"path": "/m/k4", "flags": 5, "ttl": 60000}),
        (rawzk.SET_DATA, {"path": "/m/k", "data": b"dd", "version": 0}),
        (rawzk.CHECK, {"path": "/m/k", "version": 1}),
        (rawzk.DELETE, {"path": "/m/k", "version": -1}),
    ]
    c.multi(ops)
    c.multi(ops)
    c.call(rawzk.MULTI_READ, multi_body([
        (rawzk.GET_DATA, {"path": "/m", "watch": False}),
        (rawzk.GET_CHILDREN, {"path": "/m", "watch": False}),
        (rawzk.GET_DATA, {"path": "/none", "watch": False}),
    ]))
    for op in (rawzk.EXISTS, rawzk.GET_DATA, rawzk.GET_CHILDREN, rawzk.GET_CHILDREN2):
        c.call(op, {"path": "/m", "watch": True})
    c.call(rawzk.ADD_WATCH, {"path": "/m", "mode": 1})
    c.call(rawzk.CHECK_WATCHES, {"path": "/m", "type": 1})
    refused(c, rawzk.CHECK_WATCHES, {"path": "/other", "type": 3})
    c.create("/m/fires", b"")
    c.call(rawzk.REMOVE_WATCHES, {"path": "/m", "type": 3})
    watches = {"relativeZxid": 1, "dataWatches": ["/m", "/gone"], "existWatches": ["/m", "/none"],
               "childWatches": ["/m"]}
    c.call(rawzk.SET_WATCHES, watches)
    c.call(rawzk.SET_WATCHES2, watches | {"persistentWatches": ["/p"],
                                          "persistentRecursiveWatches": ["/r"]})
    refused(c, rawzk.SASL, {"token": b"tok"})
    c.call(rawzk.AUTH, {"type": 0, "scheme": "digest", "auth": b"u:p"})
    c.call(rawzk.GET_EPHEMERALS, {"prefixPath": "/"})
    c.call(rawzk.GET_ALL_CHILDREN_NUMBER, {"path": "/"})
    c.set_acl("/m", rawzk.OPEN_ACL)
    c.get_acl("/m")
    c.call(rawzk.SYNC, {"path": "/m"})
    c.call(rawzk.WHO_AM_I)
    joining = {"joiningServers": "server.2=h:1:2:observer;3", "leavingServers": None}
    refused(c, rawzk.RECONFIG, joining | {"newMembers": None, "curConfigId": -1})
    refused(c, rawzk.CREATE_TTL, create | {"path": "/m/bad", "flags": 5, "ttl": 0})
    c.call(rawzk.PING)
    c.create("/m/c/x")
    c.delete("/m/c/x")
    while b"c" in c.children("/m"):  # until the server itself deletes the container
        time.sleep(0.1)
    session, password = c.session, c.password
    c.close()
    again = Client("127.0.0.1", relay.port, session=session, password=password, read_only=None)
    again.close_session()
    late = Client("127.0.0.1", relay.port, session=session, password=password)
    late.close()


def named(said):
    """(direction, names of the records, payload) of each frame of a conversation."""
    asked, lines, first = {}, [], {">": True, "<": True}
    for who, frame in said:
        if first[who]:
            names = "ConnectRequest" if who == ">" else "ConnectResponse"
            first[who] = False
        elif who == ">":
            header, _ = rawzk.decode("RequestHeader", frame)
            op = header["type"]
            asked[header["xid"]] = op
            multi = op in (rawzk.MULTI, rawzk.MULTI_READ)
            body = "MultiRequest" if multi else rawzk.REQUESTS.get(op)
            names = "RequestHeader" + (f"+{body}" if body else "")
        else:
            header, _ = rawzk.decode("ReplyHeader", frame)
            op = rawzk.NOTIFICATION if header["xid"] == -1 else asked.get(header["xid"])
            names = "ReplyHeader"
            if len(frame) > 16:
                multi = op in (rawzk.MULTI, rawzk.MULTI_READ)
                body = "WatcherEvent" if op == rawzk.NOTIFICATION else rawzk.RESPONSES.get(op)
                names += "+" + ("MultiResponse" if multi else body)
        lines.append((who, names, frame))
    return lines


def write_client_frames(conversations):
    seen, out = {}, [
        "# Frames between Java 3.9.5 and its clients, without their lengths, as captured by",
        "# compat-tests/capture_frames.py: who speaks (> client, < server), records, bytes.",
    ]
    for said in conversations:
        out.append("# a connection")
        for who, names, frame in named(said):
            # A few of each shape are enough.
            asks = names.startswith("RequestHeader")
            shape = (names, asks and rawzk.decode("RequestHeader", frame)[0]["type"])
            seen[shape] = seen.get(shape, 0) + 1
            if seen[shape] <= 4:
                out.append(f"{who} {names} {frame.hex()}")
    (ROOT / "jute/tests/golden/client.hex").write_text("\n".join(out) + "\n")


def write_file_records(folder):
    out = ["# Records of files of Java 3.9.5, as captured by compat-tests/capture_frames.py."]
    for log in sorted(folder.glob("log.*")):
        data, at = log.read_bytes(), 16
        out.append(f"FileHeader {data[:16].hex()}")
        while at + 12 <= len(data):
            length = struct.unpack_from(">i", data, at + 8)[0]
            if length <= 0:
                break
            out.append(f"LoggedTxn {data[at + 12:at + 12 + length].hex()}")
            at += 12 + length + 1
    snapshot = sorted(folder.glob("snapshot.*"), key=lambda p: int(p.name.split(".")[1], 16))[-1]
    data = snapshot.read_bytes()
    out.append(f"FileHeader {data[:16].hex()}")
    at = 20 + 12 * struct.unpack_from(">i", data, 16)[0]
    lists = struct.unpack_from(">i", data, at)[0]
    at += 4
    for _ in range(lists):
        at += 8
        count = struct.unpack_from(">i", data, at)[0]
        at += 4
        for _ in range(count):
            _, end = rawzk.decode("ACL", data, at)
            out.append(f"ACL {data[at:end].hex()}")
            at = end
    while True:
        length = struct.unpack_from(">i", data, at)[0]
        path = data[at + 4:at + 4 + length]
        if path == b"/":
            break
        at += 4 + length
        length = struct.unpack_from(">i", data, at)[0]
        at += 4 + max(length, 0) + 8
        out.append(f"StatPersisted {data[at:at + 60].hex()}")
        at += 60
    (ROOT / "jute/tests/golden/files.hex").write_text("\n".join(dict.fromkeys(out)) + "\n")


def write_seeds(conversations):
    folder = ROOT / "fuzz/seeds/session"
    folder.mkdir(parents=True, exist_ok=True)
    frames = ROOT / "fuzz/seeds/client_frame"
    frames.mkdir(parents=True, exist_ok=True)
    seen = set()
    for number, said in enumerate(conversations):
        # Both clients of the fuzz target are connected already.
        sent = [frame for who, frame in said if who == ">"]
        # What else happens around a frame, see fuzz/src/session.rs.
        around = {"": lambda i: 0, "-pipelined": lambda i: 2, "-mixed": lambda i: i * 7 % 16}
        for suffix, control in around.items():
            stream = b"".join(struct.pack(">I", len(frame) | control(index) << 24) + frame
                              for index, frame in enumerate(sent[1:]))
            if len(stream) > 100:
                (folder / f"java-{number}{suffix}").write_bytes(stream)
        for index, frame in enumerate(sent):
            op = rawzk.decode("RequestHeader", frame)[0]["type"] if index else "connect"
            if op not in seen:
                seen.add(op)
                name = rawzk.OP_NAMES.get(op, op)
                (frames / str(name)).write_bytes(frame)


def main():
    props = {"zookeeper.extendedTypesEnabled": "true", "znode.container.checkIntervalMs": "500"}
    with servers.start("java", props=props) as server:
        relay = Relay(server)
        zkcli(relay)
        everything_else(relay)
        relay.close()
        server.restart()  # takes a snapshot of everything
        server.stop()
        write_file_records(server.data_dir / "version-2")
    conversations = [said for said in relay.conversations if said]
    write_client_frames(conversations)
    write_seeds(conversations)


if __name__ == "__main__":
    main()
