"""What the package gives to shells and to man: completions that come from the program, and a page that names its commands.
"""

import os
import re
import shutil
import subprocess

import pytest
from harness.servers import oxkeeper_binary

from service.unit import ROOT

COMPLETIONS = ROOT / "packaging" / "completions"


def shell(tmp_path, *command):
    """What a shell prints that finds the program under its name."""
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    (tmp_path / "oxkeeper").symlink_to(oxkeeper_binary().resolve())
    done = subprocess.run(command, env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
                          capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_bash_completes_a_command(tmp_path):
    script = f"""
    . {COMPLETIONS}/oxkeeper.bash
    complete -p oxkeeper
    COMP_WORDS=(oxkeeper doct) COMP_CWORD=1
    _oxkeeper oxkeeper doct oxkeeper
    echo "${{COMPREPLY[*]}}"
    """
    registered, *found = shell(tmp_path, "bash", "--norc", "-c", script).splitlines()
    assert registered.endswith("-F _oxkeeper oxkeeper")
    assert found == ["doctor"]


def test_fish_completes_a_command(tmp_path):
    script = f"source {COMPLETIONS}/oxkeeper.fish; complete -C 'oxkeeper doct'"
    (found,) = shell(tmp_path, "fish", "--no-config", "-c", script).splitlines()
    assert found.startswith("doctor\t")


def test_zsh_knows_what_the_program_completes(tmp_path):
    # Completing needs a terminal; here the function is called as the first Tab does.
    script = f"""
    fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -D
    _arguments() {{ print -r -- "$@" }}
    _oxkeeper
    print -r -- $_comps[oxkeeper]
    """
    said = shell(tmp_path, "zsh", "-f", "-c", script)
    assert "_oxkeeper_commands" in said
    assert said.endswith("\n_oxkeeper\n")


def test_the_manual_page_names_only_commands_that_exist():
    page = (ROOT / "packaging" / "man" / "oxkeeper.1").read_text()
    commands = page.partition(".SH COMMANDS\n")[2].partition(".SH")[0]
    heads = re.findall(r"^\.TP\n\.BR? (.*)$", commands, re.M)
    named = [head.split()[0] for head in heads] + re.findall(r'", " (\w+)', commands)
    for command in named:
        asked = subprocess.run([oxkeeper_binary(), command, "--help"], capture_output=True, text=True, timeout=180)
        assert asked.returncode == 0, (command, asked.stderr)
    assert {"server", "cli", "ask", "doctor"} <= set(named)
