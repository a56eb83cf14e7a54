"""Tools on files: ours say what Java's classes say, and both end with the same exit code.

Each case runs in a copy of the same folder. Java's stack traces and its log lines are not compared, nor are times.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.cache import cache_dir
from harness.servers import oxkeeper_binary

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "storage"
CLASSES = {
    "zkTxnLogToolkit.sh": "org.apache.zookeeper.server.persistence.TxnLogToolkit",
    "zkSnapShotToolkit.sh": "org.apache.zookeeper.server.SnapshotFormatter",
    "zkSnapshotRecursiveSummaryToolkit.sh": "org.apache.zookeeper.server.SnapshotRecursiveSummary",
    "zkSnapshotComparer.sh": "org.apache.zookeeper.server.SnapshotComparer",
}
LOG, SNAP, FIXED = "zkTxnLogToolkit.sh", "zkSnapShotToolkit.sh", "log.1.fixed"
SUM, CMP = "zkSnapshotRecursiveSummaryToolkit.sh", "zkSnapshotComparer.sh"
COMPARED = ["-l", "snapshot.0", "-r", "snapshot.23"]

CASES = [
    (LOG, ["log.1"]),
    (LOG, ["-d", "log.22"]),
    (LOG, []),
    (LOG, ["-h"]),
    (LOG, ["-x"]),
    (LOG, ["missing"]),
    (LOG, ["snapshot.21"]),
    (LOG, ["-r", "log.1"]),
    (LOG, ["-rv", "log.22"]),
    (LOG, ["-r", "-y", "flipped.1"]),
    (LOG, ["flipped.1"]),
    (LOG, ["cut.1"]),
    (LOG, ["-c", "-z", "0x20", "log.1"]),
    (LOG, ["-c", "--zxid=32", "log.1"]),
    (LOG, ["-c", "-z", "0x500", "log.1"]),
    (LOG, ["-z"]),
    (SNAP, ["snapshot.23"]),
    (SNAP, ["-d", "snapshot.23.gz"]),
    (SNAP, ["-json", "snapshot.23.snappy"]),
    (SNAP, []),
    (SNAP, ["missing"]),
    (SNAP, ["-d", "-json", "snapshot.23"]),
    (SNAP, ["log.1"]),
    (SUM, ["snapshot.23", "/", "0"]),
    (SUM, ["snapshot.23", "/zookeeper", "1"]),
    (SUM, ["snapshot.23", "/", "x"]),
    (SUM, ["snapshot.23", "/missing", "0"]),
    (SUM, []),
    (CMP, [*COMPARED, "-b", "2", "-n", "1"]),
    (CMP, ["--left", "snapshot.21", "--right=snapshot.23", "-b", "0", "-n", "0", "-d"]),
    (CMP, COMPARED),
    (CMP, [*COMPARED, "-b", "x", "-n", "1"]),
]


def make(folder):
    """Java's files, and two that are damaged."""
    shutil.copytree(GOLDEN / "standalone-3.9.5", folder, ignore=shutil.ignore_patterns("*.txt"))
    log = (folder / "log.1").read_bytes()
    record = log.index(b"hello")
    (folder / "flipped.1").write_bytes(log[:record] + b"jello" + log[record + 5 :])
    (folder / "cut.1").write_bytes(log[: record + 3])


def comparable(text):
    text = re.sub(r'"timestamp":\d+', '"timestamp":0', text)
    text = re.sub(r"in \d+\.\d+ seconds", "in S seconds", text)
    return [line for line in text.splitlines() if not re.match(r"^\d\d:\d\d:\d\d\.\d+ \[", line)]


def run(command, folder, **env):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], "TZ": "Europe/Berlin", "LANG": "C.UTF-8", **env})
    written = {path.name: path.read_bytes().rstrip(b"\0") for path in sorted(folder.iterdir())}
    return done.returncode, comparable(done.stdout), comparable(done.stderr), written


def java(script, args, folder):
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{cache_dir()}/zk-3.9.5/*",
               CLASSES[script], *args]
    return run(command, folder)


def ours(script, args, folder):
    return run([ROOT / "bin" / script, *args], folder, OXKEEPER_BIN=str(oxkeeper_binary()))


def test_every_case_ends_as_javas(tmp_path):
    def both(number):
        script, args = CASES[number]
        results = []
        for kind in (java, ours):
            home = tmp_path / f"{number}-{kind.__name__}"
            home.mkdir()
            make(home / "files")
            results.append(kind(script, args, home / "files"))
        return results

    wrong = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (script, args), (theirs, mine) in zip(CASES, pool.map(both, range(len(CASES)))):
            theirs, mine = list(theirs), list(mine)
            if any("Exception in thread" in line for line in theirs[2]):
                theirs[2] = mine[2] = []
            theirs[2] = [line.replace("-java/", "-ours/") for line in theirs[2]]
            wrong += [f"{script} {args}:\nJava {a}\nours {b}" for a, b in zip(theirs, mine) if a != b]
    assert not wrong, "\n\n".join(wrong[:4])


def purged(folder):
    """Five snapshots, of which one is empty, with logs between them."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "version-2").mkdir(parents=True)
    snapshot = (GOLDEN / "standalone-3.9.5" / "snapshot.0").read_bytes()
    for number in range(1, 6):
        (folder / "version-2" / f"snapshot.{number}0").write_bytes(b"" if number == 5 else snapshot)
        (folder / "version-2" / f"log.{number}5").write_bytes(b"ZKLG")


PURGES = [["-n", "3"], ["-n", "2"], ["-n", "x"], ["-m", "3"], ["-n"], ["--config", ".", "-n", "3"]]


@pytest.mark.parametrize("args", PURGES, ids=" ".join)
def test_the_clean_up_removes_what_javas_does(tmp_path, args):
    results = []
    for kind in ("java", "ours"):
        folder = tmp_path / "data"
        purged(folder)
        (tmp_path / "conf").mkdir(exist_ok=True)
        (tmp_path / "conf" / "zoo.cfg").write_text(f"clientPort=1\n  dataDir={folder}\n")
        if kind == "java":
            rest = args[2:] if args[0] == "--config" else args
            command = ["java", "-cp", f"{cache_dir()}/zk-3.9.5/*", "org.apache.zookeeper.server.PurgeTxnLog",
                       str(folder), *rest]
        else:
            command = [ROOT / "bin" / "zkCleanup.sh", *args]
        code, out, err, _ = run(command, tmp_path / "conf", ZOOCFGDIR=str(tmp_path / "conf"),
                                OXKEEPER_BIN=str(oxkeeper_binary()))
        out = [re.sub(r"file: .*\t", "file: DATE\t", line) for line in out]
        left = sorted(path.name for path in (folder / "version-2").iterdir())
        results.append((code, sorted(out), err, left))
    assert results[0] == results[1]
