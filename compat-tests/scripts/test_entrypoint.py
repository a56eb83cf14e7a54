"""docker/docker-entrypoint.sh: what it makes of the variables of the official `zookeeper` image.

The expected files were written down from what the entrypoint of that image (for 3.9) generates of
the same variables; with OXKEEPER_OFFICIAL_ENTRYPOINT=<its path> the two scripts are run side by
side. The image's own ENV lines are read from docker/Dockerfile.
"""

import os
import re
import subprocess

import pytest
from harness.ensemble import until
from harness.ports import free_port
from harness.servers import oxkeeper_binary

from scripts.prefix import ROOT, Prefix

DEFAULTS = """\
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true
"""

# Variables, zoo.cfg behind the two lines that name the folders, myid.
CASES = {
    "nothing": ({}, DEFAULTS + "server.1=localhost:2888:3888;2181\n", "1\n"),
    "member of three": (
        {"ZOO_MY_ID": "2",
         "ZOO_SERVERS": "server.1=zoo1:2888:3888;2181 server.2=zoo2:2888:3888;2181 server.3=zoo3:2888:3888;2181"},
        DEFAULTS + "server.1=zoo1:2888:3888;2181\nserver.2=zoo2:2888:3888;2181\nserver.3=zoo3:2888:3888;2181\n",
        "2\n",
    ),
    "every variable": (
        {"ZOO_TICK_TIME": "500", "ZOO_INIT_LIMIT": "10", "ZOO_SYNC_LIMIT": "4", "ZOO_AUTOPURGE_PURGEINTERVAL": "1",
         "ZOO_AUTOPURGE_SNAPRETAINCOUNT": "5", "ZOO_MAX_CLIENT_CNXNS": "0", "ZOO_STANDALONE_ENABLED": "false",
         "ZOO_ADMINSERVER_ENABLED": "false", "ZOO_4LW_COMMANDS_WHITELIST": "srvr, mntr",
         "ZOO_SERVERS": "server.1=[::1]:2888:3888:observer;2181", "ZOO_MY_ID": "255",
         "ZOO_CFG_EXTRA": "  snapCount=7\n\tmetricsProvider.httpPort=7000  4lw.commands.whitelist=* "},
        "tickTime=500\ninitLimit=10\nsyncLimit=4\nautopurge.snapRetainCount=5\nautopurge.purgeInterval=1\n"
        "maxClientCnxns=0\nstandaloneEnabled=false\nadmin.enableServer=false\n"
        "server.1=[::1]:2888:3888:observer;2181\n4lw.commands.whitelist=srvr, mntr\n"
        "snapCount=7\nmetricsProvider.httpPort=7000\n4lw.commands.whitelist=*\n",
        "255\n",
    ),
    "empty where a list may be": (
        {"ZOO_SERVERS": "", "ZOO_CFG_EXTRA": "", "ZOO_4LW_COMMANDS_WHITELIST": "", "ZOO_MY_ID": ""},
        DEFAULTS + "server.1=localhost:2888:3888;2181\n",
        "1\n",
    ),
}


def image_variables():
    """What the image sets; its folders are given by each test."""
    text = (ROOT / "docker" / "Dockerfile").read_text()
    return dict(re.findall(r"\b(ZOO_\w+)=(\S+)", text[text.index("\nENV "):]))


class Container:
    """The folders of one container, and its entrypoint as a plain process."""

    def __init__(self, home, script=ROOT / "docker" / "docker-entrypoint.sh"):
        self.home, self.script = home, script
        self.folders = {f"ZOO_{name}_DIR": home / name.lower() for name in ("CONF", "DATA", "DATA_LOG", "LOG")}
        for folder in self.folders.values():
            folder.mkdir(parents=True)

    def command(self, *words, **variables):
        env = {"PATH": os.environ["PATH"], **image_variables(), **self.folders, **variables}
        return dict(args=[self.script, *words], env=env, cwd=self.home)

    def run(self, *words, **variables):
        return subprocess.run(**self.command(*words, **variables), capture_output=True, text=True, timeout=120)

    def written(self):
        """zoo.cfg without the folders' lines, and myid."""
        lines = (self.folders["ZOO_CONF_DIR"] / "zoo.cfg").read_text().splitlines(keepends=True)
        assert lines[:2] == [f"dataDir={self.home}/data\n", f"dataLogDir={self.home}/data_log\n"]
        return "".join(lines[2:]), (self.folders["ZOO_DATA_DIR"] / "myid").read_text()


@pytest.mark.parametrize("case", CASES)
def test_variables_become_what_the_official_image_makes_of_them(case, tmp_path):
    variables, cfg, myid = CASES[case]
    containers = [Container(tmp_path / "ours")]
    if "OXKEEPER_OFFICIAL_ENTRYPOINT" in os.environ:
        containers.append(Container(tmp_path / "official", os.environ["OXKEEPER_OFFICIAL_ENTRYPOINT"]))
    for container in containers:
        done = container.run("echo", "a command", **variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, "a command\n", "")
        assert container.written() == (cfg, myid)


def test_files_that_exist_are_kept(tmp_path):
    container = Container(tmp_path)
    container.run("true", ZOO_MY_ID="7")
    container.run("true", ZOO_MY_ID="8", ZOO_TICK_TIME="1")
    assert container.written() == (CASES["nothing"][1], "7\n")


def test_the_exit_code_is_that_of_the_command(tmp_path):
    assert Container(tmp_path).run("sh", "-c", "exit 42").returncode == 42


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at folders of others as nobody")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    container = Container(tmp_path)
    for folder in [tmp_path, *tmp_path.parents]:
        folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(**container.command("true"), user=65534, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"{tmp_path}/data_log is not writable for user 65534" in done.stderr


def test_a_server_starts_serves_and_stops_with_0(tmp_path):
    """The image's CMD, with the entrypoint's process becoming the server's."""
    container = Container(tmp_path / "container")
    prefix = Prefix("oxkeeper", tmp_path / "prefix")
    path = f"{prefix.home}/bin:{os.environ['PATH']}"
    client, admin = prefix.port, free_port()
    variables = {"PATH": path, "OXKEEPER_BIN": str(oxkeeper_binary()), "ZOO_CFG_EXTRA": f"admin.serverPort={admin}",
                 "ZOO_SERVERS": f"server.1=127.0.0.1:{free_port()}:{free_port()};{client}"}
    # As the image does without root; nothing here needs another user.
    command = container.command("env", "zkServer.sh", "start-foreground", **variables)
    with subprocess.Popen(**command, stderr=subprocess.PIPE, text=True) as server:
        try:
            until(lambda: prefix.mode() or server.poll() is not None, "it serves or ends")
            assert prefix.mode() == "standalone", server.communicate()[1]
            healthy = container.run("env", "zkServer.sh", "status", **variables)
            assert (healthy.returncode, healthy.stdout.splitlines()[-1]) == (0, "Mode: standalone")
            server.terminate()
            assert server.wait(120) == 0
        finally:
            server.kill()
    assert container.run("env", "zkServer.sh", "status", **variables).returncode == 1
