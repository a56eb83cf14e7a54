"""The README's commands do what the README says."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import servers
from harness.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent


def wait_for_banner(process, patience=300):
    """Lines of standard error up to the last of the banner; building may take its time."""
    deadline = time.monotonic() + patience
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip())
        if line.strip().startswith("data "):
            return lines
        assert time.monotonic() < deadline, lines
    raise AssertionError("\n".join(lines))


def test_cargo_run_starts_a_server_without_any_configuration(pytestconfig, tmp_path):
    if pytestconfig.getoption("--only") == "java":
        pytest.skip("the README is about our server")
    assert "cargo run --release" in (ROOT / "README.md").read_text()
    command = ["cargo", "run", "--release", "--manifest-path", ROOT / "Cargo.toml"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            banner = wait_for_banner(process)
            # Another server on this machine may have the default ports of AdminServer and metrics.
            banner = [line for line in banner if line.split()[:1] not in (["admin"], ["metrics"])][-4:]
            assert banner[0].startswith("oxkeeper ") and banner[0].endswith(" is serving")
            assert banner[1].split() == ["mode", "standalone"]
            assert banner[2].split()[0] == "clients" and banner[2].endswith(":2181")
            assert banner[3].split() == ["data", str(tmp_path / "data")]
            assert "Mode: standalone" in servers.four_letter("127.0.0.1", 2181, "srvr")
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
    assert (tmp_path / "data" / "version-2").is_dir()


def test_the_pseudo_cluster_starts_shows_its_leader_and_stops(pytestconfig, tmp_path):
    if pytestconfig.getoption("--only") == "java":
        pytest.skip("the README is about our server")
    readme = (ROOT / "README.md").read_text()
    first = free_ports(3)
    ports = {"CLIENT_PORT": first, "QUORUM_PORT": free_ports(3), "ELECTION_PORT": free_ports(3),
             "ADMIN_PORT": free_ports(3)}
    env = os.environ | {name: str(port) for name, port in ports.items()}
    env["OXKEEPER_BIN"] = str(servers.oxkeeper_binary())

    def run(command):
        line = f"bin/pseudo-cluster {command}"
        assert line in readme
        return subprocess.run([ROOT / line.split()[0], command], cwd=tmp_path, env=env, text=True,
                              capture_output=True, timeout=300)

    try:
        started = run("start")
        assert started.returncode == 0, started
        modes = re.findall(r"^server (\d) on 127\.0\.0\.1:(\d+): (\w+)$", started.stdout, re.M)
        assert [mode[:2] for mode in modes] == [(str(n + 1), str(first + n)) for n in range(3)]
        assert sorted(mode[2] for mode in modes) == ["follower", "follower", "leader"]
        assert run("start").stdout == started.stdout, "what runs goes on"
        for sid, port, mode in modes:
            assert f"Mode: {mode}" in servers.four_letter("127.0.0.1", int(port), "srvr")
            assert (tmp_path / "data" / "ensemble" / sid / "version-2").is_dir()
    finally:
        stopped = run("stop")
    assert stopped.returncode == 0, stopped
    after = run("status")
    assert after.returncode == 1
    assert after.stdout.count("not running") == 3
