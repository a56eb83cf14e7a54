"""What a crash, a second server or a full disk means for the data folder."""

import contextlib
import resource
import stat
import subprocess
import time

import pytest

from harness import servers

from . import wire


@pytest.fixture
def kind(pytestconfig):
    return pytestconfig.getoption("--only") or "oxkeeper"


def names(client, path):
    return set(wire.read_names(client.call(wire.GET_CHILDREN, wire.read_body(path)).body))


def test_ephemerals_outlive_the_crash_by_a_session_timeout_and_no_more(kind):
    with servers.start(kind, cfg={"tickTime": 1000}) as server:
        gone = wire.Client(server, timeout_ms=4000)
        stays = wire.Client(server, timeout_ms=20000)
        for client, path in ((gone, "/gone"), (stays, "/stays")):
            create = wire.create_body(path, b"", wire.EPHEMERAL)
            assert client.call(wire.CREATE, create).err == wire.OK
        server.kill()
        time.sleep(4.5)  # longer than the timeout: only time with a server counts
        server.restart()
        reader = wire.Client(server)
        assert {"gone", "stays"} <= names(reader, "/")
        again = wire.Client(server, stays.session, stays.password, 20000)
        started = time.monotonic()
        while "gone" in names(reader, "/"):
            assert time.monotonic() - started < 20, "the session of /gone never ended"
            again.call(wire.GET_CHILDREN, wire.read_body("/"))
            time.sleep(0.05)
        assert "stays" in names(reader, "/")
        with pytest.raises(wire.Refused):
            wire.Client(server, gone.session, gone.password, 4000)
        again.close()
        assert "stays" not in names(reader, "/")


def test_a_wrong_password_does_not_resume_a_session_after_a_crash(kind):
    with servers.start(kind) as server:
        client = wire.Client(server)
        create = wire.create_body("/mine", b"", wire.EPHEMERAL)
        assert client.call(wire.CREATE, create).err == wire.OK
        server.kill()
        server.restart()
        with pytest.raises(wire.Refused):
            wire.Client(server, client.session, b"0123456789abcdef")
        again = wire.Client(server, client.session, client.password)
        assert again.session == client.session
        assert "mine" in names(again, "/")


def test_a_second_server_on_the_same_folder_does_not_start(kind):
    if kind == "java":
        pytest.skip("a Java server starts and damages the folder")
    with servers.start(kind) as first:
        client = wire.Client(first)
        with pytest.raises(servers.DidNotStart) as refused:
            servers.start(kind, data_dir=first.data_dir)
        assert str(first.data_dir) in str(refused.value)
        assert client.call(wire.CREATE, wire.create_body("/still-here", b"")).err == wire.OK
        # The lock goes with its process, however that ends.
        first.kill()
        first.restart()
        assert "still-here" in names(wire.Client(first), "/")


def fill(server, prefix="f"):
    """Writes until the server stops; the znodes it acknowledged."""
    acknowledged, sent = [], 0
    try:
        client = wire.Client(server)
        while True:
            for _ in range(8):
                client.send(wire.CREATE, wire.create_body(f"/{prefix}{sent:06}", b"x" * 8000))
                sent += 1
            client.flush()
            for _ in range(8):
                assert client.receive().err == wire.OK
                acknowledged.append(f"{prefix}{len(acknowledged):06}")
            assert sent < 20_000, "the disk never filled up"
    except TimeoutError:
        raise
    except OSError:
        return acknowledged


def check_filled(server, acknowledged):
    client = wire.Client(server)
    assert set(acknowledged) <= names(client, "/")
    replies = client.calls([(wire.GET_DATA, wire.read_body(f"/{name}")) for name in acknowledged])
    for name, reply in zip(acknowledged, replies):
        assert (reply.err, wire.read_data(reply.body)[0]) == (wire.OK, b"x" * 8000), name
    assert client.call(wire.CREATE, wire.create_body("/room-again", b"")).err == wire.OK


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def stopped_by_itself(server):
    """Waits for the end of the process; it must be a failure that says why."""
    code = server.process.wait(120)
    assert code > 0, f"ended with {code}:\n{server.log_text()[-3000:]}"
    return server.log_text()


@pytest.mark.parametrize("times", [2])
def test_a_full_disk_stops_the_server_and_loses_nothing(kind, tmp_path, times):
    with (small_disk(tmp_path / "disk", "6m") as disk,
          servers.start(kind, data_dir=disk / "data") as server):
        acknowledged = fill(server)
        assert len(acknowledged) > 100
        log = stopped_by_itself(server)
        assert "No space left" in log
        for time_again in range(times):
            # Still no room: either it serves what it has until the next write, or it says so again.
            with contextlib.suppress(servers.DidNotStart):
                server.restart()
                acknowledged += fill(server, f"g{time_again}-")
            assert server.process.wait(120) > 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        server.restart()
        check_filled(server, acknowledged)


def test_a_log_that_cannot_grow_stops_the_server_and_loses_nothing(kind, tmp_path, monkeypatch):
    if kind == "java":
        pytest.skip("needs to put words before the command")
    limited = tmp_path / "limited"
    limited.write_text(f"#!/bin/sh\ntrap '' XFSZ\nulimit -f 4096\n"
                       f"exec {servers.oxkeeper_binary()} \"$@\"\n")
    limited.chmod(limited.stat().st_mode | stat.S_IXUSR)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    with monkeypatch.context() as patch:
        patch.setenv("OXKEEPER_BIN", str(limited))
        server = servers.start(kind)
    with server:
        acknowledged = fill(server)
        assert len(acknowledged) > 100
        assert "File too large" in stopped_by_itself(server)
        server.restart()
        check_filled(server, acknowledged)
