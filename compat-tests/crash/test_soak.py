"""Minutes of churn, after which nothing may be left over: memory, descriptors, watches, sessions.

How long: the environment's SOAK_SECONDS, 300 unless said.
"""

import os
import random
import threading
import time
from pathlib import Path

import pytest

from harness import servers
from harness.rawzk import Client, Closed, Error

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
WORKERS = 8
CFG = {
    "tickTime": 200,
    "minSessionTimeout": 400,
    "snapCount": 5000,
    "autopurge.purgeInterval": 1,
    "maxClientCnxns": 0,
    "4lw.commands.whitelist": "*",
}


def mntr(server):
    text = servers.four_letter(server.host, server.port, "mntr")
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def resident_kb(server):
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def churn_once(server, rng):
    """One short life: a session that watches, creates ephemerals, leaves in one of three ways."""
    client = Client(server.host, server.port, timeout=1000)
    base = f"/w{rng.randrange(50)}"
    try:
        client.create(base, b"x")
    except Error:
        pass
    for _ in range(rng.randrange(1, 30)):
        path = f"{base}/e-"
        made = client.create(path, rng.randbytes(rng.randrange(2000)), flags=3)["path"]
        client.get_data(made, watch=True)
        client.children(base, watch=True)
        client.set_data(made, rng.randbytes(rng.randrange(2000)))
        if rng.random() < 0.5:
            client.delete(made)
    if rng.random() < 0.6:
        client.close_session()
    else:
        client.close()  # its session expires


def work(server, seed, until, failures):
    rng = random.Random(seed)
    while time.monotonic() < until and not failures:
        try:
            churn_once(server, rng)
        except (Closed, Error, TimeoutError, OSError) as wrong:
            failures.append(repr(wrong))


def churn(server, seconds, seed):
    until = time.monotonic() + seconds
    failures = []
    threads = [
        threading.Thread(target=work, args=(server, seed + n, until, failures))
        for n in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def wait_until_quiet(server):
    """Sessions left without a word expire; then only our four-letter words connect."""
    deadline = time.monotonic() + 30
    while True:
        now = mntr(server)
        if now["zk_global_sessions"] == "0" and now["zk_ephemerals_count"] == "0":
            return now
        assert time.monotonic() < deadline, now
        time.sleep(0.1)


@pytest.mark.long
def test_minutes_of_churn_leave_nothing_behind():
    with servers.start("oxkeeper", cfg=CFG) as server:
        churn(server, SECONDS / 5, seed=1)
        first = wait_until_quiet(server)
        first_kb = resident_kb(server)
        churn(server, SECONDS * 4 / 5, seed=1000)
        last = wait_until_quiet(server)
        last_kb = resident_kb(server)
        assert last["zk_watch_count"] == "0"
        assert int(last["zk_open_file_descriptor_count"]) <= (
            int(first["zk_open_file_descriptor_count"]) + 5
        )
        assert int(last["zk_znode_count"]) == int(first["zk_znode_count"])
        assert last_kb < first_kb * 1.25 + 8192, f"{first_kb} KB became {last_kb} KB"
        served = int(last["zk_packets_received"])
        print(f"{served} requests, resident {first_kb} KB then {last_kb} KB")
        assert "ERROR" not in server.log_text()
