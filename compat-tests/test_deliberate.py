"""Where this server differs from Java on purpose.

What it does instead. The list is differential/deliberate.py.
"""

import pytest

from differential.deliberate import BY_ID, DELIBERATE
from differential.odd import SUPER_DIGEST
from harness import rawzk, servers
from harness.rawzk import Client, Closed, Error, acl, encode, multi_body, request_frame


@pytest.fixture(scope="module")
def ours(request):
    if request.config.getoption("--only") == "java":
        pytest.skip("about this server alone; --only java was asked for")
    props = {
        "zookeeper.extendedTypesEnabled": "true",
        "zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
    }
    with servers.start("oxkeeper", props=props) as server:
        yield server


@pytest.fixture
def client(ours):
    client = Client(ours.host, ours.port)
    yield client
    client.close()


def refused(call, *args, **kwargs):
    """The error a call is answered with."""
    with pytest.raises(Error) as caught:
        call(*args, **kwargs)
    return caught.value


def is_closed(client):
    """Whether the server closes the connection without another frame."""
    try:
        client.receive()
    except Closed:
        return True
    return False


def zxid_of(client):
    client.call(rawzk.SYNC, {"path": "/"})
    return client.zxid


def create_value(path, flags, **more):
    return {"path": path, "data": b"", "acl": rawzk.OPEN_ACL, "flags": flags, **more}


def test_every_deliberate_difference_has_an_id_and_a_reason():
    assert len(BY_ID) == len(DELIBERATE)
    assert all(entry.what and entry.why and entry.treatment for entry in DELIBERATE)


@pytest.mark.parametrize(
    "op",
    [
        rawzk.CREATE,
        rawzk.DELETE,
        rawzk.SET_DATA,
        rawzk.SET_ACL,
        rawzk.MULTI,
        rawzk.CREATE_TTL,
        rawzk.CREATE_CONTAINER,
    ],
)
def test_undecodable_writes_consume_no_zxid(client, op):
    before = zxid_of(client)
    error = refused(client.call, op, b"\0\0\0\x7f")
    assert (error.err, error.header["zxid"]) == (-5, before)
    assert zxid_of(client) == before


@pytest.mark.parametrize("flags", range(5))
@pytest.mark.parametrize("ttl", [-1, -(1 << 62), 0, 5000])
def test_ttl_creates_without_a_ttl_mode_are_bad_arguments(client, flags, ttl):
    value = create_value(f"/ttl-flags-{flags}", flags, ttl=ttl)
    before = zxid_of(client)
    error = refused(client.call, rawzk.CREATE_TTL, value)
    assert (error.err, error.header["zxid"]) == (-8, before + 1)
    assert zxid_of(client) == before + 1


def test_quota_znodes_of_the_root_do_not_end_the_server(ours, client):
    for name in ("zookeeper_limits", "zookeeper_stats"):
        try:
            client.create(f"/zookeeper/quota/{name}", b"count=1,bytes=1")
        except Error:
            pass
    client.create("/after-the-root-quota", b"x")
    assert ours.running


def test_unparsable_quota_statistics_do_not_end_the_server(ours, client):
    for path in ("/torn", "/zookeeper/quota/torn"):
        client.create(path)
    client.create("/zookeeper/quota/torn/zookeeper_limits", b"count=10,bytes=-1")
    client.create("/zookeeper/quota/torn/zookeeper_stats", b"")
    client.set_data("/zookeeper/quota/torn/zookeeper_stats", b"no numbers here")
    client.create("/torn/kid", b"x")
    client.set_data("/torn/kid", b"xy")
    client.delete("/torn/kid")
    assert ours.running
    # And what was logged can be read again.
    ours.restart()
    again = Client(ours.host, ours.port)
    assert again.children("/torn") == []
    again.close()


@pytest.mark.parametrize("op", [rawzk.DELETE_CONTAINER, rawzk.CREATE_SESSION])
def test_internal_opcodes_are_unknown_to_clients(client, op):
    path = f"/internal{abs(op)}"
    client.create(path)
    client.send(request_frame(77, op, encode("DeleteContainerRequest", {"path": path})))
    header, body, _ = rawzk.decode_reply(op, client.receive())
    assert (header, body) == ({"xid": 77, "zxid": -1, "err": -6}, None)
    assert is_closed(client)


def test_a_container_survives_a_client_that_asks_for_its_clean_up(ours, client):
    client.create("/kept", op=rawzk.CREATE_CONTAINER, flags=4)
    client.send(
        request_frame(
            1, rawzk.DELETE_CONTAINER, encode("DeleteContainerRequest", {"path": "/kept"})
        )
    )
    client.receive()
    other = Client(ours.host, ours.port)
    assert other.get_data("/kept")["data"] == b""
    other.close()


@pytest.mark.parametrize("password", [bytes(16), b"", None, b"guess"])
def test_a_resume_with_a_wrong_password_leaves_the_rightful_client_alone(ours, client, password):
    thief = Client(ours.host, ours.port, session=client.session, password=password)
    assert (thief.session, thief.timeout, thief.password) == (0, 0, bytes(16))
    assert is_closed(thief)
    client.call(rawzk.PING)
    assert client.get_data("/")["stat"]["numChildren"] >= 1


@pytest.mark.parametrize(
    "op, flags",
    [
        (rawzk.CREATE, 4),
        (rawzk.CREATE2, 4),
        (rawzk.CREATE_CONTAINER, 0),
        (rawzk.CREATE_CONTAINER, 1),
        (rawzk.CREATE_CONTAINER, 2),
        (rawzk.CREATE_CONTAINER, 3),
    ],
)
def test_a_mode_that_does_not_belong_to_the_opcode_is_a_bad_argument(client, op, flags):
    before = zxid_of(client)
    error = refused(client.call, op, create_value("/mode-mismatch", flags))
    assert (error.err, error.header["zxid"]) == (-8, before + 1)


def test_an_unknown_opcode_is_answered_after_what_came_before_it(client):
    client.send(
        request_frame(1, rawzk.CREATE, encode("CreateRequest", create_value("/before-it", 0))),
        request_frame(2, rawzk.GET_DATA, encode("GetDataRequest", {"path": "/before-it"})),
        request_frame(3, 999),
    )
    headers = [rawzk.decode("ReplyHeader", client.receive())[0] for _ in range(3)]
    assert [(h["xid"], h["err"]) for h in headers] == [(1, 0), (2, 0), (3, -6)]
    assert is_closed(client)


def test_a_refused_multi_leaves_nothing_behind(client):
    before = zxid_of(client)
    body = multi_body([(rawzk.CREATE, create_value("/half", 0)), (rawzk.GET_DATA, {"path": "/"})])
    assert refused(client.call, rawzk.MULTI, body).err == -5
    assert zxid_of(client) == before
    assert refused(client.get_data, "/half").err == -101


def test_text_beyond_the_bmp_survives_a_multi_and_a_restart(ours):
    client = Client(ours.host, ours.port)
    entries = [acl(31, "world", "anyone"), acl(1, "digest", "u\U0001f600:x")]
    client.multi([(rawzk.CREATE, {"path": "/beyond-bmp", "acl": entries})])
    told = client.get_acl("/beyond-bmp")["acl"]
    assert told[1]["id"]["id"] == "u\ud83d\ude00:x".encode("utf-8", "surrogatepass")
    client.close()
    ours.restart()
    again = Client(ours.host, ours.port)
    assert again.get_acl("/beyond-bmp")["acl"] == told
    again.close()
