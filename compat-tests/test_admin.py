"""Every four-letter word and every command of the AdminServer, field by field, against Java 3.9.5."""

import socket

import pytest

from harness import admin, servers
from harness.rawzk import Client

WORDS = """conf cons dirs dump gtmk hash isro ruok srvr stat wchs wchc wchp crst cons srst srvr stat""".split()
COMMANDS = """
    configuration connections dirs dump get_trace_mask hash initial_configuration is_read_only
    last_snapshot leader observers ruok server_stats stats voting_view watch_summary watches
    watches_by_path zabstate set_trace_mask set_trace_mask?traceMask=5 set_trace_mask?traceMask=x
    set_trace_mask?traceMask=+7 set_trace_mask?traceMask=%2B7 set_trace_mask?traceMask=1&traceMask=2
    connection_stat_reset connections observer_connection_stat_reset stat_reset stats nope RUOK
    ruok/ %72uok ruok;a=b a%22b%0a%c3%a9 %ff conf config srvr stat wchs wchc wchp lead lsnp
""".split()
# Keys of these are their machine's or their build's; that the same keys are there is enough.
KEYS = ("environment", "env", "monitor")
# Values of `monitor` that the same clients make the same.
EQUAL = """
    server_state znode_count watch_count ephemerals_count approximate_data_size num_alive_connections
    global_sessions local_sessions auth_failed_count connection_drop_probability outstanding_tls_handshake
    non_mtls_remote_conn_count non_mtls_local_conn_count connection_rejected connection_drop_count
    stale_sessions_expired digest_mismatches_count unrecoverable_error_count large_requests_rejected
    response_packet_cache_hits restore_error_count restore_rate_limited_count snapshot_error_count
    snapshot_rate_limited_count request_throttle_wait_count looking_count snap_count diff_count
""".split()
REQUESTS = """
    GET / GET /commandsx HEAD /commands/ruok PUT /commands/ruok DELETE /commands/ruok
    OPTIONS /commands/ruok PATCH /commands/ruok TRACE /commands/ruok TRACE / FOO /commands/ruok
    POST /commands POST /commands/nope GET /commands/%zz GET /commands/../commands/ruok
    GET /x/../commands/ruok OPTIONS / PUT / POST / GET /commands/stmk?traceMask=%zz
    GET /commands/snapshot POST /commands/restore HEAD /commands HEAD /commands/snapshot
    GET //commands/ruok GET /commands//ruok GET /commands/ GET /commands/. GET /commands;x=1/ruok
    GET /commands/ruok?a=% GET /commands/ruok?a=%ff GET /commands/ruok?a=%u0041
    GET /commands/ruok#x GET /commands/a|b GET /commands\\ruok GET /commands%2fruok
    GET /commands/%2e%2e/commands/ruok GET /commands/ruok%00 GET /../commands/ruok
    GET http://x:1/commands/ruok GET commands/ruok OPTIONS * CONNECT x:80 get /commands/ruok
""".split()
# However long the questions take, neither the clients nor the connection that says nothing may be gone before the last.
PATIENT_CFG = {"maxSessionTimeout": 600_000}
PATIENT_PROPS = {"zookeeper.nio.sessionlessCnxnTimeout": 600_000}
BYTES = {
    "garbage": b"\0\1\2garbage\r\n\r\n",
    "HTTP/1.0": b"GET /commands/ruok HTTP/1.0\r\n\r\n",
    "no host": b"GET /commands/ruok HTTP/1.1\r\n\r\n",
    "expect": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n",
    "expect 100": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                  b"Content-Length: 0\r\n\r\n",
    "long URL": b"GET /commands/" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long parameters": b"GET /commands/ruok?a=" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "not quite long": b"GET /commands/" + b"a" * 7_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header of 7 KB": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 7_000 + b"\r\n\r\n",
    "90 headers": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 90 + b"\r\n",
    "PUT 1.0": b"PUT /commands/ruok HTTP/1.0\r\n\r\n",
    "DELETE 1.0": b"DELETE /commands/ruok HTTP/1.0\r\n\r\n",
    "two hosts": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two lengths": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                   b"Content-Length: 1\r\n\r\n",
    "folded": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "line feeds": b"GET /commands/ruok HTTP/1.1\nHost: x\n\n",
    "body": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    "keep-alive": b"GET /commands/ruok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two at once": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
    "long header": b"GET /commands/ruok HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
}


def scene(server):
    """Two clients with data, ephemerals and watches, and a connection that says nothing."""
    first, second = (Client(server.host, server.port, timeout=600_000) for _ in range(2))
    first.create("/a", b"x" * 10)
    for path in ("/e1", "/e2"):
        first.create(path, b"", flags=1)
    first.get_data("/a", True)
    first.children("/a", True)
    second.get_data("/a", True)
    second.children("/", True)
    second.get_data("/e1", True)
    return first, second, socket.create_connection((server.host, server.port))


def said(kind):
    cfg, port = admin.on()
    with servers.start(kind, cfg=cfg | PATIENT_CFG, props=PATIENT_PROPS) as server:
        held = scene(server)
        words = [(word, admin.text(servers.four_letter(server.host, server.port, word)))
                 for word in WORDS]
        words += [("stmk", admin.send(server.port, b"stmk" + mask))
                  for mask in ((77).to_bytes(8, "big"), b"\xff" * 8, b"\0\0")]
        words += [("telnet", admin.send(server.port, b"\xff\xf4\xff\xfd"))]
        answers = [(name, list(admin.masked(admin.command(port, name)).items()))
                   for name in COMMANDS]
        keys = {name: set(admin.command(port, name)) for name in KEYS}
        monitored = admin.command(port, "monitor")
        equal = {name: monitored[name] for name in EQUAL}
        pairs = list(zip(REQUESTS[::2], REQUESTS[1::2]))
        status = [(*pair, admin.ask(port, *pair)[0]) for pair in pairs]
        raw = {name: [line for line in admin.send(port, data, half=True).split(b"\r\n")
                      if line.startswith(b"HTTP/")] for name, data in BYTES.items()}
        raw = {name: [line.split()[1] for line in lines] for name, lines in raw.items()}
        listed = admin.ask(port, "GET", "/commands")
        listed = (listed[0], listed[1].get("content-type"), listed[2])
        del held
    return words, answers, keys, status, raw, listed, equal


@pytest.fixture(scope="module")
def both(pytestconfig):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both kinds")
    return said("java"), said("oxkeeper")


def test_four_letter_words_have_javas_texts(both):
    java, ours = both
    for expected, found in zip(java[0], ours[0], strict=True):
        assert found == expected


def test_commands_have_javas_fields_in_javas_order(both):
    java, ours = both
    unordered = {"server_stats", "quorum_address"}
    for (name, expected), (_, found) in zip(java[1], ours[1], strict=True):
        assert [key for key, _ in found] == [key for key, _ in expected], name
        for (key, value), (_, wanted) in zip(found, expected):
            assert value == wanted, f"{name}: {key}"
            if isinstance(value, dict) and key not in unordered:
                assert list(value) == list(wanted), f"{name}: {key}"
    for name in KEYS:
        assert java[2][name] - ours[2][name] == set(), name


def test_monitor_has_javas_values_where_the_same_clients_make_the_same(both):
    java, ours = both
    assert ours[6] == java[6]


def test_http_is_spoken_as_jetty_speaks_it(both):
    java, ours = both
    assert ours[3] == java[3]
    assert ours[4] == java[4]
    assert ours[5] == java[5]
