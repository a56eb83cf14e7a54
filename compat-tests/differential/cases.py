"""Scripts written by hand: one corner of the protocol each, swept from end to end.

Every function takes a `Script` with a root of its own and adds steps; the comparison does the judging.
"""

from harness import rawzk
from harness.rawzk import acl, encode, multi_body

from . import odd
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
        body = value if isinstance(value, bytes) else encode(rawzk.REQUESTS[op], value) if value else b""
        return Request(op, body, self._xid if xid is None else xid, **more)

    def send(self, session, *requests, deliberate=None):
        self.steps.append(Send(session, list(requests), deliberate))

    def do(self, session, op, value=None, **more):
        self.send(session, self.request(op, value, **more))

    # Shorthands for what most cases need.

    def create(self, session, path, data=b"", flags=0, entries=None, op=rawzk.CREATE2, ttl=None):
        value = {"path": path, "data": data, "flags": flags,
                 "acl": rawzk.OPEN_ACL if entries is None else entries}
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
        self.send(session, self.request(rawzk.AUTH, {"scheme": scheme, "auth": data}, closes=closes))

    def who(self, session):
        self.do(session, rawzk.WHO_AM_I)

    def multi(self, session, *ops, deliberate=None, op=rawzk.MULTI):
        self.send(session, self.request(op, multi_body(ops)), deliberate=deliberate)


def _samples(root):
    """(opcode, fields) of a valid request for every operation with a body."""
    open_acl = rawzk.OPEN_ACL
    return [
        (rawzk.CREATE, {"path": f"{root}/n", "data": b"d", "acl": open_acl}),
        (rawzk.CREATE2, {"path": f"{root}/n", "data": b"d", "acl": open_acl}),
        (rawzk.CREATE_CONTAINER, {"path": f"{root}/n", "data": b"d", "acl": open_acl, "flags": 4}),
        (rawzk.CREATE_TTL, {"path": f"{root}/n", "data": b"d", "acl": open_acl, "flags": 5, "ttl": 1 << 30}),
        (rawzk.DELETE, {"path": f"{root}/n", "version": -1}),
        (rawzk.SET_DATA, {"path": root, "data": b"d", "version": -1}),
        (rawzk.SET_ACL, {"path": root, "acl": open_acl, "version": -1}),
        (rawzk.EXISTS, {"path": root}), (rawzk.GET_DATA, {"path": root}), (rawzk.GET_ACL, {"path": root}),
        (rawzk.GET_CHILDREN, {"path": root}), (rawzk.GET_CHILDREN2, {"path": root}),
        (rawzk.SYNC, {"path": root}),
        (rawzk.RECONFIG, {"joiningServers": None, "leavingServers": "3", "newMembers": None,
                          "curConfigId": -1}),
        (rawzk.CHECK_WATCHES, {"path": root, "type": 3}), (rawzk.REMOVE_WATCHES, {"path": root, "type": 3}),
        (rawzk.SET_WATCHES, {"dataWatches": [root], "existWatches": [root], "childWatches": [root]}),
        (rawzk.SET_WATCHES2, {"dataWatches": [root], "existWatches": [root], "childWatches": [root],
                              "persistentWatches": [root], "persistentRecursiveWatches": [root]}),
        (rawzk.GET_EPHEMERALS, {"prefixPath": root}), (rawzk.GET_ALL_CHILDREN_NUMBER, {"path": root}),
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
    ops = [(op, fields) for op, fields in _samples(s.root)
           if op in (rawzk.CREATE, rawzk.SET_DATA, rawzk.DELETE)] + [(rawzk.CHECK, {"path": s.root})]
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
    s.multi("s1", (rawzk.GET_DATA, {"path": s.root}), (rawzk.GET_CHILDREN, {"path": None}),
            (rawzk.GET_DATA, {"path": s.root}), op=rawzk.MULTI_READ)
    s.multi("s1", (rawzk.GET_CHILDREN, {"path": None}), op=rawzk.MULTI_READ)
    s.multi("s1", (rawzk.CREATE, {"path": f"{s.root}/x", "acl": []}))


def lengths_that_lie(s):
    s.open("s1")
    s.create("s1", s.root)
    for length in (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x80\0\0\0", b"\0\x0f\xff\xff", b"\0\x20\0\0"):
        for op, fields in _samples(s.root):
            whole = encode(rawzk.REQUESTS[op], fields)
            at = 8 if op in (rawzk.SET_WATCHES, rawzk.SET_WATCHES2) else 0
            s.do("s1", op, whole[:at] + length + whole[at + 4:])
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
        (rawzk.DELETE, {"path": f"{s.root}/no", "version": -1}), (rawzk.DELETE, {"path": s.root, "version": 7}),
        (rawzk.DELETE, {"path": s.root, "version": -1}), (rawzk.DELETE, {"path": "/zookeeper", "version": -1}),
        (rawzk.SET_DATA, {"path": f"{s.root}/no", "version": -1}), (rawzk.SET_DATA, {"path": s.root, "version": 9}),
        (rawzk.SET_DATA, {"path": "bad", "version": -1}), (rawzk.CHECK, {"path": s.root, "version": 3}),
        (rawzk.CHECK, {"path": f"{s.root}/no", "version": -1}), (rawzk.CHECK, {"path": "", "version": -1}),
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
    s.multi("s1", (rawzk.DELETE, {"path": f"{s.root}/e", "version": -1}),
            (rawzk.CHECK, {"path": f"{s.root}/e", "version": -1}))
    s.multi("s1", (rawzk.GET_DATA, {"path": s.root}), (rawzk.GET_CHILDREN, {"path": f"{s.root}/no"}),
            (rawzk.GET_CHILDREN, {"path": s.root, "watch": True}), op=rawzk.MULTI_READ)


def every_watch_and_every_change(s):
    s.open("s1")
    s.open("s2")
    s.create("s1", s.root)

    def watches(path):
        yield rawzk.EXISTS, {"path": path, "watch": True}
        yield rawzk.GET_DATA, {"path": path, "watch": True}
        yield rawzk.GET_CHILDREN, {"path": path, "watch": True}
        yield rawzk.GET_CHILDREN2, {"path": path, "watch": True}
        yield rawzk.ADD_WATCH, {"path": path, "mode": 0}
        yield rawzk.ADD_WATCH, {"path": path, "mode": 1}
        yield rawzk.SET_WATCHES, {"relativeZxid": 1 << 60, "dataWatches": [path], "existWatches": [path],
                                  "childWatches": [path]}

    def changes(path):
        s.create("s1", path, b"1")
        s.set("s1", path, b"2")
        s.do("s1", rawzk.SET_ACL, {"path": path, "acl": rawzk.OPEN_ACL, "version": -1})
        s.create("s1", f"{path}/kid")
        s.set("s1", f"{path}/kid", b"3")
        s.delete("s1", f"{path}/kid")
        s.multi("s1", (rawzk.CREATE, {"path": f"{path}/m", "acl": rawzk.OPEN_ACL}),
                (rawzk.SET_DATA, {"path": path, "version": -1}),
                (rawzk.DELETE, {"path": f"{path}/m", "version": -1}))
        s.delete("s1", path)
        s.create("s1", path, b"4")

    path = f"{s.root}/w"
    for register_when_missing in (True, False):
        for op, fields in watches(path):
            if register_when_missing:
                s.do("s2", op, fields)
            s.create("s1", path)
            if not register_when_missing:
                s.do("s2", op, fields)
            s.set("s1", path, b"0")
            s.delete("s1", path)
            changes(path)
            for kind in (1, 2, 3, 4, 5):
                s.do("s2", rawzk.CHECK_WATCHES, {"path": path, "type": kind})
            s.delete("s1", path)
            s.do("s2", rawzk.CLOSE_SESSION, closes=True)
            s.open("s2")


def all_watches_at_once(s):
    s.open("s1")
    s.open("s2")
    s.create("s1", s.root)
    path = f"{s.root}/w"
    s.create("s1", path)
    for removal in (None, 1, 2, 3, 4, 5):
        for op, fields in [
            (rawzk.GET_DATA, {"path": path, "watch": True}),
            (rawzk.GET_CHILDREN, {"path": path, "watch": True}),
            (rawzk.GET_CHILDREN, {"path": s.root, "watch": True}),
            (rawzk.ADD_WATCH, {"path": path, "mode": 0}), (rawzk.ADD_WATCH, {"path": path, "mode": 1}),
            (rawzk.ADD_WATCH, {"path": s.root, "mode": 1}), (rawzk.ADD_WATCH, {"path": "/", "mode": 1}),
        ]:
            s.do("s2", op, fields)
        if removal:
            s.do("s2", rawzk.REMOVE_WATCHES, {"path": path, "type": removal})
            for kind in (1, 2, 3, 4, 5):
                s.do("s2", rawzk.CHECK_WATCHES, {"path": path, "type": kind})
        s.create("s1", f"{path}/kid")
        s.set("s1", path, b"x")
        s.delete("s1", f"{path}/kid")
        s.delete("s1", path)
        s.create("s1", path)
        s.drop("s2")
        s.resume("s2")


def watches_set_again_after_a_reconnect(s):
    s.open("s1")
    s.open("s2")
    s.create("s1", s.root)
    for name in ("same", "set", "gone", "again", "kids"):
        s.create("s1", f"{s.root}/{name}")
    s.drop("s2")
    s.set("s1", f"{s.root}/set", b"x")
    s.delete("s1", f"{s.root}/gone")
    s.delete("s1", f"{s.root}/again")
    s.create("s1", f"{s.root}/again")
    s.create("s1", f"{s.root}/kids/kid")
    names = ["same", "set", "gone", "again", "kids", "never"]
    paths = [f"{s.root}/{name}" for name in names]
    for op in (rawzk.SET_WATCHES, rawzk.SET_WATCHES2):
        for after in (0, 7, 9, 11, 12, 13, 100):
            s.resume("s2")
            lists = {"dataWatches": paths, "existWatches": paths, "childWatches": paths}
            if op == rawzk.SET_WATCHES2:
                lists |= {"persistentWatches": paths[:3], "persistentRecursiveWatches": paths[2:]}
            s.do("s2", op, lists, zxid_after_start=after, xid=-8)
            s.do("s2", op, lists | {"dataWatches": [], "childWatches": None}, zxid_after_start=after)
            s.set("s1", f"{s.root}/same", b"y")
            s.create("s1", f"{s.root}/same/kid")
            s.delete("s1", f"{s.root}/same/kid")
            s.create("s1", f"{s.root}/never")
            s.delete("s1", f"{s.root}/never")


def odd_paths_in_every_operation(s):
    s.open("s1")
    s.create("s1", s.root)
    s.create("s1", f"{s.root}/a")
    for path in odd.paths(s.root):
        s.create("s1", path, op=rawzk.CREATE)
        s.create("s1", path, flags=3)
        s.send("s1", *[s.request(op, {"path": path}) for op in (
            rawzk.EXISTS, rawzk.GET_DATA, rawzk.GET_ACL, rawzk.GET_CHILDREN, rawzk.GET_CHILDREN2, rawzk.SYNC,
            rawzk.GET_ALL_CHILDREN_NUMBER)])
        s.do("s1", rawzk.GET_EPHEMERALS, {"prefixPath": path})
        s.do("s1", rawzk.ADD_WATCH, {"path": path, "mode": 0})
        s.do("s1", rawzk.CHECK_WATCHES, {"path": path, "type": 4})
        s.do("s1", rawzk.REMOVE_WATCHES, {"path": path, "type": 3})
        s.do("s1", rawzk.SET_WATCHES, {"dataWatches": [path], "existWatches": [path], "childWatches": [path]})
        s.multi("s1", (rawzk.CHECK, {"path": path, "version": -1}))
        s.set("s1", path, b"x")
        s.do("s1", rawzk.SET_ACL, {"path": path, "acl": rawzk.OPEN_ACL, "version": 99})
        s.delete("s1", path, 77)
        s.delete("s1", path)


def bad_utf8_comes_back_as_java_reads_it(s):
    s.open("s1")
    pieces = [
        b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xdf\xbf", b"\xe0\x80\x80",
        b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xe0\xa0\x80", b"\xe1\x80", b"\xe1\x80\x20", b"\xed\x9f\xbf",
        b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xef\xbf\xbe", b"\xef\xbf\xbd",
        b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf0\x9f\x98\x80", b"\xf0\x9f\x98",
        b"\xf0\x9f", b"\xf0", b"\xf0\x9f\x20", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"\xff\xfe\xfd", b"\xe2\x82\xe2\x82\xac",
        b"\xf0\x9f\x98\xf0\x9f\x98\x80", b"\0", b"\x7f", b"\xc2\x80", b"\xc3\xa9",
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
        s.create("s1", f"{s.root}/{number}", entries=[acl(31, "world", "anyone"), acl(3, "digest", piece + b":h")])
        s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/{number}"})
    s.create("s1", f"{s.root}/auth", entries=[acl(31, "auth", "")])
    s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/auth"})


def every_acl_entry(s):
    s.open("s1")
    s.open("s2")
    s.auth("s2", "digest", b"bob:pw")
    s.create("s1", s.root)
    s.create("s1", f"{s.root}/set")
    entries = [[acl(perms, scheme, ident)] for scheme, ident in odd.GOOD_IDS for perms in (31, 1)]
    for number, entry in enumerate(odd.BAD_ACLS + entries):
        path = f"{s.root}/n{number}"
        for session in ("s1", "s2"):
            if entry is not None:
                s.create(session, path, entries=entry)
            else:
                s.do(session, rawzk.CREATE, {"path": path, "acl": None})
            s.look("s1", path)
            s.look("s2", path)
            s.do(session, rawzk.SET_ACL, {"path": f"{s.root}/set", "acl": entry, "version": -1})
            s.look("s1", f"{s.root}/set")
            s.delete("s1", path)
            s.delete("s1", f"{s.root}/set")
            s.create("s1", f"{s.root}/set")


def identities_add_up(s):
    s.open("s1")
    s.create("s1", s.root)
    s.who("s1")
    for number, (scheme, data) in enumerate(odd.GOOD_AUTHS):
        s.auth("s1", scheme, data)
        s.who("s1")
        s.create("s1", f"{s.root}/{number}", entries=[acl(31, "auth", "x"), acl(1, "world", "anyone")])
        s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/{number}"})
    for number in range(20):
        s.auth("s1", "digest", f"user{number}:pw{number}".encode())
    s.who("s1")
    s.create("s1", f"{s.root}/many", entries=[acl(31, "auth", "")])
    s.do("s1", rawzk.GET_ACL, {"path": f"{s.root}/many"})
    for number, (scheme, data) in enumerate(odd.BAD_AUTHS):
        s.open(f"t{number}")
        s.auth(f"t{number}", scheme, data, closes=True)
        s.resume(f"t{number}")
        s.who(f"t{number}")


def every_permission_for_every_operation(s):
    s.open("s1")
    s.open("s2")
    s.open("s3")
    s.auth("s1", "digest", b"bob:pw")
    s.auth("s3", "digest", b"super:pw")
    s.create("s1", s.root)
    for perms in (0, 1, 2, 4, 8, 16, 3, 17, 24, 31, 32, -1):
        path = f"{s.root}/p{perms & 255}"
        for entry in (acl(perms, "world", "anyone"), acl(perms, "digest", odd.BOB),
                      acl(perms, "ip", "127.0.0.1"), acl(perms, "ip", "127.0.0.2")):
            s.create("s1", path, entries=[acl(31, "digest", odd.BOB)])
            s.create("s1", f"{path}/kid", entries=rawzk.OPEN_ACL)
            s.create("s1", f"{path}/free", entries=rawzk.OPEN_ACL)
            s.do("s3", rawzk.SET_ACL, {"path": path, "acl": [entry, acl(1, "digest", "x:y")], "version": -1})
            s.do("s1", rawzk.SET_ACL, {"path": path, "acl": [entry, acl(1, "digest", "x:y")], "version": -1})
            for session in ("s2", "s1", "s3"):
                s.look(session, path)
                s.do(session, rawzk.ADD_WATCH, {"path": path, "mode": 0})
                s.set(session, path, b"x")
                s.set(session, path, b"x", 99)
                s.create(session, f"{path}/new")
                s.delete(session, f"{path}/kid")
                s.multi(session, (rawzk.CHECK, {"path": path, "version": -1}))
                s.multi(session, (rawzk.GET_DATA, {"path": path}), (rawzk.GET_CHILDREN, {"path": path}),
                        op=rawzk.MULTI_READ)
                s.do(session, rawzk.SET_ACL, {"path": path, "acl": [entry], "version": 99})
            for name in ("kid", "new", "free"):
                s.delete("s3", f"{path}/{name}")
            s.delete("s3", path)


def events_only_for_those_who_may_read(s):
    s.open("s1")
    s.open("s2")
    s.auth("s1", "digest", b"bob:pw")
    s.create("s1", s.root)
    for entries in ([acl(31, "digest", odd.BOB)], [acl(30, "world", "anyone"), acl(1, "digest", odd.BOB)]):
        path = f"{s.root}/w"
        for session in ("s1", "s2"):
            s.do(session, rawzk.EXISTS, {"path": path, "watch": True})
            s.do(session, rawzk.GET_CHILDREN, {"path": s.root, "watch": True})
            s.do(session, rawzk.ADD_WATCH, {"path": s.root, "mode": 1})
        s.create("s1", path, entries=entries)
        s.do("s2", rawzk.CHECK_WATCHES, {"path": path, "type": 2})
        s.set("s1", path, b"x")
        s.create("s1", f"{path}/kid")
        s.set("s2", f"{path}/kid", b"x")
        s.delete("s1", f"{path}/kid")
        s.auth("s2", "digest", b"bob:pw")
        s.set("s1", path, b"y")
        s.delete("s1", path)
        s.drop("s2")
        s.resume("s2")


def connects_of_every_shape(s):
    for number, timeout in enumerate((0, -1, 1, 3999, 4000, 4001, 40000, 600000, 600001, 2**31 - 1, -2**31)):
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


def sequential_names(s):
    s.open("s1")
    s.create("s1", s.root)
    for flags in (2, 3, 2):
        s.create("s1", f"{s.root}/s-", flags=flags)
        s.create("s1", f"{s.root}/", flags=flags)
        s.create("s1", s.root + "-top", flags=flags)
    s.create("s1", f"{s.root}/plain")
    s.delete("s1", f"{s.root}/plain")
    s.create("s1", f"{s.root}/s-", flags=2)
    s.multi("s1", (rawzk.CREATE, {"path": f"{s.root}/s-", "acl": rawzk.OPEN_ACL, "flags": 2}),
            (rawzk.CHECK, {"path": "/nothing", "version": -1}))
    s.create("s1", f"{s.root}/s-", flags=2)
    burst = [s.request(rawzk.CREATE, {"path": f"{s.root}/b-", "acl": rawzk.OPEN_ACL, "flags": 2 + number % 2})
             for number in range(100)]
    s.send("s1", *burst)
    s.look("s1", s.root)
    s.create("s1", f"{s.root}/{'x' * 300}", flags=2)


def ephemerals_end_with_their_session(s):
    s.open("s1")
    s.open("s2")
    s.create("s1", s.root)
    s.create("s2", f"{s.root}/e", flags=1)
    s.create("s2", f"{s.root}/f", flags=3)
    s.create("s2", f"{s.root}/e/kid")
    s.create("s2", f"{s.root}/e/kid", flags=1)
    s.multi("s2", (rawzk.CREATE, {"path": f"{s.root}/g", "acl": rawzk.OPEN_ACL, "flags": 1}),
            (rawzk.CREATE, {"path": f"{s.root}/g/h", "acl": rawzk.OPEN_ACL}))
    for prefix in ("/", s.root, f"{s.root}/e", None, "", "  ", "x"):
        s.do("s2", rawzk.GET_EPHEMERALS, {"prefixPath": prefix})
        s.do("s1", rawzk.GET_EPHEMERALS, {"prefixPath": prefix})
    for session in ("s1", "s2"):
        s.do(session, rawzk.ADD_WATCH, {"path": s.root, "mode": 0})
        s.do(session, rawzk.ADD_WATCH, {"path": f"{s.root}/e", "mode": 0})
        s.do(session, rawzk.EXISTS, {"path": f"{s.root}/e", "watch": True})
        s.do(session, rawzk.GET_CHILDREN, {"path": f"{s.root}/e", "watch": True})
    s.drop("s2")
    s.look("s1", f"{s.root}/e")
    s.resume("s2")
    s.look("s2", f"{s.root}/e", watch=True)
    s.do("s2", rawzk.CLOSE_SESSION, closes=True)
    s.look("s1", s.root)
    s.resume("s2")
    s.create("s1", f"{s.root}/e", flags=1)
    s.delete("s1", f"{s.root}/e")
    s.create("s1", f"{s.root}/e")


def containers_and_ttls(s):
    s.open("s1")
    s.create("s1", s.root)
    for number, flags in enumerate((4, 5, 6, 7, -1)):
        for op in (rawzk.CREATE_CONTAINER, rawzk.CREATE_TTL, rawzk.CREATE, rawzk.CREATE2):
            for ttl in (1, 0, -1, 1 << 40, (1 << 40) - 1, -(1 << 62)):
                if flags == 4 and (op in (rawzk.CREATE, rawzk.CREATE2) or ttl < 0 and op == rawzk.CREATE_TTL):
                    continue
                value = {"path": f"{s.root}/n{number}{op}{ttl}", "data": b"d", "acl": rawzk.OPEN_ACL,
                         "flags": flags}
                if op == rawzk.CREATE_TTL:
                    value["ttl"] = ttl
                s.do("s1", op, value)
    box = f"{s.root}/box"
    s.create("s1", box, op=rawzk.CREATE_CONTAINER, flags=4)
    s.create("s1", f"{box}/kid")
    s.create("s1", f"{box}/eph", flags=1)
    s.look("s1", box)
    s.delete("s1", f"{box}/kid")
    s.set("s1", box, b"x")
    s.look("s1", box)
    timed = f"{s.root}/timed"
    s.create("s1", timed, op=rawzk.CREATE_TTL, flags=5, ttl=1 << 30)
    s.create("s1", timed, op=rawzk.CREATE_TTL, flags=6, ttl=1 << 30)
    s.create("s1", f"{timed}/kid")
    s.look("s1", timed)
    s.look("s1", s.root)
    for flags in (0, 1, 2, 3, 4):
        s.multi("s1", (rawzk.CREATE, {"path": f"{s.root}/m{flags}", "acl": rawzk.OPEN_ACL, "flags": flags}))
    s.multi("s1", (rawzk.CREATE_TTL, {"path": f"{s.root}/mt", "acl": rawzk.OPEN_ACL, "flags": 5, "ttl": 5000}))
    s.look("s1", s.root)


def quotas_of_every_text(s):
    s.open("s1")
    s.create("s1", s.root)
    at = "/zookeeper/quota" + s.root
    s.create("s1", at)
    for number, text in enumerate(odd.LIMITS):
        path = f"{s.root}/q{number}"
        s.create("s1", path, b"12345")
        s.create("s1", f"{path}/before", b"1")
        s.create("s1", f"{at}/q{number}")
        s.create("s1", f"{at}/q{number}/zookeeper_limits", text.encode())
        s.create("s1", f"{at}/q{number}/zookeeper_stats", b"count=0,bytes=0")
        stats = f"{at}/q{number}/zookeeper_stats"
        s.do("s1", rawzk.GET_DATA, {"path": stats, "watch": True})
        for child in range(8):
            s.create("s1", f"{path}/n{child}", bytes(9))
            s.do("s1", rawzk.GET_DATA, {"path": stats})
        s.set("s1", path, bytes(150))
        s.set("s1", path, bytes(250), 77)
        s.set("s1", path, None)
        s.create("s1", f"{path}/n1")
        s.multi("s1", *[(rawzk.CREATE, {"path": f"{path}/m{n}", "acl": rawzk.OPEN_ACL}) for n in range(4)])
        s.delete("s1", f"{path}/n1")
        s.look("s1", stats)
        s.create("s1", f"{path}/e", b"eph", flags=1)
        s.do("s1", rawzk.GET_DATA, {"path": stats})
    s.create("s1", f"{at}/zookeeper_limits", b"count=3,bytes=-1")
    s.create("s1", f"{at}/zookeeper_stats", b"")
    s.create("s1", f"{s.root}/outer")
    s.look("s1", f"{at}/zookeeper_stats")
    s.delete("s1", f"{at}/zookeeper_limits")
    s.create("s1", f"{s.root}/outer2")
    s.look("s1", f"{at}/zookeeper_stats")
    s.create("s1", f"{at}/zookeeper_limits", b"count=3,bytes=-1")
    s.create("s1", f"{s.root}/outer3")
    s.look("s1", f"{at}/zookeeper_stats")


def big_frames(s):
    s.open("s1")
    s.create("s1", s.root)
    room = 0xFFFFF - 8 - len(encode("SetDataRequest", {"path": s.root, "version": -1}))
    s.set("s1", s.root, bytes(room))
    s.do("s1", rawzk.GET_DATA, {"path": s.root})
    s.set("s1", s.root, bytes(room - 1))
    s.send("s1", *[s.request(rawzk.GET_DATA, {"path": s.root}) for _ in range(6)])
    data = rawzk.request_frame(1, rawzk.SET_DATA, encode(
        "SetDataRequest", {"path": s.root, "data": bytes(room + 1), "version": -1}))
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
    for op in (-1, 0, 10, 13, 23, 99, 108, 109, 1000, -12, -2, 2**31 - 1, -2**31):
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
    for xid in (0, 1, 1, 1, -2, -3, -4, -8, -100, 2**31 - 1, -2**31):
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
            s.request(rawzk.PING), s.request(rawzk.SYNC, {"path": path}),
            s.request(rawzk.GET_CHILDREN2, {"path": s.root, "watch": True}),
            s.request(rawzk.DELETE, {"path": path, "version": 1}),
            s.request(rawzk.EXISTS, {"path": path, "watch": True}),
            s.request(rawzk.MULTI, multi_body([(rawzk.CHECK, {"path": path, "version": 0})])),
        ]
    s.send("s1", *burst)
    s.send("s1", *[s.request(rawzk.GET_DATA, {"path": "/"}) for _ in range(500)])
    s.send("s1", s.request(rawzk.SET_DATA, {"path": s.root, "version": -1}),
           s.request(rawzk.CLOSE_SESSION, closes=True))


def system_znodes(s):
    s.open("s1")
    s.open("s2")
    s.auth("s2", "digest", b"super:pw")
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        s.look("s1", path)
        for session in ("s1", "s2"):
            s.delete(session, path)
            s.delete(session, path, 0)
        s.multi("s1", (rawzk.DELETE, {"path": path, "version": -1}))
    s.set("s1", "/zookeeper/config", b"x")
    s.create("s1", "/zookeeper/config/kid")
    s.create("s1", "/zookeeper" + s.root)
    s.create("s1", "/zookeeper/quota" + s.root)
    s.set("s1", "/zookeeper", b"x")
    s.set("s1", "/zookeeper/quota", b"x")
    s.set("s1", "/", b"root data")
    s.do("s1", rawzk.SET_ACL, {"path": "/", "acl": rawzk.OPEN_ACL, "version": -1})
    s.set("s2", "/zookeeper/config", b"by super")
    s.set("s2", "/zookeeper/config", b"by super", 0)
    s.set("s2", "/zookeeper/config", b"")
    for path in ("", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        s.look("s1", path)
    for ids in ("", "3", "x", None):
        for version in (-1, 0, 5):
            s.do("s2", rawzk.RECONFIG, {"joiningServers": None, "leavingServers": ids, "newMembers": None,
                                        "curConfigId": version})
    s.do("s2", rawzk.RECONFIG, {"joiningServers": None, "leavingServers": None, "newMembers": "server.1=x",
                                "curConfigId": -1})


CASES = [value for value in list(globals().values())
         if callable(value) and getattr(value, "__module__", None) == __name__
         and value.__name__[0] != "_" and value is not Script]


def script(case, number):
    """(root, steps) of a case; the number keeps the roots of different runs apart."""
    made = Script(f"/k{number:05}")
    case(made)
    return made.root, made.steps
