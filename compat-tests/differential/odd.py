"""Values that good clients never send, and the identities scripts use."""

import struct

from harness import rawzk
from harness.rawzk import acl, encode, multi_body

SUPER_DIGEST = "super:0bX78nEegDzJM3ju0iLBEJdWzjg="  # super:pw
BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="  # bob:pw
BEYOND_BMP = "u\U0001f600:x"

GOOD_AUTHS = [
    ("digest", b"bob:pw"),
    ("digest", b"bob:pw"),
    ("digest", b"alice:a"),
    ("digest", b"no-colon"),
    ("digest", b""),
    ("digest", b":only-password"),
    ("digest", b"a:b:c"),
    ("digest", b"super:pw"),
    ("digest", b"super:wrong"),
    ("digest", b"\xff\xfe:bad utf8"),
    ("digest", "u\U0001f600:x".encode()),
    ("digest", "käthe:pä".encode()),
    ("ip", b"anything"),
    ("ip", None),
    ("ip", b""),
]

# Without those that an `auth:` entry inside a multi would not survive (see "non-bmp-text-stays").
BMP_AUTHS = [one for one in GOOD_AUTHS if "\U0001f600".encode() not in (one[1] or b"")]

BAD_AUTHS = [
    ("nosuch", b"x"),
    ("digest", None),
    ("sasl", b"x"),
    ("x509", b"x"),
    ("super", b""),
    ("world", b"anyone"),
    ("auth", b""),
    (None, b"x"),
    ("", b""),
    ("DIGEST", b"a:b"),
]

GOOD_IDS = [
    ("world", "anyone"),
    ("auth", ""),
    ("auth", "ignored"),
    ("auth", None),
    ("digest", BOB),
    ("digest", "a:b"),
    ("digest", ":b"),
    ("digest", "a:b:"),
    ("ip", "127.0.0.1"),
    ("ip", "127.0.0.0/8"),
    ("ip", "10.0.0.0/8"),
    ("ip", "0.0.0.0/0"),
    ("ip", "::1"),
    ("ip", "fe80::/10"),
    ("digest", BEYOND_BMP),
    ("digest", b"\xff:\xfe"),
    ("ip", "127.0.0.1/32"),
    ("ip", "127.0.0.1/1"),
]

BAD_ACLS = [
    None,
    [],
    [acl(31, None, "x")],
    [acl(31, "world", None)],
    [acl(31, "world", "bob")],
    [acl(31, "digest", "nocolon")],
    [acl(31, "digest", "a:")],
    [acl(31, "digest", "a:b:c")],
    [acl(31, "digest", None)],
    [acl(31, "ip", "1.2.3.4/")],
    [acl(31, "ip", "1.2.3")],
    [acl(31, "ip", "1.2.3.4/33")],
    [acl(31, "ip", "300.1.1.1")],
    [acl(31, "ip", "fe80::1%eth0")],
    [acl(31, "ip", "::1/129")],
    [acl(31, "ip", "::ffff:1.2.3.4")],
    [acl(31, "ip", None)],
    [acl(31, "ip", "")],
    [acl(31, "ip", "1::2::3")],
    [acl(31, "ip", "12345::")],
    [acl(31, "ip", "1.2.3.4/-1")],
    [acl(31, "ip", "1.2.3.4/8/8")],
    [acl(31, "ip", "01.02.03.04")],
    [acl(31, "sasl", "bob")],
    [acl(31, "x509", "CN=bob")],
    [acl(31, "super", "")],
    [acl(31, "auth", "x")],
    [acl(31, "nosuch", "x")],
    [acl(31, "", "")],
    [acl(31, "WORLD", "anyone")],
    [acl(31, "world", "anyone"), acl(31, "nosuch", "x")],
    [acl(1, "world", "anyone"), acl(1, "world", "anyone"), acl(2, "world", "anyone")],
    [acl(31, "auth", ""), acl(1, "auth", ""), acl(31, "digest", BOB)],
]

LIMITS = [
    "count=5,bytes=100",
    "count=3,bytes=-1",
    "count=-1,bytes=40",
    "count=1000,bytes=100000",
    "count=5,bytes=-1=;byteHardLimit=200;countHardLimit=6",
    "countHardLimit=4",
    "byteHardLimit=60",
    "count=5;bytes=200;;countHardLimit=8",
    "",
    "junk",
    "count=",
    "count=x,bytes=1",
    "bytes=10",
    "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=-1",
    " count=4",
    "count=4,",
    ",count=4",
    "count=99999999999999999999",
    "count=+3",
    "COUNT=1",
    "count=1=2",
]


def paths(root):
    """Paths that are wrong, odd, or belong to the server."""
    return [
        "",
        "/",
        "nope",
        f"{root}/",
        f"{root}//x",
        f"{root}/.",
        f"{root}/..",
        f"{root}/a/../b",
        f"{root}/\0",
        f"{root}/\x01",
        f"{root}/\x1f",
        f"{root}/\x7f",
        f"{root}/\x9f",
        f"{root}/\xa0",
        f"{root}/\ue000",
        f"{root}/\uf8ff",
        f"{root}/\uf900",
        f"{root}/\ufff0",
        f"{root}/\uffef",
        f"{root}/\uffff",
        f"{root}/\U0001f600",
        f"{root}/é",
        f"{root}/日本",
        f"{root}/...",
        f"{root}/.a",
        f"{root}/a b",
        root.encode() + b"/\xff",
        root.encode() + b"/\xed\xa0\x80",
        root.encode() + b"/\xc0\xaf",
        root.encode() + b"/\xf0\x9f\x98",
        root.encode() + b"/\xe2\x82x",
        root.encode() + b"/\xf5\x80\x80\x80",
        f"{root}/{'n' * 2000}",
        "/zookeeper",
        "/zookeeper/quota",
        "/zookeeper/config",
        "/zookeeper/none",
        "//",
        "/.",
        "zookeeper",
        f"{root[1:]}/a",
        " ",
        "/zookeeper/",
        "/zookeeper/config/x",
    ]


def broken_frame(random):
    """Bytes after which the server closes an established connection without a word."""
    kind = random.randint(0, 6)
    if kind == 0:
        return struct.pack(">i", random.choice([-1, -2, -(1 << 31)]))
    if kind == 1:
        return struct.pack(">i", random.choice([0x100000, 0x7FFFFFFF, 0x200000]))
    if kind == 2:
        length = random.randint(0, 7)
        return struct.pack(">i", length) + bytes(length)
    if kind == 3:
        bad = rawzk.request_frame(5, rawzk.AUTH, b"\0\0\0\0\0\0\0\x20dig")
        return struct.pack(">i", len(bad)) + bad
    if kind == 4:
        bad = rawzk.request_frame(5, rawzk.SASL, b"\0\0\x01\0xx")
        return struct.pack(">i", len(bad)) + bad
    bad = rawzk.request_frame(5, rawzk.AUTH)
    if kind == 5:
        bad = rawzk.request_frame(5, rawzk.SASL, b"\xff\xff\xff\xff")
    return struct.pack(">i", len(bad)) + bad


def broken_connect(random):
    """A first frame that is no ConnectRequest."""
    whole = rawzk.connect_frame()
    kind = random.randint(0, 3)
    if kind == 0:
        cut = whole[: random.randint(1, 43)]
        return struct.pack(">i", len(cut)) + cut
    if kind == 1:
        return struct.pack(">i", random.choice([-1, 0x100000, 0x7FFFFFFF]))
    if kind == 2:
        wrong = whole[:24] + struct.pack(">i", random.choice([-2, 17, 1 << 30])) + whole[28:]
        return struct.pack(">i", len(wrong) - 1) + wrong[:-1]
    return struct.pack(">i", 0)


def bad_multi(random, root):
    """A multi body that is refused as a whole."""
    create = (rawzk.CREATE, {"path": f"{root}/m", "acl": rawzk.OPEN_ACL})
    read = (rawzk.GET_DATA, {"path": root})
    whole = multi_body([create, (rawzk.DELETE, {"path": f"{root}/m", "version": -1})])
    kind = random.randint(0, 6)
    if kind == 0:
        return whole[: random.randint(0, len(whole) - 1)]
    if kind == 1:
        return multi_body([create, (random.choice([7, 3, 12, 99, -11, 0, 14]), b"\0\0\0\1/")])
    if kind == 2:
        return multi_body(random.choice([[create, read], [read, create], [read], [read, read]]))
    if kind == 3:
        flags = random.choice([5, 6, 7, -1])
        return multi_body(
            [(rawzk.CREATE, {"path": f"{root}/m", "acl": rawzk.OPEN_ACL, "flags": flags})]
        )
    if kind == 4:
        return multi_body(
            [(random.choice([rawzk.CREATE, rawzk.CREATE2]), {"path": f"{root}/m", "acl": None})]
        )
    if kind == 5:
        return multi_body([create], end=b"")
    return multi_body([create])[:-9] + encode("MultiHeader", {"type": 1, "done": False, "err": -1})
