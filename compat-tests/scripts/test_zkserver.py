"""zkServer.sh, Java's and ours, in the same situations: exit codes, lines, pid file, variables."""

import os
import re
import time

import pytest
from harness.ensemble import until
from harness.ports import free_port
from harness.servers import four_letter

from scripts.prefix import SECONDS, Prefix

NOT_RUNNING = "Error contacting service. It is probably not running."
USAGE = "[--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}"
FOUND = "Client port found: PORT. Client address: localhost. Client SSL: false."


@pytest.fixture(params=["java", "oxkeeper"])
def kind(request):
    if request.config.getoption("--only") not in (None, request.param):
        pytest.skip(f"--only leaves {request.param} out")
    return request.param


@pytest.fixture
def prefixes(kind, tmp_path):
    """Makes installations of one kind."""
    made = []

    def make():
        made.append(Prefix(kind, tmp_path / f"prefix-{len(made)}"))
        return made[-1]

    yield make
    for prefix in made:
        prefix.cleanup()


@pytest.fixture
def prefix(prefixes):
    return prefixes()


def serves(prefix):
    return until(prefix.mode, lambda: f"it serves\n{[log.read_text() for log in prefix.logs.glob('*.out')]}")


def test_a_server_is_started_asked_started_again_and_stopped(prefix):
    pid_file = prefix.pid_files[0]
    nothing = "Stopping zookeeper ... no zookeeper to stop (could not find file HOME/data/zookeeper_server.pid)"
    assert prefix.run("stop") == (0, [nothing])
    assert prefix.run("status") == (1, [FOUND, NOT_RUNNING])
    assert prefix.run("start") == (0, ["Starting zookeeper ... STARTED"])
    pid = pid_file.read_text()
    assert pid.isdigit(), "the pid alone, without a newline"
    assert serves(prefix) == "standalone"
    assert prefix.run("status") == (0, [FOUND, "Mode: standalone"])
    assert prefix.run("start") == (1, ["Starting zookeeper ... already running as process PID."])
    assert [log.name for log in prefix.logs.iterdir()] == [f"zookeeper-ann-server-{os.uname().nodename}.out"]
    assert prefix.run("restart") == (0, ["Stopping zookeeper ... STOPPED", "Starting zookeeper ... STARTED"])
    assert pid_file.read_text() != pid
    assert serves(prefix) == "standalone"
    assert prefix.run("stop") == (0, ["Stopping zookeeper ... STOPPED"])
    assert not pid_file.exists()
    until(lambda: prefix.mode() is None, "it has ended")
    assert prefix.run("status") == (1, [FOUND, NOT_RUNNING])


def test_status_names_the_role_in_an_ensemble(prefixes):
    members = [prefixes() for _ in range(3)]
    roles = ["", "", ":observer"]
    lines = {f"server.{sid}": f"127.0.0.1:{free_port()}:{free_port()}{role};127.0.0.1:{member.port}"
             for sid, (member, role) in enumerate(zip(members, roles), 1)}
    for sid, member in enumerate(members, 1):
        member.configure(clientPort=None, tickTime=500, initLimit=20, syncLimit=6, **lines)
        member.data.mkdir()
        (member.data / "myid").write_text(f"{sid}\n")
        assert member.run("start")[0] == 0
    found = "Client port found: PORT. Client address: 127.0.0.1. Client SSL: false."
    for member, role in zip(members, ["follower", "leader", "observer"]):
        until(lambda: member.mode() == role, f"a {role}")
        assert member.run("status") == (0, [found, f"Mode: {role}"])
    assert members[1].run("stop")[0] == 0
    until(lambda: members[0].mode() is None, "no quorum")
    assert members[0].run("status") == (1, [found, NOT_RUNNING])


def test_what_does_not_come_up_failed_to_start(prefix, kind):
    if kind == "java":  # one second is sometimes not enough for a JVM to find out what is wrong with zoo.cfg
        prefix.env["SERVER_JVMFLAGS"] = "-XX:NoSuchFlag"
    else:
        prefix.configure(tickTime="often")
    deadline = time.monotonic() + SECONDS
    # The script looks after one second, in which a process on a busy machine may not have come to its end.
    while (said := prefix.run("start")) == (0, ["Starting zookeeper ... STARTED"]):
        assert prefix.run("stop")[0] == 0
        assert time.monotonic() < deadline
    assert said == (1, ["Starting zookeeper ... FAILED TO START"])
    assert prefix.run("stop") == (0, ["Stopping zookeeper ... STOPPED"]), "the stale pid file is taken away"


@pytest.mark.parametrize("keys", [
    {"tickTime": "often"},
    {"dataDir": None},
    {"server.1": "127.0.0.1:1:2", "server.2": "127.0.0.1:3:4", "initLimit": 5, "syncLimit": 5},  # without myid
], ids=["bad value", "no dataDir", "no myid"])
def test_a_bad_configuration_ends_the_server_in_the_foreground_with_2(prefix, keys):
    prefix.configure(**keys)
    without_exec = {"ZOO_NOEXEC": "1"} if "tickTime" in keys else {}
    assert prefix.run("start-foreground", ZOOPIDFILE=str(prefix.home / "pid"), **without_exec)[0] == 2


def test_an_unknown_command_shows_the_usage_and_is_no_failure(prefix):
    for command in ([], ["upgrade"]):
        code, out, err = prefix.script("zkServer.sh", *command)
        assert (code, out) == (0, [])
        assert err == ["Using config: HOME/bin/../conf/zoo.cfg", f"Usage: HOME/bin/zkServer.sh {USAGE}"]


def test_the_configuration_is_found_where_it_is_said_to_be(prefix):
    def used(*args, **env):
        return prefix.script("zkServer.sh", *args, **env)[2][0].removeprefix("Using config: ")

    prefix.configure("other.cfg")
    (prefix.home / "elsewhere").mkdir()
    (prefix.conf / "zoo.cfg").replace(prefix.home / "elsewhere" / "zoo.cfg")
    there = str(prefix.home / "elsewhere")
    assert used("--config", there) == "HOME/elsewhere/zoo.cfg"
    assert used("--config", there, "unknown") == "HOME/elsewhere/zoo.cfg"
    assert used("unknown", ZOOCFGDIR=there) == "HOME/elsewhere/zoo.cfg"
    assert used("unknown", ZOOCFG="other.cfg") == "HOME/bin/../conf/other.cfg"
    assert used("unknown", "other.cfg") == "HOME/bin/../conf/other.cfg"
    assert used("unknown", f"{there}/zoo.cfg") == "HOME/elsewhere/zoo.cfg"
    assert used("unknown", "elsewhere/zoo.cfg") == "elsewhere/zoo.cfg"


def test_files_in_the_configuration_folder_set_variables(prefix, kind):
    prefix.pid_files.append(prefix.home / "run" / "pid")
    (prefix.conf / "zookeeper-env.sh").write_text(f"ZOOPIDFILE={prefix.home}/run/pid\n")
    words = "-Dzookeeper.4lw.commands.whitelist=ruok $JVMFLAGS"
    (prefix.conf / "java.env").write_text(f'JVMFLAGS="{words}"\n')
    assert prefix.run("start") == (0, ["Starting zookeeper ... STARTED"])
    assert prefix.pid_files[1].read_text().isdigit()
    assert not prefix.pid_files[0].exists()
    serves(prefix)
    assert four_letter("127.0.0.1", prefix.port, "ruok") == "imok"
    assert prefix.run("stop") == (0, ["Stopping zookeeper ... STOPPED"])


def test_data_folders_are_required_if_they_must_not_be_made(prefix):
    strict = {"ZOO_DATADIR_AUTOCREATE_DISABLE": "1"}
    prefix.configure(dataLogDir=prefix.home / "log")
    missing = "directory is missing at HOME/{} fix the path or run initialize"
    for command in ("start", "status", "stop"):
        assert prefix.run(command, **strict) == (1, ["ZooKeeper data " + missing.format("data")])
    (prefix.data / "version-2").mkdir(parents=True)
    assert prefix.run("start", **strict) == (1, ["ZooKeeper txnlog " + missing.format("log")])
    (prefix.home / "log" / "version-2").mkdir(parents=True)
    assert prefix.run("start", **strict) == (0, ["Starting zookeeper ... STARTED"])
    serves(prefix)
    assert prefix.run("stop") == (0, ["Stopping zookeeper ... STOPPED"])


def test_status_finds_the_client_port_in_every_place(prefix):
    no_myid = "myid could not be determined, will not able to locate clientPort in the server configs."
    no_static = "Client port not found in static config file. Looking in dynamic config file."
    no_port = "Client port not found. Looking for secureClientPort in the static config."
    neither = "Unable to find either secure or unsecure client port in any configs. Terminating."
    found = "Client port found: PORT. Client address: {}. Client SSL: false."

    prefix.configure(clientPortAddress="127.0.0.1")
    assert prefix.run("status") == (1, [found.format("127.0.0.1"), NOT_RUNNING])
    prefix.configure(clientPort=None)
    assert prefix.run("status") == (1, [no_myid, no_port, neither])

    prefix.data.mkdir(exist_ok=True)
    (prefix.data / "myid").write_text("2\n")
    server = f"server.2=127.0.0.1:1:2;[::1]:{prefix.port}"
    dynamic = prefix.home / "dynamic"
    dynamic.write_text(f"server.1=127.0.0.1:3:4;1\n{server}\n")
    prefix.configure(clientPort=None, dynamicConfigFile=dynamic)
    assert prefix.run("status") == (1, [no_static, found.format("::1"), NOT_RUNNING])
    prefix.configure(clientPort=None, **{"server.2": f"127.0.0.1:1:2:participant;{prefix.port}"})
    assert prefix.run("status") == (1, [found.format("localhost"), NOT_RUNNING])


def test_the_port_for_tls_is_named_where_there_is_no_other(prefix):
    (prefix.data).mkdir()
    (prefix.data / "myid").write_text("1\n")
    prefix.configure(clientPort=None, secureClientPort=prefix.port, dynamicConfigFile=prefix.conf / "zoo.cfg")
    code, out = prefix.run("status")
    assert code == 1
    assert out[2:4] == ["Client port not found. Looking for secureClientPort in the static config.",
                        "Client port found: PORT. Client address: localhost. Client SSL: true."]
    assert out[-1] == NOT_RUNNING


def test_version_and_command_are_printed(prefix):
    code, out = prefix.run("version")
    assert code == 0
    assert re.fullmatch(r"Apache ZooKeeper, version 3\.9\.5(-oxkeeper-\S+)? [0-9-]+ [0-9:]+ UTC", out[0])
    code, out = prefix.run("print-cmd")
    assert code == 0
    assert len(out) == 1
    assert '"HOME/bin/../conf/zoo.cfg"' in out[0]


def test_data_folders_are_initialized_once(prefix):
    def initialize(*args):
        return prefix.script("zkServer-initialize.sh", *args)[:2]

    if not (prefix.home / "bin" / "zkServer-initialize.sh").exists():
        pytest.skip("Debian packages no zkServer-initialize.sh: see OXKEEPER_UPSTREAM_BIN")
    prefix.configure(dataLogDir=prefix.home / "log")
    no_myid = "No myid provided, be sure to specify it in HOME/data/myid if using non-standalone"
    forced = "Force enabled, data/txnlog directories will be re-initialized"
    exists = "ZooKeeper data directory already exists at HOME/data (or use --force to force re-initialization)"
    assert initialize() == (0, [no_myid])
    assert sorted(file.name for file in prefix.data.iterdir()) == ["initialize", "version-2"]
    assert (prefix.home / "log" / "version-2").is_dir()
    assert initialize("--myid=3") == (1, [exists])
    (prefix.data / "version-2" / "log.1").write_text("")
    assert initialize("--force", "--myid=3") == (0, [forced, "Using myid of 3"])
    assert (prefix.data / "myid").read_text() == "3\n"
    assert not any((prefix.data / "version-2").iterdir())
    assert initialize("--configfile=/nowhere/zoo.cfg") == (1, ["Unable to find config file at /nowhere/zoo.cfg"])
    assert initialize("--help")[0] == 1
    assert initialize("--unknown") == (1, ["Unknown option: --unknown", *initialize("--help")[1]])
