"""Runs ClientSuite: every call of ZooKeeper's own Java client."""

import pytest
from harness.suites import java, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}, "props": {"zookeeper.extendedTypesEnabled": "true"}}


def test_java_client_suite(server):
    run_checks(java("client", "ClientSuite", f"{server.host}:{server.port}"))
