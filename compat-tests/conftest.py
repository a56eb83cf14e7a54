"""Options and fixtures every compat test shares."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import servers  # noqa: E402  (the path above makes it importable)

pytest_plugins = ["harness.ensemble_plugin"]


def pytest_addoption(parser):
    parser.addoption("--only", choices=servers.KINDS, default=None,
                     help="run against this kind of server alone")
    parser.addoption("--seeds", type=int, default=25, help="differential test: how many seeds")
    parser.addoption("--first-seed", type=int, default=0, help="differential test: the first of them")
    parser.addoption("--seed", type=int, default=None, help="differential test: this seed alone")
    parser.addoption("--steps", type=int, default=120, help="differential test: steps per seed")
    parser.addoption("--config", default=None, help="differential test: this configuration alone")
    parser.addoption("--differences", type=int, default=1,
                     help="differential test: go on until so many kinds of difference were found")


# Suites that CI runs connected to a follower, too; in the long tier all are, but for those that are
# marked `standalone`.
SUITES_OF_CI = ("test_kazoo", "test_go", "test_c", "test_raw_frames")


# What `-n` runs on one worker, in order: these share a server among tests.
TOGETHER = ("test_admin", "test_deliberate", "test_differential", "test_disk_both_ways", "test_kazoo")
# Begun first, so that no worker is left with one of them at the end.
LONGEST = ("ensemble", "metrics", "history", "service")


def module_name(item):
    return item.module.__name__.rpartition(".")[2]


def pytest_itemcollected(item):
    """For `-n`: which tests go to the same worker; each of the others to whichever is free."""
    name = module_name(item)
    if name in TOGETHER:
        shared = getattr(item, "callspec", None)
        of = [str(shared.params[key]) for key in ("server_kind", "configuration") if shared and key in shared.params]
        item.add_marker(pytest.mark.xdist_group("-".join([name, *of])))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


def kinds(metafunc):
    only = metafunc.config.getoption("--only")
    alone = [only] if only else list(servers.KINDS)
    if metafunc.definition.get_closest_marker("standalone"):
        return alone
    in_ci = metafunc.module.__name__.rpartition(".")[2] in SUITES_OF_CI and only != "java"
    return [*alone, pytest.param(f"{only or 'oxkeeper'}{servers.OF_ENSEMBLE}",
                                 marks=[] if in_ci else [pytest.mark.long])]


def pytest_sessionstart(session):
    binary = servers.oxkeeper_binary()
    if session.config.getoption("--only") != "java" and not binary.exists():
        raise pytest.UsageError(
            f"no binary at {binary}: build it, name it in OXKEEPER_BIN, or say --only java")


def pytest_generate_tests(metafunc):
    """`server_kind` (and `server`, built on it) runs once per kind."""
    if "server_kind" in metafunc.fixturenames:
        metafunc.parametrize("server_kind", kinds(metafunc), scope="session")


@pytest.fixture
def server_options():
    """Arguments for `servers.start`; a test module overrides this to configure its servers."""
    return {}


@pytest.fixture
def server(server_kind, server_options):
    """A fresh server of each kind, ended after the test."""
    with servers.start(server_kind, **server_options) as running:
        yield running


@pytest.fixture
def start_server():
    """`servers.start` whose servers are ended after the test."""
    started = []

    def start(*args, **kwargs):
        started.append(servers.start(*args, **kwargs))
        return started[-1]

    yield start
    for running in started:
        running.cleanup()
