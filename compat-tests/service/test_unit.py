"""The systemd unit: its command line serves and says so; systemd finds nothing to blame in it."""

import shutil
import subprocess

import pytest
from harness.ports import free_port
from harness.servers import four_letter, oxkeeper_binary

from service.unit import UNIT, Manager, setting


def configured(folder, port, *lines):
    config = folder / "zoo.cfg"
    (folder / "data").mkdir()
    config.write_text("\n".join([f"dataDir={folder}/data", f"clientPort={port}", "clientPortAddress=127.0.0.1",
                                 "admin.enableServer=false", *lines, ""]))
    return config


def as_started_by_systemd(config, manager):
    """The unit's ExecStart with the paths of this test."""
    program, command, _ = setting("ExecStart").split()
    assert program == "/usr/bin/oxkeeper"
    return subprocess.Popen([oxkeeper_binary(), command, config], env={"NOTIFY_SOCKET": str(manager)})


def test_a_server_says_that_it_serves(tmp_path):
    port = free_port()
    assert setting("Type") == "notify"
    with Manager(tmp_path / "notify") as manager:
        with as_started_by_systemd(configured(tmp_path, port), tmp_path / "notify") as server:
            try:
                assert manager.hears() == {"READY": "1", "STATUS": "serving, standalone"}
                assert "Mode: standalone" in four_letter("127.0.0.1", port, "srvr")
                server.terminate()
                assert server.wait(120) == 0
            finally:
                server.kill()


def test_a_member_says_that_it_is_started_before_it_has_a_quorum(tmp_path):
    others = [f"server.{sid}=127.0.0.1:{free_port()}:{free_port()}" for sid in (1, 2)]
    config = configured(tmp_path, free_port(), "initLimit=10", "syncLimit=5", *others)
    (tmp_path / "data" / "myid").write_text("1\n")
    with Manager(tmp_path / "notify") as manager:
        with as_started_by_systemd(config, tmp_path / "notify") as server:
            try:
                assert manager.hears() == {"READY": "1", "STATUS": "server 1 of its ensemble"}
                server.terminate()
                assert server.wait(120) == 0
            finally:
                server.kill()


def test_a_refused_configuration_is_not_tried_again(tmp_path):
    config = configured(tmp_path, free_port(), "tickTime=often")
    with as_started_by_systemd(config, tmp_path / "nobody") as server:
        assert server.wait(120) == int(setting("RestartPreventExitStatus"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_knows_every_setting_and_finds_the_exposure_low(tmp_path):
    installed = tmp_path / "oxkeeper.service"
    installed.write_text(UNIT.read_text().replace("/usr/bin/oxkeeper", str(oxkeeper_binary().resolve())))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", installed], capture_output=True, text=True)
    ours = [line for line in verified.stderr.splitlines() if "oxkeeper" in line]
    assert ours == []
    # On a scale where 10 is a service without any protection.
    limit = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", installed]
    checked = subprocess.run(limit, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-500:] + checked.stderr
