"""Runs CuratorSuite: Curator's recipes and service discovery."""

import pytest
from harness.suites import java, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}, "props": {"zookeeper.extendedTypesEnabled": "true"}}


def test_java_curator_suite(server):
    run_checks(java("curator", "CuratorSuite", f"{server.host}:{server.port}"))
