"""The Debian package, installed into a Debian of its own: serves, stops, is removed, is purged.

Needs root, debootstrap and cargo-deb; the last two are fetched if missing.
"""

import os
import shlex
import shutil
import subprocess

import pytest
from harness.cache import cache_dir
from harness.ensemble import until
from harness.ports import free_port
from harness.servers import four_letter, oxkeeper_binary

from service.unit import ROOT, Manager, setting

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dpkg"), reason="needs root on a Debian")
SCRIPTS = "/usr/share/oxkeeper/bin"
# Inside that Debian nothing of this machine is known.
BARE = {"PATH": "/usr/sbin:/usr/bin"}


def run(*command, **options):
    """Runs a command that must work; gives its output."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The .deb, of the binary under test."""
    tools = cache_dir() / "cargo-deb"
    if not (tools / "bin" / "cargo-deb").exists():
        run("cargo", "install", "--quiet", "--locked", "--debug", "--root", tools, "cargo-deb")
    target = tmp_path_factory.mktemp("target")
    (target / "release").mkdir()
    shutil.copy(oxkeeper_binary(), target / "release" / "oxkeeper")
    run(tools / "bin" / "cargo-deb", "--no-build", "--fast", "-o", target / "oxkeeper.deb", cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return target / "oxkeeper.deb"


@pytest.fixture
def debian(tmp_path):
    """A fresh Debian below a folder."""
    base = cache_dir() / "debian"
    if not (base / ".done").exists():
        if not shutil.which("debootstrap"):
            run("apt-get", "install", "-y", "-qq", "debootstrap")
        shutil.rmtree(base, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", "--include=systemd-standalone-sysusers", "stable", str(base)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"no Debian could be made: {(made.stdout + made.stderr).strip().splitlines()[-1:]}")
        (base / ".done").touch()
    root = tmp_path / "debian"
    run("cp", "-a", "--reflink=auto", base, root)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")  # debootstrap leaves it to the installer
    return root


def dpkg(root, *words):
    return run("dpkg", f"--root={root}", *words, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def left(root):
    """Files that bear the package's name, without dpkg's own records."""
    found = run("find", root, "-xdev", "-path", f"{root}/var/lib/dpkg", "-prune", "-o", "-name", "*oxkeeper*", "-print")
    return sorted("/" + line.removeprefix(f"{root}/") for line in found.split())


def inside(root, user, *command):
    """A command in that Debian as that user."""
    return ["chroot", f"--userspec={user}:{user}", str(root), *command]


def test_the_package_installs_serves_is_removed_and_is_purged(package, debian):
    before = left(debian)
    dpkg(debian, "-i", package)
    data, log = debian / "var/lib/oxkeeper", debian / "var/log/oxkeeper"
    uid = int(run("chroot", debian, "id", "-u", "oxkeeper"))
    assert 0 < uid < 1000
    assert [(folder.stat().st_uid, oct(folder.stat().st_mode)) for folder in (data, log)] == [(uid, "0o40750")] * 2
    unit = (debian / "usr/lib/systemd/system/oxkeeper.service").read_text()
    assert (debian / "etc/systemd/system/multi-user.target.wants/oxkeeper.service").is_symlink(), "enabled"
    assert setting("User", unit) == "oxkeeper"
    for file in ("bash-completion/completions/oxkeeper", "zsh/vendor-completions/_oxkeeper",
                 "fish/vendor_completions.d/oxkeeper.fish", "man/man1/oxkeeper.1.gz"):
        assert (debian / "usr/share" / file).is_file(), file

    port, admin = free_port(), free_port()
    with open(debian / "etc/oxkeeper/zoo.cfg", "a") as config:
        config.write(f"clientPort={port}\nadmin.serverPort={admin}\n")
    serve(debian, port, shlex.split(setting("ExecStart", unit)))
    kept = sorted(path.name for path in (data / "version-2").iterdir())

    dpkg(debian, "-i", package)  # again, as an upgrade does
    assert f"clientPort={port}" in (debian / "etc/oxkeeper/zoo.cfg").read_text()
    dpkg(debian, "-r", "oxkeeper")
    assert not (debian / "usr/bin/oxkeeper").exists()
    assert sorted(path.name for path in (data / "version-2").iterdir()) == kept, "data outlives the program"
    dpkg(debian, "-P", "oxkeeper")
    assert left(debian) == before


def serve(root, port, command):
    """Runs the unit's command as the unit's user until it was asked, then stops it."""
    notify = root / "run" / "notify"
    with Manager(notify) as manager, subprocess.Popen(inside(root, "oxkeeper", *command), cwd="/",
                                                      env={**BARE, "NOTIFY_SOCKET": "/run/notify"}) as server:
        try:
            assert manager.hears()["READY"] == "1"
            until(lambda: "Mode: standalone" in four_letter("127.0.0.1", port, "srvr"), "it serves")
            assert "Mode: standalone" in run(*inside(root, "oxkeeper", f"{SCRIPTS}/zkServer.sh", "status"), env=BARE)
            server.terminate()
            assert server.wait(120) == 0
        finally:
            server.kill()
    notify.unlink()
    # And by the script, as who does without systemd has it.
    script = inside(root, "oxkeeper", f"{SCRIPTS}/zkServer.sh")
    assert run(*script, "start", env=BARE).endswith("STARTED\n")
    assert run(*script, "stop", env=BARE).endswith("STOPPED\n")
