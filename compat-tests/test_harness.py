"""The harness itself: a server starts, serves, stops, and comes back with its data."""

import pytest

from harness.servers import four_letter


@pytest.mark.standalone
def test_a_server_starts_serves_and_comes_back_after_a_kill(server):
    assert "Mode: standalone" in four_letter(server.host, server.port, "srvr")
    assert four_letter(server.host, server.port, "ruok") == "imok"
    first = server.pid
    server.kill()
    server.restart()
    assert server.pid != first
    assert "Mode: standalone" in four_letter(server.host, server.port, "srvr")
    server.stop()
    assert not server.running
