"""Four-letter words: the text of each, but for what must differ, is Java's."""

import re

import pytest

from harness import servers
from harness.rawzk import Client

MASKS = [
    (r"3\.9\.5-\S+, built on .*", "VERSION"),
    (r"min/avg/max: \d+/\d+\.\d+/\d+", "min/avg/max: LATENCY"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(sid|lresp|est)=\w+", r"\1=N"),
    (r"(llat|avglat|maxlat)=\d+", r"\1=MS"),
    (r"clientPort=\d+", "clientPort=PORT"),
    (r"(dataDir|dataLogDir)=/\S+/version-2", r"\1=FOLDER/version-2"),
    (r"(dataDirSize|dataLogSize)=\d+", r"\1=BYTES"),
    # How often each was asked while it started.
    (r"^(Received|Sent): \d+$", r"\1: N"),
]
WATCHED = """
    version server_state avg_latency max_latency min_latency packets_received packets_sent
    num_alive_connections outstanding_requests znode_count watch_count ephemerals_count
    approximate_data_size open_file_descriptor_count max_file_descriptor_count global_sessions
""".split()


def masked(text):
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return "\n".join(sorted(text.split("\n"))) if "ADDRESS[" in text else text


def answers(kind, whitelist):
    cfg = {"4lw.commands.whitelist": whitelist} if whitelist else {}
    with servers.start(kind, cfg=cfg) as server:
        client = Client(server.host, server.port)
        client.create("/a", b"x", flags=1)
        client.get_data("/a", watch=True)
        words = ("ruok", "isro", "srvr", "stat", "cons", "conf")
        said = {w: masked(servers.four_letter(server.host, server.port, w)) for w in words}
        mntr = servers.four_letter(server.host, server.port, "mntr")
        client.close_session()
        return said, mntr


@pytest.mark.parametrize("whitelist", ["*", "ruok, stat ,mntr", None])
def test_words_are_answered_as_java_answers_them(pytestconfig, whitelist):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")
    java, java_mntr = answers("java", whitelist)
    ours, our_mntr = answers("oxkeeper", whitelist)
    assert ours == java
    if "\t" not in java_mntr:
        assert our_mntr == java_mntr
        return
    values = [dict(line.split("\t") for line in text.splitlines()) for text in (java_mntr, our_mntr)]
    for key in WATCHED:
        assert all(f"zk_{key}" in each for each in values), key
    for key in ("server_state", "znode_count", "watch_count", "ephemerals_count", "global_sessions"):
        assert values[0][f"zk_{key}"] == values[1][f"zk_{key}"], key
    shapes = [{k: re.sub(r"\d+", "N", v) for k, v in each.items()} for each in values]
    for key in WATCHED[2:]:
        assert shapes[0][f"zk_{key}"] == shapes[1][f"zk_{key}"], key
