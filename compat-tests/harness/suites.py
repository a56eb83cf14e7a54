"""Client suites: programs in other languages, built once into the cache.

Each prints "ok NAME" or "FAIL NAME reason" for its checks and exits with 1 if any failed.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.cache import cache_dir, making

COMPAT = Path(__file__).resolve().parents[1]
SUITE_SECONDS = 600
JVM_WORDS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx512m")


def classpath(suite):
    """Classes of java/SUITE, compiled with java/shared, and the jars that its pom.xml names."""
    jars = cache_dir() / "jars" / suite
    if not jars.is_dir():
        pytest.fail(f"the jars of java/{suite} are missing: run compat-tests/install")
    folder = COMPAT / "java" / suite
    sources = sorted((COMPAT / "java" / "shared").glob("*.java")) + sorted(folder.glob("*.java"))

    def compile_into(out):
        subprocess.run(
            ["javac", "-nowarn", "-Xlint:-deprecation", "-d", out, "-cp", f"{jars}/*", *sources],
            check=True,
        )

    out = _built(f"java-{suite}", [folder / "pom.xml", *sources], compile_into) if sources else None
    return f"{out}:{jars}/*" if out else f"{jars}/*"


def java(suite, main, *args, words=()):
    """The command that runs a main class of java/SUITE."""
    return ["java", *JVM_WORDS, *words, "-cp", classpath(suite), main, *map(str, args)]


def c_program(folder, name, libraries):
    """The program built from c/NAME.c; skips the test where compiler or library is missing."""
    source = COMPAT / folder / f"{name}.c"
    need("gcc")

    def compile_into(out):
        done = subprocess.run(
            [
                "gcc",
                "-std=gnu11",
                "-O1",
                "-Wall",
                "-Werror",
                "-DTHREADED",
                "-o",
                out / name,
                source,
                *(f"-l{library}" for library in libraries),
            ],
            capture_output=True,
            text=True,
        )
        if "zookeeper.h: No such file" in done.stderr:
            pytest.skip("libzookeeper-mt-dev is not installed")
        assert done.returncode == 0, done.stderr

    return str(_built(f"c-{name}", [source], compile_into) / name)


def go_program(folder):
    """The program built from a Go module of ours; skips the test where Go is missing."""
    need("go")
    home = COMPAT / folder
    sources = [home / "go.mod", home / "go.sum", *sorted(home.glob("*.go"))]

    def compile_into(out):
        subprocess.run(
            ["go", "build", "-o", out / "suite", "."], cwd=home, env=go_environment(), check=True
        )

    return str(_built(f"go-{Path(folder).name}", sources, compile_into) / "suite")


def go_environment():
    return {
        **os.environ,
        "GOMODCACHE": str(cache_dir() / "go-modules"),
        "GOCACHE": str(cache_dir() / "go-build"),
        "GOFLAGS": "-modcacherw",
    }


def node_program(folder, name):
    """Command and environment to run NAME with the Node packages; skips where Node is missing."""
    need("node")
    modules = cache_dir() / "node" / "node_modules"
    if not modules.is_dir():
        pytest.skip("Node packages are missing: compat-tests/install needs npm")
    return ["node", str(COMPAT / folder / name)], {**os.environ, "NODE_PATH": str(modules)}


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} on the PATH")


def run_checks(command, env=None, seconds=SUITE_SECONDS):
    """Runs a suite to its end; the test fails with the lines of the checks that failed."""
    try:
        done = subprocess.run(
            list(map(str, command)),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(
            f"not done after {seconds} s:\n{(late.stdout or b'').decode(errors='replace')}",
            pytrace=False,
        )
    print(done.stdout)
    lines = done.stdout.splitlines()
    failed = [line for line in lines if line.startswith("FAIL ")]
    passed = [line for line in lines if line.startswith("ok ")]
    if failed or not passed or done.returncode != 0:
        pytest.fail(
            "\n".join([f"exit code {done.returncode}, {len(passed)} ok", *failed]), pytrace=False
        )


def _built(name, inputs, build):
    """The folder that `build` filled from these inputs, now or in an earlier run."""
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    out = cache_dir() / "built" / f"{name}-{digest.hexdigest()[:16]}"
    with making(name):
        if not out.is_dir():
            for stale in out.parent.glob(f"{name}-" + "?" * 16):
                shutil.rmtree(stale, ignore_errors=True)
            fresh = out.with_name(out.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            build(fresh)
            fresh.rename(out)
    return out
