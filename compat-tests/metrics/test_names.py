"""What Prometheus and `mntr` are told: under the same load, all that a Java server tells is told here, too."""

import contextlib
import re
from pathlib import Path

import pytest

from harness import servers
from harness.ensemble import Ensemble, until
from harness.ports import free_port
from harness.rawzk import Client
from metrics.samples import cfg, scrape

# Of the same load and the same clients, so they agree.
AGREE = """
    znode_count watch_count ephemerals_count approximate_data_size num_alive_connections global_sessions
    local_sessions connection_drop_probability outstanding_tls_handshake auth_failed_count
""".split()
AGREE_LEADER = """
    learners synced_followers synced_observers synced_non_voting_followers quorum_size
    proposal_count commit_count
""".split()
AGREE_FOLLOWER = "quorum_size learner_proposal_received_count learner_commit_received_count".split()
# Java records one acknowledgement in a thousand, and the time of one packet in a thousand.
BY_SERVER = re.compile(r"_\d_(ack_latency|learner_handler_qp_\w+)$")
QUOTAS = [f"quota_{what}_per_namespace" for what in
          ("count_limit", "bytes_limit", "count_usage", "bytes_usage")]
KINDS = ("java", "oxkeeper")


@pytest.fixture(autouse=True)
def both(pytestconfig):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")


def load(host, at):
    """Reads, writes, watches and a quota that is exceeded; the client stays connected.

    The numbers of the quota have as many digits at first as in the end: Java does not count by how much they grow.
    """
    client = Client(host, at)
    client.create("/app", b"x" * 100)
    client.create("/app/eph", b"e", flags=1)
    for path, data in [("", b""), ("/zookeeper_limits", b"count=2,bytes=1000"),
                       ("/zookeeper_stats", b"count=10,bytes=100")]:
        client.create(f"/zookeeper/quota/app{path}", data)
    for each in range(20):
        client.create(f"/app/n{each}", b"d" * each)
        client.set_data(f"/app/n{each}", b"changed")
        client.get_data(f"/app/n{each}", watch=each % 2 == 0)
    client.children("/app", watch=True)
    client.delete("/app/n1")
    client.get_data("/app", watch=True)
    return client


def lacking(java, ours):
    """What a Java server tells of and this one does not, but for the Java machine."""
    shapes = {shape for shape in java.shapes()
              if shape[0] == "jvm_pause_time_ms" or not shape[0].startswith("jvm_")}
    families = {(name, kind) for name, kind in java.types.items()
                if name == "jvm_pause_time_ms" or not name.startswith("jvm_")}
    forms = {form for form in java.forms - ours.forms if not form.startswith("jvm_")}
    return [*sorted(families - set(ours.types.items())), *sorted(shapes - ours.shapes()), *sorted(forms)]


def invented(java, ours):
    """Names of ours that Java does not have and that do not say whose they are."""
    return {name for name in set(ours.types) - set(java.types) if not name.startswith("oxkeeper_")}


def keyed(text):
    return dict(line.split("\t", 1) for line in text.splitlines())


def standalone(kind, provider):
    metrics = free_port()
    with servers.start(kind, cfg=cfg(metrics) if provider else {}) as server:
        client = load(server.host, server.port)
        mntr = servers.four_letter(server.host, server.port, "mntr")
        scraped = scrape(metrics) if provider else None
        client.close_session()
    return scraped, mntr


def test_a_standalone_server_tells_prometheus_all_that_java_tells():
    (java, java_mntr), (ours, our_mntr) = [standalone(kind, True) for kind in KINDS]
    assert lacking(java, ours) == []
    assert invented(java, ours) == set()
    for name in AGREE:
        assert ours.value(name) == java.value(name), name
    for name in QUOTAS:
        assert ours.value(name, key="app") == java.value(name, key="app") is not None, name
    # The samples of the provider are what `mntr` shows, too, all as doubles.
    java_keys, our_keys = keyed(java_mntr), keyed(our_mntr)
    absent = {key for key in set(java_keys) - set(our_keys) if not key.startswith("zk_jvm_")}
    assert {key for key in absent if "key=" not in key} == set()
    assert our_keys["zk_znode_count"] == java_keys["zk_znode_count"]
    assert our_keys["zk_approximate_data_size"] == java_keys["zk_approximate_data_size"]


def test_mntr_has_javas_keys_and_javas_kinds_of_numbers():
    (_, java), (_, ours) = [standalone(kind, False) for kind in KINDS]
    # Which namespaces and servers appear depends on what was recorded so far.
    java_keys, our_keys = keyed(java), keyed(ours)
    own = {key for key in our_keys if "_per_namespace" not in key}
    assert own ^ {key for key in java_keys if "_per_namespace" not in key} == set()
    assert [line.split("\t")[0] for line in ours.splitlines()][:2] == ["zk_version", "zk_server_state"]
    assert_same_kinds(java_keys, our_keys, own)
    for name in (*AGREE, *(f"app_{quota}" for quota in QUOTAS)):
        assert our_keys[f"zk_{name}"] == java_keys[f"zk_{name}"], name


def assert_same_kinds(java, ours, keys):
    """Texts are the same, whole numbers are whole and others are not, and so are their signs before anything came."""
    for key in sorted(keys - {"zk_version"}):
        if not java[key].replace(".", "").replace("-", "").isdigit():
            assert ours[key] == java[key], key
        else:
            assert ("." in ours[key]) == ("." in java[key]), (key, ours[key], java[key])


@contextlib.contextmanager
def ensemble(letter, provider=True):
    """Scrapes of leader and follower; without the provider, their answers to `mntr`."""
    ports = {sid: free_port() for sid in (1, 2, 3)}
    with Ensemble(letter * 3, member_cfg={sid: cfg(ports[sid]) for sid in ports if provider}) as three:
        three.start()
        client = load(three[1].host, three[1].port)
        three.wait_until_equal()
        leader = three.leader

        def synced():
            shown = leader.monitored().get("zk_synced_followers")
            return shown in ("2", "2.0")

        until(synced, "both follow")
        both = (leader, three[1])
        assert three[1].mode == "follower"
        yield [scrape(ports[each.sid]) if provider else each.word("mntr") for each in both]
        client.close_session()


def test_a_leader_and_a_follower_tell_all_that_javas_tell():
    with ensemble("J") as java, ensemble("O") as ours:
        (java_leader, java_follower), (our_leader, our_follower) = java, ours
    assert lacking(java_leader, our_leader) == []
    assert lacking(java_follower, our_follower) == []
    assert invented(java_leader, our_leader) == set()
    assert invented(java_follower, our_follower) == set()
    for name in AGREE + AGREE_LEADER:
        assert our_leader.value(name) == java_leader.value(name), name
    for name in AGREE + AGREE_FOLLOWER:
        assert our_follower.value(name) == java_follower.value(name), name


def test_mntr_of_a_leader_and_of_a_follower_has_javas_keys():
    with ensemble("J", provider=False) as java, ensemble("O", provider=False) as ours:
        for java_text, our_text, agree in zip(java, ours, (AGREE_LEADER, AGREE_FOLLOWER)):
            java_keys, our_keys = keyed(java_text), keyed(our_text)
            # Which namespaces and servers appear depends on what was recorded so far.
            own, theirs = [{key for key in keys if "_per_namespace" not in key and not BY_SERVER.search(key)}
                           for keys in (our_keys, java_keys)]
            assert own ^ theirs == set()
            assert_same_kinds(java_keys, our_keys, own)
            first = [[line.split("\t")[0] for line in text.splitlines()[:3]] for text in (java_text, our_text)]
            assert first[0] == first[1]
            for name in (*AGREE, *agree):
                assert our_keys[f"zk_{name}"] == java_keys[f"zk_{name}"], name


def test_the_published_dashboard_finds_every_name():
    names = (Path(__file__).parent / "grafana_10465.txt").read_text().splitlines()
    names = {name for name in names if not name.startswith("#")}
    with ensemble("O") as scrapes:
        found = {name for each in scrapes for name, _ in each.values}
        found |= {suffixed for each in scrapes for name, kind in each.types.items()
                  for suffixed in ((name + "_sum", name + "_count") if kind == "summary" else (name,))}
    assert names - found == set()
