"""Runs the suite of node-zookeeper-client."""

import pytest
from harness.suites import node_program, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}}


def test_node_suite(server):
    command, environment = node_program("node", "suite.js")
    run_checks([*command, f"{server.host}:{server.port}"], env=environment)
