"""Snapshots, restores and backups between Java and this server: statuses, headers, files both ways."""

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness import servers
from harness.ports import free_port
from harness.rawzk import Client, acl
from harness.trees import picture

KINDS = ["java", "oxkeeper"]


def start(kind, data_dir=None, **cfg):
    port = free_port()
    keys = {
        "admin.enableServer": "true",
        "admin.serverAddress": "127.0.0.1",
        "admin.serverPort": port,
        **{key.replace("_", "."): value for key, value in cfg.items()},
    }
    server = servers.start(kind, keys, {"zookeeper.extendedTypesEnabled": "true"}, data_dir)
    server.admin = f"http://127.0.0.1:{port}"
    return server


def ask(server, path, auth=None, body=None):
    """Status, headers, body."""
    headers = {"Authorization": auth} if auth else {}
    request = urllib.request.Request(server.admin + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def told(server, path, auth=None, body=None):
    """What a script looks at: status, headers of the command, fields of the answer."""
    status, headers, content = ask(server, path, auth, body)
    kind = (headers.get("Content-Type") or "").split(";")[0]
    shown = json.loads(content) if kind == "application/json" else content[:4]
    own = {name: headers[name] is not None for name in ("last_zxid", "snapshot_size")}
    return status, kind, own, shown


def oxkeeper(*words):
    done = subprocess.run(
        [servers.oxkeeper_binary(), *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def connect(server):
    client = Client(server.host, server.port, timeout=60000)
    assert client.session, server.log_text()[-3000:]
    return client


def populate(client, count=60):
    client.create("/app", b"root")
    client.create("/app/null", None)
    client.create("/app/private", b"p", [acl(31, "world", "anyone"), acl(1, "ip", "10.0.0.0/8")])
    for number in range(count):
        client.create(f"/app/n{number}", b"data" * (number % 7))
    client.set_data("/app/n3", b"changed")
    client.delete("/app/n4")


def shown(server):
    """Every znode but what a server keeps for itself."""
    with_stat = picture(connect(server))
    return {path: znode for path, znode in with_stat.items() if not path.startswith(b"/zookeeper")}


def test_statuses_headers_and_answers_are_javas():
    """The same questions in the same order to both."""
    answers = {}
    for kind in KINDS:
        with start(kind, admin_rateLimiterIntervalInMS=600_000) as server:
            client = connect(server)
            client.create("/x")
            said = [
                told(server, "/commands/snapshot"),
                told(server, "/commands/snap"),
                told(server, "/commands/snapshot", "nobody x"),
                told(server, "/commands/snapshot", "digest a b c"),
                told(server, "/commands/snapshot", "digest a:b"),
                told(server, "/commands/restore", None, b"x"),
                told(server, "/commands/restore", "ip", b"no snapshot"),
                told(server, "/commands/restore", "ip", b"no snapshot"),
            ]
            client.set_acl("/", [acl(1, "world", "anyone")])
            said.append(told(server, "/commands/snapshot", "digest a:b"))
            said.append(told(server, "/commands/restore", "ip", b"x"))
            answers[kind] = said
    for ours, java in zip(answers["oxkeeper"], answers["java"], strict=True):
        assert ours == java


def test_streaming_and_what_is_off_mean_what_they_mean_in_java():
    answers = {}
    for kind in KINDS:
        with start(kind, admin_rateLimiterIntervalInMS=1, admin_restore_enabled="false") as server:
            answers[kind] = [told(server, "/commands/restore", "ip", b"x")]
            for streaming in ["true", "false", "TRUE", "x"]:
                time.sleep(0.01)  # so long no other snapshot is allowed
                answers[kind].append(told(server, f"/commands/snapshot?streaming={streaming}", "ip"))
        with start(kind, admin_snapshot_enabled="false") as server:
            answers[kind].append(told(server, "/commands/snapshot", "ip"))
    assert answers["oxkeeper"] == answers["java"]


@pytest.mark.parametrize("source, target", [("java", "oxkeeper"), ("oxkeeper", "java")])
def test_a_snapshot_of_one_is_restored_by_the_other(source, target):
    with start(source) as server:
        populate(connect(server))
        status, headers, snapshot = ask(server, "/commands/snapshot", "ip")
        assert status == 200
        assert int(headers["snapshot_size"]) == len(snapshot)
        expected = shown(server)
    with start(target) as server:
        status, _, answer = ask(server, "/commands/restore", "ip", snapshot)
        assert status == 200, server.log_text()[-3000:]
        assert json.loads(answer)["last_zxid"] == int(headers["last_zxid"], 16)
        assert shown(server) == expected


def test_a_java_server_under_load_is_backed_up_from_its_folder(tmp_path):
    backup, folder = tmp_path / "backup", tmp_path / "java"
    with servers.start("java", {"snapCount": 100}, data_dir=folder) as server:
        client = connect(server)
        populate(client)
        stop = threading.Event()

        def write():
            writer, number = connect(server), 0
            while not stop.is_set():
                writer.create(f"/load{number}", b"x" * (number % 50))
                number += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(4):
                oxkeeper("backup", backup, "--data-dir", folder)
        finally:
            stop.set()
            thread.join()
        oxkeeper("backup", backup, "--data-dir", folder)
        expected = shown(server)
    oxkeeper("backup", "verify", backup)
    for kind in KINDS:
        fresh = tmp_path / f"fresh-{kind}"
        said = oxkeeper("restore", backup, "--data-dir", fresh)
        assert "not those of the tree" not in said
        with servers.start(kind, data_dir=fresh) as server:
            assert shown(server) == expected
            assert "digest mismatch" not in server.log_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_in_the_middle_opens_in_both(tmp_path, kind):
    backup, folder, fresh = tmp_path / "backup", tmp_path / "data", tmp_path / "fresh"
    with servers.start(kind, {"snapCount": 40}, data_dir=folder) as server:
        client = connect(server)
        populate(client)
        oxkeeper("backup", backup, "--data-dir", folder)
        at = next(
            line.split(": ")[1]
            for line in servers.four_letter(server.host, server.port, "srvr").splitlines()
            if line.startswith("Zxid")
        )
        client.create("/behind")
        client.delete("/app/n5")
        oxkeeper("backup", backup, "--data-dir", folder)
    for other in KINDS:
        shutil.rmtree(fresh, ignore_errors=True)
        # srvr shows the zxid that the next line of the log goes on from.
        oxkeeper("restore", backup, "--data-dir", fresh, "--zxid", at)
        with servers.start(other, data_dir=fresh) as server:
            restored = shown(server)
            assert b"/app/n5" in restored and b"/behind" not in restored


def test_a_running_java_server_gives_its_snapshot(tmp_path):
    backup, fresh = tmp_path / "backup", tmp_path / "fresh"
    with start("java") as server:
        populate(connect(server))
        oxkeeper("backup", backup, "--server", server.admin, "--auth", "ip")
        expected = shown(server)
    oxkeeper("backup", "verify", backup)
    oxkeeper("restore", backup, "--data-dir", fresh)
    with servers.start("oxkeeper", data_dir=fresh) as server:
        assert shown(server) == expected


def test_killed_amid_a_restore_over_http_there_is_the_old_database_or_the_new_one():
    def shown_names(server):
        return {path for path in shown(server) if path != b"/"}

    with start("oxkeeper", admin_rateLimiterIntervalInMS=1) as server:
        client = connect(server)
        client.create("/old", b"")
        old = {b"/old"}
        databases = [ask(server, "/commands/snapshot", "ip")[2]]
        client.delete("/old")
        for number in range(1500):
            client.create(f"/new{number}", b"x" * 2000)
        new = shown_names(server)
        databases.append(ask(server, "/commands/snapshot", "ip")[2])
        began = time.monotonic()
        assert ask(server, "/commands/restore", "ip", databases[0])[0] == 200
        assert ask(server, "/commands/restore", "ip", databases[1])[0] == 200
        whole, seen = (time.monotonic() - began) / 2, []
        names = [old, new]
        is_new = True
        for number in range(12):
            answers = []

            def send(sent=databases[not is_new]):
                try:
                    answers.append(ask(server, "/commands/restore", "ip", sent)[0])
                except OSError:
                    answers.append(None)

            sender = threading.Thread(target=send)
            sender.start()
            time.sleep(whole * 2 * number / 10)  # so far has it come
            server.kill()
            sender.join()
            server.restart()
            found = shown_names(server)
            assert found in names
            assert answers[0] != 200 or found == names[not is_new]
            seen.append((answers[0], found == names[not is_new]))
            is_new = found == new
    print(f"a restore takes {whole:.2f} s; answer and whether it took effect: {seen}")
