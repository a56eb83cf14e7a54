"""Seeded scripts: what a crowd of badly behaved clients might do in a small name space.

The generator watches the reference's replies, so that it knows roughly what exists and most
requests succeed; the same seed against the same servers gives the same script.
"""

import random

from harness import rawzk
from harness.rawzk import acl, encode, multi_body

from . import odd
from .steps import Drop, Open, Raw, Request, Resume, Send

SESSIONS = ("s1", "s2", "s3", "s4")
NAMES = ("a", "b", "c", "d")
CREATES = (rawzk.CREATE, rawzk.CREATE2, rawzk.CREATE_CONTAINER, rawzk.CREATE_TTL)


class Crowd:
    """The script of one seed, about `length` steps long."""

    def __init__(self, seed, length=120, extended_types=False, enforce_quota=False):
        self.random = random.Random(seed)
        self.root = f"/r{seed % 100000:05}"
        self.extended_types = extended_types
        self.enforce_quota = enforce_quota
        self._left = length
        self._paths = {}  # path -> (owner session or None, version)
        self._alive = {}  # session -> connected?
        self._super = None
        self._xid = 0
        self._zxids = 0
        self._last = None
        self._prologue = self._opening()
        self._epilogue = None

    # --- Script -----------------------------------------------------------------------------------

    def next(self, seen):
        if seen is not None:
            self._observe(self._last, seen)
        self._last = self._choose()
        return self._last

    def _opening(self):
        yield Open("s1")
        yield Send(
            "s1", [self._request(rawzk.CREATE, self._create(self.root, flags=0, entries=None))]
        )
        for path, flags in (
            ("/a", 0),
            ("/b", 0),
            ("/c", 1),
            ("/a/a", 0),
            ("/a/b", 0),
            ("/a/a/a", 0),
        ):
            yield Send("s1", [self._request(rawzk.CREATE2, self._create(self.root + path, flags))])
        yield Open("s2")
        yield Send("s2", [self._auth("digest", b"super:pw" if self._one_in(2) else b"bob:b")])

    def _choose(self):
        step = next(self._prologue, None)
        if step is not None:
            return step
        if self._left > 0:
            self._left -= 1
            return self._random_step()
        if self._epilogue is None:
            self._epilogue = self._survey()
        return next(self._epilogue, None)

    def _survey(self):
        """At the end one session with all rights looks at everything the script touched."""
        yield Open("s9")
        yield Send("s9", [self._auth("digest", b"super:pw")])
        for path in [
            "/",
            "/zookeeper",
            "/zookeeper/quota",
            "/zookeeper/config",
            *sorted(self._paths),
        ]:
            yield Send(
                "s9",
                [
                    self._request(
                        rawzk.GET_CHILDREN2, encode("GetChildren2Request", {"path": path})
                    ),
                    self._request(rawzk.GET_DATA, encode("GetDataRequest", {"path": path})),
                    self._request(rawzk.GET_ACL, encode("GetACLRequest", {"path": path})),
                    self._request(
                        rawzk.GET_ALL_CHILDREN_NUMBER,
                        encode("GetAllChildrenNumberRequest", {"path": path}),
                    ),
                ],
            )

    def _random_step(self):
        connected = [s for s in SESSIONS if self._alive.get(s)]
        roll = self.random.random()
        if not connected or roll < 0.03:
            return self._connect()
        session = self.random.choice(connected)
        if roll < 0.045:
            return Drop(session)
        if roll < 0.055:
            return Send(session, [self._request(rawzk.CLOSE_SESSION, closes=True)])
        if roll < 0.065:
            return Raw(session, odd.broken_frame(self.random))
        if roll < 0.07:
            return Raw(None, odd.broken_connect(self.random))
        if roll < 0.085:
            return Send(session, [self._closing_request()])
        if roll < 0.10:
            return self._quota_step(session)
        if roll < 0.12:
            return self._undecodable(session)
        if roll < 0.25:
            return Send(session, self._burst(session))
        if roll < 0.255:
            return Send(session, [self._bad_multi()], deliberate="undecodable-write")
        return Send(session, [self._any_request(session)])

    def _connect(self):
        session = self.random.choice(SESSIONS)
        timeout = self.random.choice([40000, 40000, 40000, 30000, 600000, 100000])
        read_only = self.random.choice([False, False, True, None])
        if session in self._alive and not self._one_in(4):
            connected = self._alive[session]
            wrong = False
            if not connected and self._one_in(4):
                wrong = self.random.choice([bytes(16), b"x", b"", None, bytes(range(16))])
            return Resume(session, timeout, read_only, wrong)
        ahead = None
        if self._one_in(6):
            ahead = self.random.choice([-1, 0, 1, 1000, 1 << 40])
        fresh = [s for s in SESSIONS if s not in self._alive]
        session = self.random.choice(fresh) if fresh else session
        if session in self._alive:
            return Resume(session, timeout, read_only)
        return Open(
            session,
            timeout,
            read_only,
            self.random.choice([bytes(16), bytes(16), b"", None, b"abc", bytes(40)]),
            ahead,
            self.random.choice([0, 0, 0, 1, -1]),
        )

    # --- Requests ---------------------------------------------------------------------------------

    def _request(self, op, body=b"", **more):
        self._xid += 1
        xid = self._xid
        if self._one_in(60):
            xid = self.random.choice([0, -3, -8, -100, 2_000_000_000, -2_000_000_000])
        return Request(op, body, xid, **more)

    def _any_request(self, session):
        op = self.random.choices(*_OPS)[0]
        request = getattr(self, f"_op_{op}")(session)
        if self._one_in(50):
            request.body += self.random.randbytes(self.random.randint(1, 9))
        return request

    def _burst(self, session):
        """Requests in one write. Java checks quotas against what is applied when a request comes
        by, so with enforced quotas the outcome of pipelined writes is a race: one write at most,
        as the last.
        """
        burst = [self._any_request(session) for _ in range(self.random.randint(2, 8))]
        # Java judges what follows a setACL by the old ACL until that is applied: nothing follows it.
        after = [n for n, r in enumerate(burst) if r.op == rawzk.SET_ACL]
        if after:
            burst = burst[: after[0] + 1]
        if self.enforce_quota:
            writes = [r for r in burst if r.op in _WRITES]
            burst = [r for r in burst if r.op not in _WRITES] + writes[:1]
        return burst

    def _named(self, op, **fields):
        if self._one_in(40):
            name = self.random.choice(list(fields))
            if name == "data" and str(fields["path"]).endswith("zookeeper_stats"):
                pass  # a null there ends Java's process
            elif not isinstance(fields[name], (int, bool)):
                fields[name] = None
        return self._request(op, encode(rawzk.REQUESTS[op], fields))

    def _op_create(self, session):
        return self._request(*self._create_op(session))

    def _create_op(self, session, in_multi=False):
        op = self.random.choices(CREATES, [10, 6, 2, 3 if self.extended_types else 1])[0]
        flags, ttl = self._mode(op)
        path = self._new_path()
        if flags in (2, 3, 6) and self._one_in(3):
            path = path.rsplit("/", 1)[0] + "/" if isinstance(path, str) and "/" in path else path
        fields = {"path": path, "data": self._data(), "acl": self._acl(in_multi), "flags": flags}
        if self._one_in(100):
            fields["path"] = None
        if op == rawzk.CREATE_TTL:
            fields["ttl"] = ttl
        return op, encode(rawzk.REQUESTS[op], fields)

    def _mode(self, op):
        if op == rawzk.CREATE_CONTAINER:
            return self.random.choice([4] * 12 + [7, -1]), None
        if op == rawzk.CREATE_TTL:
            return self.random.choice([5, 5, 5, 6, 6]), self.random.choice(
                [1 << 30, 1 << 30, 1 << 30, 1 << 40, (1 << 40) - 1, 0, -1, -(1 << 50)]
            )
        return (
            self.random.choice(
                [0] * 12 + [1] * 6 + [2] * 3 + [3] * 2 + [5, 6, 7, -1, 100]
                if self._one_in(5)
                else [0, 0, 1, 2, 3]
            ),
            None,
        )

    def _create(self, path, flags=0, entries=None, data=b""):
        return encode(
            "CreateRequest",
            {"path": path, "data": data, "flags": flags, "acl": entries or rawzk.OPEN_ACL},
        )

    def _op_delete(self, _session):
        return self._named(
            rawzk.DELETE, path=self._old_path(leaf=True), version=self._version(None)
        )

    def _op_set_data(self, _session):
        path = self._old_path()
        return self._named(
            rawzk.SET_DATA, path=path, data=self._data(path), version=self._version(path)
        )

    def _op_set_acl(self, _session):
        return self._named(
            rawzk.SET_ACL,
            path=self._old_path(),
            acl=self._acl(),
            version=self.random.choice([-1, -1, -1, 0, 1, 2]),
        )

    def _op_get_acl(self, _session):
        return self._named(rawzk.GET_ACL, path=self._old_path())

    def _watched(self, op):
        return self._named(op, path=self._old_path(), watch=self._one_in(2))

    def _op_exists(self, _session):
        path = self._new_path() if self._one_in(2) else self._old_path()
        return self._named(rawzk.EXISTS, path=path, watch=self._one_in(2))

    def _op_get_data(self, _session):
        return self._watched(rawzk.GET_DATA)

    def _op_get_children(self, _session):
        return self._watched(self.random.choice([rawzk.GET_CHILDREN, rawzk.GET_CHILDREN2]))

    def _op_sync(self, _session):
        return self._named(rawzk.SYNC, path=self._old_path())

    def _op_ping(self, _session):
        return self._request(rawzk.PING)

    def _op_who_am_i(self, _session):
        return self._request(rawzk.WHO_AM_I)

    def _op_auth(self, _session):
        return self._auth(*self.random.choice(odd.BMP_AUTHS))

    def _auth(self, scheme, data, **more):
        return self._request(
            rawzk.AUTH, encode("AuthPacket", {"scheme": scheme, "auth": data}), **more
        )

    def _op_sasl(self, _session):
        # A null token closes the connection at once: see odd.broken_frame.
        token = self._data() or b""
        return self._request(rawzk.SASL, encode("GetSASLRequest", {"token": token}))

    def _op_reconfig(self, _session):
        return self._named(
            rawzk.RECONFIG, joiningServers=None, leavingServers="3", newMembers=None, curConfigId=-1
        )

    def _op_get_ephemerals(self, _session):
        prefix = self.random.choice([None, "", " ", "/", self.root, self.root + "/a", "/none", "x"])
        return self._named(rawzk.GET_EPHEMERALS, prefixPath=prefix)

    def _op_get_all_children_number(self, _session):
        return self._named(rawzk.GET_ALL_CHILDREN_NUMBER, path=self._old_path())

    def _op_watches(self, _session):
        op = self.random.choice([rawzk.CHECK_WATCHES, rawzk.REMOVE_WATCHES])
        return self._named(
            op, path=self._old_path(), type=self.random.choice([1, 2, 3, 4, 5] * 6 + [0, 6, -1])
        )

    def _op_add_watch(self, _session):
        path = self.random.choice([self._old_path(), self._new_path(), self.root, "/"])
        return self._named(
            rawzk.ADD_WATCH, path=path, mode=self.random.choice([0, 1] * 12 + [2, -1])
        )

    def _op_set_watches(self, _session):
        op = self.random.choice([rawzk.SET_WATCHES, rawzk.SET_WATCHES2])
        lists = {
            "dataWatches": self._some_paths(),
            "existWatches": self._some_paths(),
            "childWatches": self._some_paths(),
        }
        if op == rawzk.SET_WATCHES2:
            lists |= {
                "persistentWatches": self._some_paths(),
                "persistentRecursiveWatches": self._some_paths(),
            }
        if self._one_in(12):
            lists[self.random.choice(list(lists))] = None
        fixed = self.random.choice([None, None, None, 0, 1 << 60, -1])
        lists["relativeZxid"] = fixed or 0
        request = self._request(op, encode(rawzk.REQUESTS[op], lists))
        if fixed is None:
            request.zxid_after_start = self.random.randint(0, max(1, self._zxids))
        return request

    def _op_multi(self, session):
        count = self.random.choice([0, 1, 2, 2, 3, 3, 4, 5])
        return self._request(
            rawzk.MULTI, multi_body([self._sub_write(session) for _ in range(count)])
        )

    def _sub_write(self, session):
        kind = self.random.choice(["create"] * 4 + ["delete"] * 2 + ["set"] * 3 + ["check"] * 2)
        if kind == "create":
            op, body = self._create_op(session, in_multi=True)
            flags = body[-4:] if op != rawzk.CREATE_TTL else body[-12:-8]
            if op != rawzk.CREATE_TTL and int.from_bytes(flags, "big") not in (0, 1, 2, 3, 4):
                return self._sub_write(session)
            return op, body
        path = self._old_path(leaf=kind == "delete")
        if self._one_in(60):
            path = None
        if kind == "delete":
            return rawzk.DELETE, {"path": path, "version": self._version(None)}
        if kind == "set":
            return rawzk.SET_DATA, {
                "path": path,
                "data": self._data(path),
                "version": self._version(path),
            }
        return rawzk.CHECK, {"path": path, "version": self._version(path)}

    def _op_multi_read(self, _session):
        ops = [
            (
                self.random.choice([rawzk.GET_DATA, rawzk.GET_CHILDREN]),
                {"path": self._old_path(), "watch": self._one_in(3)},
            )
            for _ in range(self.random.randint(0, 4))
        ]
        if self._one_in(8):
            ops.insert(
                self.random.randint(0, len(ops)), (rawzk.CHECK, {"path": "/", "version": -1})
            )
        return self._request(rawzk.MULTI_READ, multi_body(ops))

    def _closing_request(self):
        """A request after which the server closes the connection."""
        kind = self.random.randint(0, 3)
        if kind == 0:
            return self._request(
                self.random.choice([0, -1, 10, 13, 23, 99, 108, 1000, -12, 1 << 30]),
                self.random.randbytes(self.random.randint(0, 20)),
                closes=True,
            )
        if kind == 1:
            return self._request(
                rawzk.CHECK, encode("CheckVersionRequest", {"path": "/"}), closes=True
            )
        return self._auth(*self.random.choice(odd.BAD_AUTHS), closes=True)

    def _undecodable(self, session):
        """A valid request cut short, or with a length that lies."""
        while True:
            request = self._any_request(session)
            if request.body and request.op not in (
                rawzk.MULTI,
                rawzk.AUTH,
                rawzk.SASL,
                rawzk.MULTI_READ,
                rawzk.CREATE_TTL,
                rawzk.CREATE_CONTAINER,
            ):
                break
        request.zxid_after_start = None
        if self._one_in(2) or request.op in CREATES:
            request.body = request.body[: self.random.randint(0, len(request.body) - 1)]
        else:
            length = self.random.choice(
                [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x00\x20\x00\x00"]
            )
            at = 8 if request.op in (rawzk.SET_WATCHES, rawzk.SET_WATCHES2) else 0
            request.body = request.body[:at] + length + request.body[at + 4 :]
        return Send(session, [request])

    def _bad_multi(self):
        return self._request(rawzk.MULTI, odd.bad_multi(self.random, self.root))

    def _quota_step(self, session):
        """Quota znodes for a path of the script, made the way clients make them."""
        path = self.random.choice([self.root, self.root + "/" + self.random.choice(NAMES)])
        at = "/zookeeper/quota"
        requests = []
        for part in path.split("/")[1:]:
            at += "/" + part
            requests.append(self._request(rawzk.CREATE, self._create(at)))
            self._paths.setdefault(at, [None, 0])
        limits = self.random.choice(odd.LIMITS).encode()
        name = at + "/zookeeper_limits"
        choice = self.random.randint(0, 5)
        if choice == 0:
            requests = [
                self._request(
                    rawzk.SET_DATA,
                    encode("SetDataRequest", {"path": name, "data": limits, "version": -1}),
                )
            ]
        elif choice == 1:
            leaf = self.random.choice(["/zookeeper_limits", "/zookeeper_stats"])
            requests = [
                self._request(
                    rawzk.DELETE, encode("DeleteRequest", {"path": at + leaf, "version": -1})
                )
            ]
        elif choice == 2:
            requests = [
                self._request(
                    rawzk.SET_DATA,
                    encode(
                        "SetDataRequest",
                        {
                            "path": at + "/zookeeper_stats",
                            "data": b"count=2,bytes=30",
                            "version": -1,
                        },
                    ),
                )
            ]
        else:
            requests.append(self._request(rawzk.CREATE, self._create(name, data=limits)))
            stats = self._create(at + "/zookeeper_stats", data=b"count=0,bytes=0")
            requests.append(self._request(rawzk.CREATE, stats))
            self._paths.setdefault(at + "/zookeeper_stats", [None, 0])
            self._paths.setdefault(name, [None, 0])
        return Send(session, requests)

    # --- Values -----------------------------------------------------------------------------------

    def _one_in(self, count):
        return self.random.randrange(count) == 0

    def _old_path(self, leaf=False):
        if self._one_in(25):
            return self.random.choice(odd.paths(self.root))
        own = [p for p in self._paths if p.startswith(self.root)]
        if self._one_in(12) and not leaf:
            own = [p for p in self._paths if not p.startswith(self.root)] or own
        if leaf:
            leaves = [p for p in own if not any(q.startswith(p + "/") for q in own)]
            own = leaves if leaves and not self._one_in(5) else own
            own = [p for p in own if p != self.root] or own
        if not own or self._one_in(10):
            return self._new_path()
        return self.random.choice(own)

    def _new_path(self):
        if self._one_in(25):
            return self.random.choice(odd.paths(self.root))
        parents = [
            p
            for p, (owner, _) in self._paths.items()
            if p.startswith(self.root) and p.count("/") < 5 and (owner is None or self._one_in(8))
        ]
        parent = self.random.choice(parents) if parents else self.root
        if self._one_in(15):
            parent += "/missing"
        return f"{parent}/{self.random.choice(NAMES)}"

    def _some_paths(self):
        return [
            self._new_path() if self._one_in(3) else self._old_path()
            for _ in range(self.random.choice([0, 0, 1, 1, 2, 3]))
        ]

    def _version(self, path):
        known = self._paths.get(path)
        if known and self._one_in(3):
            return known[1]
        return self.random.choice([-1] * 7 + [0, 1, -2])

    def _data(self, path=None):
        name = path.rsplit("/", 1)[-1] if isinstance(path, str) else ""
        if name == "zookeeper_stats":  # unparsable text there ends Java's process
            return self.random.choice([b"count=2,bytes=30", b"count=-1,bytes=-1", b"bytes=5", b""])
        if name == "zookeeper_limits":
            return self.random.choice(odd.LIMITS).encode()
        kind = self.random.randint(0, 20)
        if kind == 0:
            return None
        if kind == 1:
            return self.random.randbytes(self.random.choice([200, 1000, 5000]))
        return self.random.randbytes(self.random.randint(0, 24))

    def _acl(self, in_multi=False):
        if not self._one_in(4):
            return rawzk.OPEN_ACL
        if self._one_in(6):
            entries = self.random.choice(odd.BAD_ACLS)
            return rawzk.OPEN_ACL if in_multi and entries is None else entries
        entries = [self._good_acl(in_multi) for _ in range(self.random.choice([1, 1, 2, 3]))]
        if self._one_in(2):
            entries.append(acl(31, "world", "anyone"))
        return entries

    def _good_acl(self, in_multi=False):
        scheme, ident = self.random.choice(odd.GOOD_IDS)
        if in_multi and ident == odd.BEYOND_BMP:  # see "non-bmp-text-stays"
            ident = odd.BOB
        return acl(
            self.random.choice([31, 31, 31, 1, 3, 7, 15, 16, 17, 0, -1, 255, 30]), scheme, ident
        )

    # --- What the reference answered --------------------------------------------------------------

    def _observe(self, step, seen):
        for session, entries in seen.items():
            for entry in entries:
                self._observe_entry(step, session, entry)
        if isinstance(step, Drop):
            self._alive[step.session] = False

    def _observe_entry(self, step, session, entry):
        if entry.what == "connected" and entry.value.get("sessionId"):
            if session.startswith("s") and session != "s9":
                self._alive[session] = True
        elif entry.what in ("closed", "no answer"):
            ended = (
                isinstance(step, Send)
                and step.session == session
                and any(r.op == rawzk.CLOSE_SESSION for r in step.requests)
            )
            if ended:
                self._alive.pop(session, None)
                for path in [p for p, (owner, _) in self._paths.items() if owner == session]:
                    del self._paths[path]
            elif session in self._alive:
                self._alive[session] = False
        elif entry.what == "barrier":
            self._zxids += 1 if entry.value["header"]["zxid"] != "masked" else 0
        elif entry.what == "reply" and entry.value.get("header", {}).get("err") == 0:
            self._learn(session, entry.request, entry.value.get("body"))

    def _learn(self, session, request, body):
        if request.op == rawzk.MULTI:
            asked = rawzk.decode_multi_request(request.body)
            results = (body or {}).get("results", [])
            if any(r["type"] == -1 and not r["done"] for r in results):
                return
            for (name, value), result in zip(asked, results):
                path = (result.get("CreateResponse") or result.get("Create2Response") or {}).get(
                    "path"
                )
                self._change(session, name, value, path)
            return
        name = rawzk.OP_NAMES.get(request.op)
        if name in _CHANGES and request.body:
            value, _ = rawzk.decode(rawzk.REQUESTS[request.op], request.body)
            self._change(session, name, value, (body or {}).get("path"))

    def _change(self, session, name, value, created):
        if created is not None:
            owner = session if value.get("flags") in (1, 3) else None
            self._paths[created.decode("utf-8", "replace")] = [owner, 0]
            return
        path = (value.get("path") or b"").decode("utf-8", "replace")
        if name == "delete":
            self._paths.pop(path, None)
        elif name == "set_data" and path in self._paths:
            self._paths[path][1] += 1


_CHANGES = {"create", "create2", "create_container", "create_ttl", "delete", "set_data"}

_WRITES = {*CREATES, rawzk.DELETE, rawzk.SET_DATA, rawzk.SET_ACL, rawzk.MULTI, rawzk.RECONFIG}

_WEIGHTS = {
    "create": 38,
    "delete": 8,
    "set_data": 13,
    "set_acl": 4,
    "get_acl": 4,
    "exists": 8,
    "get_data": 9,
    "get_children": 8,
    "sync": 2,
    "ping": 2,
    "who_am_i": 2,
    "auth": 3,
    "sasl": 1,
    "reconfig": 1,
    "get_ephemerals": 3,
    "get_all_children_number": 3,
    "watches": 6,
    "add_watch": 6,
    "set_watches": 5,
    "multi": 14,
    "multi_read": 4,
}
_OPS = (list(_WEIGHTS), list(_WEIGHTS.values()))
