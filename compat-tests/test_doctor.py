"""Damaged data folders of Java: oxkeeper doctor names the damage, changes nothing unasked, and after --fix both start."""

import json
import subprocess

import pytest

from harness import servers
from harness.rawzk import Client

CFG = {"snapCount": 100_000, "preAllocSize": 64, "autopurge.purgeInterval": 0}
WRITES = 100


def write(server, numbers):
    client = Client(server.host, server.port)
    for number in numbers:
        client.create(f"/z{number}", b"data %d" % number)
    client.close_session()


@pytest.fixture
def folder(tmp_path):
    """What a Java server leaves after a hundred writes: several snapshots and logs, and half of them behind the last.

    Java writes its snapshots beside the writes, whenever it comes to it, and its end cuts one short that it is at; at
    its start it writes one before all else. So here it writes no others, and is started for each.
    """
    data_dir = tmp_path / "data"
    for numbers in (range(WRITES // 2), range(WRITES // 2, WRITES)):
        with servers.start("java", cfg=CFG, data_dir=data_dir) as server:
            write(server, numbers)
    return data_dir


def files(folder, prefix):
    named = [path for path in (folder / "version-2").iterdir() if path.name.startswith(prefix)]
    return sorted(named, key=lambda path: int(path.name.split(".")[1], 16))


def doctor(folder, *args):
    done = subprocess.run([servers.oxkeeper_binary(), "doctor", "--json", *args, folder],
                          capture_output=True, text=True, timeout=180)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def picture(folder):
    return {path.name: path.read_bytes() for path in (folder / "version-2").iterdir()}


def mend(folder, *kinds, args=()):
    """Finds exactly these kinds, in any order; fixes them, and keeps the folder as it was."""
    before = picture(folder)
    code, report = doctor(folder, *args)
    assert (code, sorted(found["kind"] for found in report["findings"])) == (1, sorted(kinds)), report
    assert picture(folder) == before
    code, report = doctor(folder, "--fix", *args)
    assert code == 0 and report["healthy"], report
    kept = type(folder)(report["copy"])
    assert {name: kept.joinpath("version-2", name).read_bytes() for name in before} == before
    assert doctor(folder)[0] == 0


def starts(kind, folder, writes=WRITES):
    with servers.start(kind, cfg=CFG, data_dir=folder) as server:
        client = Client(server.host, server.port)
        names = {name.decode() for name in client.children("/")}
        assert {f"z{number}" for number in range(writes)} <= names
        client.close_session()


def test_a_healthy_folder_of_java_is_healthy(folder):
    before = picture(folder)
    code, report = doctor(folder)
    assert (code, report["healthy"], report["starts"]) == (0, True, True), report
    assert picture(folder) == before


def test_after_a_power_failure_both_start(folder):
    """A torn end, an unfinished snapshot under its name, and one beside it."""
    last = files(folder, "log.")[-1]
    records = last.read_bytes().rstrip(b"\0")
    last.write_bytes(records[:-5])
    newest = files(folder, "snapshot.")[-1]
    newest.write_bytes(newest.read_bytes()[:-60])
    (folder / "version-2" / "snapshot.fff.tmp").write_bytes(b"ZKSN")
    mend(folder, "torn-log", "incomplete-snapshot", "leftover-tmp")
    starts("oxkeeper", folder)
    starts("java", folder)


def test_epochs_that_java_stumbles_over_are_put_right(folder):
    for name, text in (("acceptedEpoch", "2"), ("currentEpoch", "3"), ("currentEpoch.tmp", "9")):
        (folder / "version-2" / name).write_text(text)
    mend(folder, "accepted-epoch-behind-current", "leftover-tmp")
    assert (folder / "version-2" / "acceptedEpoch").read_text() == "3"
    starts("java", folder)


def test_damage_that_costs_something_waits_for_consent(folder):
    """A flipped bit behind the newest snapshot."""
    last = files(folder, "log.")[-1]
    data = bytearray(last.read_bytes())
    data[data.index(b"data ") + 6] ^= 1
    last.write_bytes(data)
    before = picture(folder)
    code, report = doctor(folder, "--fix")
    assert code == 1 and not report["healthy"] and picture(folder) == before
    assert [found["kind"] for found in report["findings"]] == ["damaged-log"] and report["findings"][0]["loses"]
    mend(folder, "damaged-log", args=["--accept-loss"])
    starts("java", folder, writes=WRITES // 2)
    starts("oxkeeper", folder, writes=WRITES // 2)


def test_a_folder_in_use_is_looked_at_and_not_fixed(folder):
    (folder / "version-2" / "snapshot.fff.tmp").write_bytes(b"ZKSN")
    for kind in ("java", "oxkeeper"):
        with servers.start(kind, cfg=CFG, data_dir=folder) as server:
            client = Client(server.host, server.port)
            client.create(f"/by-{kind}")
            (folder / "version-2" / "snapshot.fff.tmp").write_bytes(b"ZKSN")
            done = subprocess.run([servers.oxkeeper_binary(), "doctor", "--fix", folder],
                                  capture_output=True, text=True, timeout=180)
            assert done.returncode == 2 and "nothing was changed" in done.stderr, done
            assert "running on it" in done.stdout or "open for writing" in done.stdout
            assert (folder / "version-2" / "snapshot.fff.tmp").exists()
            client.close_session()
