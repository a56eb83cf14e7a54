"""Java servers and ours in one ensemble: both lead, follow and observe, and go on without any one.

The last voter of a spec leads first. Trees, sessions and digests of all servers are compared.
"""

import pytest

from ensemble.workload import a_bit_of_everything
from harness.trees import compare


@pytest.mark.ensembles(
    "JJO", "OOJjo", "OEOe",
    long=["JOJ", "OJJ", "OJO", "JOO", "OOO", "JJJ", "JJOo", "JJJo", "OOOj", "EEO", "OOE", "EJOo",
          "JJJJO", "OOOOJ", "JOJOJ", "OJOJO", "OOJJOjo", "JJOOJoj", "EOJOE", "OOOOO"],
)
def test_a_mixture_serves_and_goes_on_without_any_one(build, spec):
    ensemble = build(spec).start()
    first = ensemble.leader
    assert first is ensemble.voters[-1]
    a_bit_of_everything(ensemble, "/start")
    compare(ensemble)

    first.kill()
    ensemble.wait_for_leader()
    ensemble.wait_until_serving()
    a_bit_of_everything(ensemble, "/leader-gone")
    first.restart()
    second = ensemble.leader
    assert second is not first, "one that was away leads again"
    compare(ensemble)

    away = next(member for member in ensemble.voters if member not in (first, second))
    away.kill()
    a_bit_of_everything(ensemble, "/follower-gone")
    away.restart()
    a_bit_of_everything(ensemble, "/all-back")
    compare(ensemble)
    for member in ensemble:
        if member.kind == "oxkeeper":
            assert "panicked" not in member.log_text()
