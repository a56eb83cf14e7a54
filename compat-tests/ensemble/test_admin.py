"""What members say over HTTP and in words about sessions, watches and each other, in every role: Java's."""

import re
import socket

import pytest

from harness import admin
from harness.ensemble import until
from harness.rawzk import Client

ROLES = ("leader", "follower", "observer")
WORDS = ("dump", "wchs", "wchc", "wchp", "dirs", "hash", "crst", "srst")
COMMANDS = """
    configuration dump hash initial_configuration is_read_only leader observers ruok server_stats
    voting_view watch_summary watches watches_by_path zabstate connection_stat_reset stat_reset
    observer_connection_stat_reset
""".split()
# What the answers of observers' connections count, and what members call themselves.
COUNTED = ("packets_received", "packets_sent", "requests", "queued_packets", "queued_packets_size",
           "last_zxid", "sid", "established", "server_id", "myid", "leader_id", "leader_ip")


def clean(value):
    if isinstance(value, str):
        return re.sub(r"of-\d", "of-N", value)
    if isinstance(value, dict):
        return {key: type(each).__name__ if key in COUNTED else clean(each)
                for key, each in value.items()}
    return [clean(each) for each in value] if isinstance(value, list) else value


def field_by_field(port, name):
    return list(admin.masked(clean(admin.command(port, name))).items())


def scene(member):
    """A client with an ephemeral and watches on each of several members."""
    client = Client(member.host, member.port)
    path = f"/of-{member.sid}"
    client.create(path, b"", flags=1)
    client.get_data(path, True)
    client.children("/", True)
    return client


def answers(build, spec):
    keys, ports = zip(*(admin.on() for _ in spec))
    ensemble = build(spec, member_cfg=dict(enumerate(keys, 1)))
    ensemble.start()
    port = dict(enumerate(ports, 1))
    clients = [scene(member) for member in ensemble]
    ensemble.wait_until_equal()
    said = {}
    for role in ROLES:
        member = next(each for each in ensemble if each.mode == role)
        own = port[member.sid]
        said[role] = {name: field_by_field(own, name) for name in COMMANDS}
        # Which member it is, is chance.
        words = {word: admin.text(member.word(word)) for word in WORDS}
        said[role] |= {f"word {word}": re.sub(r"of-\d", "of-N", text)
                       for word, text in words.items()}
        # Sets have a key once something was measured.
        said[role]["keys"] = {key for key in admin.command(own, "monitor")
                              if not re.search(r"_learner_handler_qp_|_ack_latency|of-\d_\w+_per_namespace", key)}
    last = ensemble.leader
    for member in ensemble:
        if member is not last:
            member.kill()
    until(lambda: last.word("isro") == "null", "a leader alone stops serving")
    own = port[last.sid]
    said["looking"] = {name: field_by_field(own, name)
                       for name in (*COMMANDS, "zabstate", "gtmk", "nope")}
    probes = {path: admin.ask(own, "GET", path)[0] for path in ("/livez", "/readyz")}
    for client in clients:
        client.close()
    return said, probes


def test_members_say_over_http_what_java_members_say(build, pytestconfig):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")
    java, _ = answers(build, "JJJj")
    ours, probes = answers(build, "OOOo")
    for role, expected in java.items():
        missing = expected.pop("keys", set()) - ours[role].pop("keys", set())
        assert missing == set(), role
        for name, answer in expected.items():
            found = ours[role][name]
            if isinstance(answer, list):
                assert [key for key, _ in found] == [key for key, _ in answer], f"{role}: {name}"
            assert found == answer, f"{role}: {name}"
    assert probes == {"/livez": 200, "/readyz": 503}


@pytest.mark.ensembles("J", "O")
def test_a_member_goes_on_without_an_admin_server_if_the_port_is_taken(build, spec):
    keys, port = admin.on()
    with socket.create_server(("127.0.0.1", port)):
        ensemble = build(spec, cfg={"standaloneEnabled": "false", **keys})
        ensemble.start()
        assert ensemble[1].mode == "leader"
        assert re.search(r"WARN.* AdminServer", ensemble[1].log_text())
