"""Data folders change hands: Java writes and we open, we write and Java opens; nothing is lost."""

import shutil
import subprocess
from pathlib import Path

import pytest

from differential.odd import SUPER_DIGEST
from harness import rawzk, servers
from harness.rawzk import Client, acl

VERSIONS = ["3.5.10", "3.6.4", "3.7.2", "3.8.5", "3.9.4", "3.9.5"]
CFG = {"snapCount": 60, "maxSessionTimeout": 600000, "autopurge.purgeInterval": 0}
PROPS = {
    "zookeeper.extendedTypesEnabled": "true",
    "zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
    "znode.container.checkIntervalMs": 36000000,
}
MISMATCH = ("Digests are not matching", "digest mismatch on txn")


@pytest.fixture(scope="module", autouse=True)
def older_servers():
    """The Java servers of other versions; quick when they are there already."""
    install = Path(__file__).resolve().parent / "install"
    subprocess.run([install, *VERSIONS], check=True)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "data"
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def second(request):
    """The kind that opens what Java made: this server, or Java again for --only java."""
    return "java" if request.config.getoption("--only") == "java" else "oxkeeper"


def connect(server, **how):
    client = Client(server.host, server.port, timeout=600000, **how)
    assert client.session, f"{server!r} refused the session:\n{server.log_text()[-3000:]}"
    return client


def populate(client, other, root, salt):
    """Writes of every kind under `root`: what stays, what changes, what goes, what fails."""
    client.create(root, b"root " + salt)
    client.create(f"{root}/null", None)
    client.create(f"{root}/empty", b"")
    client.create(f"{root}/uml-\u00e4\u65e5", "\u00fcmlaut".encode())
    client.create(f"{root}/big", bytes(range(256)) * 400)
    client.create(f"{root}/box", op=rawzk.CREATE_CONTAINER, flags=4)
    client.create(f"{root}/box/kid", b"in a container")
    client.create(f"{root}/ttl", op=rawzk.CREATE_TTL, flags=5, ttl=1 << 35)
    client.create(f"{root}/ttl/seq-", op=rawzk.CREATE_TTL, flags=6, ttl=1 << 39)
    client.create(f"{root}/e", b"ephemeral", flags=1)
    other.create(f"{root}/other-", b"ephemeral", flags=3)
    client.create(f"{root}/private", b"p", [acl(31, "digest", "bob:x"), acl(1, "ip", "10.0.0.0/8")])
    client.create(
        f"{root}/strange", b"s", [acl(-1, "world", "anyone"), acl(0, "digest", "\u65e5:x")]
    )
    client.set_acl(f"{root}/null", [acl(3, "world", "anyone"), acl(31, "digest", "a:b")])
    for _ in range(3):
        client.set_data(f"{root}/empty", b"again " + salt)
    for number in range(120):
        path = client.create(f"{root}/big/s-", salt * (number % 5), flags=2)["path"].decode()
        if number % 3 == 0:
            client.delete(path)
        if number % 7 == 0:
            with pytest.raises(rawzk.Error):
                client.delete(f"{root}/missing")
    client.multi(
        [
            (rawzk.CREATE, {"path": f"{root}/m", "acl": rawzk.OPEN_ACL}),
            (rawzk.CREATE2, {"path": f"{root}/m/e", "acl": rawzk.OPEN_ACL, "flags": 1}),
            (rawzk.SET_DATA, {"path": f"{root}/m", "data": salt, "version": 0}),
            (rawzk.DELETE, {"path": f"{root}/m/e", "version": 0}),
            (rawzk.CHECK, {"path": f"{root}/m", "version": 1}),
        ]
    )
    client.multi(
        [
            (rawzk.CREATE, {"path": f"{root}/never", "acl": rawzk.OPEN_ACL}),
            (rawzk.CHECK, {"path": f"{root}/never", "version": 5}),
        ]
    )
    quota = "/zookeeper/quota" + root
    client.create(quota)
    client.create(f"{quota}/zookeeper_limits", b"count=100,bytes=100000")
    client.create(f"{quota}/zookeeper_stats", b"")
    client.create(f"{root}/counted", b"12345")


def photograph(client, path="/"):
    """Everything a client with all rights can read below a path; keys are paths."""
    seen = client.call(rawzk.GET_DATA, {"path": path})
    reply = client.call(rawzk.GET_ACL, {"path": path})
    picture = {path: (seen["data"], seen["stat"], reply["acl"])}
    for child in sorted(client.children(path)):
        name = child.decode()
        picture |= photograph(client, f"{path}/{name}" if path != "/" else f"/{name}")
    return picture


def picture_of(server):
    viewer = connect(server)
    viewer.auth("digest", b"super:pw")
    picture = photograph(viewer)
    viewer.close_session()
    return picture


def same(before, after):
    """Asserts that two pictures are one, naming what is not."""
    assert sorted(before) == sorted(after)
    different = [
        f"{path}:\n  was {before[path]}\n  is  {after[path]}"
        for path in sorted(before)
        if before[path] != after[path]
    ]
    if different:
        pytest.fail("\n".join(different[:5]), pytrace=False)


def end(server, how):
    code = server.stop() if how == "stop" else server.kill()
    if how == "stop" and server.kind == "oxkeeper":
        assert code == 0, server.log_text()[-3000:]
    text = server.log_text()
    assert not any(line in text for line in MISMATCH), text[-4000:]


def resumed(server, session):
    """The session on its new server, with its password and its ephemerals."""
    return connect(server, session=session.session, password=session.password)


def has_ephemerals(client, version="3.9.5"):
    if version.startswith("3.5"):
        return None
    return sorted(client.call(rawzk.GET_EPHEMERALS, {"prefixPath": "/"})["ephemerals"])


def round_trip(folder, second, how, version="3.9.5", props=()):
    props = PROPS | dict(props)
    started = []

    def start(kind, release="3.9.5"):
        started.append(servers.start(kind, cfg=CFG, props=props, data_dir=folder, version=release))
        return started[-1]

    try:
        made = start("java", version)
        session, other = connect(made), connect(made)
        populate(session, other, "/first", b"abc")
        gone = connect(made)
        gone.create("/first/gone", flags=1)
        gone.close_session()
        before = picture_of(made)
        end(made, how)

        ours = start(second)
        same(before, picture_of(ours))
        session, other = resumed(ours, session), resumed(ours, other)
        assert len(has_ephemerals(session)) == 1 and len(has_ephemerals(other)) == 1
        populate(session, other, "/second", b"defg")
        session.delete("/first/box/kid")
        session.set_data("/first/empty", b"changed by the second server")
        other.close_session()
        late = connect(ours)
        late.create("/second/late", flags=1)
        owned = has_ephemerals(session), has_ephemerals(late)
        between = picture_of(ours)
        assert "/first/gone" not in between and "/second/late" in between
        end(ours, how)

        back = start("java")
        same(between, picture_of(back))
        session, late = resumed(back, session), resumed(back, late)
        assert (has_ephemerals(session), has_ephemerals(late)) == owned
        populate(session, late, "/third", b"h")
        late.close_session()
        last = picture_of(back)
        end(back, how)

        again = start(second)
        same(last, picture_of(again))
        end(again, how)
        return sorted(path.name for path in (folder / "version-2").iterdir())
    finally:
        for server in started:
            server.cleanup()


ENDINGS = (
    [(version, "stop") for version in VERSIONS]
    + [("3.9.5", "kill")]
    + [pytest.param(version, "kill", marks=pytest.mark.long) for version in VERSIONS[:-1]]
)


@pytest.mark.parametrize("version, how", ENDINGS)
def test_a_folder_made_by_each_java_server_goes_there_and_back(folder, second, version, how):
    files = round_trip(folder, second, how, version)
    assert sum(name.startswith("snapshot.") for name in files) > 4
    assert sum(name.startswith("log.") for name in files) > 4


@pytest.mark.parametrize("method", ["gz", "snappy"])
def test_compressed_snapshots_go_there_and_back(folder, second, method):
    files = round_trip(
        folder, second, "stop", props={"zookeeper.snapshot.compression.method": method}
    )
    assert sum(name.endswith(f".{method}") for name in files) > 4


def test_a_folder_without_its_logs_before_the_last_snapshot_still_opens(folder, second):
    """What the clean-up of old files leaves behind: one snapshot and the logs after it."""
    with servers.start("java", cfg=CFG, props=PROPS, data_dir=folder) as made:
        session, other = connect(made), connect(made)
        populate(session, other, "/kept", b"abc")
        before = picture_of(made)
        made.stop()
    data = folder / "version-2"
    number = {path: int(path.name.split(".")[1], 16) for path in data.iterdir()}
    newest = max((path for path in number if path.name.startswith("snapshot")), key=number.get)
    logs = sorted((path for path in number if path.name.startswith("log")), key=number.get)
    needed = [path for path in logs if number[path] <= number[newest]][-1:]
    for path in number:
        if path != newest and path not in needed and number[path] <= number[newest]:
            path.unlink()
    with servers.start(second, cfg=CFG, props=PROPS, data_dir=folder) as ours:
        same(before, picture_of(ours))
