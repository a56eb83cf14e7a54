"""The audit log: of the same session, Java's and ours say the same, line by line."""

import re

import pytest

from harness import rawzk, servers
from harness.ensemble import Ensemble, Member, until
from harness.rawzk import OPEN_ACL, Client, acl
from harness.servers import Server

LOGGER = "org.apache.zookeeper.audit.Slf4jAuditLogger"
_APPENDER = f"""
appender.audit.type = Console
appender.audit.name = audit
appender.audit.layout.type = PatternLayout
appender.audit.layout.pattern = %p %c: %m%n
logger.audit.name = {LOGGER}
logger.audit.level = info
logger.audit.additivity = false
logger.audit.appenderRef.audit.ref = audit
"""
CFG = {"audit.enable": "true"}
PROPS = {"zookeeper.extendedTypesEnabled": "true"}
# Ours in a file of its own, ours or Java's on the console.
_LINE = re.compile(rf"^.*?\b(INFO|ERROR) +(?:o\.a\.z\.a\.Slf4jAuditLogger|{re.escape(LOGGER)}): (.*)$",
                   re.MULTILINE)


class Audited(Server):
    log4j2 = servers._LOG4J2 + _APPENDER


def lines(text):
    """Level and message of every line, sessions by the order in which they come."""
    names = {}

    def name(match):
        return f"session=S{names.setdefault(match.group(1), len(names) + 1)}"

    return [(level, re.sub(r"session=(0x[0-9a-f]+)", name, message))
            for level, message in _LINE.findall(text)]


def refused(call, *args, **kwargs):
    with pytest.raises(rawzk.Error):
        call(*args, **kwargs)


def everything(client, root):
    """Every operation that is told, done and refused, and some that are not told."""
    at = root.__add__
    client.create(root)
    refused(client.create, root)
    client.create(at("/seq-"), flags=2, op=rawzk.CREATE)
    client.create(at("/eph"), flags=1)
    client.create(at("/eph-seq-"), flags=3)
    client.create(at("/container"), flags=4, op=rawzk.CREATE_CONTAINER)
    client.create(at("/ttl"), flags=5, op=rawzk.CREATE_TTL, ttl=100_000)
    client.create(at("/ttl-seq-"), flags=6, op=rawzk.CREATE_TTL, ttl=100_000)
    refused(client.create, at("/no/parent"), flags=3)
    refused(client.create, at("/ttl"), flags=5, op=rawzk.CREATE_TTL, ttl=100_000)
    refused(client.create, at("/odd"), flags=9)
    refused(client.create, "no-slash")
    client.set_data(root, b"1")
    refused(client.set_data, root, b"1", version=77)
    refused(client.set_data, at("/nobody"), b"1")
    client.get_data(root)
    client.auth("digest", b"bob:pw")
    client.set_acl(at("/ttl"), OPEN_ACL + [acl(5, "digest", "a:b"), acl(16, "auth", "")])
    refused(client.set_acl, at("/nobody"), OPEN_ACL)
    refused(client.set_acl, at("/ttl"), [])
    refused(client.set_acl, at("/ttl"), None)
    client.create(at("/locked"), acl=[acl(31, "digest", "eve:x")])
    refused(client.set_data, at("/locked"), b"")
    multi(client, root)
    refused(client.call, rawzk.RECONFIG,
            {"joiningServers": None, "leavingServers": "7", "newMembers": None, "curConfigId": -1})
    for op in (rawzk.CREATE, rawzk.DELETE, rawzk.SET_DATA, rawzk.MULTI, rawzk.RECONFIG):
        refused(client.call, op, b"\x00")
    client.delete(at("/ttl"))
    refused(client.delete, at("/ttl"))
    refused(client.delete, root)


def multi(client, root):
    at = root.__add__
    create = {"data": b"", "acl": OPEN_ACL}
    delete = {"path": at("/m"), "version": -1}
    client.multi([
        (rawzk.CREATE, {"path": at("/m"), "flags": 1, **create}),
        (rawzk.CREATE, {"path": at("/m-"), "flags": 2, **create}),
        (rawzk.CREATE_TTL, {"path": at("/m-ttl"), "flags": 5, "ttl": 100_000, **create}),
        (rawzk.CHECK, delete),
        (rawzk.SET_DATA, {"path": root, "data": b"2", "version": -1}),
        (rawzk.DELETE, delete),
        (rawzk.CREATE, {"path": at("/m"), "flags": 0, **create}),
    ])
    client.multi([(rawzk.CHECK, delete)])
    for failing in (
        [(rawzk.DELETE, delete), (rawzk.DELETE, delete)],
        [(rawzk.CHECK, {"path": at("/nobody"), "version": -1})],
    ):
        client.multi(failing)
    refused(client.multi, [(rawzk.CREATE, {"path": at("/n"), "flags": 9, **create})])


def alone(kind, cfg):
    server = Audited(kind, {**CFG, **cfg}, PROPS, None, "3.9.5")
    try:
        server._launch()
        client = Client(server.host, server.port)
        everything(client, "/a")
        client.close_session()
        server.stop()
        own = server.home / "audit.log"
        return lines(own.read_text() if "auditlog.file" in cfg else server.log_text())
    finally:
        server.cleanup()


def test_a_server_on_its_own_says_what_java_says(pytestconfig):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")
    java = alone("java", {})
    assert len(java) > 30
    assert alone("oxkeeper", {"auditlog.file": "audit.log"}) == java


def test_members_say_what_javas_say(pytestconfig, monkeypatch):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")
    monkeypatch.setattr(Member, "log4j2", Member.log4j2 + _APPENDER)
    with Ensemble("JOO", cfg=CFG, props=PROPS) as ensemble:
        ensemble.start()
        marks = [member.mark() for member in ensemble]
        for nth, member in enumerate(ensemble):
            client = Client(member.host, member.port)
            everything(client, f"/{nth}")
            client.close_session()
        until(lambda: all(member.log_text().count("operation=ephemeral") == 6 for member in ensemble),
              "everybody tells of all ephemerals")
        said = [lines(member.log_since(mark)) for member, mark in zip(ensemble, marks)]
        gone = [[line for line in each if "operation=ephemeral" in line[1]] for each in said]
        own = [[(level, re.sub(r"(znode=/)\d", r"\1N", re.sub(r"session=S\d", "session=S", message)))
                for level, message in each if (level, message) not in gone[0]] for each in said]
        assert gone[0] == gone[1] == gone[2]
        assert own[0] == own[1] == own[2]
