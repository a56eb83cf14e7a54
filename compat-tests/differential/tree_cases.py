"""Hand-written scripts about what is kept: znodes, watches, permissions, quotas, ephemerals.

Every function takes a `Script` with a root of its own and adds steps; the comparison judges.
"""

from harness import rawzk
from harness.rawzk import acl

from . import odd


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
        yield rawzk.SET_WATCHES, {
            "relativeZxid": 1 << 60,
            "dataWatches": [path],
            "existWatches": [path],
            "childWatches": [path],
        }

    def changes(path):
        s.create("s1", path, b"1")
        s.set("s1", path, b"2")
        s.do("s1", rawzk.SET_ACL, {"path": path, "acl": rawzk.OPEN_ACL, "version": -1})
        s.create("s1", f"{path}/kid")
        s.set("s1", f"{path}/kid", b"3")
        s.delete("s1", f"{path}/kid")
        s.multi(
            "s1",
            (rawzk.CREATE, {"path": f"{path}/m", "acl": rawzk.OPEN_ACL}),
            (rawzk.SET_DATA, {"path": path, "version": -1}),
            (rawzk.DELETE, {"path": f"{path}/m", "version": -1}),
        )
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
            (rawzk.ADD_WATCH, {"path": path, "mode": 0}),
            (rawzk.ADD_WATCH, {"path": path, "mode": 1}),
            (rawzk.ADD_WATCH, {"path": s.root, "mode": 1}),
            (rawzk.ADD_WATCH, {"path": "/", "mode": 1}),
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
            s.do(
                "s2", op, lists | {"dataWatches": [], "childWatches": None}, zxid_after_start=after
            )
            s.set("s1", f"{s.root}/same", b"y")
            s.create("s1", f"{s.root}/same/kid")
            s.delete("s1", f"{s.root}/same/kid")
            s.create("s1", f"{s.root}/never")
            s.delete("s1", f"{s.root}/never")


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
        s.create(
            "s1", f"{s.root}/{number}", entries=[acl(31, "auth", "x"), acl(1, "world", "anyone")]
        )
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
        for entry in (
            acl(perms, "world", "anyone"),
            acl(perms, "digest", odd.BOB),
            acl(perms, "ip", "127.0.0.1"),
            acl(perms, "ip", "127.0.0.2"),
        ):
            s.create("s1", path, entries=[acl(31, "digest", odd.BOB)])
            s.create("s1", f"{path}/kid", entries=rawzk.OPEN_ACL)
            s.create("s1", f"{path}/free", entries=rawzk.OPEN_ACL)
            s.do(
                "s3",
                rawzk.SET_ACL,
                {"path": path, "acl": [entry, acl(1, "digest", "x:y")], "version": -1},
            )
            s.do(
                "s1",
                rawzk.SET_ACL,
                {"path": path, "acl": [entry, acl(1, "digest", "x:y")], "version": -1},
            )
            for session in ("s2", "s1", "s3"):
                s.look(session, path)
                s.do(session, rawzk.ADD_WATCH, {"path": path, "mode": 0})
                s.set(session, path, b"x")
                s.set(session, path, b"x", 99)
                s.create(session, f"{path}/new")
                s.delete(session, f"{path}/kid")
                s.multi(session, (rawzk.CHECK, {"path": path, "version": -1}))
                s.multi(
                    session,
                    (rawzk.GET_DATA, {"path": path}),
                    (rawzk.GET_CHILDREN, {"path": path}),
                    op=rawzk.MULTI_READ,
                )
                s.do(session, rawzk.SET_ACL, {"path": path, "acl": [entry], "version": 99})
            for name in ("kid", "new", "free"):
                s.delete("s3", f"{path}/{name}")
            s.delete("s3", path)


def events_only_for_those_who_may_read(s):
    s.open("s1")
    s.open("s2")
    s.auth("s1", "digest", b"bob:pw")
    s.create("s1", s.root)
    for entries in (
        [acl(31, "digest", odd.BOB)],
        [acl(30, "world", "anyone"), acl(1, "digest", odd.BOB)],
    ):
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
    s.multi(
        "s1",
        (rawzk.CREATE, {"path": f"{s.root}/s-", "acl": rawzk.OPEN_ACL, "flags": 2}),
        (rawzk.CHECK, {"path": "/nothing", "version": -1}),
    )
    s.create("s1", f"{s.root}/s-", flags=2)
    burst = [
        s.request(
            rawzk.CREATE, {"path": f"{s.root}/b-", "acl": rawzk.OPEN_ACL, "flags": 2 + number % 2}
        )
        for number in range(100)
    ]
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
    s.multi(
        "s2",
        (rawzk.CREATE, {"path": f"{s.root}/g", "acl": rawzk.OPEN_ACL, "flags": 1}),
        (rawzk.CREATE, {"path": f"{s.root}/g/h", "acl": rawzk.OPEN_ACL}),
    )
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
                if flags == 4 and (
                    op in (rawzk.CREATE, rawzk.CREATE2) or ttl < 0 and op == rawzk.CREATE_TTL
                ):
                    continue
                value = {
                    "path": f"{s.root}/n{number}{op}{ttl}",
                    "data": b"d",
                    "acl": rawzk.OPEN_ACL,
                    "flags": flags,
                }
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
        s.multi(
            "s1",
            (rawzk.CREATE, {"path": f"{s.root}/m{flags}", "acl": rawzk.OPEN_ACL, "flags": flags}),
        )
    s.multi(
        "s1",
        (
            rawzk.CREATE_TTL,
            {"path": f"{s.root}/mt", "acl": rawzk.OPEN_ACL, "flags": 5, "ttl": 5000},
        ),
    )
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
        s.multi(
            "s1",
            *[(rawzk.CREATE, {"path": f"{path}/m{n}", "acl": rawzk.OPEN_ACL}) for n in range(4)],
        )
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
            s.do(
                "s2",
                rawzk.RECONFIG,
                {
                    "joiningServers": None,
                    "leavingServers": ids,
                    "newMembers": None,
                    "curConfigId": version,
                },
            )
    s.do(
        "s2",
        rawzk.RECONFIG,
        {
            "joiningServers": None,
            "leavingServers": None,
            "newMembers": "server.1=x",
            "curConfigId": -1,
        },
    )
