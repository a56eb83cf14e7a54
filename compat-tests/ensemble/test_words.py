"""Four-letter words of members: in each role, and without a leader, the text is Java's."""

import re

import pytest

from harness.ensemble import until
from harness.rawzk import Client

ROLES = ("leader", "follower", "observer")
WORDS = ("ruok", "isro", "srvr", "stat", "conf")
MASKS = [
    (r"3\.9\.5-\S+, built on .*", "VERSION"),
    (r"min/avg/max: \d+/\d+\.\d+/\d+", "min/avg/max: LATENCY"),
    (r"127\.0\.0\.1:\d+:\d+", "QUORUM"),
    (r"127\.0\.0\.1:\d+", "CLIENT"),
    (r"(\w+Port)=\d+", r"\1=PORT"),
    (r"(dataDir|dataLogDir)=/\S+/version-2", r"\1=FOLDER/version-2"),
    (r"(dataDirSize|dataLogSize)=\d+", r"\1=BYTES"),
    # How often each was asked while it started.
    (r"^(Received|Sent): \d+$", r"\1: N"),
    (r"Zxid: 0x\w+", "Zxid: ZXID"),
]
# Keys of mntr that say how it stands with the ensemble, and whose values must be equal.
STANDING = """
    server_state peer_state quorum_size learners synced_followers synced_non_voting_followers
    synced_observers pending_syncs last_proposal_size max_proposal_size min_proposal_size
""".split()
# Keys whose values need not be.
PRESENT = ("uptime", "leader_uptime", "global_sessions", "local_sessions", "observer_master_id")


def masked(text):
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def standing(member):
    values = member.monitored()
    shown = {key: values.get(f"zk_{key}") for key in STANDING}
    return shown | {key: f"zk_{key}" in values for key in PRESENT}


def answers(ensemble):
    """What a member of each role says, and what one says that has lost all others."""
    ensemble.start()
    client = Client(ensemble.leader.host, ensemble.leader.port)
    client.create("/a", b"x" * 100)
    client.set_data("/a", b"x")
    client.close_session()
    ensemble.wait_until_equal()
    said = {}
    for role in ROLES:
        member = next(each for each in ensemble if each.mode == role)
        said[role] = {word: masked(member.word(word)) for word in WORDS}
        said[role]["mntr"] = standing(member)
    last = ensemble.leader
    for member in ensemble:
        if member is not last:
            member.kill()
    until(lambda: last.word("isro") == "null", "a leader alone stops serving")
    said["looking"] = {word: last.word(word) for word in (*WORDS, "mntr", "cons", "wchs", "hash")}
    return said


def test_members_say_what_java_members_say_in_each_role(build, pytestconfig):
    if pytestconfig.getoption("--only"):
        pytest.skip("compares both")
    java = answers(build("JJJj"))
    assert java["leader"]["mntr"]["synced_observers"] == "1"
    assert answers(build("OOOo")) == java
