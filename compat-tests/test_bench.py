"""`oxkeeper bench` against Java's server: every kind of work, its totals against the server's own."""

import json
import subprocess

import pytest

from harness import servers
from harness.rawzk import Client

SMALL = ["--connections", 3, "--in-flight", 4, "--size", 100, "--warmup", 0, "--interval", 0, "--json"]
CFG = {"maxClientCnxns": 0, "4lw.commands.whitelist": "*", "admin.enableServer": "false"}


@pytest.fixture(scope="module")
def java():
    with servers.start("java", CFG) as server:
        yield server


def mntr(server, name):
    lines = servers.four_letter(server.host, server.port, "mntr").splitlines()
    values = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return int(values[name])


def bench(server, *words):
    """Its report; it must have succeeded."""
    at = f"{server.host}:{server.port}"
    command = [servers.oxkeeper_binary(), "bench", "-server", at, *SMALL, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{server.log_text()[-2000:]}"
    return json.loads(done.stdout)


def names(server):
    found = Client(server.host, server.port).children("/")
    return sorted(name.decode() for name in found)


# Kind of work, requests, what they are made of, znodes made before.
WORKS = [
    ("get", 2000, {"get"}, 102),
    ("set", 500, {"set"}, 102),
    ("mixed", 1000, {"get", "set"}, 102),
    ("exists", 2000, {"exists"}, 102),
    ("children", 2000, {"children"}, 102),
    ("create", 1000, {"create"}, 4),
    ("churn", 1000, {"create", "delete"}, 4),
    ("delete", 100, {"delete"}, 102),
    ("session", 50, {"connect", "close"}, 1),
]


@pytest.mark.parametrize("work, requests, kinds, made", WORKS, ids=[work[0] for work in WORKS])
def test_javas_server_counts_what_the_report_says(java, work, requests, kinds, made):
    keys = ["--keys", 100] if work not in ("create", "churn", "session") else []
    before = mntr(java, "zk_packets_received")
    report = bench(java, "--work", work, "-n", requests, *keys)
    received = mntr(java, "zk_packets_received") - before
    assert {part["name"] for part in report["kinds"]} == kinds
    assert report["errors"] == {} and report["unanswered"] == 0
    wanted = 2 * requests if work == "session" else requests
    assert report["requests"] == report["answers"] == wanted
    assert sum(part["latency"]["count"] for part in report["kinds"]) == wanted
    # What is made is removed as well, and so is what the load created; sessions come and go.
    created = requests if work == "create" else 0
    most = wanted + 2 * (made + created) + 60
    assert wanted + made <= received <= most, report
    assert (report["servers"][0]["mode"], names(java)) == ("standalone", ["zookeeper"])


def test_what_is_kept_is_as_many_znodes_as_the_report_says(java):
    before = mntr(java, "zk_znode_count")
    report = bench(java, "--work", "create", "-n", 1500, "--keep", "--path", "/kept")
    # The root, and a parent for each connection.
    assert mntr(java, "zk_znode_count") - before == report["requests"] + 1 + 3
    at = f"{java.host}:{java.port}"
    subprocess.run([servers.oxkeeper_binary(), "cli", "-server", at, "deleteall", "/kept"], check=True)


def test_a_fixed_rate_is_kept_against_java(java):
    """Never exceeded, and kept; where the machine is busy with other things, in one second of several."""
    for _ in range(30):
        report = bench(java, "--work", "get", "--rate", 500, "--seconds", 1, "--keys", 100)
        assert report["latency"]["count"] <= 500 and report["per_second"] <= 510, report
        if report["latency"]["count"] == 500 and report["per_second"] >= 450:
            return
    pytest.fail(f"never kept: {report}")


def test_an_older_server_will_do():
    with servers.start("java", CFG, version="3.8.5") as older:
        report = bench(older, "-n", 500, "--keys", 100)
        assert report["servers"][0]["version"].startswith("3.8.5")
        assert names(older) == ["zookeeper"]
