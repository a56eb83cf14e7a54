"""`oxkeeper cli` beside upstream's zkCli on a Java ensemble: its configuration asked for and changed, and a server that
only answers reads.

Both shells do the same on the same ensemble, one after the other, and leave it as it was; what each change moves on is
masked: versions and zxids.
"""

import re
import subprocess

import pytest
from harness.ensemble import until
from harness.rawzk import Client

from zkcli.test_terminal import SECONDS, SHELLS, masked

SUPER = "addauth digest super:pw"


def session(shell, server, commands, *options):
    """What a session through a pipe prints on each stream, its events and its exit code."""
    address = f"{server.host}:{server.port}"
    command = [*SHELLS[shell](), *options, "-server", address]
    done = subprocess.run(command, input="".join(f"{line}\n" for line in commands), capture_output=True, text=True,
                          timeout=SECONDS)
    said = []
    for stream in (done.stdout, done.stderr):
        lines, events = masked(stream, address)
        text = re.sub(r"\b(version=|[cmp]Zxid = 0x|dataVersion = )[0-9a-f]+", r"\1N", "\n".join(lines))
        text = re.sub(r"^[0-9a-f]{9,} (?=\S+:\d)", "N ", text, flags=re.M)
        # Where a session is on its way is chance: which prompts still say so.
        text = re.sub(r"^(\[zk: \S+)\(CONNECTING\)", r"\1(CONNECTEDREADONLY)", text, flags=re.M)
        said += [text.split("\n"), [event[:-1] for event in events]]
    return [*said, done.returncode]


def both(server, commands, option):
    """What upstream's shell says to these commands, which ours must say, too."""
    theirs = session("upstream", server, commands, option)
    ours = session("ours", server, commands, option)
    for mine, expected in zip(ours, theirs):
        assert mine == expected
    return "\n".join(theirs[0]), "\n".join(theirs[2]), theirs[-1]


@pytest.fixture
def ensemble(build, pytestconfig):
    """Three of Java that may be changed, each with its clients' address in its line.

    Without a quorum, a server can only have sessions that it need not tell the others of.
    """
    if pytestconfig.getoption("--only"):
        pytest.skip("our shell, and a Java ensemble")
    made = build("JJJ", cfg={"reconfigEnabled": "true", "localSessionsEnabled": "true", "clientPort": None,
                              "clientPortAddress": None},
                 props={"readonlymode.enabled": "true"})
    made.lines = [f"{member.line}:participant;127.0.0.1:{member.port}" for member in made]
    return made.start()


def test_an_ensemble_is_changed_and_shown_as_upstreams_shell_does(ensemble, tmp_path):
    lines = {member.sid: line.partition("=")[2] for member, line in zip(ensemble, ensemble.lines)}
    everybody = [f"server.{sid}={line}" for sid, line in lines.items()]
    file = tmp_path / "members"
    file.write_text("\n".join(everybody) + "\n")
    without_first = ",".join(everybody[1:])
    out, err, code = both(ensemble[2], [
        "reconfig -remove 1",  # without the right to
        SUPER,
        "config",
        "config -c",
        "config -s -w",
        "reconfig",
        "reconfig -remove 1",
        "config -c",
        f"reconfig -s -add {everybody[0]}",
        f"reconfig -members {without_first}",
        "reconfig -add server.1=nonsense",
        "reconfig -v 7 -remove 3",
        "reconfig -v x -remove 3",
        "reconfig -remove 2,3",
        f"reconfig -add {everybody[0]} -members {without_first}",
        f"reconfig -file {file}",
        "config -c",
        "reconfig -remove 9",
    ], "-waitforconnection")
    assert out.count("Committed new configuration:") >= 4
    assert "Insufficient permission" in err
    ensemble.wait_until_serving()
    single = [subprocess.run([*SHELLS[shell](), "-waitforconnection", "-server", f"127.0.0.1:{ensemble[1].port}",
                              "config", "-c"], capture_output=True, text=True, timeout=SECONDS) for shell in SHELLS]
    assert [(done.returncode, done.stdout.splitlines()[-1:]) for done in single][0] == (
        single[1].returncode, single[1].stdout.splitlines()[-1:])
    assert single[1].stdout.splitlines()[-1].count("127.0.0.1:") == 3


def test_a_server_without_a_quorum_is_read_as_upstreams_shell_does(ensemble):
    client = Client("127.0.0.1", ensemble[1].port)
    client.create("/a", b"x")
    client.close_session()
    ensemble.wait_until_equal()
    for sid in (2, 3):
        ensemble[sid].stop()
    until(lambda: ensemble[1].word("isro") == "ro", "it serves reads")
    out, err, code = both(ensemble[1], ["ls /", "get /a", "create /b", "set /a y", "config -c", "stat /a"], "-r")
    assert "CONNECTEDREADONLY" in out
    assert "[a, zookeeper]" in out
    assert "Not a read-only call: /b" in err
