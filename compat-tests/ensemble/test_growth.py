"""An ensemble gets a fourth and a fifth server, one at a time, as docs/packaging.md says."""

import pytest
from harness.rawzk import Client


@pytest.mark.ensembles("OOOOO", long=["JJJJJ", "JOJOJ"])
def test_servers_are_added_one_at_a_time_while_all_serve(build, spec):
    ensemble = build(spec)
    lines = ensemble.lines
    here = []
    for sid in (1, 2, 3):
        ensemble[sid].lines = lines[:3]
        ensemble[sid].launch()
        here.append(ensemble[sid])
    ensemble.wait_until_serving()
    write(here[0], "/3")
    for size in (4, 5):
        # The others do not know of it yet; a rollout waits until it serves all the same.
        here.append(ensemble[size])
        ensemble[size].lines = lines[:size]
        ensemble[size].launch()
        ensemble[size].wait_until_serving()
        write(here[-1], f"/{size}-new")
        # The leader last: without it, those with the old list would elect another one among themselves, whom too few
        # servers follow for those with the new list.
        for member in sorted(here, key=lambda member: member is ensemble.leader):
            member.lines = lines[:size]
            member.restart()
            ensemble.wait_until_serving()
            write(member, f"/{size}-{member.sid}")
    ensemble.wait_until_equal()
    for sid in (1, 2):
        ensemble[sid].kill()
    write(ensemble[5], "/three of five")


def write(member, path):
    client = Client(member.host, member.port)
    client.create(path, b"x")
    client.close_session()
