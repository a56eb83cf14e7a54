"""Whole conversations known byte for byte, against fresh servers of both kinds."""

import pytest

from harness import rawzk
from harness.rawzk import Closed, Connection

pytestmark = pytest.mark.standalone

ACL = "000000010000001f00000005776f726c6400000006616e796f6e65"


@pytest.fixture
def wire(server):
    """A connection with an established session; the first transaction of a fresh server."""
    connection = Connection(server.host, server.port)
    connection.send(rawzk.connect_frame(timeout=40_000))
    connection.receive()
    yield connection
    connection.close()


def says(connection, sent, *answers):
    """Sends a frame (hex, with its length in front) and expects exactly these frames."""
    connection.send_bytes(bytes.fromhex(sent.replace(" ", "")))
    for answer in answers:
        expected = bytes.fromhex(answer.replace(" ", ""))
        assert connection.receive().hex() == expected[4:].hex()
        assert int.from_bytes(expected[:4], "big") == len(expected) - 4


def test_the_handshake_follows_the_shape_of_the_request(server):
    for read_only, length in ((False, 37), (None, 36)):
        connection = Connection(server.host, server.port)
        connection.send(rawzk.connect_frame(timeout=4000, read_only=read_only))
        answer = connection.receive()
        assert len(answer) == length
        value, end = rawzk.decode("ConnectResponse", answer)
        assert (value["protocolVersion"], value["timeOut"]) == (0, 4000)
        assert value["sessionId"] >> 56 == 1
        assert value["passwd"] == rawzk.password_of(value["sessionId"])
        assert answer[end:] in (b"", b"\0")
        connection.close()


def test_known_session_passwords():
    assert rawzk.password_of(0x01000032C2CD0000).hex() == "29f63d5202d7ebf7af236f0c1bb45762"
    assert rawzk.password_of(0x0100001AF7080000).hex() == "8a20f95e4f081cbb784f3badb0eee8f3"


def test_the_first_conversation_with_a_fresh_server(wire):
    says(
        wire,
        "0000000f 00000001 00000003 00000002 2f61 01",
        "00000010 00000001 0000000000000001 ffffff9b",
    )
    says(
        wire,
        f"00000033 00000002 00000001 00000002 2f61 00000002 6869 {ACL} 00000000",
        "0000001e ffffffff 0000000000000002 00000000 00000001 00000003 00000002 2f61",
        "00000016 00000002 0000000000000002 00000000 00000002 2f61",
    )
    says(
        wire,
        f"00000032 00000004 00000001 00000003 2f732d 00000000 {ACL} 00000003",
        "00000021 00000004 0000000000000003 00000000 0000000d 2f732d30303030303030303031",
    )
    says(wire, "00000008 fffffffe 0000000b", "00000010 fffffffe 0000000000000003 00000000")
    says(
        wire,
        "00000020 fffffffc 00000064 00000000 00000006 646967657374 00000006 626f623a7077",
        "00000010 fffffffc 0000000000000000 00000000",
    )
    says(
        wire,
        "00000027 fffffff8 00000065 0000000000000000 00000001 00000002 2f61 00000000"
        "00000001 00000001 2f",
        "0000001e ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61",
        "0000001d ffffffff ffffffffffffffff 00000000 00000004 00000003 00000001 2f",
        "00000010 fffffff8 0000000000000003 00000000",
    )
    says(
        wire,
        "00000012 00000006 0000006a 00000002 2f61 00000001",
        "00000014 00000006 0000000000000003 00000000 00000000",
    )
    says(
        wire,
        "00000008 00000008 0000006b",
        "00000038 00000008 0000000000000003 00000000 00000002 00000006 646967657374 00000003 626f62"
        "00000002 6970 00000009 3132372e302e302e31",
    )
    says(wire, "00000008 00000007 fffffff5", "00000010 00000007 0000000000000004 00000000")
    with pytest.raises(Closed):
        wire.receive()


def test_a_failed_multi_answers_every_operation(wire):
    says(
        wire,
        f"00000031 00000001 00000001 00000002 2f61 00000000 {ACL} 00000000",
        "00000016 00000001 0000000000000002 00000000 00000002 2f61",
    )
    says(
        wire,
        "0000004f 00000005 0000000e"
        "00000002 00 ffffffff 00000002 2f61 ffffffff"
        "0000000d 00 ffffffff 00000002 2f61 00000009"
        "00000005 00 ffffffff 00000002 2f61 00000001 78 ffffffff"
        "ffffffff 01 ffffffff",
        "00000040 00000005 0000000000000003 00000000"
        "ffffffff 00 00000000 00000000"
        "ffffffff 00 ffffff9b ffffff9b"
        "ffffffff 00 fffffffe fffffffe"
        "ffffffff 01 ffffffff",
    )


def test_the_stat_of_a_new_znode_and_of_the_virgin_tree(wire):
    says(
        wire,
        f"00000033 00000002 00000001 00000002 2f61 00000002 6869 {ACL} 00000000",
        "00000016 00000002 0000000000000002 00000000 00000002 2f61",
    )
    wire.send(rawzk.request_frame(3, rawzk.EXISTS, rawzk.encode("ExistsRequest", {"path": "/a"})))
    stat = wire.receive()[16:]
    assert stat[:16].hex() == "00000000000000020000000000000002"
    assert stat[16:24] == stat[24:32]
    assert stat[32:].hex() == (
        "00000000" "00000000" "00000000" "0000000000000000" "00000002" "00000000" "0000000000000002"
    )


@pytest.mark.parametrize(
    "path, cversion, aversion, children",
    [
        ("/", -1, 0, 1),
        ("/zookeeper", -2, 0, 2),
        ("/zookeeper/quota", 0, 0, 0),
        ("/zookeeper/config", 0, -1, 0),
    ],
)
def test_the_virgin_tree_has_javas_counters(wire, path, cversion, aversion, children):
    wire.send(rawzk.request_frame(1, rawzk.EXISTS, rawzk.encode("ExistsRequest", {"path": path})))
    _, body, _ = rawzk.decode_reply(rawzk.EXISTS, wire.receive())
    expected = dict.fromkeys(body["stat"], 0) | {
        "cversion": cversion,
        "aversion": aversion,
        "numChildren": children,
    }
    assert body["stat"] == expected
