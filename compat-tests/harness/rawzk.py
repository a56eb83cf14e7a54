"""A byte-level ZooKeeper client that hides nothing: every record, frames in order of arrival.

Written from the protocol, not from any server's code, so that it can judge servers. Strings stay
bytes (or None): what a server makes of odd text is part of what tests compare.
"""

import socket
import struct

# --- Opcodes --------------------------------------------------------------------------------------

NOTIFICATION, CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = range(8)
GET_CHILDREN, SYNC = 8, 9
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = range(11, 17)
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, MULTI_READ = range(
    17, 23
)
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = range(100, 105)
SET_WATCHES2, ADD_WATCH, WHO_AM_I = range(105, 108)
CREATE_SESSION, CLOSE_SESSION, ERROR = -10, -11, -1

OP_NAMES = {
    value: name.lower()
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int)
}

EVENT_XID, PING_XID, AUTH_XID, SET_WATCHES_XID = -1, -2, -4, -8

OPEN_ACL = [{"perms": 31, "id": {"scheme": "world", "id": "anyone"}}]
READ_ACL = [{"perms": 1, "id": {"scheme": "world", "id": "anyone"}}]


def acl(perms, scheme, ident):
    """One ACL entry as a value."""
    return {"perms": perms, "id": {"scheme": scheme, "id": ident}}


# --- Records --------------------------------------------------------------------------------------

_CREATE_FIELDS = "path:ustring data:buffer acl:[ACL] flags:int"
_WATCHED_PATH = "path:ustring watch:boolean"

_RECORD_TEXT = {
    "Id": "scheme:ustring id:ustring",
    "ACL": "perms:int id:Id",
    "Stat": "czxid:long mzxid:long ctime:long mtime:long version:int cversion:int aversion:int "
    "ephemeralOwner:long dataLength:int numChildren:int pzxid:long",
    "ConnectRequest": "protocolVersion:int lastZxidSeen:long timeOut:int sessionId:long "
    "passwd:buffer",
    "ConnectResponse": "protocolVersion:int timeOut:int sessionId:long passwd:buffer",
    "RequestHeader": "xid:int type:int",
    "ReplyHeader": "xid:int zxid:long err:int",
    "CreateRequest": _CREATE_FIELDS,
    "CreateTTLRequest": _CREATE_FIELDS + " ttl:long",
    "CreateResponse": "path:ustring",
    "Create2Response": "path:ustring stat:Stat",
    "DeleteRequest": "path:ustring version:int",
    "DeleteContainerRequest": "path:ustring",
    "ExistsRequest": _WATCHED_PATH,
    "ExistsResponse": "stat:Stat",
    "GetDataRequest": _WATCHED_PATH,
    "GetDataResponse": "data:buffer stat:Stat",
    "GetChildrenRequest": _WATCHED_PATH,
    "GetChildrenResponse": "children:[ustring]",
    "GetChildren2Request": _WATCHED_PATH,
    "GetChildren2Response": "children:[ustring] stat:Stat",
    "SetDataRequest": "path:ustring data:buffer version:int",
    "SetDataResponse": "stat:Stat",
    "GetACLRequest": "path:ustring",
    "GetACLResponse": "acl:[ACL] stat:Stat",
    "SetACLRequest": "path:ustring acl:[ACL] version:int",
    "SetACLResponse": "stat:Stat",
    "SyncRequest": "path:ustring",
    "SyncResponse": "path:ustring",
    "CheckVersionRequest": "path:ustring version:int",
    "MultiHeader": "type:int done:boolean err:int",
    "ErrorResponse": "err:int",
    "ReconfigRequest": "joiningServers:ustring leavingServers:ustring newMembers:ustring "
    "curConfigId:long",
    "CheckWatchesRequest": "path:ustring type:int",
    "RemoveWatchesRequest": "path:ustring type:int",
    "SetWatches": "relativeZxid:long dataWatches:[ustring] existWatches:[ustring] "
    "childWatches:[ustring]",
    "SetWatches2": "relativeZxid:long dataWatches:[ustring] existWatches:[ustring] "
    "childWatches:[ustring] persistentWatches:[ustring] "
    "persistentRecursiveWatches:[ustring]",
    "AddWatchRequest": "path:ustring mode:int",
    "WatcherEvent": "type:int state:int path:ustring",
    "AuthPacket": "type:int scheme:ustring auth:buffer",
    "GetSASLRequest": "token:buffer",
    "SetSASLResponse": "token:buffer",
    "GetEphemeralsRequest": "prefixPath:ustring",
    "GetEphemeralsResponse": "ephemerals:[ustring]",
    "GetAllChildrenNumberRequest": "path:ustring",
    "GetAllChildrenNumberResponse": "totalNumber:int",
    "ClientInfo": "authScheme:ustring user:ustring",
    "WhoAmIResponse": "clientInfo:[ClientInfo]",
}

RECORDS = {
    name: [tuple(field.split(":")) for field in text.split()] for name, text in _RECORD_TEXT.items()
}

REQUESTS = {
    CREATE: "CreateRequest",
    CREATE2: "CreateRequest",
    CREATE_CONTAINER: "CreateRequest",
    CREATE_TTL: "CreateTTLRequest",
    DELETE: "DeleteRequest",
    DELETE_CONTAINER: "DeleteContainerRequest",
    EXISTS: "ExistsRequest",
    GET_DATA: "GetDataRequest",
    SET_DATA: "SetDataRequest",
    GET_ACL: "GetACLRequest",
    SET_ACL: "SetACLRequest",
    GET_CHILDREN: "GetChildrenRequest",
    GET_CHILDREN2: "GetChildren2Request",
    SYNC: "SyncRequest",
    CHECK: "CheckVersionRequest",
    RECONFIG: "ReconfigRequest",
    CHECK_WATCHES: "CheckWatchesRequest",
    REMOVE_WATCHES: "RemoveWatchesRequest",
    AUTH: "AuthPacket",
    SET_WATCHES: "SetWatches",
    SET_WATCHES2: "SetWatches2",
    SASL: "GetSASLRequest",
    GET_EPHEMERALS: "GetEphemeralsRequest",
    GET_ALL_CHILDREN_NUMBER: "GetAllChildrenNumberRequest",
    ADD_WATCH: "AddWatchRequest",
}

RESPONSES = {
    CREATE: "CreateResponse",
    CREATE2: "Create2Response",
    CREATE_CONTAINER: "Create2Response",
    CREATE_TTL: "Create2Response",
    EXISTS: "ExistsResponse",
    GET_DATA: "GetDataResponse",
    SET_DATA: "SetDataResponse",
    GET_ACL: "GetACLResponse",
    SET_ACL: "SetACLResponse",
    GET_CHILDREN: "GetChildrenResponse",
    GET_CHILDREN2: "GetChildren2Response",
    SYNC: "SyncResponse",
    RECONFIG: "GetDataResponse",
    SASL: "SetSASLResponse",
    GET_EPHEMERALS: "GetEphemeralsResponse",
    GET_ALL_CHILDREN_NUMBER: "GetAllChildrenNumberResponse",
    ADD_WATCH: "ErrorResponse",
    WHO_AM_I: "WhoAmIResponse",
}

# Results inside multi and multiRead, by the type their header names.
_RESULTS = {
    CREATE: "CreateResponse",
    CREATE2: "Create2Response",
    SET_DATA: "SetDataResponse",
    GET_CHILDREN: "GetChildrenResponse",
    GET_DATA: "GetDataResponse",
    ERROR: "ErrorResponse",
    DELETE: None,
    CHECK: None,
}


class Undecodable(Exception):
    """The bytes are not what the record says."""


def encode(name, value):
    """The bytes of a record; a missing field is its zero, None a null."""
    out = bytearray()
    _put_record(out, name, value)
    return bytes(out)


def decode(name, data, offset=0):
    """(value, offset after it) of a record in `data`."""
    value = {}
    for field, kind in RECORDS[name]:
        value[field], offset = _take(data, offset, kind)
    return value, offset


_ZERO = {"int": 0, "long": 0, "boolean": False, "ustring": b"", "buffer": b""}


def _put_record(out, name, value):
    for field, kind in RECORDS[name]:
        default = [] if kind[0] == "[" else _ZERO.get(kind, {})
        _put(out, kind, value.get(field, default))


def _put(out, kind, value):
    if kind == "int":
        out += struct.pack(">I", value & 0xFFFFFFFF)
    elif kind == "long":
        out += struct.pack(">Q", value & 0xFFFFFFFFFFFFFFFF)
    elif kind == "boolean":
        out += bytes([int(value)])
    elif kind in ("ustring", "buffer"):
        if value is None:
            out += b"\xff\xff\xff\xff"
        else:
            raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            out += struct.pack(">i", len(raw)) + raw
    elif kind[0] == "[":
        if value is None:
            out += b"\xff\xff\xff\xff"
        else:
            out += struct.pack(">i", len(value))
            for item in value:
                _put(out, kind[1:-1], item)
    else:
        _put_record(out, kind, value)


def _take(data, offset, kind):
    if kind in _FIXED:
        form, size = _FIXED[kind]
        if offset + size > len(data):
            raise Undecodable(f"{kind} runs past the end")
        return struct.unpack_from(form, data, offset)[0], offset + size
    if kind in ("ustring", "buffer"):
        length, offset = _take(data, offset, "int")
        if length == -1:
            return None, offset
        if length < 0 or offset + length > len(data):
            raise Undecodable(f"{kind} of {length} bytes")
        return bytes(data[offset : offset + length]), offset + length
    if kind[0] == "[":
        count, offset = _take(data, offset, "int")
        if count == -1:
            return None, offset
        if count < 0 or count > len(data):
            raise Undecodable(f"vector of {count}")
        items = []
        for _ in range(count):
            item, offset = _take(data, offset, kind[1:-1])
            items.append(item)
        return items, offset
    return decode(kind, data, offset)


_FIXED = {"int": (">i", 4), "long": (">q", 8), "boolean": (">?", 1)}


# --- Multi ----------------------------------------------------------------------------------------

MULTI_END = encode("MultiHeader", {"type": -1, "done": True, "err": -1})


def multi_body(ops, end=MULTI_END):
    """Body of multi or multiRead from (opcode, record value or bytes) pairs."""
    out = bytearray()
    for op, value in ops:
        out += encode("MultiHeader", {"type": op, "done": False, "err": -1})
        out += value if isinstance(value, bytes) else encode(REQUESTS[op], value)
    return bytes(out) + end


def decode_multi(data, offset=0):
    """(list of results, offset after the terminator): each a dict with its header in front."""
    results = []
    while True:
        header, offset = decode("MultiHeader", data, offset)
        if header["done"]:
            results.append(header)
            return results, offset
        if header["type"] not in _RESULTS:
            raise Undecodable(f"multi result of type {header['type']}")
        name = _RESULTS[header["type"]]
        if name:
            body, offset = decode(name, data, offset)
            header[name] = body
        results.append(header)


def decode_multi_request(data):
    """Readable sub-requests of a multi body; stops at what cannot be decoded."""
    offset, parts = 0, []
    try:
        while True:
            header, offset = decode("MultiHeader", data, offset)
            if header["done"]:
                return parts
            value, offset = decode(REQUESTS[header["type"]], data, offset)
            parts.append((OP_NAMES.get(header["type"], header["type"]), value))
    except (Undecodable, KeyError) as err:
        parts.append(("undecodable", str(err), data[offset:].hex()))
        return parts


def decode_reply(op, frame):
    """(header, body, trailing bytes) of a reply frame; the body is None when only a header came."""
    header, offset = decode("ReplyHeader", frame)
    if header["xid"] == EVENT_XID and header["err"] == 0 and len(frame) > offset:
        event, offset = decode("WatcherEvent", frame, offset)
        return header, {"WatcherEvent": event}, frame[offset:]
    if offset == len(frame):
        return header, None, b""
    if op in (MULTI, MULTI_READ):
        results, offset = decode_multi(frame, offset)
        return header, {"results": results}, frame[offset:]
    name = RESPONSES.get(op)
    if name is None or header["err"] != 0 and op != SASL:
        return header, None, frame[offset:]
    body, offset = decode(name, frame, offset)
    return header, body, frame[offset:]


def request_frame(xid, op, body=b""):
    """Payload of a request (without the frame length)."""
    return encode("RequestHeader", {"xid": xid, "type": op}) + body


def connect_frame(
    last_zxid=0, timeout=30000, session=0, password=bytes(16), read_only=False, protocol=0
):
    """Payload of a ConnectRequest; read_only None leaves the byte out, as clients before 3.4 do."""
    body = encode(
        "ConnectRequest",
        {
            "protocolVersion": protocol,
            "lastZxidSeen": last_zxid,
            "timeOut": timeout,
            "sessionId": session,
            "passwd": password,
        },
    )
    return body if read_only is None else body + bytes([int(read_only)])


def password_of(session_id):
    """The password every server computes for a session id (java.util.Random over the id)."""
    state = (session_id ^ 0xB3415C00 ^ 0x5DEECE66D) & (1 << 48) - 1
    out = bytearray()
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (1 << 48) - 1
        out += struct.pack("<I", state >> 16 & 0xFFFFFFFF)
    return bytes(out)


# --- Connections ----------------------------------------------------------------------------------


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """A socket that speaks frames."""

    def __init__(self, host, port, timeout=60.0):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def send_bytes(self, data):
        """Raw bytes; a connection the server has closed is found out by the next receive."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, *payloads):
        """All frames in one write."""
        self.send_bytes(b"".join(struct.pack(">i", len(p)) + p for p in payloads))

    def receive(self):
        """The next frame's payload; raises Closed, or TimeoutError."""
        while True:
            if len(self._buffer) >= 4:
                length = struct.unpack_from(">i", self._buffer)[0]
                if len(self._buffer) >= 4 + length:
                    frame = bytes(self._buffer[4 : 4 + length])
                    del self._buffer[: 4 + length]
                    return frame
            try:
                part = self.socket.recv(1 << 18)
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed(bytes(self._buffer))
            self._buffer += part

    def close(self):
        self.socket.close()


class Error(Exception):
    """A reply with an error code."""

    def __init__(self, err, header=None):
        super().__init__(f"err {err}")
        self.err = err
        self.header = header


class Client(Connection):
    """A session that waits for each reply; watch events that come first are kept in `events`."""

    def __init__(
        self,
        host,
        port,
        timeout=120_000,
        session=0,
        password=bytes(16),
        read_only=False,
        last_zxid=0,
        wait=60.0,
    ):
        super().__init__(host, port, wait)
        self.send(connect_frame(last_zxid, timeout, session, password, read_only))
        self.connected, _ = decode("ConnectResponse", self.receive())
        self.session = self.connected["sessionId"]
        self.password = self.connected["passwd"]
        self.timeout = self.connected["timeOut"]
        self.events = []
        self.zxid = 0
        self._xid = 0

    def call(self, op, value=None):
        """Sends one request and returns the decoded body; raises Error on an error code."""
        self._xid += 1
        xid = self._xid
        if value is None:
            body = b""
        elif isinstance(value, bytes):
            body = value
        else:
            body = encode(REQUESTS[op], value)
        self.send(request_frame(xid, op, body))
        while True:
            frame = self.receive()
            header, reply, _ = decode_reply(op, frame)
            if header["xid"] == EVENT_XID:
                self.events.append((header, reply["WatcherEvent"]))
                continue
            self.zxid = header["zxid"]
            if header["err"]:
                raise Error(header["err"], header)
            return reply

    def create(self, path, data=b"", acl=None, flags=0, op=CREATE2, ttl=None):
        value = {
            "path": path,
            "data": data,
            "acl": OPEN_ACL if acl is None else acl,
            "flags": flags,
        }
        if ttl is not None:
            value["ttl"] = ttl
        return self.call(op, value)

    def delete(self, path, version=-1):
        return self.call(DELETE, {"path": path, "version": version})

    def set_data(self, path, data, version=-1):
        return self.call(SET_DATA, {"path": path, "data": data, "version": version})["stat"]

    def get_data(self, path, watch=False):
        return self.call(GET_DATA, {"path": path, "watch": watch})

    def get_acl(self, path):
        return self.call(GET_ACL, {"path": path})

    def set_acl(self, path, entries, version=-1):
        return self.call(SET_ACL, {"path": path, "acl": entries, "version": version})["stat"]

    def children(self, path, watch=False):
        return self.call(GET_CHILDREN, {"path": path, "watch": watch})["children"]

    def auth(self, scheme, auth):
        return self.call(AUTH, {"type": 0, "scheme": scheme, "auth": auth})

    def multi(self, ops):
        return self.call(MULTI, multi_body(ops))["results"]

    def close_session(self):
        """Ends the session; returns once the server has closed the connection."""
        self.call(CLOSE_SESSION)
        try:
            while True:
                self.receive()
        except Closed:
            self.close()
