"""zkCli.sh, Java's and ours: a session through a pipe, and single commands with their exit codes."""

import re
import subprocess

import pytest
from zkcli.test_terminal import masked

from scripts.prefix import SECONDS, Prefix

SESSION = ["ls /", "create /pipe 'two words'", "get -s /pipe", "set /pipe y -v 7", "nonsense", "delete /pipe", "get /pipe"]
ONCE = [["create", "/once", "a b"], ["delete", "/once"], ["get", "/none"], ["nonsense"]]
# Upstream's has no prompts for a pipe without the JLine of a release, and no configuration for its log here.
NOT_SAID = re.compile(r"^\[zk: |ERROR org.apache.zookeeper.util.ServiceUtils")


@pytest.mark.standalone
def test_zkcli_is_upstreams_to_scripts_that_call_it(server, tmp_path):
    address = f"{server.host}:{server.port}"
    said = {}
    for kind in ("java", "oxkeeper"):
        prefix = Prefix(kind, tmp_path / kind)

        def run(*args, text=None):
            done = subprocess.run([prefix.home / "bin" / "zkCli.sh", *args], input=text, capture_output=True, text=True,
                                  env=prefix.env, timeout=SECONDS, cwd=tmp_path)
            said = [masked(text, address)[0] for text in (re.sub(r"Zxid = 0x\w+", "Zxid = N", done.stdout), done.stderr)]
            return done.returncode, *([line for line in lines if not NOT_SAID.search(line)] for lines in said)

        reach = ["-waitforconnection", "-server", address]
        piped = run(*reach, text="".join(f"{line}\n" for line in SESSION))
        said[kind] = [piped, *(run("--config", str(prefix.conf), *reach, *command) for command in ONCE)]
    for ours, upstream in zip(said["oxkeeper"], said["java"], strict=True):
        assert ours == upstream
    assert [code for code, _, _ in said["java"]] == [1, 0, 0, 1, 127]
