"""Syncs and writes, pipelined by many clients of one server: each is answered, and in its order.

A Java learner matches what its leader sends with the oldest request it passed on; one answer out of
turn, and none of its clients ever gets another.
"""

import threading

import pytest

from ensemble.workload import connect, ensure
from harness import rawzk
from harness.trees import compare

CLIENTS, ROUNDS, IN_FLIGHT = 8, 25, 12


@pytest.mark.ensembles("JJO", long=["OOJ", "JOO", "OOO", "JOJ", "JOOjo"])
def test_syncs_and_writes_of_many_clients_are_answered_in_their_order(build, spec):
    ensemble = build(spec).start()
    for member in ensemble.running:
        root = f"/pipelines-{member.sid}"
        first = connect(member)
        ensure(first, root)
        failures = []
        threads = [threading.Thread(target=_keep, args=(failures, _pipeline, member, root, name))
                   for name in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, f"{member!r}: {failures[0]}\n{member.log_text()[-2000:]}"
        first.close_session()
    compare(ensemble)


def _keep(failures, run, *args):
    try:
        run(*args)
    except Exception as error:  # a thread's failure is the test's
        failures.append(repr(error))


def _pipeline(member, root, name):
    client = connect(member)
    xid = 0
    for _ in range(ROUNDS):
        sent = []
        frames = []
        for nth in range(IN_FLIGHT):
            xid += 1
            op, record, value = _request(root, name, xid, nth)
            sent.append((xid, op))
            frames.append(rawzk.request_frame(xid, op, rawzk.encode(record, value)))
        client.send(*frames)
        for expected, op in sent:
            header, _, _ = rawzk.decode_reply(op, client.receive())
            assert (header["xid"], header["err"]) == (expected, 0), header
    client.close()


def _request(root, name, xid, nth):
    if (nth + name) % 3 == 0:
        return rawzk.SYNC, "SyncRequest", {"path": root}
    if (nth + name) % 3 == 1:
        path = f"{root}/{name}-{xid}"
        return rawzk.CREATE, "CreateRequest", {"path": path, "data": b"", "acl": rawzk.OPEN_ACL}
    return rawzk.GET_DATA, "GetDataRequest", {"path": root, "watch": False}
