"""Runs ZkClientSuite: com.101tec:zkclient."""

import pytest
from harness.suites import java, run_checks


@pytest.fixture
def server_options():
    return {"cfg": {"tickTime": 500, "maxSessionTimeout": 60_000}, "props": {"zookeeper.extendedTypesEnabled": "true"}}


def test_java_zkclient_suite(server):
    run_checks(java("zkclient", "ZkClientSuite", f"{server.host}:{server.port}"))
