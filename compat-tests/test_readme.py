"""The README's first command does what the README says."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import servers

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
            banner = wait_for_banner(process)[-4:]
            assert banner[0].startswith("oxkeeper ") and banner[0].endswith(" is serving")
            assert banner[1].split() == ["mode", "standalone"]
            assert banner[2].split()[0] == "clients" and banner[2].endswith(":2181")
            assert banner[3].split() == ["data", str(tmp_path / "data")]
            assert "Mode: standalone" in servers.four_letter("127.0.0.1", 2181, "srvr")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert (tmp_path / "data" / "version-2").is_dir()
