"""Hand-written scripts about what arrives: frames, bodies, texts, handshakes, xids.

Every function takes a `Script` with a root of its own and adds steps; the comparison judges.
"""

from harness import rawzk
from harness.rawzk import acl, encode, multi_body

from . import odd


def _samples(root):
    """(opcode, fields) of a valid request for every operation with a body."""
    open_acl = rawzk.OPEN_ACL
    return [
        (rawzk.CREATE, {"path": f"{root}/n", "data": b"d", "acl": open_acl}),
        (rawzk.CREATE2, {"path": f"{root}/n", "data": b"d", "acl": open_acl}),
        (rawzk.CREATE_CONTAINER, {"path": f"{root}/n", "data": b"d", "acl": open_acl, "flags": 4}),
        (
            rawzk.CREATE_TTL,
            {"path": f"{root}/n", "data": b"d", "acl": open_acl, "flags": 5, "ttl": 1 << 30},
        ),
        (rawzk.DELETE, {"path": f"{root}/n", "version": -1}),
        (rawzk.SET_DATA, {"path": root, "data": b"d", "version": -1}),
        (rawzk.SET_ACL, {"path": root, "acl": open_acl, "version": -1}),
        (rawzk.EXISTS, {"path": root}),
        (rawzk.GET_DATA, {"path": root}),
        (rawzk.GET_ACL, {"path": root}),
        (rawzk.GET_CHILDREN, {"path": root}),
        (rawzk.GET_CHILDREN2, {"path": root}),
        (rawzk.SYNC, {"path": root}),
        (
            rawzk.RECONFIG,
            {"joiningServers": None, "leavingServers": "3", "newMembers": None, "curConfigId": -1},
        ),
        (rawzk.CHECK_WATCHES, {"path": root, "type": 3}),
        (rawzk.REMOVE_WATCHES, {"path": root, "type": 3}),
        (
            rawzk.SET_WATCHES,
            {"dataWatches": [root], "existWatches": [root], "childWatches": [root]},
        ),
        (
            rawzk.SET_WATCHES2,
            {
                "dataWatches": [root],
                "existWatches": [root],
                "childWatches": [root],
                "persistentWatches": [root],
                "persistentRecursiveWatches": [root],
            },
        ),
        (rawzk.GET_EPHEMERALS, {"prefixPath": root}),
        (rawzk.GET_ALL_CHILDREN_NUMBER, {"path": root}),
        (rawzk.ADD_WATCH, {"path": root, "mode": 0}),
    ]


def bodies_cut_at_every_byte(s):
    s.open("s1")
    s.create("s1", s.root)
    for op, fields in _samples(s.root):
        whole = encode(rawzk.REQUESTS[op], fields)
        for length in range(len(whole)):
            s.do("s1", op, None) if length == 0 else s.do("s1", op, whole[:length])
        s.do("s1", op, whole + b"trailing")


def multis_cut_at_every_byte(s):
    s.open("s1")
    s.create("s1", s.root)
    ops = [
        (op, fields)
        for op, fields in _samples(s.root)
        if op in (rawzk.CREATE, rawzk.SET_DATA, rawzk.DELETE)
    ] + [(rawzk.CHECK, {"path": s.root})]
    whole = multi_body(ops)
    for length in range(len(whole)):
        s.send("s1", s.request(rawzk.MULTI, whole[:length]), deliberate="undecodable-write")
    s.do("s1", rawzk.MULTI, whole + b"trailing")
    reads = multi_body([(rawzk.GET_DATA, {"path": s.root}), (rawzk.GET_CHILDREN, {"path": s.root})])
    for length in range(len(reads)):
        s.do("s1", rawzk.MULTI_READ, reads[:length])
    s.do("s1", rawzk.MULTI_READ, reads + b"trailing")


def nulls_in_every_field(s):
    s.open("s1")
    s.create("s1", s.root)
    for op, fields in _samples(s.root):
        for name in fields:
            if not isinstance(fields[name], (int, type(None))):
                s.do("s1", op, fields | {name: None})
        for name in fields:
            if isinstance(fields[name], list):
                s.do("s1", op, fields | {name: []})
    for kind in (rawzk.DELETE, rawzk.SET_DATA, rawzk.CHECK, rawzk.CREATE):
        fields = {"path": None, "version": -1}
        if kind == rawzk.CREATE:
            fields = {"path": None, "acl": rawzk.OPEN_ACL}
        s.multi("s1", (kind, fields))
    s.multi("s1", (rawzk.GET_DATA, {"path": None}), op=rawzk.MULTI_READ)
    s.multi(
        "s1",
        (rawzk.GET_DATA, {"path": s.root}),
        (rawzk.GET_CHILDREN, {"path": None}),
        (rawzk.GET_DATA, {"path": s.root}),
        op=rawzk.MULTI_READ,
    )
    s.multi("s1", (rawzk.GET_CHILDREN, {"path": None}), op=rawzk.MULTI_READ)
    s.multi("s1", (rawzk.CREATE, {"path": f"{s.root}/x", "acl": []}))


def lengths_that_lie(s):
    s.open("s1")
    s.create("s1", s.root)
    for length in (
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xfe",
        b"\x80\0\0\0",
        b"\0\x0f\xff\xff",
        b"\0\x20\0\0",
    ):
        for op, fields in _samples(s.root):
            whole = encode(rawzk.REQUESTS[op], fields)
            at = 8 if op in (rawzk.SET_WATCHES, rawzk.SET_WATCHES2) else 0
            s.do("s1", op, whole[:at] + length + whole[at + 4 :])
        # The ACL vector's count, the second and the third string.
        entries = b"\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\0"
        create = b"\0\0\0\x02/q\0\0\0\0"
        s.do("s1", rawzk.CREATE, create[:6] + length)
        s.do("s1", rawzk.CREATE, create + length + entries[4:])
        s.do("s1", rawzk.CREATE, create + entries[:8] + length + entries[12:])
        s.do("s1", rawzk.GET_DATA, length + b"/")


def a_multi_failing_at_each_position(s):
    s.open("s1")
    s.create("s1", s.root)
    s.create("s1", f"{s.root}/e", flags=1)
    good = [
        (rawzk.CREATE, {"path": f"{s.root}/s-", "acl": rawzk.OPEN_ACL, "flags": 2}),
        (rawzk.CREATE2, {"path": f"{s.root}/t", "acl": rawzk.OPEN_ACL, "flags": 1}),
        (rawzk.CREATE2, {"path": f"{s.root}/box", "acl": rawzk.OPEN_ACL, "flags": 4}),
        (rawzk.SET_DATA, {"path": f"{s.root}/t", "data": b"x", "version": 0}),
        (rawzk.CHECK, {"path": f"{s.root}/t", "version": 1}),
        (rawzk.DELETE, {"path": f"{s.root}/t", "version": 1}),
        (rawzk.CREATE_CONTAINER, {"path": f"{s.root}/box2", "acl": rawzk.OPEN_ACL, "flags": 4}),
    ]
    bad = [
        (rawzk.CREATE, {"path": f"{s.root}/e", "acl": rawzk.OPEN_ACL}),
        (rawzk.CREATE, {"path": f"{s.root}/e/x", "acl": rawzk.OPEN_ACL}),
        (rawzk.CREATE, {"path": f"{s.root}/x/", "acl": rawzk.OPEN_ACL}),
        (rawzk.CREATE, {"path": f"{s.root}/no/x", "acl": rawzk.OPEN_ACL}),
        (rawzk.CREATE, {"path": f"{s.root}/q", "acl": [acl(31, "nosuch", "x")]}),
        (rawzk.CREATE_TTL, {"path": f"{s.root}/ttl", "acl": rawzk.OPEN_ACL, "flags": 5, "ttl": 0}),
        (rawzk.DELETE, {"path": f"{s.root}/no", "version": -1}),
        (rawzk.DELETE, {"path": s.root, "version": 7}),
        (rawzk.DELETE, {"path": s.root, "version": -1}),
        (rawzk.DELETE, {"path": "/zookeeper", "version": -1}),
        (rawzk.SET_DATA, {"path": f"{s.root}/no", "version": -1}),
        (rawzk.SET_DATA, {"path": s.root, "version": 9}),
        (rawzk.SET_DATA, {"path": "bad", "version": -1}),
        (rawzk.CHECK, {"path": s.root, "version": 3}),
        (rawzk.CHECK, {"path": f"{s.root}/no", "version": -1}),
        (rawzk.CHECK, {"path": "", "version": -1}),
    ]
    s.open("s2")
    s.do("s2", rawzk.ADD_WATCH, {"path": s.root, "mode": 1})
    for one in bad:
        for at in (0, 1, 3, len(good)):
            s.multi("s1", *good[:at], one, *good[at:])
        s.create("s1", f"{s.root}/after-", flags=2)
    s.multi("s1", *good)
    s.look("s1", s.root)
    s.multi("s1")
    s.multi(
        "s1",
        (rawzk.DELETE, {"path": f"{s.root}/e", "version": -1}),
        (rawzk.CHECK, {"path": f"{s.root}/e", "version": -1}),
    )
    s.multi(
        "s1",
        (rawzk.GET_DATA, {"path": s.root}),
        (rawzk.GET_CHILDREN, {"path": f"{s.root}/no"}),
        (rawzk.GET_CHILDREN, {"path": s.root, "watch": True}),
        op=rawzk.MULTI_READ,
    )


def odd_paths_in_every_operation(s):
    s.open("s1")
    s.create("s1", s.root)
    s.create("s1", f"{s.root}/a")
    for path in odd.paths(s.root):
        s.create("s1", path, op=rawzk.CREATE)
        s.create("s1", path, flags=3)
        s.send(
            "s1",
            *[
                s.request(op, {"path": path})
                for op in (
                    rawzk.EXISTS,
                    rawzk.GET_DATA,
                    rawzk.GET_ACL,
                    rawzk.GET_CHILDREN,
                    rawzk.GET_CHILDREN2,
                    rawzk.SYNC,
                    rawzk.GET_ALL_CHILDREN_NUMBER,
                )
            ],
        )
        s.do("s1", rawzk.GET_EPHEMERALS, {"prefixPath": path})
        s.do("s1", rawzk.ADD_WATCH, {"path": path, "mode": 0})
        s.do("s1", rawzk.CHECK_WATCHES, {"path": path, "type": 4})
        s.do("s1", rawzk.REMOVE_WATCHES, {"path": path, "type": 3})
        s.do(
            "s1",
            rawzk.SET_WATCHES,
            {"dataWatches": [path], "existWatches": [path], "childWatches": [path]},
        )
        s.multi("s1", (rawzk.CHECK, {"path": path, "version": -1}))
        s.set("s1", path, b"x")
        s.do("s1", rawzk.SET_ACL, {"path": path, "acl": rawzk.OPEN_ACL, "version": 99})
        s.delete("s1", path, 77)
        s.delete("s1", path)


def bad_utf8_comes_back_as_java_reads_it(s):
    s.open("s1")
    pieces = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc2",
        b"\xc2\x20",
        b"\xdf\xbf",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xe0\xa0",
        b"\xe0\xa0\x80",
        b"\xe1\x80",
        b"\xe1\x80\x20",
        b"\xed\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xef\xbf\xbe",
        b"\xef\xbf\xbd",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x90\x80\x80",
        b"\xf0\x9f\x98\x80",
        b"\xf0\x9f\x98",
        b"\xf0\x9f",
        b"\xf0",
        b"\xf0\x9f\x20",
        b"\xf4\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xff\xfe\xfd",
        b"\xe2\x82\xe2\x82\xac",
        b"\xf0\x9f\x98\xf0\x9f\x98\x80",
        b"\0",
        b"\x7f",
        b"\xc2\x80",
        b"\xc3\xa9",
    ]
    for piece in pieces:
        for text in (b"/" + piece, b"/" + piece + b"z", piece + piece):
            s.do("s1", rawzk.SYNC, {"path": text})
    for piece in pieces:
        s.auth("s1", "digest", piece + b":x")
        s.auth("s1", "digest", piece)
        s.who("s1")
    s.create("s1", s.root)
    for number, piece in enumerate(pieces):
        s.create(
            "s1",
            f"{s.root}/{number}",
            entries=[acl(31, "world", "anyone"), acl(3, "digest", piece + b":h")],
        )
        s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/{number}"})
    s.create("s1", f"{s.root}/auth", entries=[acl(31, "auth", "")])
    s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/auth"})


def connects_of_every_shape(s):
    for number, timeout in enumerate(
        (0, -1, 1, 3999, 4000, 4001, 40000, 600000, 600001, 2**31 - 1, -(2**31))
    ):
        s.open(f"t{number}", timeout=timeout)
    for number, read_only in enumerate((True, False, None)):
        s.open(f"r{number}", read_only=read_only)
    for number, password in enumerate((None, b"", b"x", bytes(16), bytes(100))):
        s.open(f"p{number}", password=password)
    for number, protocol in enumerate((-1, 1, 7)):
        s.open(f"v{number}", protocol=protocol)
    for number, ahead in enumerate((-5, 0, 1, 2, 1 << 32, 1 << 62)):
        s.open(f"z{number}", zxid_ahead=ahead)
    for number, wrong in enumerate((bytes(16), None, b"", b"short", bytes(17))):
        s.drop("t6")
        s.resume("t6", wrong_password=wrong, read_only=[True, False, None][number % 3])
        s.resume("t6", read_only=[True, False, None][number % 3], timeout=5000 * number)
    s.resume("t6")
    s.resume("never")
    s.do("t6", rawzk.CLOSE_SESSION, closes=True)
    s.resume("t6")
    for length in range(0, 44):
        s.raw(None, length.to_bytes(4, "big") + rawzk.connect_frame()[:length])
    for length in (-1, 0x100000, 0x7FFFFFFF):
        s.raw(None, (length & 0xFFFFFFFF).to_bytes(4, "big"))


def big_frames(s):
    s.open("s1")
    s.create("s1", s.root)
    room = 0xFFFFF - 8 - len(encode("SetDataRequest", {"path": s.root, "version": -1}))
    s.set("s1", s.root, bytes(room))
    s.do("s1", rawzk.GET_DATA, {"path": s.root})
    s.set("s1", s.root, bytes(room - 1))
    s.send("s1", *[s.request(rawzk.GET_DATA, {"path": s.root}) for _ in range(6)])
    data = rawzk.request_frame(
        1,
        rawzk.SET_DATA,
        encode("SetDataRequest", {"path": s.root, "data": bytes(room + 1), "version": -1}),
    )
    s.raw("s1", len(data).to_bytes(4, "big"))
    s.resume("s1")
    s.look("s1", s.root)


def frames_no_server_likes(s):
    s.open("s1")
    bad = [b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\0\x10\0\0"]
    bad += [length.to_bytes(4, "big") + bytes(length) for length in range(8)]
    for op in (rawzk.AUTH, rawzk.SASL):
        for body in (b"", b"\0\0", b"\0\0\0\x05ab", b"\x7f\xff\xff\xff"):
            frame = rawzk.request_frame(9, op, body)
            bad.append(len(frame).to_bytes(4, "big") + frame)
    null_token = rawzk.request_frame(9, rawzk.SASL, b"\xff\xff\xff\xff")
    bad.append(len(null_token).to_bytes(4, "big") + null_token)
    for data in bad:
        s.raw("s1", data)
        s.resume("s1")
    for op in (-1, 0, 10, 13, 23, 99, 108, 109, 1000, -12, -2, 2**31 - 1, -(2**31)):
        s.send("s1", s.request(op, b"", closes=True))
        s.resume("s1")
        s.send("s1", s.request(op, b"some body, long enough for anything at all", closes=True))
        s.resume("s1")
    s.do("s1", rawzk.PING, b"a body")
    s.do("s1", rawzk.WHO_AM_I, b"a body")
    s.do("s1", rawzk.CLOSE_SESSION, b"a body", closes=True)


def xids_of_every_kind(s):
    s.open("s1")
    s.create("s1", s.root)
    for xid in (0, 1, 1, 1, -2, -3, -4, -8, -100, 2**31 - 1, -(2**31)):
        s.do("s1", rawzk.EXISTS, {"path": s.root}, xid=xid)
        s.do("s1", rawzk.SET_DATA, {"path": s.root, "version": -1}, xid=xid)
        s.do("s1", rawzk.SET_DATA, {"path": s.root, "version": 99}, xid=xid)
        s.do("s1", rawzk.PING, xid=xid)
        s.do("s1", rawzk.SYNC, {"path": s.root}, xid=xid)
        s.do("s1", rawzk.AUTH, {"scheme": "ip", "auth": b""}, xid=xid)


def bursts_keep_their_order(s):
    s.open("s1")
    s.open("s2")
    s.create("s1", s.root)
    s.do("s2", rawzk.ADD_WATCH, {"path": s.root, "mode": 1})
    s.do("s1", rawzk.ADD_WATCH, {"path": s.root, "mode": 0})
    burst = []
    for number in range(40):
        path = f"{s.root}/n{number % 7}"
        burst += [
            s.request(rawzk.CREATE, {"path": path, "acl": rawzk.OPEN_ACL, "flags": number % 2}),
            s.request(rawzk.GET_DATA, {"path": path, "watch": True}),
            s.request(rawzk.SET_DATA, {"path": path, "data": b"x" * number, "version": -1}),
            s.request(rawzk.PING),
            s.request(rawzk.SYNC, {"path": path}),
            s.request(rawzk.GET_CHILDREN2, {"path": s.root, "watch": True}),
            s.request(rawzk.DELETE, {"path": path, "version": 1}),
            s.request(rawzk.EXISTS, {"path": path, "watch": True}),
            s.request(rawzk.MULTI, multi_body([(rawzk.CHECK, {"path": path, "version": 0})])),
        ]
    s.send("s1", *burst)
    s.send("s1", *[s.request(rawzk.GET_DATA, {"path": "/"}) for _ in range(500)])
    s.send(
        "s1",
        s.request(rawzk.SET_DATA, {"path": s.root, "version": -1}),
        s.request(rawzk.CLOSE_SESSION, closes=True),
    )
