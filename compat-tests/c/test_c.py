"""Runs the suite of the C client."""

import pytest
from harness.suites import c_program, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}, "props": {"zookeeper.extendedTypesEnabled": "true"}}


def test_c_suite(server):
    run_checks(
        [c_program("c", "suite", ["zookeeper_mt", "pthread"]), f"{server.host}:{server.port}"]
    )
