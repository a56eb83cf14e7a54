"""Runs the suite of github.com/go-zookeeper/zk, a client without chroot."""

import pytest
from harness.suites import go_program, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}, "props": {"zookeeper.extendedTypesEnabled": "true"}}


def test_go_suite(server):
    run_checks([go_program("go"), f"{server.host}:{server.port}"])
